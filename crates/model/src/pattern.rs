//! Shell patterns on names, with the meaning of Go's `path.Match`, which Docker's filters use.
//!
//! `*` is any run of characters but `/`, `?` any one character but `/`, `[a-z]` and `[^a-z]` one character
//! in or not in a range, and `\` takes the next character as it is.

use crate::{Error, Result};

/// One step of a pattern.
enum Step {
    /// `*`
    Run,
    /// `?`
    One,
    /// `[…]`
    Class { negated: bool, ranges: Vec<(char, char)> },
    /// Any other character.
    Exactly(char),
}

impl Step {
    fn accepts(&self, c: char) -> bool {
        match self {
            Step::Run | Step::One => c != '/',
            // Unlike the others, a class may match '/': Go's does.
            Step::Class { negated, ranges } => {
                ranges.iter().any(|(low, high)| (*low..=*high).contains(&c)) != *negated
            }
            Step::Exactly(expected) => c == *expected,
        }
    }
}

/// Whether all of `name` matches `pattern`.
///
/// # Errors
/// [`Error::Pattern`] if the pattern is malformed, whatever the name.
pub fn matches(pattern: &str, name: &str) -> Result<bool> {
    let steps = parse(pattern)?;
    let name: Vec<char> = name.chars().collect();
    let (mut step, mut at) = (0, 0);
    // Where to go on after a mismatch: behind the last `*`, one character further than last time. Going
    // back to an earlier `*` never helps, since the last one can stretch as far as that.
    let mut retry: Option<(usize, usize)> = None;
    loop {
        match (steps.get(step), name.get(at)) {
            (None, None) => return Ok(true),
            (Some(Step::Run), _) => {
                step += 1;
                retry = Some((step, at));
                continue;
            }
            (Some(one), Some(&c)) if one.accepts(c) => {
                (step, at) = (step + 1, at + 1);
                continue;
            }
            _ => {}
        }
        match retry {
            Some((behind, from)) if name.get(from).is_some_and(|&c| c != '/') => {
                (step, at) = (behind, from + 1);
                retry = Some((behind, from + 1));
            }
            _ => return Ok(false),
        }
    }
}

fn parse(pattern: &str) -> Result<Vec<Step>> {
    let mut steps = Vec::new();
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        steps.push(match c {
            '*' => Step::Run,
            '?' => Step::One,
            '\\' => Step::Exactly(chars.next().ok_or(Error::Pattern)?),
            '[' => parse_class(&mut chars)?,
            _ => Step::Exactly(c),
        });
    }
    Ok(steps)
}

/// What stands between `[` and `]`, both of which are gone afterwards.
fn parse_class(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<Step> {
    fn bound(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<char> {
        match chars.next().ok_or(Error::Pattern)? {
            '-' | ']' => Err(Error::Pattern),
            '\\' => chars.next().ok_or(Error::Pattern),
            c => Ok(c),
        }
    }
    let negated = chars.next_if_eq(&'^').is_some();
    let mut ranges = Vec::new();
    loop {
        if !ranges.is_empty() && chars.next_if_eq(&']').is_some() {
            return Ok(Step::Class { negated, ranges });
        }
        let low = bound(chars)?;
        let high = if chars.next_if_eq(&'-').is_some() { bound(chars)? } else { low };
        ranges.push((low, high));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn table() {
        for (pattern, name, expected) in [
            ("", "", true),
            ("", "a", false),
            ("abc", "abc", true),
            ("abc", "abcd", false),
            ("*", "", true),
            ("*", "abc", true),
            ("*", "a/b", false),
            ("*c", "abc", true),
            ("a*", "abc", true),
            ("a*", "ab/c", false),
            ("a*/b", "abc/b", true),
            ("a*/b", "a/c/b", false),
            ("a*b*c*d*e*/f", "axbxcxdxe/f", true),
            ("a*b*c*d*e*/f", "axbxcxdxexxx/fff", false),
            ("a*b?c*x", "abxbbxdbxebxczzx", true),
            ("a*b?c*x", "abxbbxdbxebxczzy", false),
            ("ab[c]", "abc", true),
            ("ab[b-d]", "abc", true),
            ("ab[e-g]", "abc", false),
            ("ab[^c]", "abc", false),
            ("ab[^e-g]", "abc", true),
            ("a[^b]c", "a/c", true),
            ("a\\*b", "a*b", true),
            ("a\\*b", "ab", false),
            ("a?b", "a☺b", true),
            ("a?b", "a/b", false),
            ("a[^a]b", "a☺b", true),
            ("[\\]a]", "]", true),
            ("[x\\-]", "-", true),
            ("*x", "xxx", true),
            ("acme/*:1.?", "acme/tool:1.2", true),
        ] {
            assert_eq!(matches(pattern, name), Ok(expected), "{pattern:?} on {name:?}");
        }
    }

    #[test]
    fn malformed_patterns_are_errors_even_behind_a_mismatch() {
        for pattern in ["[]a]", "[-]", "[x-]", "[-x]", "[", "[^", "[^bc", "a[", "a\\", "b[", "[a-", "[\\"] {
            assert_eq!(matches(pattern, "a"), Err(Error::Pattern), "{pattern:?}");
        }
    }

    proptest! {
        #[test]
        fn a_text_without_special_characters_matches_itself_only(text in "[^*?\\[\\\\]*", other: String) {
            prop_assert_eq!(matches(&text, &text), Ok(true));
            prop_assert_eq!(matches(&text, &other), Ok(text == other));
        }

        #[test]
        fn matching_never_panics(pattern in "[a*?\\[\\]^\\\\/-]{0,12}", name in "[a/b]{0,12}") {
            let _ = matches(&pattern, &name);
        }
    }
}
