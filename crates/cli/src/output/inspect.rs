//! How `inspect` prints documents.

use super::failure::Failure;
use super::template::{Data, Template};
use model::gojson;
use serde_json::Value;

/// The `--format` of an `inspect` command, parsed before anything is looked up.
pub enum Inspect {
    /// No format: an array, indented.
    Pretty,
    /// `json`: the same array on one line.
    Json,
    /// Anything else is a template, run on one document after the other. (`table …` means nothing here.)
    Template(Box<Template>),
}

impl Inspect {
    /// Reads the value of `--format`; an empty one counts as none.
    ///
    /// # Errors
    /// The template does not parse; the exit code is Docker's own for that, 64.
    pub fn parse(format: &str) -> Result<Self, Failure> {
        Ok(match format {
            "" => Self::Pretty,
            "json" => Self::Json,
            template => {
                let parsed = Template::parse(template, Data::Document);
                Self::Template(Box::new(parsed.map_err(|err| Failure::from(err).code(SYNTAX))?))
            }
        })
    }

    /// The text for `documents`, with the newline at its end, and what failed. The array of no documents is `[]`; a
    /// template that prints nothing prints a newline, and goes on after a document that it fails on.
    pub fn print(&self, documents: &[Value]) -> (String, Vec<Failure>) {
        let template = match self {
            Self::Pretty => return whole(gojson::INDENTED, documents),
            Self::Json => return whole(gojson::LINE, documents),
            Self::Template(template) => template,
        };
        let mut text = String::new();
        let mut failures = Vec::new();
        for document in documents {
            match template.run_on(document) {
                Ok(line) => text.extend([line.as_str(), "\n"]),
                Err(err) => failures.push(err.into()),
            }
        }
        if text.is_empty() {
            text.push('\n');
        }
        (text, failures)
    }
}

/// One document as a format says, with the newline at its end: as `info` and `version` print, where `json` is the
/// document and no array.
///
/// # Errors
/// The template does not parse, or fails.
pub fn line(format: &str, document: &Value) -> Result<String, Failure> {
    let template = Template::parse(if format == "json" { "{{json .}}" } else { format }, Data::Document)?;
    Ok(template.run_on(document)? + "\n")
}

fn whole(style: gojson::Style, documents: &[Value]) -> (String, Vec<Failure>) {
    match style.to_string(documents) {
        Ok(text) => (text + "\n", Vec::new()),
        Err(err) => (String::new(), vec![Failure::plain(err)]),
    }
}

/// Docker's exit code of an `inspect` whose template does not parse. (Elsewhere that is 1.)
const SYNTAX: u8 = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn print(format: &str, documents: &[Value]) -> Result<String, String> {
        let inspect = Inspect::parse(format).map_err(|err| err.to_string())?;
        match inspect.print(documents) {
            (text, failures) if failures.is_empty() => Ok(text),
            (text, failures) => Err(failures.iter().fold(text, |text, failure| text + &failure.message)),
        }
    }

    #[test]
    fn no_format_is_an_indented_array() {
        assert_eq!(
            print("", &[json!({"Id": "<a>"})]).as_deref(),
            Ok("[\n    {\n        \"Id\": \"<a>\"\n    }\n]\n")
        );
        assert_eq!(print("", &[]).as_deref(), Ok("[]\n"));
    }

    #[test]
    fn a_template_that_does_not_parse_exits_with_64() {
        let failure = Inspect::parse("{{.Id").err().unwrap();
        assert_eq!(
            (failure.message.as_str(), failure.code),
            ("template parsing error: template: :1: unclosed action", 64)
        );
    }

    #[test]
    fn json_is_one_line() {
        assert_eq!(print("json", &[json!({"b": 1, "a": []})]).as_deref(), Ok("[{\"b\":1,\"a\":[]}]\n"));
    }

    #[test]
    fn a_template_prints_a_line_for_each() {
        let two = [json!({"Id": "x"}), json!({"Id": "y"})];
        assert_eq!(print("{{.Id}}", &two).as_deref(), Ok("x\ny\n"));
        assert_eq!(print("pretty", &two).as_deref(), Ok("pretty\npretty\n"));
    }

    #[test]
    fn one_failure_does_not_keep_the_others_back() {
        let failed = print("{{.Id}}", &[json!({}), json!({"Id": "x"})]);
        let message =
            r#"template parsing error: template: :1:2: executing "" at <.Id>: map has no entry for key "Id""#;
        assert_eq!(failed, Err(format!("x\n{message}")));
        assert_eq!(print("{{.Id}}", &[json!({})]), Err(format!("\n{message}")));
    }
}
