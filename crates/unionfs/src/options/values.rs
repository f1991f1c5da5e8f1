//! The kinds of values.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::str::FromStr;
use std::time::Duration;

use super::split::unescape;
use super::{Given, Refused};

impl Given<'_> {
    fn wants<T>(&self, what: &str) -> Result<T, Refused> {
        Err(Refused::new(self.item, format!("wants {what}")))
    }

    /// No value.
    pub(super) fn flag(&self) -> Result<(), Refused> {
        match self.value {
            None => Ok(()),
            Some(_) => Err(Refused::new(self.item, "takes no value")),
        }
    }

    /// A path.
    pub(super) fn path(&self) -> Result<OsString, Refused> {
        match self.value {
            None | Some([]) => self.wants("a directory"),
            Some(value) => Ok(OsString::from_vec(unescape(value)?)),
        }
    }

    /// Any text.
    pub(super) fn text(&self) -> Result<String, Refused> {
        match String::from_utf8(unescape(self.value.unwrap_or_default())?) {
            Ok(text) if !text.is_empty() => Ok(text),
            _ => self.wants("a text"),
        }
    }

    /// A text that may stand in quotes, without them. Nothing in it is escaped.
    pub(super) fn quoted(&self) -> Result<String, Refused> {
        let value = self.value.unwrap_or_default();
        let inner = value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(value);
        match std::str::from_utf8(inner) {
            Ok(text) if !text.is_empty() => Ok(text.to_owned()),
            _ => self.wants("a security context"),
        }
    }

    /// A number.
    pub(super) fn number<N: FromStr>(&self) -> Result<N, Refused> {
        self.text().ok().and_then(|text| text.parse().ok()).map_or_else(|| self.wants("a number"), Ok)
    }

    /// Seconds, perhaps with a fraction.
    pub(super) fn seconds(&self) -> Result<Duration, Refused> {
        let seconds = self.number::<f64>().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        seconds.map_or_else(|| self.wants("a number of seconds"), Ok)
    }

    /// `on` or `off`, or a number for it as fuse-overlayfs has it.
    pub(super) fn switch(&self) -> Result<bool, Refused> {
        self.one_of(&[("on", true), ("off", false), ("1", true), ("0", false)])
            .or_else(|_| self.wants("on or off"))
    }

    /// The same, where the name alone means `on`.
    pub(super) fn switch_or_flag(&self) -> Result<bool, Refused> {
        if self.value.is_none() { Ok(true) } else { self.switch() }
    }

    /// One of these words.
    pub(super) fn one_of<T: Copy>(&self, words: &[(&str, T)]) -> Result<T, Refused> {
        match words.iter().find(|(word, _)| self.value == Some(word.as_bytes())) {
            Some((_, meaning)) => Ok(*meaning),
            None => {
                let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
                self.wants(&format!("one of {}", words.join(", ")))
            }
        }
    }
}
