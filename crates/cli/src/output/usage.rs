//! A command line that clap refuses, in Docker's words.
//!
//! | what | Docker 28.5 prints | exit code |
//! | --- | --- | --- |
//! | unknown flag | `unknown flag: --x`, `unknown shorthand flag: 'x' in -xy` | 125 |
//! | flag without its value | `flag needs an argument: --format`, `…: 'f' in -f` | 125 |
//! | bad value | `invalid argument "x" for "-n, --last" flag: …` | 125 |
//! | number of arguments | `docker: 'docker rm' requires at least 1 argument` | 1 |
//! | unknown command | `docker: unknown command: docker nope` | 1 |
//!
//! Below follow the command's usage and where to find more; the name is ours instead of `docker`.
//!
//! The usage is made of the command's positional arguments. One that cannot be described so (`cp` has two forms) says
//! the forms in its `before_help`, one on a line.

use super::failure::{Failure, USAGE};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, Command};
use std::error::Error;

/// Docker's message and exit code for `err`, which parsing `args` (with the program's name first) with `root` gave.
/// Help and version, which are errors to clap, are the caller's.
pub fn explain(err: &clap::Error, root: &Command, args: &[String]) -> Failure {
    let mut root = root.clone();
    root.build();
    let typed = Typed::find(&root, args);
    let flag = |message: String| typed.failure(message, "Run").code(USAGE);
    match err.kind() {
        ErrorKind::UnknownArgument => match text(err, ContextKind::InvalidArg) {
            Some(unknown) if unknown.starts_with("--") => flag(format!("unknown flag: {unknown}")),
            Some(unknown) if unknown.starts_with('-') => flag(typed.unknown_short(unknown)),
            _ => typed.argument_count(),
        },
        ErrorKind::MissingRequiredArgument => typed.argument_count(),
        ErrorKind::InvalidSubcommand | ErrorKind::MissingSubcommand => typed.unknown_command(),
        ErrorKind::InvalidValue if text(err, ContextKind::InvalidValue).is_none_or(str::is_empty) => {
            flag(typed.missing_value(err))
        }
        ErrorKind::InvalidValue | ErrorKind::ValueValidation | ErrorKind::TooManyValues => {
            flag(typed.bad_value(err))
        }
        _ => flag(first_line(err)),
    }
}

/// The part of a command line before the error.
pub struct Typed<'a> {
    /// The names up to the command: `layercake image rm`.
    pub path: String,
    /// The command.
    pub command: &'a Command,
    /// What follows the command's name.
    pub args: &'a [String],
}

impl<'a> Typed<'a> {
    /// Goes down from `root` along the names in `args`, past options and their values.
    pub fn find(root: &'a Command, args: &'a [String]) -> Self {
        let mut typed =
            Self { path: root.get_name().to_owned(), command: root, args: args.get(1..).unwrap_or(&[]) };
        let mut at = 0;
        while let Some(arg) = typed.args.get(at) {
            at += 1;
            if arg == "--" {
                break;
            }
            if let Some(flag) = arg.strip_prefix('-').filter(|flag| !flag.is_empty()) {
                match typed.takes_next(flag) {
                    Some(next) => at += usize::from(next),
                    None => break,
                }
            } else if let Some(command) = typed.command.find_subcommand(arg) {
                typed.path = format!("{} {}", typed.path, command.get_name());
                typed.command = command;
                typed.args = &typed.args[at..];
                at = 0;
            } else {
                break;
            }
        }
        typed
    }

    /// Whether the value of the flag (without its first `-`) is the next argument; `None` if there is no such flag.
    fn takes_next(&self, flag: &str) -> Option<bool> {
        if let Some(long) = flag.strip_prefix('-') {
            let (name, value) =
                long.split_once('=').map_or((long, None), |(name, value)| (name, Some(value)));
            let arg = self.command.get_arguments().find(|arg| arg.get_long() == Some(name))?;
            return Some(value.is_none() && takes_value(arg));
        }
        let mut letters = flag.chars();
        while let Some(letter) = letters.next() {
            let arg = self.command.get_arguments().find(|arg| arg.get_short() == Some(letter))?;
            if takes_value(arg) {
                return Some(letters.as_str().is_empty());
            }
        }
        Some(false)
    }

    fn unknown_short(&self, unknown: &str) -> String {
        let letter = unknown.chars().nth(1).unwrap_or('-');
        // clap tells the letter; Docker also the argument that it stands in.
        let inside = |arg: &&String| arg.starts_with('-') && !arg.starts_with("--") && arg.contains(letter);
        let whole = self.args.iter().find(inside).map_or(unknown, String::as_str);
        format!("unknown shorthand flag: '{letter}' in {whole}")
    }

    fn missing_value(&self, err: &clap::Error) -> String {
        match (self.args.last().map(String::as_str), self.flag_of(err)) {
            (Some(last), _) if last.starts_with('-') && !last.starts_with("--") => {
                format!("flag needs an argument: '{}' in {last}", last.chars().last().unwrap_or('-'))
            }
            (_, Some(arg)) => {
                format!("flag needs an argument: --{}", arg.get_long().unwrap_or(arg.get_id().as_str()))
            }
            (last, None) => format!("flag needs an argument: {}", last.unwrap_or_default()),
        }
    }

    fn bad_value(&self, err: &clap::Error) -> String {
        let value = text(err, ContextKind::InvalidValue).unwrap_or_default();
        let (short, long) = self.flag_of(err).map_or((None, None), |arg| (arg.get_short(), arg.get_long()));
        let flag = match (short, long) {
            (Some(short), Some(long)) => format!("-{short}, --{long}"),
            (Some(short), None) => format!("-{short}"),
            (None, Some(long)) => format!("--{long}"),
            (None, None) => return first_line(err),
        };
        let cause = match err.source() {
            Some(source) if source.is::<std::num::ParseIntError>() => {
                format!("strconv.ParseInt: parsing {value:?}: invalid syntax")
            }
            Some(source) => source.to_string(),
            None => match err.get(ContextKind::ValidValue) {
                Some(ContextValue::Strings(valid)) => format!("must be one of {}", valid.join(", ")),
                _ => "invalid syntax".to_owned(),
            },
        };
        format!("invalid argument {value:?} for {flag:?} flag: {cause}")
    }

    /// The option that `err` is about; clap names it as its help does, `--filter <FILTER>`.
    fn flag_of(&self, err: &clap::Error) -> Option<&'a Arg> {
        let shown = text(err, ContextKind::InvalidArg)?;
        let name = shown.split([' ', '=', '[']).next()?.trim_start_matches('-');
        self.command.get_arguments().find(|arg| {
            arg.get_long() == Some(name) || arg.get_short().is_some_and(|short| name.chars().eq([short]))
        })
    }

    fn unknown_command(&self) -> Failure {
        let unknown = self.args.iter().find(|arg| !arg.starts_with('-')).map_or("", String::as_str);
        let first = self.path.split(' ').next().unwrap_or_default();
        let message = format!("{first}: unknown command: {} {unknown}", self.path);
        if self.path == first {
            return Failure::plain(format!("{message}\n\nRun '{first} --help' for more information"));
        }
        self.failure(message, "Run")
    }

    fn argument_count(&self) -> Failure {
        let positionals: Vec<&Arg> = self.command.get_positionals().collect();
        let least = positionals.iter().filter(|arg| arg.is_required_set()).count();
        let most = (!positionals.iter().any(|arg| many(arg))).then_some(positionals.len());
        let noun = |count: usize| if count == 1 { "argument" } else { "arguments" };
        let wants = match (least, most) {
            (0, Some(0)) => "accepts no arguments".to_owned(),
            (0, Some(most)) => format!("requires at most {most} {}", noun(most)),
            (least, Some(most)) if least == most => format!("requires {least} {}", noun(least)),
            (least, Some(most)) => format!("requires at least {least} and at most {most} arguments"),
            (least, None) => format!("requires at least {least} {}", noun(least)),
        };
        let first = self.path.split(' ').next().unwrap_or_default();
        // Docker's own two words for the same thing.
        let see = if most.is_none() { "See" } else { "Run" };
        self.failure(format!("{first}: '{}' {wants}", self.path), see)
    }

    /// The message, the usage, and the pointer to the help.
    fn failure(&self, message: String, see: &str) -> Failure {
        let (path, usage) = (&self.path, self.usage());
        Failure::plain(format!("{message}\n\nUsage:  {usage}\n\n{see} '{path} --help' for more information"))
    }

    /// `layercake rmi [OPTIONS] IMAGE [IMAGE...]`, after a mistake.
    fn usage(&self) -> String {
        let is_root = !self.path.contains(' ');
        let group = if is_root { " COMMAND [ARG...]" } else { "" };
        if self.command.has_subcommands() { self.with_options(is_root) + group } else { self.command_usage() }
    }

    /// The same in a help, where Docker says less about the root and more about a group.
    pub fn help_usage(&self) -> String {
        let is_root = !self.path.contains(' ');
        if self.command.has_subcommands() {
            self.with_options(is_root) + " COMMAND"
        } else {
            self.command_usage()
        }
    }

    fn command_usage(&self) -> String {
        let standard = |arg: &Arg| {
            arg.is_positional() || arg.is_global_set() || matches!(arg.get_id().as_str(), "help" | "version")
        };
        let usage = self.with_options(self.command.get_arguments().any(|arg| !standard(arg)));
        if let Some(forms) = self.command.get_before_help() {
            let forms = forms.to_string();
            return forms.lines().map(|form| format!("{usage} {form}")).collect::<Vec<_>>().join("\n\t");
        }
        usage + &self.command.get_positionals().map(argument).collect::<String>()
    }

    fn with_options(&self, options: bool) -> String {
        self.path.clone() + if options { " [OPTIONS]" } else { "" }
    }
}

/// A positional argument in a usage: ` IMAGE [IMAGE...]`.
fn argument(arg: &Arg) -> String {
    let names = arg.get_value_names().unwrap_or_default();
    let name = names.first().map_or_else(|| arg.get_id().as_str().to_uppercase(), ToString::to_string);
    match (arg.is_required_set(), many(arg)) {
        (true, true) => format!(" {name} [{name}...]"),
        (true, false) => format!(" {name}"),
        (false, true) => format!(" [{name}...]"),
        (false, false) => format!(" [{name}]"),
    }
}

/// Whether an option has a value; a switch has one only behind `=`.
pub fn takes_value(arg: &Arg) -> bool {
    arg.get_action().takes_values() && !arg.is_require_equals_set()
}

/// Reads the value of a switch, as Go's `strconv.ParseBool`.
///
/// # Errors
/// Go's message.
pub fn parse_switch(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "True" | "TRUE" => Ok(true),
        "0" | "f" | "F" | "false" | "False" | "FALSE" => Ok(false),
        _ => Err(format!("strconv.ParseBool: parsing {text:?}: invalid syntax")),
    }
}

/// Whether a positional argument may be given more than once.
fn many(arg: &Arg) -> bool {
    arg.get_num_args().is_some_and(|count| count.max_values() > 1)
}

fn text(err: &clap::Error, kind: ContextKind) -> Option<&str> {
    match err.get(kind)? {
        ContextValue::String(text) => Some(text),
        ContextValue::Strings(texts) => texts.first().map(String::as_str),
        _ => None,
    }
}

/// clap's own message, for what Docker has no words for: two flags that exclude each other.
fn first_line(err: &clap::Error) -> String {
    let whole = err.to_string();
    let first = whole.lines().next().unwrap_or_default();
    first.strip_prefix("error: ").unwrap_or(first).to_owned()
}

#[cfg(test)]
mod tests;
