//! `HEALTHCHECK [--interval=D --timeout=D --start-period=D --start-interval=D --retries=N] CMD command`, or
//! `HEALTHCHECK NONE`.

use super::{Command, Instruction, refuse};
use crate::Result;
use crate::config::Healthcheck;

pub(super) fn parse(instruction: &Instruction) -> Result<Healthcheck> {
    instruction.at_least_one_argument()?;
    let rest = instruction.rest.as_str();
    let (kind, rest) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let kind = kind.to_uppercase();
    let rest = rest.trim_start();
    if kind == "NONE" {
        if !rest.is_empty() {
            return refuse("HEALTHCHECK NONE takes no arguments");
        }
        return Ok(Healthcheck { test: vec![kind], ..Healthcheck::default() });
    }
    let command = Command::parse(rest)?;
    let flags = Flags::parse(&instruction.flags)?;
    if kind != "CMD" {
        return refuse(format!("Unknown type {kind:?} in HEALTHCHECK (try CMD)"));
    }
    let test = match command {
        Command::Exec(words) if !words.is_empty() => [vec![kind], words].concat(),
        Command::Shell(text) if !text.is_empty() => vec!["CMD-SHELL".to_owned(), text],
        _ => return refuse("Missing command after HEALTHCHECK CMD"),
    };
    Ok(Healthcheck {
        test,
        interval: flags.duration("interval")?,
        timeout: flags.duration("timeout")?,
        start_period: flags.duration("start-period")?,
        start_interval: flags.duration("start-interval")?,
        retries: flags.retries()?,
    })
}

/// The flags that were given, by name.
struct Flags<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Flags<'a> {
    fn parse(given: &'a [String]) -> Result<Self> {
        const KNOWN: [&str; 5] = ["interval", "timeout", "start-period", "start-interval", "retries"];
        let mut flags: Vec<(&str, &str)> = Vec::new();
        for flag in given {
            let (name, value) = match flag.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (flag.as_str(), None),
            };
            let bare = name.trim_start_matches("--");
            if !KNOWN.contains(&bare) {
                return refuse(format!("unknown flag: {name}"));
            }
            if flags.iter().any(|(other, _)| *other == bare) {
                return refuse(format!("duplicate flag specified: {name}"));
            }
            match value {
                Some(value) => flags.push((bare, value)),
                None => return refuse(format!("missing a value on flag: {name}")),
            }
        }
        Ok(Flags(flags))
    }

    fn get(&self, name: &str) -> &'a str {
        self.0.iter().find(|(other, _)| *other == name).map_or("", |(_, value)| value)
    }

    /// Nanoseconds; 0 if the flag is not given.
    fn duration(&self, name: &str) -> Result<i64> {
        let text = self.get(name);
        if text.is_empty() {
            return Ok(0);
        }
        let nanoseconds = parse_duration(text)?;
        if nanoseconds != 0 && nanoseconds < 1_000_000 {
            return refuse(format!("Interval {name:?} cannot be less than 1ms"));
        }
        Ok(nanoseconds)
    }

    fn retries(&self) -> Result<i64> {
        let text = self.get("retries");
        if text.is_empty() {
            return Ok(0);
        }
        match text.parse::<i32>() {
            Ok(number) if number < 0 => refuse(format!("--retries cannot be negative ({number})")),
            Ok(number) => Ok(i64::from(number)),
            Err(error) => {
                use std::num::IntErrorKind::{NegOverflow, PosOverflow};
                let too_big = matches!(error.kind(), PosOverflow | NegOverflow);
                let why = if too_big { "value out of range" } else { "invalid syntax" };
                refuse(format!("strconv.ParseInt: parsing {text:?}: {why}"))
            }
        }
    }
}

/// Go's durations, in nanoseconds: `1h30m`, `1.5s`, `-5ms`, `0`.
fn parse_duration(text: &str) -> Result<i64> {
    let invalid = || refuse(format!("time: invalid duration {text:?}"));
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Ok(0);
    }
    let mut sum: i64 = 0;
    while {
        let end_of_number = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, behind) = rest.split_at(end_of_number);
        let end_of_unit = behind.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(behind.len());
        let (unit, behind) = behind.split_at(end_of_unit);
        rest = behind;
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
            return invalid();
        }
        let scale = match unit {
            "" => return refuse(format!("time: missing unit in duration {text:?}")),
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return refuse(format!("time: unknown unit {unit:?} in duration {text:?}")),
        };
        let whole: i64 = if whole.is_empty() { 0 } else { whole.parse().unwrap_or(i64::MAX) };
        let fraction: f64 = format!("0.{fraction}").parse().unwrap_or(0.0);
        let part = whole.checked_mul(scale).and_then(|n| n.checked_add((fraction * scale as f64) as i64));
        match part.and_then(|part| sum.checked_add(part)) {
            Some(new) => sum = new,
            None => return invalid(),
        }
        !rest.is_empty()
    } {}
    Ok(if negative { -sum } else { sum })
}
