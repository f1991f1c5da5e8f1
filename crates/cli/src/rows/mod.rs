//! What listings show: the columns of images, containers and the rest, each declared once, with Docker's names,
//! headings and forms.

pub mod container;
pub mod finding;
pub mod history;
pub mod image;
pub mod mount;
pub mod stats;
pub mod usage;
pub mod volume;

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::time::SystemTime;

use jiff::tz::TimeZone;
use model::time::human_duration;
use model::{ContainerId, ImageId, Timestamp};

/// How all rows of a listing are shown.
#[derive(Debug, Clone)]
pub struct Show {
    /// Whether IDs and texts are cut.
    pub trunc: bool,
    /// When the listing was made.
    pub now: Timestamp,
    zone: OnceCell<TimeZone>,
}

impl Show {
    /// As `--no-trunc` says, now and here.
    pub fn new(no_trunc: bool) -> Self {
        Self { trunc: !no_trunc, now: SystemTime::now().into(), zone: OnceCell::new() }
    }

    /// The user's time zone, which only some columns need: to find it out takes a look at hundreds of files.
    pub fn zone(&self) -> &TimeZone {
        self.zone.get_or_init(TimeZone::system)
    }

    /// `86727c24430b`, or the whole ID.
    pub fn image_id(&self, id: &ImageId) -> String {
        if self.trunc { id.short() } else { id.to_string() }
    }

    /// `af310b5aeeab`, or the whole ID.
    pub fn container_id(&self, id: &ContainerId) -> String {
        if self.trunc { id.short() } else { id.to_string() }
    }

    /// `About a minute ago`.
    pub fn ago(&self, time: Timestamp) -> String {
        format!("{} ago", human_duration(time.age(self.now)))
    }

    /// The text, or so many characters of it with an ellipsis as the last.
    pub fn cut(&self, text: &str, width: usize) -> String {
        if !self.trunc || text.chars().count() <= width {
            return text.to_owned();
        }
        text.chars().take(width - 1).chain(['…']).collect()
    }
}

/// A size as `images` and `ps` print it.
fn short_size(bytes: u64) -> String {
    model::size::human_with_precision(bytes, 3)
}

/// `a=1,b=2`.
fn joined(labels: &BTreeMap<String, String>) -> String {
    labels.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",")
}

/// A text in quotation marks, as Go's `strconv.Quote` writes it: what cannot be seen is escaped.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\u{7}' => quoted.push_str("\\a"),
            '\u{8}' => quoted.push_str("\\b"),
            '\t' => quoted.push_str("\\t"),
            '\n' => quoted.push_str("\\n"),
            '\u{b}' => quoted.push_str("\\v"),
            '\u{c}' => quoted.push_str("\\f"),
            '\r' => quoted.push_str("\\r"),
            c if c.is_ascii_control() => quoted.push_str(&format!("\\x{:02x}", u32::from(c))),
            c if c.is_control() || is_invisible(c) => quoted.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted + "\""
}

/// Spaces other than the usual one, and marks that turn the direction of text, with which a command could lie about
/// itself.
fn is_invisible(c: char) -> bool {
    c != ' ' && c.is_whitespace()
        || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_with_an_ellipsis() {
        let mut show = Show::new(false);
        assert_eq!(show.cut("sh -c 'echo out; echo'", 20), "sh -c 'echo out; ec…");
        assert_eq!(show.cut("exactly 20 chars €€€", 20), "exactly 20 chars €€€");
        show.trunc = false;
        assert_eq!(show.cut("abc", 2), "abc");
    }

    #[test]
    fn quotes_are_gos() {
        assert_eq!(quoted("sh -c 'a' \"b\" \\ €…"), r#""sh -c 'a' \"b\" \\ €…""#);
        assert_eq!(quoted("\t\n\u{1b}[31m\u{7f}\u{202e}\u{a0}"), r#""\t\n\x1b[31m\x7f\u202e\u00a0""#);
    }
}
