//! A value that tells whether a layer may have changed.

use std::fmt;
use std::time::{Duration, SystemTime};

use sys::Time;

/// A value to compare with an earlier one of the same layer, and nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp(String);

impl Stamp {
    /// A stamp from its text.
    pub fn from_text(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// A stamp of times of which each change of the layer sets at least one; `None` if they are so young that a change
    /// now could leave them as they are.
    pub(crate) fn of_times(times: &[Time]) -> Option<Self> {
        let text: Vec<String> = times.iter().map(|t| format!("{}.{:09}", t.secs, t.nanos)).collect();
        settled(times).then(|| Self::from_text(text.join("-")))
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether the clock has moved on since these times, so that a change now would give another time. Kernels before
/// 6.13 take times from a clock that ticks every few milliseconds; some file systems keep whole seconds.
fn settled(times: &[Time]) -> bool {
    let whole_seconds = times.iter().all(|t| t.nanos == 0);
    let tick = Duration::from_millis(if whole_seconds { 1100 } else { 20 });
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let newest = times.iter().max().copied().unwrap_or_default();
    let newest = Duration::new(u64::try_from(newest.secs).unwrap_or(0), newest.nanos);
    newest + tick < now
}
