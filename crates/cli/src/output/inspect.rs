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

    /// The text for `documents`, with the newline at its end. The array of no documents is `[]`; a template
    /// prints nothing for none.
    ///
    /// # Errors
    /// A template failed on a document; with what was printed for the documents before it.
    pub fn print(&self, documents: &[Value]) -> Result<String, (String, Failure)> {
        match self {
            Self::Pretty => whole(gojson::INDENTED, documents),
            Self::Json => whole(gojson::LINE, documents),
            Self::Template(template) => documents.iter().try_fold(String::new(), |mut out, document| {
                match template.run_on(document) {
                    Ok(text) => {
                        out.push_str(&text);
                        out.push('\n');
                        Ok(out)
                    }
                    Err(err) => Err((out, err.into())),
                }
            }),
        }
    }
}

fn whole(style: gojson::Style, documents: &[Value]) -> Result<String, (String, Failure)> {
    match style.to_string(documents) {
        Ok(text) => Ok(text + "\n"),
        Err(err) => Err((String::new(), Failure::plain(err))),
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
        inspect.print(documents).map_err(|(printed, err)| printed + &err.to_string())
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
    fn what_came_before_a_failure_is_kept() {
        let failed = print("{{.Id}}", &[json!({"Id": "x"}), json!({})]);
        let message =
            r#"template parsing error: template: :1:2: executing "" at <.Id>: map has no entry for key "Id""#;
        assert_eq!(failed, Err(format!("x\n{message}")));
    }
}
