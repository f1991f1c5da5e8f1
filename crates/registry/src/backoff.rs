//! Whether and when to try again.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use crate::{Error, Options};

/// The longest wait that is not the server's wish.
const LONGEST: Duration = Duration::from_secs(10);
/// A server that wants a longer wait than this is not asked again.
const PATIENCE: Duration = Duration::from_secs(60);

/// Counts failures of one thing and tells how long to wait before it is tried again.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    attempts: u32,
    failures: u32,
}

impl Backoff {
    /// With the attempts and the first wait of `options`.
    pub fn new(options: &Options) -> Self {
        Backoff { first: options.backoff, attempts: options.attempts.max(1), failures: 0 }
    }

    /// Counts a failure: how long to wait before the next attempt, or `None` to give up, because `error` will not go
    /// away, was met often enough, or comes with the server's wish for a wait of more than a minute.
    ///
    /// The wait is random, between half and the whole of a time that doubles with each failure, so that those who
    /// failed together do not come back together. A wish of the server is the least.
    pub fn again(&mut self, error: &Error) -> Option<Duration> {
        self.failures += 1;
        if !error.is_transient() || self.failures >= self.attempts {
            return None;
        }
        let longest = self.first.saturating_mul(1 << (self.failures - 1).min(16)).min(LONGEST);
        let wait = longest.mul_f64(0.5 + random() / 2.0);
        match error.retry_after() {
            Some(wish) if wish > PATIENCE => None,
            Some(wish) => Some(wish + wait),
            None => Some(wait),
        }
    }

    /// Forgets the failures: something went well in between.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

/// A random number from 0 to 1. The standard library seeds each of these hashers differently.
fn random() -> f64 {
    RandomState::new().build_hasher().finish() as f64 / u64::MAX as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn busy(retry_after: Option<u64>) -> Error {
        Error::Status {
            what: "x".into(),
            status: 429,
            codes: Vec::new(),
            message: String::new(),
            retry_after: retry_after.map(Duration::from_secs),
            stale_token: false,
        }
    }

    fn backoff() -> Backoff {
        Backoff::new(&Options { backoff: Duration::from_secs(1), attempts: 7, ..Options::default() })
    }

    #[test]
    fn waits_double_up_to_a_limit_and_then_it_gives_up() {
        let mut backoff = backoff();
        for longest in [1.0, 2.0, 4.0, 8.0, 10.0, 10.0] {
            let wait = backoff.again(&busy(None)).unwrap().as_secs_f64();
            assert!((longest / 2.0..=longest).contains(&wait), "{wait} of {longest}");
        }
        assert_eq!(backoff.again(&busy(None)), None);
        backoff.reset();
        assert!(backoff.again(&busy(None)).unwrap() <= Duration::from_secs(1));
    }

    #[test]
    fn two_waits_differ() {
        let waits: Vec<_> = (0..8).map(|_| backoff().again(&busy(None))).collect();
        assert!(waits.iter().any(|wait| *wait != waits[0]), "{waits:?}");
    }

    #[test]
    fn the_servers_wish_is_the_least() {
        let wait = backoff().again(&busy(Some(20))).unwrap();
        assert!(wait >= Duration::from_secs(20), "{wait:?}");
    }

    #[test]
    fn a_wish_for_hours_is_a_no() {
        assert_eq!(backoff().again(&busy(Some(3600))), None);
    }

    #[test]
    fn what_does_not_go_away_is_not_tried_again() {
        assert_eq!(backoff().again(&Error::protocol("x", "y")), None);
    }
}
