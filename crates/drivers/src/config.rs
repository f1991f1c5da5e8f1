//! What a driver is told: where it works, and how.

use std::path::PathBuf;

use sys::idmap::Shift;

use crate::{Error, Result, Server};

/// What a driver needs to know.
#[derive(Debug, Clone)]
pub struct Config {
    /// The data root. A driver keeps everything in a directory of its own name below it.
    pub root: PathBuf,
    /// Options as users give them, `key=value` each (moby.md §10.2).
    pub options: Vec<String>,
    /// The most layers that may lie below one. Docker opens up to [`Config::DOCKER_LOWERS`]; the kernel's OverlayFS
    /// takes 500.
    pub max_lowers: usize,
    /// We are root of a user namespace only: mounts use `userxattr`, and not every owner can be set.
    pub user_namespace: bool,
    /// Containers' ids are others on the disk: those of `userns-remap`.
    pub shift: Option<Shift>,
    /// The program that serves unions; `None` if there is none, so that `fuse-overlayfs` cannot mount.
    pub union_server: Option<Server>,
}

impl Config {
    /// Docker's limit of lowers (moby.md §8.2).
    pub const DOCKER_LOWERS: usize = 128;

    /// The usual configuration for a data root.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            options: Vec::new(),
            max_lowers: Self::DOCKER_LOWERS,
            user_namespace: false,
            shift: None,
            union_server: None,
        }
    }

    /// The options, taken apart.
    pub(crate) fn options(&self) -> Result<Vec<DriverOption>> {
        self.options.iter().map(|text| DriverOption::parse(text)).collect()
    }
}

/// One option, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DriverOption {
    /// As it was given; most drivers compare it in lower case.
    pub(crate) key: String,
    pub(crate) value: String,
}

impl DriverOption {
    fn parse(text: &str) -> Result<Self> {
        let (key, value) = text
            .split_once('=')
            .ok_or_else(|| Error::Option(format!("unable to parse key/value option: {text}")))?;
        Ok(Self { key: key.trim().to_owned(), value: value.trim().to_owned() })
    }

    /// The value as a size in steps of 1024, in bytes.
    pub(crate) fn size(&self) -> Result<u64> {
        model::size::parse_binary(&self.value).map_err(|e| Error::Option(e.to_string()))
    }

    /// The value as Go's `strconv.ParseBool` reads it, with its error text.
    pub(crate) fn boolean(&self) -> Result<bool> {
        match self.value.as_str() {
            "1" | "t" | "T" | "TRUE" | "true" | "True" => Ok(true),
            "0" | "f" | "F" | "FALSE" | "false" | "False" => Ok(false),
            other => Err(Error::Option(format!("strconv.ParseBool: parsing {other:?}: invalid syntax"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn option(text: &str) -> DriverOption {
        DriverOption::parse(text).unwrap()
    }

    #[test]
    fn blanks_around_key_and_value_do_not_count() {
        assert_eq!(option(" a.b = c = d "), DriverOption { key: "a.b".into(), value: "c = d".into() });
        assert_eq!(option("a="), DriverOption { key: "a".into(), value: String::new() });
        let error = DriverOption::parse("a").unwrap_err().to_string();
        assert_eq!(error, "unable to parse key/value option: a");
    }

    #[test]
    fn booleans_are_go_s() {
        for text in ["1", "t", "T", "TRUE", "true", "True"] {
            assert!(option(&format!("x={text}")).boolean().unwrap(), "{text}");
        }
        for text in ["0", "f", "F", "FALSE", "false", "False"] {
            assert!(!option(&format!("x={text}")).boolean().unwrap(), "{text}");
        }
        for text in ["", "yes", "tRUE", "2"] {
            let error = option(&format!("x={text}")).boolean().unwrap_err().to_string();
            assert_eq!(error, format!("strconv.ParseBool: parsing \"{text}\": invalid syntax"));
        }
    }

    #[test]
    fn sizes_go_in_steps_of_1024() {
        assert_eq!(option("x=10G").size().unwrap(), 10 << 30);
        assert_eq!(option("x=1.5kB").size().unwrap(), 1536);
        assert_eq!(option("x=1x").size().unwrap_err().to_string(), "invalid suffix: 'x'");
    }
}
