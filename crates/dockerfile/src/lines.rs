//! Logical lines: directives, comments, continued lines, here-documents.

use crate::Directives;
use crate::error::{Error, Problem, Result};
use crate::instruction::Heredoc;
use crate::text::{Source, Span};
use crate::words;

/// An instruction with all that belongs to it.
pub(crate) struct Line {
    /// The lines joined, without here-documents.
    pub text: String,
    /// All its lines.
    pub span: Span,
    /// What follows it for each `<<name`.
    pub heredocs: Vec<Heredoc>,
    /// Whether an empty line stands between continued ones.
    pub has_gap: bool,
}

/// Reads all of a file. Lines that continue an instruction keep their indentation; comments between them go.
pub(crate) fn read(source: &Source, text: &str) -> Result<(Directives, Vec<Line>), Error> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = Reader {
        source,
        directives: Directives::default(),
        in_directives: true,
        lines: text.split('\n'),
        ends_in_newline: text.ends_with('\n'),
        number: 0,
    };
    let mut all = Vec::new();
    while let Some(line) = reader.line()? {
        all.push(line);
    }
    Ok((reader.directives, all))
}

struct Reader<'a> {
    source: &'a Source,
    directives: Directives,
    /// Directives stand before everything else.
    in_directives: bool,
    lines: std::str::Split<'a, char>,
    /// Whether there is an empty rest behind the last line.
    ends_in_newline: bool,
    /// Of the line that was read last.
    number: usize,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Option<&'a str> {
        let line = self.lines.next()?;
        self.number += 1;
        Some(line)
    }

    /// The next instruction.
    fn line(&mut self) -> Result<Option<Line>, Error> {
        let (mut text, mut continues) = loop {
            let Some(line) = self.next() else { return Ok(None) };
            let line = line.trim_end_matches('\r').trim_start();
            self.directive(line)?;
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (line, continues) = self.without_continuation(line);
            break (line.to_owned(), continues);
        };
        let first = self.number;
        let mut has_gap = false;
        while continues {
            let Some(line) = self.next() else { break };
            let line = line.trim_end_matches('\r');
            let content = line.trim_start();
            if content.starts_with('#') {
                continue;
            }
            if content.is_empty() {
                has_gap = true;
                continue;
            }
            let (line, more) = self.without_continuation(line);
            text.push_str(line);
            continues = more;
        }
        let mut heredocs = Vec::new();
        for (name, expand, chomp) in named_heredocs(&text) {
            let content = self.heredoc(&name, chomp);
            let Some(content) = content else {
                // What stands behind the last newline is no line.
                let last = self.number - usize::from(self.ends_in_newline);
                let span = Span { first, last: last.max(first) };
                return Err(Error::at(self.source, span, Problem::new("unterminated heredoc")));
            };
            heredocs.push(Heredoc { name, content, expand, chomp });
        }
        Ok(Some(Line { text, span: Span { first, last: self.number }, heredocs, has_gap }))
    }

    /// The lines up to `name`; `None` if it does not come.
    fn heredoc(&mut self, name: &str, chomp: bool) -> Option<String> {
        let mut content = String::new();
        loop {
            let line = self.next()?;
            let end = line.trim_end_matches('\r');
            let end = if chomp { end.trim_start_matches('\t') } else { end };
            if end == name {
                return Some(content);
            }
            content.extend([line, "\n"]);
        }
    }

    /// The line without the escape at its end, and whether there was one. Two of them are no continuation.
    fn without_continuation<'t>(&self, line: &'t str) -> (&'t str, bool) {
        let escape = self.directives.escape_char();
        match line.trim_end_matches([' ', '\t']).strip_suffix(escape) {
            Some(rest) if !rest.ends_with(escape) => (rest, true),
            _ => (line, false),
        }
    }

    fn directive(&mut self, line: &str) -> Result<(), Error> {
        if !self.in_directives {
            return Ok(());
        }
        let Some((key, value)) = directive(line) else {
            // A `#!` line at the very top is for the kernel.
            self.in_directives = self.number == 1 && line.starts_with("#!");
            return Ok(());
        };
        let refuse = |why: String| Err(Error::at(self.source, Span::line(self.number), Problem(why)));
        let place = match key.as_str() {
            "syntax" => &mut self.directives.syntax,
            "check" => &mut self.directives.check,
            _ if self.directives.escape.is_some() => return refuse(only_one("escape")),
            _ => {
                self.directives.escape = match value {
                    "\\" => Some('\\'),
                    "`" => Some('`'),
                    _ => return refuse(format!("invalid escape token '{value}' does not match ` or \\")),
                };
                return Ok(());
            }
        };
        if place.is_some() {
            return refuse(only_one(&key));
        }
        *place = Some(value.to_owned());
        Ok(())
    }
}

fn only_one(key: &str) -> String {
    format!("only one {key} parser directive can be used")
}

/// `# key = value` with a key that means something.
fn directive(line: &str) -> Option<(String, &str)> {
    let (key, value) = line.strip_prefix('#')?.split_once('=')?;
    let key = key.trim().to_ascii_lowercase();
    let value = value.trim();
    (matches!(key.as_str(), "syntax" | "escape" | "check") && !value.is_empty()).then_some((key, value))
}

/// The here-documents that a line announces: name, whether variables are replaced, whether tabs go.
fn named_heredocs(text: &str) -> Vec<(String, bool, bool)> {
    let mut words = text.split_whitespace();
    let mut name = words.next().unwrap_or_default().to_ascii_lowercase();
    if name == "onbuild" {
        name = words.next().unwrap_or_default().to_ascii_lowercase();
    }
    if !matches!(name.as_str(), "add" | "copy" | "run") || !text.contains("<<") {
        return Vec::new();
    }
    if crate::parse::is_json(&name, text) {
        return Vec::new();
    }
    words::split(text, '\\').iter().filter_map(|word| heredoc_word(word)).collect()
}

/// `<<name`, `<<-name`, `<<"name"`, also with the number of a descriptor in front.
pub(crate) fn heredoc_word(word: &str) -> Option<(String, bool, bool)> {
    let rest = word.trim_start_matches(|c: char| c.is_ascii_digit()).strip_prefix("<<")?;
    let (rest, chomp) = match rest.strip_prefix('-') {
        Some(rest) => (rest, true),
        None => (rest, false),
    };
    if rest.is_empty() || rest.contains('<') || words::split(rest, '\\').len() != 1 {
        return None;
    }
    let name =
        words::Expander { keep_unset: true, ..words::Expander::new('\\', &|_| None) }.word(rest).ok()?;
    let expand = name == rest;
    (!name.is_empty()).then_some((name, expand, chomp))
}

#[cfg(test)]
mod tests;
