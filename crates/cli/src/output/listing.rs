//! Listings: `images`, `ps`, `history`, `system df`, `diff` and their kind.
//!
//! A subcommand implements [`Row`] for what it lists and gets Docker's default table, `--format` with a template,
//! `table TEMPLATE` and `json`, and `-q` from [`Listing`].

use super::failure::Failure;
use super::table;
use super::template::{Data, Template, TemplateError};
use gotmpl::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// One line of a listing. All that a column's value depends on (`--no-trunc`, `--human`) belongs in the row.
pub trait Row: Sized + 'static {
    /// What Docker calls the row in "can't evaluate field X in type …", e.g. `*formatter.imageContext`.
    const TYPE: &'static str;
    /// All columns that a template can name.
    const COLUMNS: &'static [Column<Self>];
}

/// A column of a listing.
pub struct Column<R> {
    /// The field's name in templates and in JSON: `ID`.
    pub name: &'static str,
    /// Its heading in tables: `IMAGE ID`.
    pub header: &'static str,
    /// How to get its value; called only if the format uses the column.
    pub value: Cell<R>,
}

/// How a column gets its value.
pub enum Cell<R> {
    /// A text, as almost all are, sizes and times too.
    Text(fn(&R) -> String),
    /// A text or nothing: `<nil>` in text, `null` in JSON.
    Optional(fn(&R) -> Option<String>),
    /// A field with an argument, `{{.Label "key"}}`, whose heading is made of the argument. Not part of JSON.
    Labels(fn(&R) -> BTreeMap<String, String>),
}

/// The formats that have a name, as templates.
#[derive(Debug, Clone, Copy)]
pub struct Named {
    /// The columns of the default table, as after `table `.
    pub table: &'static str,
    /// What `-q` prints for each row.
    pub quiet: &'static str,
    /// What `--format raw` prints for each row; empty if there is none.
    pub raw: &'static str,
    /// What `--format raw -q` prints for each row.
    pub raw_quiet: &'static str,
}

/// A `--format` and `-q`, understood for rows of kind `R`.
pub struct Listing<R> {
    rows: Template,
    /// Runs on the headings; only tables have it.
    header: Option<Template>,
    row: std::marker::PhantomData<fn(&R)>,
}

impl<R: Row> Listing<R> {
    /// Reads the value of `--format` (empty: none was given) as Docker does: `-q` counts for `table` and `raw` only.
    ///
    /// # Errors
    /// The template does not parse.
    pub fn parse(format: &str, quiet: bool, named: &Named) -> Result<Self, TemplateError> {
        let (table, source) = match (format, quiet) {
            ("" | "table", true) => (false, named.quiet),
            ("" | "table", false) => (true, named.table),
            ("json", _) => (false, "{{json .}}"),
            ("raw", true) if !named.raw.is_empty() => (false, named.raw_quiet),
            ("raw", false) if !named.raw.is_empty() => (false, named.raw),
            (other, _) => match other.strip_prefix("table") {
                Some(columns) => (true, columns),
                None => (false, other),
            },
        };
        // The shell hands on `\t` and `\n` as two characters each.
        let source = source.trim_matches(' ').replace(r"\t", "\t").replace(r"\n", "\n");
        let header = table.then(|| Template::parse(&source, Data::Header)).transpose()?;
        Ok(Self {
            rows: Template::parse(&source, Data::Row(R::TYPE))?,
            header,
            row: std::marker::PhantomData,
        })
    }

    /// Whether the format uses a column, so that what is dear to compute need not be.
    pub fn uses(&self, column: &str) -> bool {
        self.rows.fields().is_none_or(|fields| fields.contains(column))
    }

    /// Whether the format names a column, which JSON of all columns does not.
    pub fn names(&self, column: &str) -> bool {
        self.rows.fields().is_some_and(|fields| fields.contains(column))
    }

    /// The whole listing as text. Docker prints nothing of a listing that fails half-way, so it is made first.
    ///
    /// # Errors
    /// The template names a field that rows do not have (the hint says which they have), or does with one what
    /// cannot be done.
    pub fn render(&self, rows: impl IntoIterator<Item = R>) -> Result<String, Failure> {
        let fields_read = self.rows.fields();
        let used = |name: &str| fields_read.as_ref().is_none_or(|fields| fields.contains(name));
        let mut lines = String::new();
        for row in rows {
            let columns = R::COLUMNS.iter().filter(|column| used(column.name));
            let values = fields(columns, |column| column.value.get(&row, fields_read.is_none()));
            lines.push_str(&self.rows.run(&values).map_err(explain::<R>)?);
            lines.push('\n');
        }
        let Some(header) = &self.header else { return Ok(lines) };
        let headings = header.run(&fields(R::COLUMNS.iter(), Column::heading))?;
        Ok(table::align(&format!("{headings}\n{lines}")))
    }
}

fn explain<R: Row>(err: TemplateError) -> Failure {
    if !err.to_string().ends_with(R::TYPE) {
        return err.into();
    }
    let names: Vec<&str> = R::COLUMNS.iter().map(|column| column.name).collect();
    Failure::from(err).hint(format!("the fields are {}", names.join(", ")))
}

fn fields<'c, R: 'c>(
    columns: impl Iterator<Item = &'c Column<R>>,
    value: impl Fn(&Column<R>) -> Value,
) -> Value {
    columns
        .map(|column| (Arc::from(column.name), value(column)))
        .collect::<BTreeMap<Arc<str>, Value>>()
        .into()
}

impl<R> Column<R> {
    fn heading(&self) -> Value {
        match self.value {
            Cell::Text(_) | Cell::Optional(_) => self.header.into(),
            Cell::Labels(_) => function(label_heading),
        }
    }
}

impl<R> Cell<R> {
    /// The value in `row`, for a template that reads the row as a `whole` (for JSON) or single fields of it.
    fn get(&self, row: &R, whole: bool) -> Value {
        match self {
            Self::Text(value) => value(row).into(),
            Self::Optional(value) => match value(row) {
                Some(text) => text.into(),
                None if whole => Value::Nil,
                // Go prints a nil pointer so; the template engine would print "<no value>".
                None => "<nil>".into(),
            },
            Self::Labels(labels) => {
                let labels = labels(row);
                function(move |key| labels.get(key).cloned().unwrap_or_default())
            }
        }
    }
}

/// A field that takes one string.
fn function(value: impl Fn(&str) -> String + Send + Sync + 'static) -> Value {
    Value::Function(Arc::new(move |args| match args {
        [Value::String(key)] => Ok(value(key).into()),
        args => {
            let message = format!("wrong number of args for Label: want 1 got {}", args.len());
            Err(gotmpl::TemplateError::Exec(message))
        }
    }))
}

/// The heading of a label's column: `com.docker.a-b_c` is headed `a b c`.
fn label_heading(key: &str) -> String {
    key.rsplit('.').next().unwrap_or(key).replace(['-', '_'], " ")
}

#[cfg(test)]
mod tests;
