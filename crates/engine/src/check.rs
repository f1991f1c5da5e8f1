//! Finds damage, and repairs what can be repaired without data.
//!
//! Five looks, each repaired before the next is taken, because a directory can only be compared with a record that is
//! sound:
//!
//! 1. `records`: the store's metadata: torn, dangling, left over;
//! 2. `layers`: the driver's directories of each layer, parents first;
//! 3. `content`: each layer's files against its digest (not with [`CheckOptions::quick`]);
//! 4. `blobs`: kept blobs against their digests (not with [`CheckOptions::quick`]);
//! 5. `orphans`: directories of the driver that no record names. BuildKit's are left alone (moby.md §12.9).
//!
//! What has lost data can only be healed by loading the image again. `load` shares a layer with the store only if its
//! directory is there and no check with `repair` has found it changed (`suspect`); any other it unpacks anew. Layers
//! and containers on top of it are then linked to the new directory by the next check with `repair`.

mod affected;
mod blobs;
mod content;
mod layers;
mod orphans;
mod records;
pub(crate) mod suspect;

use model::progress::Progress;

use crate::{Engine, Result};
use affected::Affected;

/// How to check.
#[derive(Debug, Clone, Copy, Default)]
pub struct CheckOptions {
    /// Do not read the contents of layers.
    pub quick: bool,
    /// Repair what can be repaired, and remove what nothing can use.
    pub repair: bool,
}

/// One damage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The kind, one word for scripts, such as `missing-link`.
    pub kind: &'static str,
    /// What is damaged: a path relative to the data root, or a name.
    pub subject: String,
    /// What is wrong, a sentence without its full stop.
    pub message: String,
    /// Images and containers that it affects, as users name them: `image busybox:1`, `container web`.
    pub affects: Vec<String>,
    /// What to do about it.
    pub advice: String,
    /// Whether something cannot be used as it should be; else it only takes space.
    pub harmful: bool,
    /// Whether it was repaired just now.
    pub repaired: bool,
}

/// What a check found.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Damages, the worst first: harmful ones, then those that take space only.
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

impl Report {
    /// Whether nothing is wrong any more: nothing was found, or all of it was repaired.
    pub fn is_sound(&self) -> bool {
        self.findings.iter().all(|finding| finding.repaired)
    }
}

/// What helps where the record of a layer can be made again, or garbage removed.
const REPAIR: &str = "run `layercake check --repair`";
/// What helps where files are lost. `load` finds by itself what it has to replace.
const LOAD_AGAIN: &str =
    "load the image again (`layercake load -i ARCHIVE`), then run `layercake check --repair`";
/// What helps where files have changed: only a repair tells `load` of it.
const REPLACE: &str = "run `layercake check --repair`, which marks the layer; load the image again \
                       (`layercake load -i ARCHIVE`), and check once more";

impl Engine {
    /// Examines the store. Without `repair`, nothing is changed. Repairs are durable when this returns.
    ///
    /// # Errors
    /// What stands against looking at the store; damage is not an error, nor is a repair that fails for the damage.
    pub fn check(&self, options: CheckOptions, progress: &dyn Progress) -> Result<Report> {
        let affected = Affected::read(self)?;
        let mut check = Check { engine: self, affected, options, progress, report: Report::default() };
        check.records()?;
        check.layers()?;
        if !options.quick {
            check.content()?;
            check.blobs()?;
        }
        check.orphans()?;
        let mut report = check.report;
        report.findings.sort_by_key(|finding| !finding.harmful);
        Ok(report)
    }
}

/// A check that is going on.
struct Check<'a> {
    engine: &'a Engine,
    affected: Affected,
    options: CheckOptions,
    progress: &'a dyn Progress,
    report: Report,
}

impl Check<'_> {
    /// Notes a finding. `fix` repairs it if that was asked for, and says whether it did.
    fn found(&mut self, mut finding: Finding, fix: impl FnOnce(&Engine) -> Result<bool>) -> Result<()> {
        if self.options.repair {
            finding.repaired = fix(self.engine)?;
        }
        self.report.findings.push(finding);
        Ok(())
    }
}

/// For findings that nothing can be done about without data.
fn beyond_repair(_: &Engine) -> Result<bool> {
    Ok(false)
}
