//! Docker's json-file log: a file with one JSON object per line, beside older ones with `.1`, `.2`, … at their ends.
//!
//! A line of output is one object, `{"log":"text\n","stream":"stdout","time":"…"}`; a very long one is several, of which
//! only the last one's text ends with a newline.

mod reader;
mod tail;
mod writer;

use model::Timestamp;

use crate::error::{Error, Result};

pub use reader::{Query, Reader};
pub use writer::Writer;

/// Where a process wrote something. Serialises as Docker writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// Standard output, or the terminal.
    Stdout,
    /// Standard error.
    Stderr,
}

/// One entry of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// When it was written.
    pub time: Timestamp,
    /// Where.
    pub stream: Stream,
    /// What, usually with a newline at its end.
    pub text: String,
}

/// When a log is put aside for a new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotation {
    /// How many bytes a file may have; no limit if absent.
    pub max_size: Option<u64>,
    /// How many files there may be, the newest included.
    pub max_files: u32,
}

impl Default for Rotation {
    fn default() -> Self {
        Self { max_size: None, max_files: 1 }
    }
}

impl Rotation {
    /// Reads the options of Docker's log driver `json-file`.
    ///
    /// # Errors
    /// [`Error::Invalid`] in Docker's words, also for options that are not known here.
    pub fn from_options<'a>(options: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self> {
        let mut rotation = Self::default();
        let mut files = None;
        for (key, value) in options {
            match key {
                "max-size" => {
                    let size = model::size::parse_binary(value).ok().filter(|size| *size > 0);
                    let bad = || {
                        Error::invalid(format!(
                            "invalid value for max-size: \"{value}\": it must be a positive size"
                        ))
                    };
                    rotation.max_size = Some(size.ok_or_else(bad)?);
                }
                "max-file" => {
                    let number = value.parse().ok().filter(|number| *number > 0);
                    let bad = || Error::invalid(format!("max-file cannot be less than 1: \"{value}\""));
                    files = Some(number.ok_or_else(bad)?);
                }
                // These say what else is written, and how; nothing that is written here is wrong without.
                "mode" | "max-buffer-size" => {}
                other => {
                    return Err(Error::invalid(format!(
                        "unknown log opt '{other}' for json-file log driver"
                    )));
                }
            }
        }
        if files.is_some_and(|files| files > 1) && rotation.max_size.is_none() {
            return Err(Error::invalid("max-file cannot be greater than 1 when max-size is not set"));
        }
        rotation.max_files = files.unwrap_or(1);
        Ok(rotation)
    }
}

/// The name of the file that was put aside this many times; 0 is the one that is written to.
fn file_name(name: &str, age: u32) -> String {
    if age == 0 { name.to_owned() } else { format!("{name}.{age}") }
}

#[cfg(test)]
mod tests;
