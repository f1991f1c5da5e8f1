//! JSON exactly as Go's `encoding/json` writes it.
//!
//! An image's id is the digest of its configuration's text, so a document that we author has to be spelled
//! as Docker would spell it: no white space, `<`, `>`, `&`, U+2028 and U+2029 escaped, whole floating
//! point numbers without a fraction. Go sorts the keys of maps and keeps the order of structs' fields; so
//! do serde's `BTreeMap` and derived structs.

use crate::{Error, Result};
use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter, PrettyFormatter};
use std::io::{self, Write};

/// How to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// Whether `<`, `>` and `&` are escaped. Go's `Marshal` does; Docker's API and templates do not.
    pub escape_html: bool,
    /// Spaces per level, or `None` for everything on one line.
    pub indent: Option<usize>,
}

/// As `json.Marshal`: for every document that is stored.
pub const STORED: Style = Style { escape_html: true, indent: None };
/// As the `json` function of Docker's templates: one line for people and programs.
pub const LINE: Style = Style { escape_html: false, indent: None };
/// As `docker inspect` prints: indented by four.
pub const INDENTED: Style = Style { escape_html: false, indent: Some(4) };

/// Writes `value` as it is stored, see [`STORED`].
///
/// # Errors
/// [`Error::Json`] if the value has no JSON form (a map with keys that are no strings).
pub fn to_vec<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>> {
    STORED.to_vec(value)
}

impl Style {
    /// Writes `value` in this style, without a final newline.
    ///
    /// # Errors
    /// [`Error::Json`] if the value has no JSON form (a map with keys that are no strings).
    pub fn to_vec<T: Serialize + ?Sized>(self, value: &T) -> Result<Vec<u8>> {
        let mut text = Vec::new();
        let written = match self.indent {
            None => {
                let go = GoFormatter { layout: CompactFormatter, escape_html: self.escape_html };
                value.serialize(&mut serde_json::Serializer::with_formatter(&mut text, go))
            }
            Some(width) => {
                let indent = " ".repeat(width);
                let layout = PrettyFormatter::with_indent(indent.as_bytes());
                let go = GoFormatter { layout, escape_html: self.escape_html };
                value.serialize(&mut serde_json::Serializer::with_formatter(&mut text, go))
            }
        };
        written.map_err(|error| Error::json("value for JSON", &error))?;
        Ok(text)
    }

    /// As [`Style::to_vec`], as text.
    ///
    /// # Errors
    /// As [`Style::to_vec`].
    pub fn to_string<T: Serialize + ?Sized>(self, value: &T) -> Result<String> {
        Ok(String::from_utf8_lossy(&self.to_vec(value)?).into_owned())
    }
}

/// Go's strings and numbers in the layout of another formatter.
struct GoFormatter<F> {
    layout: F,
    escape_html: bool,
}

impl<F: Formatter> Formatter for GoFormatter<F> {
    fn write_string_fragment<W: Write + ?Sized>(&mut self, to: &mut W, fragment: &str) -> io::Result<()> {
        let special = |c: char| match c {
            '<' | '>' | '&' => self.escape_html,
            // JavaScript takes these for ends of lines; Go escapes them whatever it is told.
            '\u{2028}' | '\u{2029}' => true,
            _ => false,
        };
        let mut rest = fragment;
        while let Some(at) = rest.find(special) {
            to.write_all(&rest.as_bytes()[..at])?;
            let mut behind = rest[at..].chars();
            if let Some(c) = behind.next() {
                write!(to, "\\u{:04x}", u32::from(c))?;
            }
            rest = behind.as_str();
        }
        to.write_all(rest.as_bytes())
    }

    fn write_f64<W: Write + ?Sized>(&mut self, to: &mut W, value: f64) -> io::Result<()> {
        let magnitude = value.abs();
        if magnitude != 0.0 && !(1e-6..1e21).contains(&magnitude) {
            // Rust writes 1e21 where Go writes 1e+21; both write 1e-7.
            let text = format!("{value:e}");
            let text = if text.contains("e-") { text } else { text.replace('e', "e+") };
            return to.write_all(text.as_bytes());
        }
        write!(to, "{value}")
    }

    fn begin_array<W: Write + ?Sized>(&mut self, to: &mut W) -> io::Result<()> {
        self.layout.begin_array(to)
    }

    fn end_array<W: Write + ?Sized>(&mut self, to: &mut W) -> io::Result<()> {
        self.layout.end_array(to)
    }

    fn begin_array_value<W: Write + ?Sized>(&mut self, to: &mut W, first: bool) -> io::Result<()> {
        self.layout.begin_array_value(to, first)
    }

    fn end_array_value<W: Write + ?Sized>(&mut self, to: &mut W) -> io::Result<()> {
        self.layout.end_array_value(to)
    }

    fn begin_object<W: Write + ?Sized>(&mut self, to: &mut W) -> io::Result<()> {
        self.layout.begin_object(to)
    }

    fn end_object<W: Write + ?Sized>(&mut self, to: &mut W) -> io::Result<()> {
        self.layout.end_object(to)
    }

    fn begin_object_key<W: Write + ?Sized>(&mut self, to: &mut W, first: bool) -> io::Result<()> {
        self.layout.begin_object_key(to, first)
    }

    fn begin_object_value<W: Write + ?Sized>(&mut self, to: &mut W) -> io::Result<()> {
        self.layout.begin_object_value(to)
    }

    fn end_object_value<W: Write + ?Sized>(&mut self, to: &mut W) -> io::Result<()> {
        self.layout.end_object_value(to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn stored(value: &Value) -> String {
        STORED.to_string(value).unwrap()
    }

    #[test]
    fn strings_are_gos() {
        let text = "a<b>&\u{2028}\u{2029}\"\\/\n\r\t\u{8}\u{c}\u{0}\u{1f}\u{7f}ü☺";
        assert_eq!(
            stored(&json!(text)),
            "\"a\\u003cb\\u003e\\u0026\\u2028\\u2029\\\"\\\\/\\n\\r\\t\\b\\f\\u0000\\u001f\u{7f}ü☺\""
        );
        assert_eq!(LINE.to_string("<&\u{2028}").unwrap(), "\"<&\\u2028\"");
        assert_eq!(stored(&json!({"<k>": 1})), r#"{"\u003ck\u003e":1}"#);
    }

    #[test]
    fn numbers_are_gos() {
        for (value, text) in [
            (json!(0.0), "0"),
            (json!(-0.0), "-0"),
            (json!(1.0), "1"),
            (json!(1.5), "1.5"),
            (json!(-2.25), "-2.25"),
            (json!(1e20), "100000000000000000000"),
            (json!(1e21), "1e+21"),
            (json!(1.5e300), "1.5e+300"),
            (json!(0.000001), "0.000001"),
            (json!(1e-7), "1e-7"),
            (json!(u64::MAX), "18446744073709551615"),
            (json!(i64::MIN), "-9223372036854775808"),
        ] {
            assert_eq!(stored(&value), text);
        }
    }

    #[test]
    fn layouts_are_gos() {
        let value = json!({"a": [], "b": {}, "c": [1, {"d": null}]});
        assert_eq!(stored(&value), r#"{"a":[],"b":{},"c":[1,{"d":null}]}"#);
        let indented = "{\n    \"a\": [],\n    \"b\": {},\n    \"c\": [\n        1,\n        {\n            \
                        \"d\": null\n        }\n    ]\n}";
        assert_eq!(INDENTED.to_string(&value).unwrap(), indented);
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(text: String, number: f64) {
            prop_assume!(number.is_finite());
            for style in [STORED, LINE, INDENTED] {
                let json = style.to_string(&text).unwrap();
                prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text.clone());
                // Rust's own parser: serde_json's default one is off by one in the last place.
                prop_assert_eq!(style.to_string(&number).unwrap().parse::<f64>().unwrap(), number);
            }
        }
    }
}
