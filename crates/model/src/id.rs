//! Names of things in the store that are not digests of something (moby.md §3).
//!
//! All of them become names of directories, so each type allows only what is safe as one path component.
//! New ids are made from random bytes that the caller brings.

use crate::digest::{format_hex, parse_hex};
use crate::{Error, Result};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{fmt, str::FromStr};

/// Text forms that every id has: `FromStr`, `Debug` as `Display`, JSON as a string.
macro_rules! text_forms {
    ($name:ident) => {
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = Error;
            fn from_str(text: &str) -> Result<Self> {
                $name::parse(text)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                $name::parse(&text).map_err(serde::de::Error::custom)
            }
        }
    };
}

/// A container: 64 lower-case hexadecimal digits. Names a directory of `containers` and one of
/// `layerdb/mounts`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContainerId([u8; 32]);

impl ContainerId {
    /// Makes an id from random bytes.
    ///
    /// The short form of an id is the container's host name, and a host name of digits alone is
    /// mistaken for a number; such bytes are changed a little.
    pub fn from_random(mut bytes: [u8; 32]) -> Self {
        if bytes[..6].iter().all(|b| b >> 4 < 10 && b & 15 < 10) {
            bytes[0] |= 0xf0;
        }
        ContainerId(bytes)
    }

    /// Reads 64 lower-case hexadecimal digits.
    ///
    /// # Errors
    /// [`Error::Id`] for every other text.
    pub fn parse(text: &str) -> Result<Self> {
        let bytes = parse_hex(text);
        bytes
            .map(ContainerId)
            .ok_or_else(|| Error::id("container id", text, "64 lower-case hexadecimal digits"))
    }

    /// All 64 digits.
    pub fn hex(&self) -> String {
        format_hex(&self.0)
    }

    /// The first 12 digits, as Docker shows ids to people.
    pub fn short(&self) -> String {
        format_hex(&self.0[..6])
    }
}

impl fmt::Display for ContainerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.hex())
    }
}

text_forms!(ContainerId);

/// A container's writable layer, or with the ending `-init` the layer between it and the image. Names a
/// directory of the driver. It has nothing to do with the container's id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MountId {
    bytes: [u8; 32],
    init: bool,
}

impl MountId {
    /// Makes the id of a writable layer from random bytes.
    pub fn from_random(bytes: [u8; 32]) -> Self {
        MountId { bytes, init: false }
    }

    /// Reads 64 lower-case hexadecimal digits, with or without `-init`.
    ///
    /// # Errors
    /// [`Error::Id`] for every other text.
    pub fn parse(text: &str) -> Result<Self> {
        let (hex, init) = match text.strip_suffix("-init") {
            Some(hex) => (hex, true),
            None => (text, false),
        };
        let bytes = parse_hex(hex).ok_or_else(|| {
            Error::id("mount id", text, "64 lower-case hexadecimal digits, then -init or nothing")
        })?;
        Ok(MountId { bytes, init })
    }

    /// The id of the init layer below this writable layer.
    pub fn init(&self) -> MountId {
        MountId { bytes: self.bytes, init: true }
    }

    /// Whether this is an init layer.
    pub fn is_init(&self) -> bool {
        self.init
    }
}

impl fmt::Display for MountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}{}", format_hex(&self.bytes), if self.init { "-init" } else { "" }))
    }
}

text_forms!(MountId);

/// A layer's directory in the driver. 64 hexadecimal digits when we or Docker's layer store make it, 25
/// other characters when BuildKit does; whatever is safe as a file name is accepted (moby.md §17.2).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CacheId(String);

impl CacheId {
    /// Makes an id from random bytes.
    pub fn from_random(bytes: [u8; 32]) -> Self {
        CacheId(format_hex(&bytes))
    }

    /// Takes any text that can be one component of a path: not empty, not `.` or `..`, without `/` and
    /// NUL, at most 255 bytes.
    ///
    /// # Errors
    /// [`Error::Id`] for every other text.
    pub fn parse(text: &str) -> Result<Self> {
        let safe = !matches!(text, "" | "." | "..") && text.len() <= 255 && !text.contains(['/', '\0']);
        if safe { Ok(CacheId(text.to_owned())) } else { Err(Error::id("cache id", text, "a file name")) }
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is as BuildKit makes them, 25 digits of base 36; Docker's layer store takes 64 hexadecimal ones
    /// (moby.md §12.9).
    pub fn is_of_buildkit(&self) -> bool {
        self.0.len() == 25 && self.0.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_lowercase())
    }
}

impl From<MountId> for CacheId {
    /// A driver keeps writable layers beside all others, under their mount ids.
    fn from(id: MountId) -> Self {
        CacheId(id.to_string())
    }
}

impl AsRef<str> for CacheId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CacheId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

text_forms!(CacheId);

/// The short name of an overlay2 layer in `overlay2/l`: 26 characters of base32, so that many of them fit
/// into one page of mount options (moby.md §8.1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId([u8; 26]);

/// The alphabet of RFC 4648 §6.
const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

impl LinkId {
    /// Makes an id from random bytes: their base32 form, cut off after 26 characters.
    pub fn from_random(bytes: [u8; 17]) -> Self {
        let bit = |n: usize| bytes[n / 8] >> (7 - n % 8) & 1;
        LinkId(std::array::from_fn(|i| {
            let group = (i * 5..i * 5 + 5).fold(0, |group, n| group << 1 | bit(n));
            BASE32[usize::from(group)]
        }))
    }

    /// Reads 26 characters of `A-Z2-7`.
    ///
    /// # Errors
    /// [`Error::Id`] for every other text.
    pub fn parse(text: &str) -> Result<Self> {
        let bytes: Option<[u8; 26]> = text.as_bytes().try_into().ok();
        bytes
            .filter(|bytes| bytes.iter().all(|b| BASE32.contains(b)))
            .map(LinkId)
            .ok_or_else(|| Error::id("link id", text, "26 characters of A-Z and 2-7"))
    }
}

impl fmt::Display for LinkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0.iter().map(|&b| char::from(b)).collect::<String>())
    }
}

text_forms!(LinkId);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn container_ids() {
        let id = ContainerId::parse(&"0af".repeat(22)[..64]).unwrap();
        assert_eq!(id.short(), "0af0af0af0af");
        for bad in ["", "abc", &"0".repeat(63), &"0".repeat(65), &"A".repeat(64), &"../".repeat(22)[..64]] {
            assert!(ContainerId::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_short_form_of_a_new_container_id_is_no_number() {
        assert!(ContainerId::from_random([0x12; 32]).short().parse::<u64>().is_err());
        assert_eq!(ContainerId::from_random([0x1a; 32]).hex(), "1a".repeat(32));
    }

    #[test]
    fn mount_ids_have_an_init_form() {
        let id = MountId::from_random([0xab; 32]);
        assert!(!id.is_init() && id.init().is_init());
        assert_eq!(id.init().to_string(), format!("{}-init", "ab".repeat(32)));
        assert_eq!(id.init().init(), id.init());
        for bad in ["-init", &format!("{}-init-init", "ab".repeat(32)), &format!("{}-INIT", "ab".repeat(32))]
        {
            assert!(MountId::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn cache_ids_are_safe_file_names() {
        for good in ["a", "0qx3kfyo3v5u0jmkhyqoe2b8d", "x-init", "...", "ü"] {
            assert_eq!(CacheId::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", ".", "..", "/", "a/b", "../x", "a\0", &"a".repeat(256)] {
            assert!(CacheId::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn link_ids_are_base32() {
        assert_eq!(LinkId::from_random([0; 17]).to_string(), "A".repeat(26));
        assert_eq!(LinkId::from_random([0xff; 17]).to_string(), "7".repeat(26));
        // RFC 4648 §10: "foobar" is MZXW6YTBOI======.
        let mut bytes = [0; 17];
        bytes[..6].copy_from_slice(b"foobar");
        assert!(LinkId::from_random(bytes).to_string().starts_with("MZXW6YTBO"));
        for bad in ["", &"A".repeat(25), &"A".repeat(27), &"a".repeat(26), &"1".repeat(26)] {
            assert!(LinkId::parse(bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn text_round_trips(bytes: [u8; 32], link: [u8; 17]) {
            let id = ContainerId::from_random(bytes);
            prop_assert_eq!(ContainerId::parse(&id.to_string()).unwrap(), id);
            let id = MountId::from_random(bytes);
            prop_assert_eq!(MountId::parse(&id.to_string()).unwrap(), id);
            prop_assert_eq!(MountId::parse(&id.init().to_string()).unwrap(), id.init());
            let id = CacheId::from_random(bytes);
            prop_assert_eq!(CacheId::parse(id.as_str()).unwrap(), id);
            let id = LinkId::from_random(link);
            prop_assert_eq!(LinkId::parse(&id.to_string()).unwrap(), id);
        }

        #[test]
        fn parsing_never_panics(text: String) {
            let _ = ContainerId::parse(&text);
            let _ = MountId::parse(&text);
            let _ = CacheId::parse(&text);
            let _ = LinkId::parse(&text);
        }
    }

    #[test]
    fn ids_of_buildkit_are_25_digits_of_base_36() {
        let is = |text: &str| CacheId::parse(text).unwrap().is_of_buildkit();
        assert!(is("0s4t50sf3ue6ec4plxikcqdlv"));
        for other in ["0s4t50sf3ue6ec4plxikcqdl", "0S4t50sf3ue6ec4plxikcqdlv", &"a".repeat(64), "l"] {
            assert!(!is(other), "{other}");
        }
    }
}
