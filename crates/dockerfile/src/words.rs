//! Words of a Dockerfile: splitting a line, quotes, and variables.
//!
//! `$name`, `${name}`; with a default `${name:-word}`, an alternative `${name:+word}`, a complaint
//! `${name:?word}` (without the colon, only for names that are not set at all); without the shortest or
//! longest beginning `${name#pattern}`, `${name##pattern}` or end `${name%pattern}`, `${name%%pattern}`;
//! with the first or every match replaced, `${name/pattern/word}` and `${name//pattern/word}`. In patterns
//! `*` and `?` are special.

use std::iter::Peekable;
use std::str::Chars;

use crate::error::{Problem, Result};
use crate::words::glob::Glob;

mod glob;

/// How deep words may stand in words, `${a:-${b:-…}}`: far more than anybody writes, far less than a stack holds.
const MAX_DEPTH: usize = 64;

/// Splits at white space outside quotes. Quotes and escapes stay; [`Expander::word`] deals with them.
pub fn split(text: &str, escape: char) -> Vec<String> {
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
            (None | Some('"'), c) if c == escape => {
                // An escape at the end of all is dropped.
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

/// What replaces variables, and what it does with quotes.
#[derive(Clone, Copy)]
pub struct Expander<'a> {
    /// The values of variables.
    pub get: &'a dyn Fn(&str) -> Option<String>,
    /// `\`, or what the directive says.
    pub escape: char,
    /// What happens to quotes.
    pub quotes: Quotes,
    /// Whether a variable that is not set stays as it is written, instead of becoming empty.
    pub keep_unset: bool,
}

/// What happens to quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quotes {
    /// They quote, and go.
    Remove,
    /// They quote, and stay.
    Keep,
    /// They are characters like others: in here-documents.
    Ignore,
}

impl<'a> Expander<'a> {
    /// For the words of instructions.
    pub fn new(escape: char, get: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Expander { get, escape, quotes: Quotes::Remove, keep_unset: false }
    }

    /// Replaces the variables of `word`.
    ///
    /// # Errors
    /// Quotes or braces that nothing closes, modifiers and patterns that make no sense, `${name:?word}`.
    pub fn word(&self, word: &str) -> Result<String> {
        let mut reader = Reader { chars: word.chars().peekable(), how: self, depth: 0 };
        let result = reader.until(None, false);
        result.map_err(|why| Problem::new(format!("failed to process {word:?}: {why}")))
    }
}

struct Reader<'a> {
    chars: Peekable<Chars<'a>>,
    how: &'a Expander<'a>,
    depth: usize,
}

type Read = std::result::Result<String, String>;

impl Reader<'_> {
    /// Reads up to `stop` and past it, or to the end. With `raw_escapes`, escapes stay for a pattern.
    fn until(&mut self, stop: Option<char>, raw_escapes: bool) -> Read {
        let quotes = self.how.quotes;
        let mut text = String::new();
        while let Some(c) = self.chars.next() {
            match c {
                c if Some(c) == stop => return Ok(text),
                '\'' | '"' if quotes != Quotes::Ignore => {
                    let quoted =
                        if c == '"' { self.double_quoted(raw_escapes)? } else { self.single_quoted()? };
                    match quotes {
                        Quotes::Keep => text.extend([c.to_string(), quoted, c.to_string()]),
                        _ => text.push_str(&quoted),
                    }
                }
                '$' => text.push_str(&self.variable()?),
                c if c == self.how.escape => {
                    if raw_escapes || quotes == Quotes::Keep {
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

    fn single_quoted(&mut self) -> Read {
        let mut text = String::new();
        loop {
            match self.chars.next() {
                Some('\'') => return Ok(text),
                Some(c) => text.push(c),
                None => return Err(unclosed("single")),
            }
        }
    }

    fn double_quoted(&mut self, raw_escapes: bool) -> Read {
        let escape = self.how.escape;
        let raw_escapes = raw_escapes || self.how.quotes == Quotes::Keep;
        let mut text = String::new();
        loop {
            match self.chars.next() {
                Some('"') => return Ok(text),
                Some('$') => text.push_str(&self.variable()?),
                Some(c) if c == escape => {
                    match self.chars.next_if(|&c| matches!(c, '"' | '$') || c == escape) {
                        Some(escaped) if raw_escapes => text.extend([escape, escaped]),
                        Some(escaped) => text.push(escaped),
                        None => text.push(escape),
                    }
                }
                Some(c) => text.push(c),
                None => return Err(unclosed("double")),
            }
        }
    }

    /// What stands behind `$`.
    fn variable(&mut self) -> Read {
        if self.chars.next_if_eq(&'{').is_some() {
            self.depth += 1;
            if self.depth > MAX_DEPTH {
                return Err("substitutions stand in each other too deep".to_owned());
            }
            let value = self.braces();
            self.depth -= 1;
            return value;
        }
        let name = self.name();
        if name.is_empty() {
            return Ok("$".to_owned());
        }
        Ok(self.get(&name).unwrap_or_else(|| self.unset(|| format!("${name}"))))
    }

    /// What stands behind `${`.
    fn braces(&mut self) -> Read {
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
            Some('}') if !colon => Ok(value.unwrap_or_else(|| self.unset(|| format!("${{{name}}}")))),
            Some('/') if !colon => self.replaced(&value.unwrap_or_default()),
            None if colon => Err(missing_brace()),
            Some(modifier @ ('#' | '%')) if !colon => {
                let pattern = self.until(Some('}'), true).map_err(|why| self.brace_error(why))?;
                let value = value.unwrap_or_default();
                match modifier {
                    '#' => glob::without_start(&value, &pattern),
                    _ => glob::without_end(&value, &pattern),
                }
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

    fn get(&self, name: &str) -> Option<String> {
        (self.how.get)(name)
    }

    fn unset(&self, written: impl FnOnce() -> String) -> String {
        if self.how.keep_unset { written() } else { String::new() }
    }

    /// `pattern/word}` or, for every match, `/pattern/word}`.
    fn replaced(&mut self, value: &str) -> Read {
        let every = self.chars.next_if_eq(&'/').is_some();
        let pattern = self.until(Some('/'), true).map_err(|why| match self.chars.peek() {
            None => "syntax error: missing '/' in ${}".to_owned(),
            Some(_) => why,
        })?;
        let word = self.until(Some('}'), false).map_err(|why| self.brace_error(why))?;
        Ok(Glob::parse(&pattern)?.replace(value, &word, every))
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

#[cfg(test)]
mod tests;
