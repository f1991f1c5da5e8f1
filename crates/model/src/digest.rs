//! `sha256:…` digests, and the ids that are digests: of images, layers and chains of layers.

use crate::{Error, Result};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};
use std::{fmt, str::FromStr};

/// How every digest in the store starts. Docker knows other algorithms, but has never written one.
const PREFIX: &str = "sha256:";

/// A sha256 digest, written `sha256:` and 64 lower-case hexadecimal digits.
///
/// Orders as its text does.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Digest(Sha256::digest(bytes).into())
    }

    /// Reads `sha256:<64 lower-case hexadecimal digits>`.
    ///
    /// # Errors
    /// [`Error::Id`] for every other text.
    pub fn parse(text: &str) -> Result<Self> {
        let bytes = text.strip_prefix(PREFIX).and_then(parse_hex);
        bytes
            .map(Digest)
            .ok_or_else(|| Error::id("digest", text, "sha256: followed by 64 lower-case hexadecimal digits"))
    }

    /// Reads the 64 lower-case hexadecimal digits alone, as they stand in file names.
    ///
    /// # Errors
    /// [`Error::Id`] for every other text.
    pub fn from_hex(text: &str) -> Result<Self> {
        let bytes = parse_hex(text);
        bytes.map(Digest).ok_or_else(|| Error::id("digest", text, "64 lower-case hexadecimal digits"))
    }

    /// The 64 digits without `sha256:`.
    pub fn hex(&self) -> String {
        format_hex(&self.0)
    }

    /// The first 12 digits, as Docker shows ids to people.
    pub fn short(&self) -> String {
        format_hex(&self.0[..6])
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<[u8; 32]> for Digest {
    fn from(bytes: [u8; 32]) -> Self {
        Digest(bytes)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{PREFIX}{}", self.hex()))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", self.hex())
    }
}

impl FromStr for Digest {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        Digest::parse(text)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Digest::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// 64 lower-case hexadecimal digits as bytes.
pub(crate) fn parse_hex(text: &str) -> Option<[u8; 32]> {
    fn nibble(digit: u8) -> Option<u8> {
        match digit {
            b'0'..=b'9' => Some(digit - b'0'),
            b'a'..=b'f' => Some(digit - b'a' + 10),
            _ => None,
        }
    }
    let digits: &[u8; 64] = text.as_bytes().try_into().ok()?;
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
    }
    Some(bytes)
}

/// Bytes as lower-case hexadecimal digits.
pub(crate) fn format_hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(DIGITS[usize::from(byte >> 4)] as char);
        text.push(DIGITS[usize::from(byte & 15)] as char);
    }
    text
}

/// Makes an id that is a digest of something: a type of its own with everything that a digest can do.
macro_rules! digest_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Digest);

        impl $name {
            /// Reads `sha256:<64 lower-case hexadecimal digits>`.
            ///
            /// # Errors
            /// [`Error::Id`] for every other text.
            pub fn parse(text: &str) -> Result<Self> {
                Digest::parse(text).map($name)
            }

            /// Reads the 64 digits alone, as they stand in file names.
            ///
            /// # Errors
            /// [`Error::Id`] for every other text.
            pub fn from_hex(text: &str) -> Result<Self> {
                Digest::from_hex(text).map($name)
            }

            /// The digest that this id is.
            pub fn digest(&self) -> &Digest {
                &self.0
            }

            /// The 64 digits without `sha256:`, as they stand in file names.
            pub fn hex(&self) -> String {
                self.0.hex()
            }

            /// The first 12 digits, as Docker shows ids to people.
            pub fn short(&self) -> String {
                self.0.short()
            }
        }

        impl From<Digest> for $name {
            fn from(digest: Digest) -> Self {
                $name(digest)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl FromStr for $name {
            type Err = Error;
            fn from_str(text: &str) -> Result<Self> {
                $name::parse(text)
            }
        }
    };
}

digest_id! {
    /// An image: the digest of its configuration's bytes (moby.md §3).
    ImageId
}

digest_id! {
    /// A layer's content: the digest of its uncompressed archive, every byte of it (moby.md §3).
    DiffId
}

digest_id! {
    /// A layer on top of its parents: names a directory of `layerdb/sha256` (moby.md §3).
    ChainId
}

impl ImageId {
    /// The id of the image whose configuration is `config`.
    pub fn of(config: &[u8]) -> Self {
        ImageId(Digest::of(config))
    }
}

impl DiffId {
    /// The layer that changes nothing: an archive of 1024 zero bytes. Docker's commit takes it for "no
    /// layer", while load accepts it as a layer like any other (moby.md §3).
    pub const EMPTY: DiffId = DiffId(Digest([
        0x5f, 0x70, 0xbf, 0x18, 0xa0, 0x86, 0x00, 0x70, 0x16, 0xe9, 0x48, 0xb0, 0x4a, 0xed, 0x3b, 0x82, 0x10,
        0x3a, 0x36, 0xbe, 0xa4, 0x17, 0x55, 0xb6, 0xcd, 0xdf, 0xaf, 0x10, 0xac, 0xe3, 0xc6, 0xef,
    ]));

    /// The id of the layer whose uncompressed archive is `archive`.
    pub fn of(archive: &[u8]) -> Self {
        DiffId(Digest::of(archive))
    }
}

impl ChainId {
    /// The chain that `diff` makes on top of `parent`: the digest of both ids with a space between them,
    /// or `diff` itself at the bottom.
    pub fn extend(parent: Option<&ChainId>, diff: &DiffId) -> Self {
        match parent {
            None => ChainId(diff.0),
            Some(parent) => ChainId(Digest::of(format!("{parent} {diff}").as_bytes())),
        }
    }

    /// The chain of all of `diffs`, lowest first; `None` if there are none.
    pub fn of(diffs: &[DiffId]) -> Option<Self> {
        Self::each(diffs).last()
    }

    /// The chain of each layer of `diffs` with those below it, lowest first.
    pub fn each(diffs: &[DiffId]) -> impl Iterator<Item = ChainId> {
        diffs.iter().scan(None, |below: &mut Option<ChainId>, diff| {
            let chain = ChainId::extend(below.as_ref(), diff);
            *below = Some(chain);
            Some(chain)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const EMPTY: &str = "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef";

    fn diff(hex: &str) -> DiffId {
        DiffId::from_hex(hex).unwrap()
    }

    /// moby.md §5.1, taken from a store that Docker wrote.
    #[test]
    fn chain_ids_are_dockers() {
        let base = diff("b644726d6d5290d07e511dc75a757bd9b7dbb6a1c2e5f0b90261718e583afe17");
        let second = diff("f26cb291487876d348531a772aa6a06c5e3492dfbb682b1e17e9539740b4edbb");
        let third = diff("8e1e09a8e4817f78bc429fa2c3fbcb29a0e8a2156988972fb47e318eabef9ca0");
        let bottom = ChainId::extend(None, &base);
        assert_eq!(bottom.digest(), base.digest());
        let middle = ChainId::extend(Some(&bottom), &second);
        assert_eq!(middle.hex(), "8b4b6d8c98c59d40e25ff7f1e80253358f913bc7cbbb10791ad340698df46d3d");
        let top = ChainId::of(&[base, second, third]).unwrap();
        assert_eq!(top.hex(), "40b2c183a8ce8d0681bff609f98370e5c67129d4dc081e1bea6a1be7c44c62be");
        assert_eq!(top, ChainId::extend(Some(&middle), &third));
        assert_eq!(ChainId::of(&[]), None);
        assert_eq!(ChainId::each(&[base, second, third]).collect::<Vec<_>>(), [bottom, middle, top]);
    }

    #[test]
    fn the_empty_layer_is_1024_zero_bytes() {
        assert_eq!(DiffId::of(&[0; 1024]), DiffId::EMPTY);
        assert_eq!(DiffId::EMPTY.to_string(), EMPTY);
        assert_eq!(DiffId::EMPTY.short(), "5f70bf18a086");
    }

    #[test]
    fn only_the_one_form_is_a_digest() {
        let hex = &EMPTY[7..];
        for bad in [
            "",
            "sha256:",
            hex,
            &EMPTY[..70],
            &format!("{EMPTY}0"),
            &EMPTY.to_uppercase(),
            &EMPTY.replace('f', "F"),
            &EMPTY.replace('f', "g"),
            &format!("sha512:{hex}"),
            &format!("sha256:{}", "é".repeat(32)),
            &format!(" {EMPTY}"),
        ] {
            assert!(Digest::parse(bad).is_err(), "{bad:?}");
        }
        assert!(serde_json::from_str::<ImageId>("\"sha256:x\"").is_err());
    }

    #[test]
    fn an_error_quotes_only_the_start_of_a_long_text() {
        let message = Digest::parse(&"é".repeat(10_000)).unwrap_err().to_string();
        assert!(message.len() < 400, "{message}");
    }

    proptest! {
        #[test]
        fn text_and_json_round_trip(bytes: [u8; 32]) {
            let digest = Digest::from(bytes);
            prop_assert_eq!(Digest::parse(&digest.to_string()).unwrap(), digest);
            prop_assert_eq!(Digest::from_hex(&digest.hex()).unwrap(), digest);
            let json = serde_json::to_string(&ImageId::from(digest)).unwrap();
            prop_assert_eq!(serde_json::from_str::<ImageId>(&json).unwrap(), ImageId::from(digest));
        }

        #[test]
        fn order_is_that_of_the_text(a: [u8; 32], b: [u8; 32]) {
            let (a, b) = (Digest::from(a), Digest::from(b));
            prop_assert_eq!(a.cmp(&b), a.to_string().cmp(&b.to_string()));
        }

        #[test]
        fn parsing_never_panics(text: String) {
            let _ = Digest::parse(&text);
            let _ = Digest::from_hex(&text);
        }
    }
}
