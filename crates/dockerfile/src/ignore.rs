//! `.dockerignore`, and the patterns of `COPY --exclude`.
//!
//! These are not the rules of `.gitignore`: a pattern is matched against the whole path from the context's root, one that
//! matches a directory matches all below, and the last pattern that matches decides. `*` and `?` stop at `/`; `**` is any
//! number of directories; classes and `\` are Go's. `!` takes out of what is ignored.

use crate::error::{Result, refuse};

/// Patterns, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ignore {
    rules: Vec<Rule>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    /// `!`: what matches is kept.
    keeps: bool,
    tokens: Vec<Token>,
    /// What every match begins with: the directories before the first special character.
    prefix: String,
    /// Whether there is no special character: then that is all of it.
    is_literal: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Char(char),
    /// `?`
    One,
    /// `*`
    Run,
    /// Before [`Directories`](Self::Directories): there may be none.
    NoDirectories,
    /// `**/`: whole directories, up to some slash.
    Directories,
    /// `**` at the end.
    Everything,
    /// `[…]`
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
}

impl Ignore {
    /// Reads a `.dockerignore`: one pattern a line, comments from `#` at the line's start.
    ///
    /// # Errors
    /// A pattern that is malformed.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let text = String::from_utf8_lossy(bytes);
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        let lines = text.lines().filter(|line| !line.starts_with('#')).map(str::trim);
        Ignore::of(lines.filter(|line| !line.is_empty()))
    }

    /// Takes patterns as they are given to `--exclude`.
    ///
    /// # Errors
    /// A pattern that is malformed.
    pub fn of<'a>(patterns: impl IntoIterator<Item = &'a str>) -> Result<Self> {
        let rules = patterns.into_iter().filter_map(|pattern| Rule::parse(pattern).transpose());
        Ok(Ignore { rules: rules.collect::<Result<_>>()? })
    }

    /// Whether nothing is ignored.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Whether `path` is left out. The path is relative to the root, with `/` between names.
    pub fn excludes(&self, path: &str) -> bool {
        let decisive = self.rules.iter().rev().find(|rule| rule.matches_path_or_parent(path));
        decisive.is_some_and(|rule| !rule.keeps)
    }

    /// Whether nothing at or below the directory `path` can be kept, so that it need not be read.
    pub fn excludes_all_below(&self, path: &str) -> bool {
        self.excludes(path) && !self.rules.iter().any(|rule| rule.keeps && rule.may_match_below(path))
    }
}

impl Rule {
    fn parse(pattern: &str) -> Result<Option<Self>> {
        let pattern = pattern.trim();
        let (keeps, rest) = match pattern.strip_prefix('!') {
            Some(rest) => (true, rest.trim()),
            None => (false, pattern),
        };
        if keeps && rest.is_empty() {
            return refuse("illegal exclusion pattern: \"!\"");
        }
        let clean = clean(rest);
        let Some(tokens) = tokens(&clean) else {
            return refuse(format!("error parsing pattern {rest:?}: syntax error in pattern"));
        };
        if tokens.is_empty() {
            return Ok(None);
        }
        let literal: String = tokens
            .iter()
            .map_while(|token| if let Token::Char(c) = token { Some(*c) } else { None })
            .collect();
        let is_literal = literal.chars().count() == tokens.len();
        let prefix = match is_literal {
            true => literal,
            false => {
                literal.rsplit_once('/').map_or_else(String::new, |(directories, _)| directories.to_owned())
            }
        };
        Ok(Some(Rule { keeps, tokens, prefix, is_literal }))
    }

    fn matches_path_or_parent(&self, path: &str) -> bool {
        match path.strip_prefix(&self.prefix) {
            None => false,
            // Most patterns are plain paths.
            Some(rest) if self.is_literal => rest.is_empty() || rest.starts_with('/'),
            Some(_) => self.matches(path),
        }
    }

    /// Whether the pattern matches all of `path`, or one of its directories. Keeps the set of tokens that can be next, so no
    /// pattern takes longer than its length times the path's.
    fn matches(&self, path: &str) -> bool {
        let end = self.tokens.len();
        let (mut next, mut then) = (vec![false; end + 1], vec![false; end + 1]);
        next[0] = true;
        self.skip_empty(&mut next);
        for c in path.chars() {
            // What matched so far is a directory of the path.
            if c == '/' && next[end] {
                return true;
            }
            then.fill(false);
            for (at, token) in self.tokens.iter().enumerate().filter(|(at, _)| next[*at]) {
                match token {
                    Token::Char(expected) => then[at + 1] |= *expected == c,
                    Token::One => then[at + 1] |= c != '/',
                    Token::Run => then[at] |= c != '/',
                    Token::Class { negated, ranges } => {
                        let inside = ranges.iter().any(|(low, high)| (*low..=*high).contains(&c));
                        then[at + 1] |= inside != *negated;
                    }
                    Token::Everything => then[at] = true,
                    Token::NoDirectories => {}
                    Token::Directories => {
                        then[at] = true;
                        then[at + 1] |= c == '/';
                    }
                }
            }
            self.skip_empty(&mut then);
            std::mem::swap(&mut next, &mut then);
        }
        next[end]
    }

    /// Tokens that may stand for nothing: where they can be next, so can what is behind them.
    fn skip_empty(&self, next: &mut [bool]) {
        for (at, token) in self.tokens.iter().enumerate() {
            match token {
                _ if !next[at] => {}
                Token::Run | Token::Everything => next[at + 1] = true,
                Token::NoDirectories => next[at + 1..=at + 2].fill(true),
                _ => {}
            }
        }
    }

    /// Whether some path below `directory` can match.
    fn may_match_below(&self, directory: &str) -> bool {
        let (prefix, below) = (format!("{}/", self.prefix), format!("{directory}/"));
        self.prefix.is_empty() || prefix.starts_with(&below) || below.starts_with(&prefix)
    }
}

/// The pattern as a path without `.`, `..`, doubled slashes and a slash at either end.
fn clean(pattern: &str) -> String {
    let rooted = pattern.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in pattern.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => drop(parts.pop()),
            ".." if rooted => {}
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// `None` for a pattern that is malformed.
fn tokens(pattern: &str) -> Option<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        let token = match c {
            '*' if chars.next_if_eq(&'*').is_some() => {
                // `**x` means what `**/x` does.
                let has_slash = chars.next_if_eq(&'/').is_some();
                if chars.peek().is_none() && !has_slash {
                    Token::Everything
                } else {
                    tokens.push(Token::NoDirectories);
                    Token::Directories
                }
            }
            '*' => Token::Run,
            '?' => Token::One,
            '\\' => Token::Char(chars.next()?),
            '[' => class(&mut chars)?,
            c => Token::Char(c),
        };
        tokens.push(token);
    }
    Some(tokens)
}

/// What stands between `[` and `]`.
fn class(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<Token> {
    let bound = |chars: &mut std::iter::Peekable<std::str::Chars<'_>>| match chars.next()? {
        '-' | ']' => None,
        '\\' => chars.next(),
        c => Some(c),
    };
    let negated = chars.next_if_eq(&'^').is_some();
    let mut ranges = Vec::new();
    loop {
        if !ranges.is_empty() && chars.next_if_eq(&']').is_some() {
            return Some(Token::Class { negated, ranges });
        }
        let low = bound(chars)?;
        let high = if chars.next_if_eq(&'-').is_some() { bound(chars)? } else { low };
        ranges.push((low, high));
    }
}

#[cfg(test)]
mod tests;
