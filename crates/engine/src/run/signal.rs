//! Names of signals.

use crate::{Error, Result};

/// SIGKILL.
pub(super) const KILL: i32 = 9;

/// The signals of Linux by number (signal(7)), from 1 on; those that have two names by the usual one.
const NAMES: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE",
    "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ",
    "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];

/// Other names.
const ALIASES: [(&str, i32); 4] = [("IOT", 6), ("CLD", 17), ("POLL", 29), ("UNUSED", 31)];

/// The first and the last real-time signal that programs may use.
const REAL_TIME: (i32, i32) = (34, 64);

/// The number of a signal: `15`, `TERM`, `SIGTERM`, in upper or lower case, `RTMIN+3`.
///
/// # Errors
/// Docker's words for what is none.
pub fn number(text: &str) -> Result<i32> {
    parse(text).ok_or_else(|| Error::invalid(format!("Invalid signal: {text}")))
}

/// As [`number`]; `None` for what is no signal.
pub fn parse(text: &str) -> Option<i32> {
    if let Ok(number) = text.parse::<i32>() {
        return (1..=REAL_TIME.1).contains(&number).then_some(number);
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    if let Some(index) = NAMES.iter().position(|known| *known == name) {
        return i32::try_from(index + 1).ok();
    }
    if let Some((_, number)) = ALIASES.iter().find(|(alias, _)| *alias == name) {
        return Some(*number);
    }
    let (first, last) = REAL_TIME;
    let number = if let Some(rest) = name.strip_prefix("RTMIN") {
        first + if rest.is_empty() { 0 } else { rest.strip_prefix('+')?.parse().ok()? }
    } else {
        let rest = name.strip_prefix("RTMAX")?;
        last - if rest.is_empty() { 0 } else { rest.strip_prefix('-')?.parse::<i32>().ok()? }
    };
    (first..=last).contains(&number).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_have_names_and_numbers() {
        for (text, expected) in [
            ("9", Some(9)),
            ("KILL", Some(9)),
            ("sigterm", Some(15)),
            ("SIGUSR2", Some(12)),
            ("SYS", Some(31)),
            ("RTMIN", Some(34)),
            ("SIGRTMIN+3", Some(37)),
            ("RTMAX-1", Some(63)),
            ("RTMIN+99", None),
            ("0", None),
            ("65", None),
            ("SIGSIG", None),
            ("", None),
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
        assert_eq!(number("nope").unwrap_err().to_string(), "Invalid signal: nope");
    }
}
