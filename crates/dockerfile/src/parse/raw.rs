//! An instruction before its arguments are understood.

use crate::error::{Result, refuse};
use crate::instruction::Command;
use crate::words;

/// Name, flags, arguments.
#[derive(Debug)]
pub(crate) struct Raw {
    /// The name in upper case.
    pub name: String,
    /// The name as it is written.
    pub written: String,
    /// `--flag` and `--flag=value` before the arguments, quotes gone.
    pub flags: Vec<String>,
    /// The arguments, without white space around them.
    pub rest: String,
}

impl Raw {
    pub fn of(line: &str) -> Self {
        let is_space = |c: char| matches!(c, '\t' | '\u{b}' | '\u{c}' | '\r' | ' ');
        let line = line.trim();
        let (written, rest) = line.split_once(is_space).unwrap_or((line, ""));
        let (flags, rest) = split_flags(rest.trim_start_matches(is_space));
        Raw { name: written.to_uppercase(), written: written.to_owned(), flags, rest: rest.trim().to_owned() }
    }

    /// Refuses arguments that cannot be split, whatever they mean.
    pub fn check(&self, escape: char) -> Result<()> {
        match self.name.as_str() {
            "ENV" | "LABEL" => self.split_pairs(escape).map(drop),
            "ADD" | "CMD" | "COPY" | "ENTRYPOINT" | "RUN" | "SHELL" | "VOLUME" => self.json().map(drop),
            _ => Ok(()),
        }
    }

    /// The arguments between white space.
    pub fn words(&self) -> Vec<&str> {
        self.rest.split_whitespace().collect()
    }

    pub fn at_least_one_argument(&self) -> Result<()> {
        if self.rest.is_empty() { needs_one(&self.name) } else { Ok(()) }
    }

    /// The arguments as one, for an instruction without flags.
    pub fn one_argument(&self) -> Result<String> {
        if self.rest.is_empty() {
            return refuse(format!("{} requires exactly one argument", self.name));
        }
        super::Flags::of(self)?.finish()?;
        Ok(self.rest.clone())
    }

    /// The arguments as a JSON array of strings, if they are one. Text that is no JSON is just not one.
    pub fn json(&self) -> Result<Option<Vec<String>>> {
        json(&self.rest)
    }

    /// The arguments as a command: for the kernel if they are a JSON array, otherwise for the shell.
    pub fn command(&self) -> Result<Command> {
        command(&self.rest)
    }

    /// `name=value…`, or the old form `name value` for a single pair.
    pub fn pairs(&self, escape: char) -> Result<Vec<(String, String)>> {
        let pairs = self.split_pairs(escape)?;
        super::Flags::of(self)?.finish()?;
        if pairs.is_empty() {
            return needs_one(&self.name);
        }
        match pairs.iter().any(|(name, _)| name.is_empty()) {
            true => refuse(format!("{} names can not be blank", self.name)),
            false => Ok(pairs),
        }
    }

    fn split_pairs(&self, escape: char) -> Result<Vec<(String, String)>> {
        let words = words::split(&self.rest, escape);
        if words.first().is_some_and(|first| !first.contains('=')) {
            return match self.rest.split_once(char::is_whitespace) {
                Some((name, value)) => Ok(vec![(name.to_owned(), value.trim_start().to_owned())]),
                None => refuse(format!("{} must have two arguments", self.name)),
            };
        }
        let pair = |word: &String| match word.split_once('=') {
            Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
            None => {
                refuse(format!("Syntax error - can't find = in {word:?}. Must be of the form: name=value"))
            }
        };
        words.iter().map(pair).collect()
    }
}

pub(super) fn needs_one<T>(name: &str) -> Result<T> {
    refuse(format!("{name} requires at least one argument"))
}

/// A JSON array of strings is in JSON form; an array of anything else is an error; all else is for the
/// shell, an array with a syntax error too.
pub(super) fn command(text: &str) -> Result<Command> {
    Ok(match json(text)? {
        Some(words) => Command::Exec(words),
        None => Command::Shell(text.to_owned()),
    })
}

fn json(text: &str) -> Result<Option<Vec<String>>> {
    if !text.starts_with('[') {
        return Ok(None);
    }
    let Ok(values) = serde_json::from_str::<Vec<serde_json::Value>>(text) else { return Ok(None) };
    let words = values.into_iter().map(|value| match value {
        serde_json::Value::String(word) => Ok(word),
        _ => refuse("when using JSON array syntax, arrays must be comprised of strings only"),
    });
    words.collect::<Result<_>>().map(Some)
}

/// Takes the words that begin with `--` from the front; `--` alone ends them. Quotes and backslashes go, whatever the
/// escape directive says.
fn split_flags(text: &str) -> (Vec<String>, &str) {
    let mut flags = Vec::new();
    let mut rest = text.trim_start();
    while rest.starts_with("--") {
        let (flag, behind) = split_word(rest);
        rest = behind;
        if flag == "--" {
            break;
        }
        flags.push(flag);
        rest = rest.trim_start();
    }
    (flags, rest)
}

/// The first word without its quotes, and what stands behind it.
fn split_word(text: &str) -> (String, &str) {
    let mut word = String::new();
    let mut quote = None;
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match (quote, c) {
            (None, c) if c.is_whitespace() => return (word, &text[at..]),
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), c) if c == open => quote = None,
            (_, '\\') => word.extend(chars.next().map(|(_, escaped)| escaped)),
            (_, c) => word.push(c),
        }
    }
    (word, "")
}
