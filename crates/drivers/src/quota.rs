//! Size limits of layers, by project quotas of the home's file system (moby.md §8.4).
//!
//! Each limited layer is a project of its own: its directory has the project's number, what is made in it inherits that,
//! and the kernel refuses to let the project's files take more. Numbers begin at the home's own, which is mostly 0, plus
//! 2, as Docker's do.
//!
//! Which numbers are taken is not written down anywhere but in the file system, whose counters are right after any
//! crash: a number is free if no file has it, in this home or in another on the same file system. Two processes that
//! take the same one at the same time both see more than their own directory counted, and at least the second looks
//! further.

use std::path::Path;

use sys::quota::{self, Quotas};
use sys::{AsFd, Errno, OwnedFd, dir};

use crate::{Prerequisite, Result, Unmet, backing};

/// The node by which kernels before 5.14 reach quotas, in the driver's home; Docker makes it always.
const BLOCK_NODE: &str = "backingFsBlockDev";
/// Docker keeps the number after the home's for its own trial.
const FIRST: u32 = 2;

/// The project quotas of a driver's home.
#[derive(Debug)]
pub(crate) struct Limits {
    quotas: Quotas,
    /// The home's own project.
    base: u32,
    /// What is in the home inherits its project. Then a directory of another project cannot be renamed into it.
    pub(crate) inherits: bool,
}

impl Limits {
    /// The quotas of the home, or what is missing for them. Costs three system calls.
    pub(crate) fn of(home: &OwnedFd, path: &Path, user_namespace: bool) -> Result<Result<Self, Unmet>> {
        let what = Prerequisite::Other("project quotas for size limits");
        if user_namespace {
            let remedy = "run as root, or leave the limit out";
            return Ok(Err(Unmet::new(what, "a user namespace, which cannot set them", remedy)));
        }
        let name = backing::name(path)?;
        let remedy = match name {
            "xfs" => "mount it with the option 'pquota'",
            "extfs" => {
                "turn them on with 'tune2fs -O project,quota' while it is not mounted, and mount it with the option \
                 'prjquota'"
            }
            _ => "put the data root on xfs mounted with 'pquota', or on ext4 mounted with 'prjquota'",
        };
        let off = |found: String| Ok(Err(Unmet::new(what.clone(), found, remedy)));
        let Some((base, inherits)) = quota::project_of(home)? else { return off(name.to_owned()) };
        let quotas = Quotas::of(dir::reopen(home)?, &path.join(BLOCK_NODE))?;
        if !quotas.are_enforced() {
            return off(format!("{name} without project quotas"));
        }
        Ok(Ok(Self { quotas, base, inherits }))
    }

    /// Makes a project of the new, empty directory `dir`, which no more than `bytes` may be written to. Returns the
    /// project's number.
    pub(crate) fn limit(&self, dir: &OwnedFd, bytes: u64) -> Result<u32> {
        let mut id = self.base.saturating_add(FIRST);
        loop {
            if self.quotas.project(id)?.files == 0 {
                quota::set_project(dir, id)?;
                if self.quotas.project(id)?.files == 1 {
                    self.quotas.set_limit(id, bytes)?;
                    return Ok(id);
                }
                // Somebody else took it at the same time. Both go different ways, so that they do not meet again.
                id = id.saturating_add(u32::from(sys::process::random::<1>()[0]));
            }
            id = id
                .checked_add(1)
                .ok_or_else(|| sys::Error::new("find a free project for", "", Errno::NOSPC))?;
        }
    }

    /// The limit of the project that `dir` has, and the bytes that it takes; `None` if it has none of its own.
    pub(crate) fn counted(&self, dir: impl AsFd) -> Result<Option<quota::Project>> {
        match quota::project_of(dir)? {
            Some((id, true)) if id != self.base => Ok(Some(self.quotas.project(id)?)),
            _ => Ok(None),
        }
    }
}
