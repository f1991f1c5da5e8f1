//! Words of a Dockerfile: splitting a line, quotes, and variables of the environment.
//!
//! `$name`, `${name}`; with a default `${name:-word}`, an alternative `${name:+word}`, a complaint
//! `${name:?word}` (without the colon, only for names that are not set at all); without the shortest or
//! longest beginning `${name#pattern}`, `${name##pattern}` or end `${name%pattern}`, `${name%%pattern}`;
//! with the first or every match replaced, `${name/pattern/word}` and `${name//pattern/word}`. In patterns
//! `*` and `?` are special.

use super::refuse;
use crate::Result;
use crate::config::env_name;
use std::iter::Peekable;
use std::str::Chars;

/// Splits at white space outside quotes. Quotes and backslashes stay; [`expand`] deals with them.
pub(super) fn split(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quote = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (None, c) if c.is_whitespace() => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                continue;
            }
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), c) if c == open => quote = None,
            (None | Some('"'), '\\') => {
                // A backslash at the end of all is dropped.
                if let Some(escaped) = chars.next() {
                    word.extend([c, escaped]);
                }
                continue;
            }
            _ => {}
        }
        word.push(c);
    }
    words.extend(Some(word).filter(|word| !word.is_empty()));
    words
}

/// Removes quotes from `word` and replaces variables by their values in `env`.
pub(super) fn expand(word: &str, env: &[String]) -> Result<String> {
    let mut lexer = Lexer { chars: word.chars().peekable(), env };
    lexer.until(None, false).or_else(|why| refuse(format!("failed to process {word:?}: {why}")))
}

struct Lexer<'a> {
    chars: Peekable<Chars<'a>>,
    env: &'a [String],
}

impl Lexer<'_> {
    /// Reads up to `stop` and past it, or to the end. With `raw_escapes`, backslashes stay for a pattern.
    fn until(&mut self, stop: Option<char>, raw_escapes: bool) -> Result<String, String> {
        let mut text = String::new();
        while let Some(c) = self.chars.next() {
            match c {
                c if Some(c) == stop => return Ok(text),
                '\'' => text.push_str(&self.single_quoted()?),
                '"' => text.push_str(&self.double_quoted(raw_escapes)?),
                '$' => text.push_str(&self.variable()?),
                '\\' => {
                    if raw_escapes {
                        text.push(c);
                    }
                    text.extend(self.chars.next());
                }
                c => text.push(c),
            }
        }
        match stop {
            Some(stop) => Err(format!("unexpected end of statement while looking for matching {stop}")),
            None => Ok(text),
        }
    }

    fn single_quoted(&mut self) -> Result<String, String> {
        let mut text = String::new();
        loop {
            match self.chars.next() {
                Some('\'') => return Ok(text),
                Some(c) => text.push(c),
                None => return Err(unclosed("single")),
            }
        }
    }

    fn double_quoted(&mut self, raw_escapes: bool) -> Result<String, String> {
        let mut text = String::new();
        loop {
            match self.chars.next() {
                Some('"') => return Ok(text),
                Some('$') => text.push_str(&self.variable()?),
                Some('\\') => match self.chars.next_if(|c| matches!(c, '"' | '$' | '\\')) {
                    Some(escaped) if raw_escapes => text.extend(['\\', escaped]),
                    Some(escaped) => text.push(escaped),
                    None => text.push('\\'),
                },
                Some(c) => text.push(c),
                None => return Err(unclosed("double")),
            }
        }
    }

    /// What stands behind `$`.
    fn variable(&mut self) -> Result<String, String> {
        if self.chars.next_if_eq(&'{').is_none() {
            let name = self.name();
            return Ok(if name.is_empty() { "$".to_owned() } else { self.get(&name).unwrap_or_default() });
        }
        match self.chars.peek() {
            None => return Err(missing_brace()),
            Some('{' | '}' | ':') => return Err("syntax error: bad substitution".to_owned()),
            Some(_) => {}
        }
        let name = self.name();
        let value = self.get(&name);
        let mut modifier = self.chars.next();
        let colon = modifier == Some(':');
        if colon {
            modifier = self.chars.next();
        }
        match modifier {
            Some('}') if !colon => Ok(value.unwrap_or_default()),
            Some('/') if !colon => self.replaced(&value.unwrap_or_default()),
            None if colon => Err(missing_brace()),
            Some(modifier @ ('#' | '%')) if !colon => {
                let pattern = self.until(Some('}'), true).map_err(|why| self.brace_error(why))?;
                let value = value.unwrap_or_default();
                if modifier == '#' { without_start(&value, &pattern) } else { without_end(&value, &pattern) }
            }
            Some(modifier @ ('-' | '+' | '?')) => {
                let word = self.until(Some('}'), false).map_err(|why| self.brace_error(why))?;
                let trouble = if value.is_none() { "unset" } else { "empty" };
                let set = value.as_ref().is_some_and(|value| !(colon && value.is_empty()));
                let value = value.unwrap_or_default();
                match modifier {
                    '-' => Ok(if set { value } else { word }),
                    '+' => Ok(if set { word } else { String::new() }),
                    _ if set => Ok(value),
                    _ if word.is_empty() => Err(format!("{name}: is not allowed to be {trouble}")),
                    _ => Err(format!("{name}: {word}")),
                }
            }
            other => {
                let colon = if colon { ":" } else { "" };
                let other = other.unwrap_or(char::REPLACEMENT_CHARACTER);
                Err(format!("unsupported modifier ({colon}{other}) in substitution"))
            }
        }
    }

    /// `pattern/word}` or, for every match, `/pattern/word}`.
    fn replaced(&mut self, value: &str) -> Result<String, String> {
        let every = self.chars.next_if_eq(&'/').is_some();
        let pattern = self.until(Some('/'), true).map_err(|why| match self.chars.peek() {
            None => "syntax error: missing '/' in ${}".to_owned(),
            Some(_) => why,
        })?;
        let word = self.until(Some('}'), false).map_err(|why| self.brace_error(why))?;
        let glob = Glob::parse(&pattern)?;
        let value: Vec<char> = value.chars().collect();
        let mut text = String::new();
        let mut at = 0;
        while at < value.len() {
            match (1..=value.len() - at).rev().find(|length| glob.matches(&value[at..at + length])) {
                Some(length) => {
                    text.push_str(&word);
                    at += length;
                    if !every {
                        break;
                    }
                }
                None => {
                    text.push(value[at]);
                    at += 1;
                }
            }
        }
        text.extend(&value[at..]);
        Ok(text)
    }

    /// The name of a variable, which may be empty: a number, a special parameter, or a word.
    fn name(&mut self) -> String {
        if let Some(special) = self.chars.next_if(|c| matches!(c, '@' | '*' | '#' | '?' | '-' | '$' | '!')) {
            return special.to_string();
        }
        let number = self.chars.peek().is_some_and(|c| c.is_numeric());
        let mut name = String::new();
        while let Some(c) =
            self.chars.next_if(|&c| c.is_numeric() || !number && (c.is_alphabetic() || c == '_'))
        {
            name.push(c);
        }
        name
    }

    fn get(&self, name: &str) -> Option<String> {
        let line = self.env.iter().rev().find(|line| env_name(line) == name)?;
        Some(line.split_once('=').map_or_else(String::new, |(_, value)| value.to_owned()))
    }

    /// Whatever went wrong, at the end of the word it is the brace that is missing.
    fn brace_error(&mut self, why: String) -> String {
        if self.chars.peek().is_none() { missing_brace() } else { why }
    }
}

fn unclosed(which: &str) -> String {
    format!("unexpected end of statement while looking for matching {which}-quote")
}

fn missing_brace() -> String {
    "syntax error: missing '}'".to_owned()
}

/// `${name#pattern}`; a second `#` at the start of the pattern takes away as much as possible.
fn without_start(value: &str, pattern: &str) -> Result<String, String> {
    let (longest, glob) = trimming(pattern, '#')?;
    let value: Vec<char> = value.chars().collect();
    let mut lengths = 0..=value.len();
    let fits = |length: &usize| glob.matches(&value[..*length]);
    let found = if longest { lengths.rev().find(fits) } else { lengths.find(fits) };
    Ok(value[found.unwrap_or(0)..].iter().collect())
}

/// `${name%pattern}`; a second `%` at the start of the pattern takes away as much as possible.
fn without_end(value: &str, pattern: &str) -> Result<String, String> {
    let (longest, glob) = trimming(pattern, '%')?;
    let value: Vec<char> = value.chars().collect();
    let mut starts = 0..=value.len();
    let fits = |start: &usize| glob.matches(&value[*start..]);
    let found = if longest { starts.find(fits) } else { starts.rev().find(fits) };
    Ok(value[..found.unwrap_or(value.len())].iter().collect())
}

fn trimming(pattern: &str, doubled: char) -> Result<(bool, Glob), String> {
    match pattern.strip_prefix(doubled) {
        Some(rest) => Ok((true, Glob::parse(rest)?)),
        None => Ok((false, Glob::parse(pattern)?)),
    }
}

/// A pattern in a substitution. Unlike [`crate::pattern`] it knows no classes, and `*` runs across `/`.
struct Glob(Vec<GlobStep>);

#[derive(Clone, Copy)]
enum GlobStep {
    Run,
    One,
    Exactly(char),
}

impl Glob {
    fn parse(pattern: &str) -> Result<Self, String> {
        let mut steps = Vec::new();
        let mut chars = pattern.chars();
        while let Some(c) = chars.next() {
            steps.push(match c {
                '*' => GlobStep::Run,
                '?' => GlobStep::One,
                '\\' => match chars.next() {
                    Some(c @ ('*' | '?' | '\\' | '/' | '}' | '"' | '$')) => GlobStep::Exactly(c),
                    other => {
                        let escape: String = ['\\'].into_iter().chain(other).collect();
                        return Err(format!(
                            "invalid pattern ({pattern}) in substitution: invalid escape '{escape}'"
                        ));
                    }
                },
                c => GlobStep::Exactly(c),
            });
        }
        Ok(Glob(steps))
    }

    /// Whether all of `text` matches. Keeps the set of steps that can be next, so that no pattern takes
    /// longer than its length times the text's.
    fn matches(&self, text: &[char]) -> bool {
        let mut next = vec![false; self.0.len() + 1];
        next[0] = true;
        self.skip_runs(&mut next);
        for &c in text {
            let mut then = vec![false; next.len()];
            for (at, step) in self.0.iter().enumerate().filter(|(at, _)| next[*at]) {
                match step {
                    GlobStep::Run => then[at] = true,
                    GlobStep::One => then[at + 1] = true,
                    GlobStep::Exactly(expected) => then[at + 1] |= *expected == c,
                }
            }
            self.skip_runs(&mut then);
            next = then;
        }
        next[self.0.len()]
    }

    /// A run may be empty: where it can be next, so can the step behind it.
    fn skip_runs(&self, next: &mut [bool]) {
        for (at, step) in self.0.iter().enumerate() {
            if next[at] && matches!(step, GlobStep::Run) {
                next[at + 1] = true;
            }
        }
    }
}
