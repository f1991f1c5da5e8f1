//! Instants and durations as Go and Docker write them.

use crate::{Error, Result};
use jiff::tz::TimeZone;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{fmt, str::FromStr, time::Duration, time::SystemTime};

/// An instant with nanoseconds.
///
/// Displays, and serialises, as Go's `RFC3339Nano` in UTC: `2006-01-02T15:04:05.999Z`, without zeros at the
/// end of the fraction.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(jiff::Timestamp);

impl Timestamp {
    /// The first instant of the year 1: Go's zero time, which Docker writes for "never" and "unknown".
    pub const ZERO: Timestamp = Timestamp(jiff::Timestamp::constant(-62_135_596_800, 0));
    /// 1970-01-01, the time of things that have none in a reproducible archive.
    pub const EPOCH: Timestamp = Timestamp(jiff::Timestamp::UNIX_EPOCH);

    /// Reads RFC 3339 with any offset and up to nine digits of fraction.
    ///
    /// # Errors
    /// [`Error::Time`] for other text and for years outside 1 to 9999.
    pub fn parse(text: &str) -> Result<Self> {
        let time: jiff::Timestamp = text.parse().map_err(|_| Error::Time(text.chars().take(80).collect()))?;
        if time < Self::ZERO.0 { Err(Error::Time(text.to_owned())) } else { Ok(Timestamp(time)) }
    }

    /// The instant `seconds` and `nanoseconds` after 1970; out of range, the nearest that there is.
    pub fn from_unix(seconds: i64, nanoseconds: u32) -> Self {
        let nanoseconds = nanoseconds.min(999_999_999).cast_signed();
        let fallback = if seconds < 0 { Self::ZERO.0 } else { jiff::Timestamp::MAX };
        let time = jiff::Timestamp::new(seconds, nanoseconds).unwrap_or(fallback);
        Timestamp(time.max(Self::ZERO.0))
    }

    /// Seconds since 1970, rounded down.
    pub fn unix_seconds(&self) -> i64 {
        // jiff counts seconds towards zero; Go and everybody else counts down.
        self.0.as_second() - i64::from(self.0.subsec_nanosecond() < 0)
    }

    /// Nanoseconds within the second, 0 to 999,999,999.
    pub fn subsec_nanos(&self) -> u32 {
        self.0.subsec_nanosecond().rem_euclid(1_000_000_000).cast_unsigned()
    }

    /// Whether this is [`Timestamp::ZERO`].
    pub fn is_zero(&self) -> bool {
        *self == Self::ZERO
    }

    /// How long before `now` this is; zero if it is later.
    pub fn age(&self, now: Timestamp) -> Duration {
        Duration::try_from(now.0.duration_since(self.0)).unwrap_or_default()
    }

    /// `2006-01-02 15:04:05 +0100 CET`, as `docker images` and `docker ps` print `CreatedAt`.
    pub fn in_words(&self, zone: &TimeZone) -> String {
        self.0.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S %z %Z").to_string()
    }

    /// `2006-01-02T15:04:05+01:00`, without fraction, as `docker history` prints `CreatedAt`.
    pub fn rfc3339_seconds(&self, zone: &TimeZone) -> String {
        let zoned = self.0.to_zoned(zone.clone());
        if zoned.offset().is_zero() {
            zoned.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
        } else {
            zoned.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
        }
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        let fallback = if time < SystemTime::UNIX_EPOCH { Self::ZERO.0 } else { jiff::Timestamp::MAX };
        Timestamp(jiff::Timestamp::try_from(time).unwrap_or(fallback).max(Self::ZERO.0))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = self.0.strftime("%Y-%m-%dT%H:%M:%S");
        match self.subsec_nanos() {
            0 => write!(f, "{whole}Z"),
            nanos => write!(f, "{whole}.{}Z", format!("{nanos:09}").trim_end_matches('0')),
        }
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Timestamp {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        Timestamp::parse(text)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Timestamp::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// A duration as Docker tells it to people, for example `About an hour` or `3 weeks`; "ago" is the
/// caller's. The thresholds are those of Docker's units library.
pub fn human_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (minutes, whole_hours) = (seconds / 60, seconds / 3600);
    // Hours are rounded, and only they.
    let hours = (duration + Duration::from_secs(1800)).as_secs() / 3600;
    match () {
        () if seconds < 1 => "Less than a second".to_owned(),
        () if seconds == 1 => "1 second".to_owned(),
        () if seconds < 60 => format!("{seconds} seconds"),
        () if minutes == 1 => "About a minute".to_owned(),
        () if minutes < 60 => format!("{minutes} minutes"),
        () if hours == 1 => "About an hour".to_owned(),
        () if hours < 48 => format!("{hours} hours"),
        () if hours < 24 * 7 * 2 => format!("{} days", hours / 24),
        () if hours < 24 * 30 * 2 => format!("{} weeks", hours / 24 / 7),
        () if hours < 24 * 365 * 2 => format!("{} months", hours / 24 / 30),
        () => format!("{} years", whole_hours / 24 / 365),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn text_is_gos_rfc3339_nano() {
        for (given, written) in [
            ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
            ("1970-01-01T00:00:00.000Z", "1970-01-01T00:00:00Z"),
            ("2026-11-22T00:30:44.131377905Z", "2026-11-22T00:30:44.131377905Z"),
            ("2026-11-22T00:30:44.212770000Z", "2026-11-22T00:30:44.21277Z"),
            ("2026-11-22T02:30:44.5+02:00", "2026-11-22T00:30:44.5Z"),
            ("1969-12-31T23:59:59.25Z", "1969-12-31T23:59:59.25Z"),
            ("9999-12-30T22:00:00Z", "9999-12-30T22:00:00Z"),
        ] {
            assert_eq!(Timestamp::parse(given).unwrap().to_string(), written, "{given}");
        }
        for bad in [
            "",
            "now",
            "2026-11-22",
            "2026-11-22T00:30:44",
            "2026-13-01T00:00:00Z",
            "-000001-01-01T00:00:00Z",
        ] {
            assert!(Timestamp::parse(bad).is_err(), "{bad:?}");
        }
        assert!(Timestamp::parse("0001-01-01T00:00:00Z").unwrap().is_zero());
    }

    #[test]
    fn seconds_count_down_before_1970() {
        let time = Timestamp::parse("1969-12-31T23:59:59.25Z").unwrap();
        assert_eq!((time.unix_seconds(), time.subsec_nanos()), (-1, 250_000_000));
        assert_eq!(Timestamp::from_unix(-1, 250_000_000), time);
        assert_eq!(Timestamp::from_unix(i64::MIN, 0), Timestamp::ZERO);
        assert!(Timestamp::from_unix(i64::MAX, u32::MAX) > Timestamp::EPOCH);
    }

    #[test]
    fn times_for_people() {
        let time = Timestamp::parse("2026-01-02T03:04:05.6Z").unwrap();
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        assert_eq!(time.in_words(&TimeZone::UTC), "2026-01-02 03:04:05 +0000 UTC");
        assert_eq!(time.in_words(&zone), "2026-01-02 05:04:05 +0200 +02");
        assert_eq!(time.rfc3339_seconds(&TimeZone::UTC), "2026-01-02T03:04:05Z");
        assert_eq!(time.rfc3339_seconds(&zone), "2026-01-02T05:04:05+02:00");
        assert_eq!(time.age(Timestamp::from_unix(time.unix_seconds() + 10, 600_000_000)).as_secs(), 10);
        assert_eq!(time.age(Timestamp::EPOCH), Duration::ZERO);
    }

    #[test]
    fn durations_for_people() {
        const HOUR: f64 = 3600.0;
        const DAY: f64 = 24.0 * HOUR;
        for (seconds, words) in [
            (0.0, "Less than a second"),
            (0.45, "Less than a second"),
            (1.0, "1 second"),
            (45.0, "45 seconds"),
            (60.0, "About a minute"),
            (119.0, "About a minute"),
            (180.0, "3 minutes"),
            (59.9 * 60.0, "59 minutes"),
            (HOUR, "About an hour"),
            (HOUR + 1799.0, "About an hour"),
            (HOUR + 1800.0, "2 hours"),
            (47.4 * HOUR, "47 hours"),
            (47.5 * HOUR, "2 days"),
            (DAY, "24 hours"),
            (13.0 * DAY, "13 days"),
            (14.0 * DAY, "2 weeks"),
            (59.0 * DAY, "8 weeks"),
            (60.0 * DAY, "2 months"),
            (700.0 * DAY, "23 months"),
            (730.0 * DAY, "2 years"),
            (3.5 * 365.0 * DAY, "3 years"),
        ] {
            assert_eq!(human_duration(Duration::from_secs_f64(seconds)), words, "{seconds}");
        }
    }

    proptest! {
        #[test]
        fn text_round_trips(seconds in -62_135_596_800i64..253_370_764_800, nanos in 0u32..1_000_000_000) {
            let time = Timestamp::from_unix(seconds, nanos);
            prop_assert_eq!(Timestamp::parse(&time.to_string()).unwrap(), time);
            prop_assert_eq!((time.unix_seconds(), time.subsec_nanos()), (seconds, nanos));
        }

        #[test]
        fn nothing_panics(text: String, seconds: i64, nanos: u32, long: u32) {
            let _ = Timestamp::parse(&text);
            let _ = Timestamp::from_unix(seconds, nanos).to_string();
            let _ = human_duration(Duration::from_secs(u64::from(long)));
        }
    }
}
