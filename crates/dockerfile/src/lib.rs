//! The Dockerfile language, as BuildKit's reference states it: text in, instructions with their lines out.
//!
//! Nothing here reads files, knows an image or runs anything. What a build does with an instruction is `engine`'s.
//!
//! | module | subject |
//! | --- | --- |
//! | [`parse()`] | text to [`Dockerfile`]: directives, global arguments, stages, steps |
//! | [`instruction`] | what an instruction says, before variables are replaced |
//! | [`mod@mount`] | `RUN --mount=…` |
//! | [`scope`] | what a variable means at a step: `ARG`, `ENV`, build arguments, platform |
//! | [`words`] | quotes and `$name`, `${name:-word}` and their like |
//! | [`mod@plan`] | which stages a target needs, and in which order |
//! | [`configure`] | what `ENV`, `CMD`, `EXPOSE`… do to an image's configuration |
//! | [`changes`] | the instructions of `commit --change` and `import --change` |
//! | [`ignore`] | `.dockerignore` |
//!
//! The parser is our own: `parse-dockerfile`, the best there is, keeps neither the names of here-documents nor more than
//! one of them in a `RUN`, nor an `ONBUILD` trigger's text, and gives a `RUN` with its comments and continued lines not
//! yet joined. It is compared with in the tests.
#![forbid(unsafe_code)]

pub mod changes;
pub mod configure;
mod error;
pub mod ignore;
pub mod instruction;
mod lines;
mod lint;
pub mod mount;
mod parse;
pub mod plan;
pub mod scope;
mod text;
pub mod words;

pub use error::{Error, Problem, Result};
pub use ignore::Ignore;
pub use instruction::{Add, Arg, Command, Copy, Heredoc, Instruction, Invocation, Run, Source};
pub use mount::{Mount, MountKind, Sharing};
pub use parse::{parse, triggers};
pub use plan::{Base, Origin, Plan, plan};
pub use scope::{Given, Globals, Scope};
pub use text::{Source as Text, Span};

/// A Dockerfile that was understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dockerfile {
    /// The text, which errors show lines of.
    pub text: Text,
    /// The comments before all else that are more than comments.
    pub directives: Directives,
    /// The `ARG`s before the first `FROM`.
    pub global_args: Vec<Step>,
    /// At least one.
    pub stages: Vec<Stage>,
    /// What is right but not wise, in the order of lines.
    pub warnings: Vec<Warning>,
}

/// `# syntax=`, `# escape=`, `# check=`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Directives {
    /// The frontend that the file asks for. There is one here only; the name is for a message.
    pub syntax: Option<String>,
    /// `` ` `` instead of `\`.
    pub escape: Option<char>,
    /// What the linter shall skip, and whether its warnings are errors.
    pub check: Option<String>,
}

impl Directives {
    /// What continues a line and takes the meaning from the next character.
    pub fn escape_char(&self) -> char {
        self.escape.unwrap_or('\\')
    }
}

/// From one `FROM` to the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// `AS name`, in lower case.
    pub name: Option<String>,
    /// What `FROM` names, before variables are replaced: an image, another stage, `scratch`.
    pub base: String,
    /// `--platform`, before variables are replaced.
    pub platform: Option<String>,
    /// The `FROM` line.
    pub original: String,
    /// Where the `FROM` is.
    pub span: Span,
    /// What follows.
    pub steps: Vec<Step>,
}

/// One instruction and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What it says.
    pub instruction: Instruction,
    /// The line as it is written, continued lines joined, without the here-documents.
    pub original: String,
    /// Its lines, here-documents included. A trigger of a base image has the lines of `FROM`.
    pub span: Span,
}

/// What is right but not wise. The rules and their names are BuildKit's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// The name of the rule: `StageNameCasing`.
    pub rule: &'static str,
    /// What was found.
    pub message: String,
    /// Where.
    pub span: Span,
}

impl Dockerfile {
    /// The problem with where it is: what a build that fails at `span` shows.
    pub fn error(&self, span: Span, problem: impl Into<Problem>) -> Error {
        Error::at(&self.text, span, problem.into())
    }
}
