//! What is wrong with a Dockerfile, and where.

use crate::text::{Source, Span};

/// What is wrong, in BuildKit's words; the place is added by [`Dockerfile::error`](crate::Dockerfile::error).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Problem(pub String);

impl Problem {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Problem(text.into())
    }
}

impl From<model::Error> for Problem {
    fn from(error: model::Error) -> Self {
        Problem(error.to_string())
    }
}

/// A problem in its place. The text is the problem alone; [`excerpt`](Self::excerpt) shows the lines.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct Error {
    /// What is wrong.
    pub problem: Problem,
    /// The file's name.
    pub file: String,
    /// The lines.
    pub span: Span,
    /// The lines as BuildKit shows them, ending in a newline; empty if there are none.
    pub excerpt: String,
}

impl Error {
    pub(crate) fn at(source: &Source, span: Span, problem: Problem) -> Self {
        Error { problem, file: source.name().to_owned(), span, excerpt: source.excerpt(span) }
    }

    /// A problem of the text itself: BuildKit says so, and names the line.
    pub(crate) fn parsing(source: &Source, span: Span, problem: Problem) -> Self {
        let text = format!("dockerfile parse error on line {}: {problem}", span.first);
        Error::at(source, span, Problem(text))
    }
}

/// With a problem that has no place yet, where nothing else is said.
pub type Result<T, E = Problem> = std::result::Result<T, E>;

pub(crate) fn refuse<T>(why: impl Into<String>) -> Result<T> {
    Err(Problem::new(why))
}
