//! `stats`.

use std::time::Instant;

use model::ContainerId;
use runtime::cgroup::Usage;

use crate::{Engine, Result};

/// What a container used up to a moment.
#[derive(Debug, Clone)]
pub struct Sample {
    /// What it used.
    pub usage: Usage,
    /// When it was asked.
    pub at: Instant,
}

impl Sample {
    /// The share of one processor that was used since an earlier sample, in percent.
    pub fn processor_since(&self, earlier: &Self) -> f64 {
        let wall = self.at.duration_since(earlier.at).as_nanos() as f64;
        let used = self.usage.cpu.saturating_sub(earlier.usage.cpu) as f64;
        if wall > 0.0 { used / wall * 100.0 } else { 0.0 }
    }

    /// The share of the memory that it may use, in percent.
    pub fn memory_share(&self) -> f64 {
        match self.usage.memory_limit {
            0 => 0.0,
            limit => self.usage.memory as f64 / limit as f64 * 100.0,
        }
    }
}

impl Engine {
    /// Asks what a container uses; `None` if it does not run.
    ///
    /// # Errors
    /// System calls.
    pub fn sample(&self, id: &ContainerId) -> Result<Option<Sample>> {
        let Some(process) = self.process_of(id)? else { return Ok(None) };
        let at = Instant::now();
        Ok(runtime::cgroup::usage(process.pid()).map(|usage| Sample { usage, at }))
    }
}
