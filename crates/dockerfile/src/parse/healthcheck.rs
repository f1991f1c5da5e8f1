//! `HEALTHCHECK [--interval=D --timeout=D --start-period=D --start-interval=D --retries=N] CMD command`, or
//! `HEALTHCHECK NONE`.

use model::config::Healthcheck;

use super::raw::command;
use super::{Flags, Raw};
use crate::error::{Result, refuse};
use crate::instruction::Command;

pub(super) fn parse(raw: &Raw) -> Result<Healthcheck> {
    raw.at_least_one_argument()?;
    let rest = raw.rest.as_str();
    let (kind, rest) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let kind = kind.to_uppercase();
    let rest = rest.trim_start();
    if kind == "NONE" {
        if !rest.is_empty() {
            return refuse("HEALTHCHECK NONE takes no arguments");
        }
        return Ok(Healthcheck { test: vec![kind], ..Healthcheck::default() });
    }
    let command = command(rest)?;
    let mut flags = Flags::of(raw)?;
    let [interval, timeout, start_period, start_interval] =
        ["interval", "timeout", "start-period", "start-interval"]
            .map(|name| flags.text(name).map(|text| (name, text)));
    let retries = flags.text("retries")?;
    let (interval, timeout) = (interval?, timeout?);
    let (start_period, start_interval) = (start_period?, start_interval?);
    flags.finish()?;
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
        interval: duration(interval)?,
        timeout: duration(timeout)?,
        start_period: duration(start_period)?,
        start_interval: duration(start_interval)?,
        retries: parse_retries(retries.as_deref().unwrap_or_default())?,
    })
}

/// Nanoseconds; 0 if the flag is not given.
fn duration((name, text): (&str, Option<String>)) -> Result<i64> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(0) };
    let nanoseconds = parse_duration(&text)?;
    if nanoseconds != 0 && nanoseconds < 1_000_000 {
        return refuse(format!("Interval {name:?} cannot be less than 1ms"));
    }
    Ok(nanoseconds)
}

fn parse_retries(text: &str) -> Result<i64> {
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
