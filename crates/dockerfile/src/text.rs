//! The text of a Dockerfile, and places in it.

use std::fmt::Write as _;

/// Lines of a Dockerfile, the first one being 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Span {
    /// The first line.
    pub first: usize,
    /// The last line.
    pub last: usize,
}

impl Span {
    /// One line.
    pub fn line(number: usize) -> Self {
        Span { first: number, last: number }
    }
}

/// A Dockerfile's name and lines, for errors to quote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    name: String,
    lines: Vec<String>,
}

/// What is shown around a place in question.
const CONTEXT: usize = 4;
const RULE: &str = "--------------------\n";

impl Source {
    pub(crate) fn new(name: &str, text: &str) -> Self {
        Source { name: name.to_owned(), lines: text.split('\n').map(str::to_owned).collect() }
    }

    /// The name that errors use: the path as it was typed.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The lines of `span` with those around them, as BuildKit shows them; empty if there is no such line.
    ///
    /// ```text
    /// Dockerfile:2
    /// --------------------
    ///    1 |     FROM scratch
    ///    2 | >>> RUNN x
    ///    3 |
    /// --------------------
    /// ```
    pub fn excerpt(&self, span: Span) -> String {
        let count = self.lines.len();
        if span.first == 0 || span.first > count {
            return String::new();
        }
        let (mut first, mut last) = (span.first, span.last.clamp(span.first, count));
        // BuildKit's way to choose the lines around: one line has more of them than several have.
        let wanted = if first == last { CONTEXT } else { CONTEXT / 2 };
        let mut shown = 0;
        while shown < wanted {
            if first > 1 {
                first -= 1;
                shown += 1;
            }
            if last != count {
                last += 1;
                shown += 1;
            }
            shown += 1;
        }
        let mut text = format!("{}:{}\n{RULE}", self.name, span.first);
        for number in first..=last {
            let mark = if (span.first..=span.last).contains(&number) { ">>>" } else { "   " };
            let line = self.lines[number - 1].trim_end_matches('\r');
            // Writing to a String cannot fail.
            let _ = writeln!(text, " {number:3} | {mark} {line}");
        }
        text + RULE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_is_buildkits() {
        let source = Source::new("Dockerfile", "FROM scratch\nRUNN x\n");
        assert_eq!(
            source.excerpt(Span::line(2)),
            "Dockerfile:2\n--------------------\n   1 |     FROM scratch\n   2 | >>> RUNN x\n   3 |     \n\
             --------------------\n"
        );
        assert_eq!(source.excerpt(Span::line(9)), "");
        assert_eq!(source.excerpt(Span::line(0)), "");
    }

    #[test]
    fn several_lines_have_one_more_before_and_behind() {
        let source = Source::new("d", "1\n2\n3\n4\n5\n6");
        let shown = source.excerpt(Span { first: 3, last: 4 });
        assert_eq!(
            shown,
            "d:3\n--------------------\n   2 |     2\n   3 | >>> 3\n   4 | >>> 4\n   5 |     5\n--------------------\n"
        );
    }
}
