//! The moment of `--filter until=…`.

use std::time::Duration;

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use model::Timestamp;

/// Reads a moment as Docker does: a duration before `now` (`1h30m`), a date with or without time (RFC 3339; in `zone`
/// if it does not name one), or seconds since 1970 with or without a fraction. `None` for everything else.
pub fn parse(text: &str, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
    if let Some(duration) = duration(text) {
        let seconds = i64::try_from(duration.as_secs()).ok()?;
        let nanos = i64::from(now.subsec_nanos()) - i64::from(duration.subsec_nanos());
        let seconds = now.unix_seconds().checked_sub(seconds)?.checked_sub(i64::from(nanos < 0))?;
        return Some(Timestamp::from_unix(seconds, u32::try_from(nanos.rem_euclid(1_000_000_000)).ok()?));
    }
    if let Some((seconds, nanos)) = unix(text) {
        return Some(Timestamp::from_unix(seconds, nanos));
    }
    if let Ok(time) = Timestamp::parse(text) {
        return Some(time);
    }
    let local = match text.contains(['T', ' ']) {
        true => text.parse::<DateTime>().ok().filter(|_| !text.contains(' '))?,
        false => text.parse::<Date>().ok()?.to_datetime(Time::midnight()),
    };
    let time = local.to_zoned(zone.clone()).ok()?.timestamp();
    Timestamp::parse(&time.to_string()).ok()
}

/// `1136073600` or `1136073600.25`.
fn unix(text: &str) -> Option<(i64, u32)> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_number = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if !is_number(seconds) || !is_number(fraction) || fraction.len() > 9 {
        return None;
    }
    Some((seconds.parse().ok()?, format!("{fraction:0<9}").parse().ok()?))
}

/// Go's durations: `300ms`, `1.5h`, `2h45m`.
fn duration(text: &str) -> Option<Duration> {
    const UNITS: [(&str, f64); 7] =
        [("ns", 1e-9), ("us", 1e-6), ("µs", 1e-6), ("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];
    let mut rest = text;
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..end].parse().ok()?;
        rest = &rest[end..];
        let end = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        let (_, unit) = UNITS.iter().find(|(name, _)| *name == &rest[..end])?;
        seconds += number * unit;
        rest = &rest[end..];
    }
    (!text.is_empty()).then(|| Duration::try_from_secs_f64(seconds).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_as_docker_reads_them() {
        let now = Timestamp::parse("2026-11-22T00:30:44.25Z").unwrap();
        let zone = TimeZone::fixed(jiff::tz::offset(1));
        for (text, expected) in [
            ("24h", "2026-11-21T00:30:44.25Z"),
            ("1h30m", "2026-11-21T23:00:44.25Z"),
            ("500ms", "2026-11-22T00:30:43.75Z"),
            ("0s", "2026-11-22T00:30:44.25Z"),
            ("1136073600", "2006-01-01T00:00:00Z"),
            ("1136073600.25", "2006-01-01T00:00:00.25Z"),
            ("2026-01-02", "2026-01-01T23:00:00Z"),
            ("2026-01-02T03:04", "2026-01-02T02:04:00Z"),
            ("2026-01-02T03:04:05", "2026-01-02T02:04:05Z"),
            ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z"),
            ("2026-01-02T03:04:05.5+02:00", "2026-01-02T01:04:05.5Z"),
        ] {
            assert_eq!(
                parse(text, now, &zone).map(|time| time.to_string()).as_deref(),
                Some(expected),
                "{text}"
            );
        }
        for bad in ["", "h", "1", "1x", "yesterday", "-1h", "2026-13-01", "2026-01-02 03:04", "1.2.3"] {
            let read = parse(bad, now, &zone);
            assert!(read.is_none() || bad == "1", "{bad}: {read:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn nothing_panics(text: String) {
            let _ = parse(&text, Timestamp::EPOCH, &TimeZone::UTC);
        }
    }
}
