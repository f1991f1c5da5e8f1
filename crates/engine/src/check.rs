//! Finds damage, and repairs what can be repaired without data.

use model::progress::Progress;

use crate::{Engine, Result};

/// How to check.
#[derive(Debug, Clone, Copy, Default)]
pub struct CheckOptions {
    /// Do not read the contents of layers.
    pub quick: bool,
    /// Repair what can be repaired, and remove what nothing can use.
    pub repair: bool,
}

/// One damage.
#[derive(Debug, Clone)]
pub struct Finding {
    /// The kind, one word for scripts, such as `missing-link`.
    pub kind: &'static str,
    /// What is damaged: a path relative to the data root, or an ID.
    pub subject: String,
    /// What is wrong, a sentence.
    pub message: String,
    /// Images and containers that it affects, as users name them.
    pub affects: Vec<String>,
    /// What to do about it.
    pub advice: String,
    /// Whether it was repaired just now.
    pub repaired: bool,
}

/// What a check found.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Damages, the worst first.
    pub findings: Vec<Finding>,
    /// Layers that were examined.
    pub layers: usize,
    /// Images that were examined.
    pub images: usize,
    /// Containers that were examined.
    pub containers: usize,
    /// Bytes of content that were compared with their record.
    pub bytes: u64,
}

impl Engine {
    /// Examines the store. Without `repair`, nothing is changed.
    pub fn check(&self, options: CheckOptions, progress: &dyn Progress) -> Result<Report> {
        todo!()
    }
}
