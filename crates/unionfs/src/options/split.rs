//! Lists, and the backslash.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use super::Refused;

/// What a backslash may stand before.
const SPECIAL: &[u8] = b":,\\";

/// Writes a path so that it stands for itself in any option.
pub fn escape(path: &OsStr) -> OsString {
    let mut out = Vec::with_capacity(path.len());
    for byte in path.as_bytes() {
        if SPECIAL.contains(byte) {
            out.push(b'\\');
        }
        out.push(*byte);
    }
    OsString::from_vec(out)
}

/// The other way round.
pub(super) fn unescape(text: &[u8]) -> Result<Vec<u8>, Refused> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.iter();
    while let Some(byte) = rest.next() {
        match byte {
            b'\\' => match rest.next() {
                Some(next) if SPECIAL.contains(next) => out.push(*next),
                _ => {
                    return Err(Refused::new(
                        text,
                        r"a backslash stands before one of : , \ only; a real one is \\",
                    ));
                }
            },
            byte => out.push(*byte),
        }
    }
    Ok(out)
}

/// The options of a list. Empty ones, as in `,a,,b`, are none.
pub(super) fn items(list: &[u8]) -> Result<Vec<&[u8]>, Refused> {
    let mut items = Vec::new();
    let mut rest = list;
    while !rest.is_empty() {
        let end = match quoted_value(rest) {
            Some(start) => {
                let Some(end) = rest[start..].iter().position(|b| *b == b'"') else {
                    return Err(Refused::new(rest, "the closing quote is missing"));
                };
                start + end + 1
            }
            None => separator(rest, b','),
        };
        let (item, more) = rest.split_at(end);
        rest = match more.split_first() {
            None => more,
            Some((b',', more)) => more,
            Some(_) => return Err(Refused::new(rest, "there is something behind the closing quote")),
        };
        if !item.is_empty() {
            items.push(item);
        }
    }
    Ok(items)
}

/// Where the quoted text begins, of an option that has one.
fn quoted_value(list: &[u8]) -> Option<usize> {
    ["context=\"", "fscontext=\"", "defcontext=\"", "rootcontext=\""]
        .iter()
        .find(|start| list.starts_with(start.as_bytes()))
        .map(|start| start.len())
}

/// Where `by` stands without a backslash before it, or the end.
pub(super) fn separator(text: &[u8], by: u8) -> usize {
    let mut at = 0;
    while at < text.len() {
        match text[at] {
            b'\\' => at += 2,
            byte if byte == by => return at,
            _ => at += 1,
        }
    }
    text.len()
}
