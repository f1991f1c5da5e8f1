//! How a command ends that did not do what it was asked for.

use super::filter::FilterError;
use super::template::TemplateError;
use std::path::Path;
use std::process::ExitCode;
use std::{fmt, io};

/// Docker's exit code of a command line that it does not understand: an unknown flag, a flag's bad value.
/// (A wrong number of arguments and an unknown command are 1.)
pub const USAGE: u8 = 125;

/// A message for standard error, what the user can do about it, and the exit code.
///
/// Docker prints some messages as they are, and those of its daemon after `Error response from daemon: `. There is no
/// daemon here, so these start with `Error: ` ([`Failure::refused`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// One line or several, without newline at the end.
    pub message: String,
    /// What to do about it, shown on a line of its own.
    pub hint: Option<String>,
    /// The exit code.
    pub code: u8,
    /// What led to it, the nearest cause first; shown with `--debug`.
    pub causes: Vec<String>,
}

impl Failure {
    /// A message that Docker's client prints as it is, with exit code 1.
    pub fn plain(message: impl fmt::Display) -> Self {
        Self { message: message.to_string(), hint: None, code: 1, causes: Vec::new() }
    }

    /// A message that Docker's daemon would give, `No such image: x:latest`, with exit code 1.
    pub fn refused(message: impl fmt::Display) -> Self {
        Self::plain(format_args!("Error: {}", without_error_numbers(&message.to_string())))
    }

    /// A process's exit code that becomes the command's. There is nothing to say.
    pub fn exit(code: i32) -> Self {
        // As the kernel does, which has eight bits for it.
        Self { code: code.to_le_bytes()[0], ..Self::plain("") }
    }

    /// A failed operation on a file of the user's, in the words of Go: `open x: no such file or directory`.
    pub fn io(operation: &str, path: &Path, err: &io::Error) -> Self {
        Self::plain(format_args!("{operation} {}: {}", path.display(), cause(err)))
    }

    /// The same with a hint.
    pub fn hint(mut self, hint: impl fmt::Display) -> Self {
        self.hint = Some(hint.to_string());
        self
    }

    /// The same with an exit code.
    pub fn code(mut self, code: u8) -> Self {
        self.code = code;
        self
    }

    /// The failure of a command on several objects (`rm a b`): every message and hint, each once and in order, and
    /// the first one's code. `None` if nothing failed.
    pub fn of_all(failures: impl IntoIterator<Item = Failure>) -> Option<Self> {
        let mut failures = failures.into_iter();
        let mut first = failures.next()?;
        let mut hints: Vec<String> = first.hint.take().into_iter().collect();
        for next in failures {
            first.message = first.message + "\n" + &next.message;
            first.causes.extend(next.causes);
            hints.extend(next.hint.filter(|hint| !hints.contains(hint)));
        }
        first.hint = (!hints.is_empty()).then(|| hints.join("\n"));
        Some(first)
    }
}

impl fmt::Display for Failure {
    /// The message, and a line for each line of the hint.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        self.hint.iter().flat_map(|hint| hint.lines()).try_for_each(|line| write!(f, "\nHint: {line}"))
    }
}

impl std::error::Error for Failure {}

impl From<&Failure> for ExitCode {
    fn from(failure: &Failure) -> Self {
        ExitCode::from(failure.code)
    }
}

impl From<TemplateError> for Failure {
    fn from(err: TemplateError) -> Self {
        Self::plain(err)
    }
}

impl From<FilterError> for Failure {
    /// The daemon's errors; [`FilterError::Format`] is found by the parser of the command line before.
    fn from(err: FilterError) -> Self {
        Self::refused(err)
    }
}

impl From<engine::Error> for Failure {
    /// The one place that turns what went wrong in the store into words for people.
    fn from(err: engine::Error) -> Self {
        let failure = Self { causes: causes(&err), ..Self::refused(&err) };
        if err.is_full() {
            return failure.hint(
                "layercake system df shows what takes the space, layercake system prune gives some back",
            );
        }
        match err {
            engine::Error::Damaged(_) => {
                failure.hint("layercake check finds all damage, and says what to do")
            }
            _ => failure,
        }
    }
}

impl From<registry::Error> for Failure {
    fn from(err: registry::Error) -> Self {
        Self { causes: causes(&err), ..Self::refused(&err) }
    }
}

impl From<registry::credentials::Error> for Failure {
    /// As Docker's client, which knows the credentials and not the daemon.
    fn from(err: registry::credentials::Error) -> Self {
        Self { causes: causes(&err), ..Self::plain(&err) }
    }
}

/// What led to `err`, without what its own text repeats.
fn causes(err: &dyn std::error::Error) -> Vec<String> {
    let mut texts = Vec::new();
    let mut source = err.source();
    while let Some(cause) = source {
        texts.push(cause.to_string());
        source = cause.source();
    }
    texts.dedup();
    texts
}

/// A message without Rust's ` (os error 2)`.
fn without_error_numbers(message: &str) -> String {
    let mut parts = message.split(" (os error ");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once(')') {
            Some((number, rest)) if number.bytes().all(|b| b.is_ascii_digit()) => text += rest,
            _ => text += &format!(" (os error {part}"),
        }
    }
    text
}

/// The kernel's words without Rust's `(os error 2)`, in lower case as Go writes them.
pub fn cause(err: &io::Error) -> String {
    let text = without_error_numbers(&err.to_string());
    if err.raw_os_error().is_some() { text[..1].to_lowercase() + &text[1..] } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_as_docker_without_the_daemon() {
        let missing =
            Failure::refused("No such image: x:latest").hint("layercake images lists what there is");
        assert_eq!(
            missing.to_string(),
            "Error: No such image: x:latest\nHint: layercake images lists what there is"
        );
        assert_eq!(missing.code, 1);
        let open = Failure::plain("open /x: no such file or directory");
        assert_eq!(open.to_string(), "open /x: no such file or directory");
    }

    #[test]
    fn people_read_no_error_numbers() {
        let refused =
            Failure::refused("Get \"http://x/\": Connection refused (os error 111): give up (os error x)");
        assert_eq!(refused.message, "Error: Get \"http://x/\": Connection refused: give up (os error x)");
    }

    #[test]
    fn several_failures_are_one() {
        let hinted = |name: &str| Failure::refused(format!("No such container: {name}")).hint("h");
        let all = Failure::of_all([hinted("a"), hinted("b")]).unwrap();
        assert_eq!(all.to_string(), "Error: No such container: a\nError: No such container: b\nHint: h");
        assert_eq!(Failure::of_all([]), None);
    }

    #[test]
    fn files_fail_in_gos_words() {
        let missing = io::Error::from_raw_os_error(2);
        let failure = Failure::io("open", Path::new("x.tar"), &missing);
        assert_eq!(failure.to_string(), "open x.tar: no such file or directory");
    }
}
