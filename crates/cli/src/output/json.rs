//! JSON laid out anew, with every number and text spelled as before.

/// Lays a document out as Go's `json.Indent` does: a line for each member, `indent` for each level. What is no JSON
/// comes out somehow.
pub fn indent(document: &str, indent: &str) -> String {
    let mut out = String::with_capacity(document.len() * 2);
    let mut depth = 0_usize;
    let mut in_text = false;
    let mut escaped = false;
    let mut after_opening = false;
    let new_line = |out: &mut String, depth: usize| {
        out.push('\n');
        out.extend(std::iter::repeat_n(indent, depth));
    };
    for c in document.chars() {
        if in_text {
            out.push(c);
            in_text = escaped || c != '"';
            escaped = !escaped && c == '\\';
            continue;
        }
        if c.is_ascii_whitespace() {
            continue;
        }
        let is_closing = matches!(c, '}' | ']');
        if is_closing {
            depth = depth.saturating_sub(1);
        }
        // Nothing stands between the brackets of an empty object or list.
        if after_opening != is_closing {
            new_line(&mut out, depth);
        }
        after_opening = false;
        out.push(c);
        match c {
            '{' | '[' => {
                depth += 1;
                after_opening = true;
            }
            ',' => new_line(&mut out, depth),
            ':' => out.push(' '),
            '"' => in_text = true,
            _ => {}
        }
    }
    out
}

/// The document with the characters escaped that Go escapes in what it writes itself: `<`, `>`, `&`, U+2028, U+2029.
/// They stand in texts only.
pub fn escape_html(document: &str) -> String {
    let mut out = String::with_capacity(document.len());
    for c in document.chars() {
        match c {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => out += &format!("\\u{:04x}", u32::from(c)),
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::gojson;
    use proptest::prelude::*;
    use serde_json::Value;

    #[test]
    fn layout_is_gos_and_spelling_stays() {
        let text = r#" {"a" : [ ], "b":{},"c": [1.50 ,{"d":null}],"e":"x\"{[,:]}\\","e":1e3 }"#;
        let expected = "{\n\t\"a\": [],\n\t\"b\": {},\n\t\"c\": [\n\t\t1.50,\n\t\t{\n\t\t\t\"d\": null\n\t\t}\n\t],\n\
                        \t\"e\": \"x\\\"{[,:]}\\\\\",\n\t\"e\": 1e3\n}";
        assert_eq!(indent(text, "\t"), expected);
        assert_eq!(indent(expected, "\t"), expected);
        assert_eq!(escape_html("\"a<b>&\u{2028}ü\""), "\"a\\u003cb\\u003e\\u0026\\u2028ü\"");
    }

    proptest! {
        #[test]
        fn layout_is_that_of_our_own_writer(text in "[\\[\\]{}:,\"\\\\a1 \u{fc}\n]{0,20}", keys in proptest::collection::vec(".{0,5}", 0..4)) {
            let value = serde_json::json!({"t": text, "k": keys, "o": {"deep": [[], {}, keys]}});
            let written = gojson::INDENTED.to_string(&value).unwrap();
            prop_assert_eq!(indent(&gojson::LINE.to_string(&value).unwrap(), "    "), written.clone());
            prop_assert_eq!(serde_json::from_str::<Value>(&escape_html(&written)).unwrap(), value);
        }

        #[test]
        fn what_is_no_json_is_no_crash(text: String) {
            indent(&text, "\t");
        }
    }
}
