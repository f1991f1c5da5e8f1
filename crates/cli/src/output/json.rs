//! JSON as Go's `encoding/json` writes it: the same bytes as serde_json, but for a few escaped characters.

use serde::Serialize;
use serde_json::Value;
use serde_json::ser::{CompactFormatter, Formatter, PrettyFormatter, Serializer};
use std::io::{self, Write};

/// Whether `<`, `>` and `&` are written as `\u003c`, `\u003e` and `\u0026`, which Go calls HTML-safe.
///
/// Docker escapes them in the rows of a listing (`{{json .}}`), and nowhere else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Html {
    /// Written escaped.
    Escaped,
    /// Written as they are.
    Plain,
}

/// `value` on one line, without spaces; objects keep their order.
pub fn compact(value: &Value, html: Html) -> String {
    write(value, GoEscapes { inner: CompactFormatter, html })
}

/// `value` over several lines, four spaces a level, as `docker inspect` prints it.
pub fn pretty(value: &Value) -> String {
    write(value, GoEscapes { inner: PrettyFormatter::with_indent(b"    "), html: Html::Plain })
}

fn write<F: Formatter>(value: &Value, formatter: F) -> String {
    let mut out = Vec::new();
    // A `Value` has string keys and finite numbers, and a `Vec` takes every byte: this cannot fail.
    let written = value.serialize(&mut Serializer::with_formatter(&mut out, formatter));
    debug_assert!(written.is_ok());
    String::from_utf8_lossy(&out).into_owned()
}

/// Passes the structure on to `inner` and escapes inside strings what Go escapes and serde_json does not.
struct GoEscapes<F> {
    inner: F,
    html: Html,
}

impl<F> GoEscapes<F> {
    fn escaped(&self, c: char) -> bool {
        matches!(c, '\u{2028}' | '\u{2029}') || self.html == Html::Escaped && matches!(c, '<' | '>' | '&')
    }
}

impl<F: Formatter> Formatter for GoEscapes<F> {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, out: &mut W, fragment: &str) -> io::Result<()> {
        let mut rest = fragment;
        while let Some(at) = rest.find(|c| self.escaped(c)) {
            let (plain, tail) = rest.split_at(at);
            out.write_all(plain.as_bytes())?;
            let mut chars = tail.chars();
            if let Some(c) = chars.next() {
                write!(out, "\\u{:04x}", u32::from(c))?;
            }
            rest = chars.as_str();
        }
        out.write_all(rest.as_bytes())
    }

    fn begin_array<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.inner.begin_array(out)
    }
    fn end_array<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.inner.end_array(out)
    }
    fn begin_array_value<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.inner.begin_array_value(out, first)
    }
    fn end_array_value<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.inner.end_array_value(out)
    }
    fn begin_object<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.inner.begin_object(out)
    }
    fn end_object<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.inner.end_object(out)
    }
    fn begin_object_key<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.inner.begin_object_key(out, first)
    }
    fn begin_object_value<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.inner.begin_object_value(out)
    }
    fn end_object_value<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.inner.end_object_value(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn escapes_as_docker_does() {
        let comment = json!("<a>&\u{2028}é\u{1}\u{7f}");
        assert_eq!(compact(&comment, Html::Plain), "\"<a>&\\u2028é\\u0001\u{7f}\"");
        assert_eq!(compact(&comment, Html::Escaped), "\"\\u003ca\\u003e\\u0026\\u2028é\\u0001\u{7f}\"");
    }

    #[test]
    fn indents_by_four_and_keeps_order() {
        let image = json!([{"Id": "x", "RepoDigests": [], "Config": {"Cmd": ["sh"], "Volumes": null}, "A": {}}]);
        let expected = concat!(
            "[\n    {\n        \"Id\": \"x\",\n        \"RepoDigests\": [],\n        \"Config\": {\n",
            "            \"Cmd\": [\n                \"sh\"\n            ],\n            \"Volumes\": null\n",
            "        },\n        \"A\": {}\n    }\n]"
        );
        assert_eq!(pretty(&image), expected);
    }
}
