//! Facts about the store, the driver and the machine.

use crate::{Engine, Result};

/// What `info` shows.
#[derive(Debug, Clone, Default)]
pub struct Info {
    /// Containers.
    pub containers: usize,
    /// Of these, recorded as running.
    pub running: usize,
    /// Of these, recorded as paused.
    pub paused: usize,
    /// The rest.
    pub stopped: usize,
    /// Images.
    pub images: usize,
    /// The storage driver.
    pub driver: String,
    /// The driver's lines.
    pub driver_status: Vec<(String, String)>,
    /// The data root.
    pub root: String,
    /// The kernel's release.
    pub kernel: String,
    /// The operating system's name.
    pub operating_system: String,
    /// The processor, as `uname -m` says.
    pub architecture: String,
    /// Processors.
    pub ncpu: usize,
    /// Bytes of memory.
    pub memory: u64,
    /// The host's name.
    pub name: String,
    /// What the user should know.
    pub warnings: Vec<String>,
}

impl Engine {
    /// Collects the facts.
    pub fn info(&self) -> Result<Info> {
        todo!()
    }
}
