//! `--format` templates: Go's `text/template` with Docker's functions.
//!
//! The crate gotmpl parses and runs them. This module adds what Docker's users see and gotmpl leaves out: Docker's
//! functions, fields that take an argument (`{{.Label "x"}}`), errors with Go's words and position, and the
//! refusal of blocks that are never closed, or closed twice.

mod ast;
mod functions;

use functions::Documents;
use gotmpl::parse::{ListNode, Parser};
use gotmpl::{MissingKey, TemplateError as Inner, Value};
use model::gojson;
use std::collections::BTreeSet;

/// What a template runs on. The two differ in how Docker prints JSON and names a missing field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Data {
    /// A row of a listing; the name is the type in "can't evaluate field X in type …".
    Row(&'static str),
    /// The header of a listing's table: functions that change a value leave a heading as it is.
    Header,
    /// A JSON document, as `inspect` has it.
    Document,
}

/// Why a template was refused, or failed. Reads as Docker's message:
/// `template parsing error: template: :1:2: executing "" at <.Nope>: can't evaluate field Nope in type …`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("template parsing error: template: {message}")]
pub struct TemplateError {
    message: String,
}

/// A parsed template.
pub struct Template {
    inner: gotmpl::Template,
    /// As it was written; what runs is adjusted.
    tree: ListNode,
    source: String,
    data: Data,
    documents: Documents,
}

impl Template {
    /// Parses `source`, to be run on values of the kind `data`.
    ///
    /// # Errors
    /// The syntax is wrong, or a function is unknown.
    pub fn parse(source: &str, data: Data) -> Result<Self, TemplateError> {
        let (mut tree, mut defines) = balanced(source)
            .map_err(|(line, message)| TemplateError { message: format!(":{line}: {message}") })?;
        let documents = Documents::default();
        let objects = if matches!(data, Data::Row(_)) { gojson::STORED } else { gojson::LINE };
        let mut funcs = functions::docker(objects, documents.clone());
        if data == Data::Header {
            funcs.extend(functions::header());
        }
        for list in std::iter::once(&mut tree).chain(defines.iter_mut().map(|define| &mut define.body)) {
            if let Some((pos, name)) = ast::unknown_function(list, |name| functions::is_known(name, &funcs)) {
                let message = format!(":{}: function \"{name}\" not defined", pos.line);
                return Err(TemplateError { message });
            }
        }
        let as_written = tree.clone();
        for list in std::iter::once(&mut tree).chain(defines.iter_mut().map(|define| &mut define.body)) {
            ast::call_fields(list);
            if data == Data::Document {
                ast::read_maps(list);
            }
        }
        // gotmpl checks function names when it runs, so the tree may be handed over after the functions.
        let mut inner = gotmpl::Template::new("").missing_key(missing(data)).funcs(funcs);
        inner = inner.add_parse_tree("", tree);
        for define in defines {
            inner = inner.add_parse_tree(&define.name, define.body);
        }
        Ok(Self { inner, tree: as_written, source: source.to_owned(), data, documents })
    }

    /// The fields of the row that the template reads, or `None` if it may read all of them (`{{.}}`, `{{json .}}`).
    pub fn fields(&self) -> Option<BTreeSet<String>> {
        ast::fields(&self.tree)
    }

    /// The text that the template makes of a row's or a header's fields.
    ///
    /// # Errors
    /// A missing field, or a value that does not suit what the template does with it.
    pub fn run(&self, fields: &Value) -> Result<String, TemplateError> {
        self.inner.execute_template_to_string("", fields).map_err(|err| self.explain(&err))
    }

    /// The text that the template makes of a JSON document.
    ///
    /// # Errors
    /// As for [`Template::run`].
    pub fn run_on(&self, document: &serde_json::Value) -> Result<String, TemplateError> {
        self.run(&self.documents.load(document))
    }

    /// Puts an error of gotmpl into Go's words, with Go's position.
    fn explain(&self, err: &Inner) -> TemplateError {
        let fault = ast::Fault::of(err, self.data);
        let message = match fault.locate(&self.tree) {
            Some((offset, text)) => {
                let (line, column) = position(&self.source, offset);
                format!(":{line}:{column}: executing \"\" at <{text}>: {}", fault.message)
            }
            None => format!(":1: executing \"\": {}", fault.message),
        };
        TemplateError { message }
    }
}

/// Docker runs a header with what it has, and everything else strictly.
fn missing(data: Data) -> MissingKey {
    if data == Data::Header { MissingKey::ZeroValue } else { MissingKey::Error }
}

/// Line from 1 and byte from 0, as Go counts them.
fn position(source: &str, offset: usize) -> (usize, usize) {
    let before = &source.as_bytes()[..offset.min(source.len())];
    let line_start = before.iter().rposition(|&b| b == b'\n').map_or(0, |newline| newline + 1);
    (1 + before.iter().filter(|&&b| b == b'\n').count(), before.len() - line_start)
}

/// Stands at the end of every source that is parsed; gotmpl takes a missing `{{end}}` and a surplus one in silence.
const END: &str = "\u{1}end of template";

/// Parses `source` and makes sure that its last byte is outside of every block.
fn balanced(source: &str) -> Result<(ListNode, Vec<gotmpl::parse::DefineNode>), (usize, String)> {
    let parse = |source: &str| Parser::new(source, "{{", "}}").and_then(Parser::parse).map_err(in_go_words);
    parse(source)?;
    let (mut tree, defines) = parse(&format!("{source}{END}"))?;
    if ast::strip_end(&mut tree, END) {
        return Ok((tree, defines));
    }
    let open = defines.iter().map(|define| &define.body).chain([&tree]).any(|list| ast::has_text(list, END));
    let last_line = source.matches('\n').count() + 1;
    Err((last_line, if open { "unexpected EOF" } else { "unexpected {{end}}" }.to_owned()))
}

/// Line and message of a syntax error.
fn in_go_words(err: Inner) -> (usize, String) {
    let (Inner::Parse { line, message, .. } | Inner::Lex { line, message, .. }) = err else {
        return (1, err.to_string());
    };
    let bad = message
        .strip_prefix("unexpected character: ")
        .and_then(|quoted| quoted.trim_matches('\'').chars().next());
    let message = match (bad, message.as_str()) {
        (Some(c), _) => format!("bad character U+{:04X} '{c}'", u32::from(c)),
        (None, "unterminated string") => "unterminated quoted string".to_owned(),
        (None, "empty command") => "missing value for command".to_owned(),
        (None, _) => message,
    };
    (line, message)
}

#[cfg(test)]
mod tests;
