//! Names of volumes.

use crate::{Error, Result};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{fmt, str::FromStr};

/// The label of volumes that nobody named: their names are random, and `rm -v` and `prune` take them.
pub const ANONYMOUS: &str = "com.docker.volume.anonymous";

/// A volume's name: two or more of `[a-zA-Z0-9_.-]`, the first one a letter or digit. Names a directory of `volumes`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VolumeName(String);

impl VolumeName {
    /// The longest name that a directory can have.
    const MAX: usize = 255;

    /// Reads a name.
    ///
    /// # Errors
    /// [`Error::VolumeName`] and [`Error::VolumeNameShort`] with Docker's texts.
    pub fn parse(text: &str) -> Result<Self> {
        if text.len() == 1 {
            return Err(Error::VolumeNameShort);
        }
        let valid = (2..=Self::MAX).contains(&text.len())
            && text.starts_with(|c: char| c.is_ascii_alphanumeric())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'));
        if valid { Ok(Self(text.to_owned())) } else { Err(Error::VolumeName(text.to_owned())) }
    }

    /// Makes a name for an anonymous volume from random bytes: 64 hexadecimal digits.
    pub fn from_random(bytes: [u8; 32]) -> Self {
        Self(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for VolumeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for VolumeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for VolumeName {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

impl Serialize for VolumeName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for VolumeName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_single_components() {
        for good in ["ab", "A.b-c_9", "0a", &"f".repeat(64)] {
            assert_eq!(VolumeName::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", ".a", "a/b", "..", "-a", "a b", "ä1", &"a".repeat(256)] {
            assert!(matches!(VolumeName::parse(bad), Err(Error::VolumeName(_))), "{bad}");
        }
        assert_eq!(VolumeName::parse("a").unwrap_err(), Error::VolumeNameShort);
        assert_eq!(VolumeName::from_random([0xab; 32]).as_str(), "ab".repeat(32));
    }
}
