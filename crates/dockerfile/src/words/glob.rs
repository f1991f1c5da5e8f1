//! Patterns in substitutions. Unlike [`model::pattern`] they know no classes, and `*` runs across `/`.

/// A pattern.
pub(super) struct Glob(Vec<Step>);

#[derive(Clone, Copy)]
enum Step {
    Run,
    One,
    Exactly(char),
}

type Read = Result<String, String>;

/// `${name#pattern}`; a second `#` at the start of the pattern takes away as much as possible.
pub(super) fn without_start(value: &str, pattern: &str) -> Read {
    let (longest, glob) = trimming(pattern, '#')?;
    let value: Vec<char> = value.chars().collect();
    let mut lengths = 0..=value.len();
    let fits = |length: &usize| glob.matches(&value[..*length]);
    let found = if longest { lengths.rev().find(fits) } else { lengths.find(fits) };
    Ok(value[found.unwrap_or(0)..].iter().collect())
}

/// `${name%pattern}`; a second `%` at the start of the pattern takes away as much as possible.
pub(super) fn without_end(value: &str, pattern: &str) -> Read {
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

impl Glob {
    pub(super) fn parse(pattern: &str) -> Result<Self, String> {
        let mut steps = Vec::new();
        let mut chars = pattern.chars();
        while let Some(c) = chars.next() {
            steps.push(match c {
                '*' => Step::Run,
                '?' => Step::One,
                '\\' => match chars.next() {
                    Some(c @ ('*' | '?' | '\\' | '/' | '}' | '"' | '$')) => Step::Exactly(c),
                    other => {
                        let escape: String = ['\\'].into_iter().chain(other).collect();
                        return Err(format!(
                            "invalid pattern ({pattern}) in substitution: invalid escape '{escape}'"
                        ));
                    }
                },
                c => Step::Exactly(c),
            });
        }
        Ok(Glob(steps))
    }

    /// `value` with `word` for the first match, or for every one. A match is as long as possible, and not empty.
    pub(super) fn replace(&self, value: &str, word: &str, every: bool) -> String {
        let value: Vec<char> = value.chars().collect();
        let mut text = String::new();
        let mut at = 0;
        while at < value.len() {
            match (1..=value.len() - at).rev().find(|length| self.matches(&value[at..at + length])) {
                Some(length) => {
                    text.push_str(word);
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
        text
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
                    Step::Run => then[at] = true,
                    Step::One => then[at + 1] = true,
                    Step::Exactly(expected) => then[at + 1] |= *expected == c,
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
            if next[at] && matches!(step, Step::Run) {
                next[at + 1] = true;
            }
        }
    }
}
