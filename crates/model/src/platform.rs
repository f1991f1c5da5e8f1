//! Operating system and processor, and the choice of an image for this machine.

use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// What an image runs on, in Go's words: `linux/amd64`, `linux/arm64/v8`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Platform {
    /// The processor: `amd64`, `arm64`, `arm`, …
    #[serde(default)]
    pub architecture: String,
    /// The operating system: `linux`, …
    #[serde(default)]
    pub os: String,
    /// The version of the operating system (Windows only).
    #[serde(default, rename = "os.version", skip_serializing_if = "Option::is_none")]
    pub os_version: Option<String>,
    /// Features that the operating system must have (Windows only).
    #[serde(default, rename = "os.features", skip_serializing_if = "Vec::is_empty")]
    pub os_features: Vec<String>,
    /// The generation of the processor: `v7`, `v8`; for amd64 `v2` to `v4`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

impl Platform {
    /// The platform that this program was built for.
    pub fn host() -> Self {
        let (architecture, variant) = match std::env::consts::ARCH {
            "x86_64" => ("amd64", None),
            "x86" => ("386", None),
            "aarch64" => ("arm64", Some("v8")),
            "arm" => ("arm", Some("v7")),
            "powerpc64" if cfg!(target_endian = "little") => ("ppc64le", None),
            "powerpc64" => ("ppc64", None),
            "loongarch64" => ("loong64", None),
            other => (other, None),
        };
        Platform::new(std::env::consts::OS, architecture, variant)
    }

    /// A platform of these three parts.
    pub fn new(os: &str, architecture: &str, variant: Option<&str>) -> Self {
        Platform {
            architecture: architecture.to_owned(),
            os: os.to_owned(),
            variant: variant.map(str::to_owned),
            ..Platform::default()
        }
    }

    /// Reads `os/architecture`, `os/architecture/variant`, or `os` alone for this machine's processor.
    ///
    /// # Errors
    /// [`Error::Platform`] for other text.
    pub fn parse(text: &str) -> Result<Self> {
        let parts: Vec<&str> = text.split('/').collect();
        let part_is_valid = |part: &&str| {
            !part.is_empty()
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
        };
        if !parts.iter().all(part_is_valid) {
            return Err(Error::Platform(text.to_owned()));
        }
        let platform = match parts[..] {
            [os] => Platform { os: os.to_owned(), ..Platform::host() },
            [os, architecture] => Platform::new(os, architecture, None),
            [os, architecture, variant] => Platform::new(os, architecture, Some(variant)),
            _ => return Err(Error::Platform(text.to_owned())),
        };
        Ok(platform.normalized())
    }

    /// The same platform under its usual name: `x86_64` is `amd64`, `arm64/v8` is `arm64`.
    pub fn normalized(&self) -> Self {
        let os = match self.os.to_ascii_lowercase() {
            os if os == "macos" => "darwin".to_owned(),
            os => os,
        };
        let architecture = self.architecture.to_ascii_lowercase();
        let variant = self.variant.as_deref().unwrap_or_default().to_ascii_lowercase();
        let (architecture, variant) = match (architecture.as_str(), variant.as_str()) {
            ("i386", _) => ("386", ""),
            ("x86_64" | "x86-64" | "amd64", "v1") => ("amd64", ""),
            ("x86_64" | "x86-64", variant) => ("amd64", variant),
            ("aarch64" | "arm64", "8" | "v8" | "v8.0") => ("arm64", ""),
            ("aarch64", variant) => ("arm64", variant),
            ("armhf", _) => ("arm", "v7"),
            ("armel", _) => ("arm", "v6"),
            ("arm", "" | "7") => ("arm", "v7"),
            ("arm", "5") => ("arm", "v5"),
            ("arm", "6") => ("arm", "v6"),
            ("arm", "8") => ("arm", "v8"),
            same => same,
        };
        let variant = (!variant.is_empty()).then(|| variant.to_owned());
        Platform { os, architecture: architecture.to_owned(), variant, ..self.clone() }
    }

    /// How well an image for this platform runs on `machine`: 0 is made for it, more is worse, `None` does
    /// not run. Newer generations of a processor run what was built for older ones, and 64 bits run 32.
    pub fn rank_on(&self, machine: &Platform) -> Option<u32> {
        let (image, machine) = (self.normalized(), machine.normalized());
        if image.os != machine.os {
            return None;
        }
        // Generations without a name: amd64 is v1, arm64 is v8.
        let generation = |p: &Platform| match (&*p.architecture, p.variant.as_deref()) {
            ("amd64", None) => Some(1),
            ("arm64", None) => Some(8),
            (_, Some(variant)) => variant.strip_prefix('v').and_then(|v| v.parse::<u32>().ok()),
            _ => None,
        };
        match (&*machine.architecture, &*image.architecture) {
            (m, i) if m == i => match (generation(&machine), generation(&image)) {
                (Some(has), Some(needs)) => has.checked_sub(needs),
                _ => (machine.variant == image.variant).then_some(0),
            },
            ("amd64", "386") => Some(100),
            ("arm64", "arm") => generation(&image).and_then(|needs| 8u32.checked_sub(needs)).map(|d| 100 + d),
            _ => None,
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let variant = self.variant.iter().map(|variant| format!("/{variant}"));
        f.pad(&format!("{}/{}{}", self.os, self.architecture, variant.collect::<String>()))
    }
}

impl FromStr for Platform {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        Platform::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names() {
        for (given, normal) in [
            ("linux/amd64", "linux/amd64"),
            ("linux/x86_64", "linux/amd64"),
            ("linux/amd64/v1", "linux/amd64"),
            ("linux/amd64/v3", "linux/amd64/v3"),
            ("linux/aarch64", "linux/arm64"),
            ("linux/arm64/v8", "linux/arm64"),
            ("linux/arm", "linux/arm/v7"),
            ("linux/arm/6", "linux/arm/v6"),
            ("Linux/AMD64", "linux/amd64"),
        ] {
            assert_eq!(Platform::parse(given).unwrap().to_string(), normal);
        }
        for bad in ["", "/", "linux/", "linux//v8", "linux/arm/v7/x", "linux/a b"] {
            assert!(Platform::parse(bad).is_err(), "{bad:?}");
        }
        assert_eq!(Platform::host().rank_on(&Platform::host()), Some(0));
    }

    #[test]
    fn which_image_runs_where() {
        let rank =
            |image, machine| Platform::parse(image).unwrap().rank_on(&Platform::parse(machine).unwrap());
        assert_eq!(rank("linux/amd64", "linux/amd64"), Some(0));
        assert_eq!(rank("linux/amd64", "linux/amd64/v3"), Some(2));
        assert_eq!(rank("linux/amd64/v3", "linux/amd64"), None);
        assert_eq!(rank("linux/386", "linux/amd64"), Some(100));
        assert_eq!(rank("linux/amd64", "linux/arm64"), None);
        assert_eq!(rank("windows/amd64", "linux/amd64"), None);
        assert_eq!(rank("linux/arm64/v8", "linux/arm64"), Some(0));
        assert!(rank("linux/arm/v7", "linux/arm64") < rank("linux/arm/v6", "linux/arm64"));
        assert_eq!(rank("linux/arm/v7", "linux/arm/v6"), None);
        assert_eq!(rank("linux/riscv64", "linux/riscv64"), Some(0));
    }

    proptest! {
        #[test]
        fn text_round_trips(text in "[a-z]{1,5}/[a-z0-9]{1,5}(/v[0-9])?") {
            let platform = Platform::parse(&text).unwrap();
            prop_assert_eq!(Platform::parse(&platform.to_string()).unwrap(), platform);
        }

        #[test]
        fn parsing_never_panics(text: String) {
            let _ = Platform::parse(&text);
        }
    }
}
