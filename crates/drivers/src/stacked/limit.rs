//! Size limits of writable layers (moby.md §8.4). Only the layer's own files count, not what is below it.

use std::ffi::OsStr;

use sys::{OwnedFd, dir, meta};

use super::layer::{DIFF, LINK, LOWER, Layer, MERGED, WORK};
use super::{Stacked, Union};
use crate::driver::LayerKind;
use crate::quota::Limits;
use crate::{Error, Result};

impl<U: Union> Stacked<U> {
    /// The limit that a new layer gets, in bytes, and what sets it.
    pub(super) fn limit_of(&self, kind: LayerKind) -> Result<Option<(&Limits, u64)>> {
        let size = match kind {
            LayerKind::ReadOnly => None,
            LayerKind::Writable { size } => size.or(Some(self.union.default_size()).filter(|size| *size > 0)),
        };
        let Some(size) = size else { return Ok(None) };
        if !U::LIMITS {
            return Err(Error::Unsupported { driver: U::NAME, what: U::NO_QUOTA });
        }
        match self.limits()? {
            // Docker refuses even no limit where it cannot set one.
            Err(unmet) => {
                Err(Error::NoQuota { driver: U::NAME, what: U::NO_QUOTA, unmet: Box::new(unmet.clone()) })
            }
            Ok(limits) => Ok((size > 0).then_some((limits, size))),
        }
    }

    /// Makes the directories of a new layer, limited together.
    pub(super) fn make_limited(
        &self,
        layer: &OwnedFd,
        has_work: bool,
        limit: Option<(&Limits, u64)>,
    ) -> Result<()> {
        let make = |name: &str, mode| dir::ensure(layer, OsStr::new(name), mode);
        let mut project = None;
        if let Some((limits, size)) = limit {
            if limits.inherits {
                // The layer must be renamed into the home, which takes no directory of another project.
                project = Some(limits.limit(&make(DIFF, 0o755)?, size)?);
            } else {
                limits.limit(layer, size)?;
            }
        }
        make(DIFF, 0o755)?;
        if has_work {
            let work = make(WORK, U::WORK_MODE)?;
            if let Some(id) = project {
                sys::quota::set_project(&work, id)?;
            }
        }
        Ok(())
    }

    /// What the file system counts for a limited layer, without the layer's own directories and small files.
    pub(super) fn counted_size(&self, layer: &Layer) -> Result<Option<u64>> {
        let Ok(limits) = self.limits()? else { return Ok(None) };
        let root = layer.root()?;
        let Some(project) = limits.counted(&root)?.filter(|project| project.limit > 0) else {
            return Ok(None);
        };
        let mut own = meta::of_fd(&root)?.allocated;
        if let Ok(work) = dir::open(&layer.fd, OsStr::new(WORK)) {
            let empty = meta::of_fd(&work)?.allocated;
            own += empty;
            own += meta::find(&work, OsStr::new(WORK))?.map_or(0, |meta| meta.allocated);
            // While something is mounted on it, nothing tells what the directory itself takes.
            if !limits.inherits && meta::find(&layer.fd, OsStr::new(MERGED))?.is_some() {
                own += empty;
            }
        }
        if !limits.inherits {
            own += meta::of_fd(&layer.fd)?.allocated;
            for name in [LINK, LOWER] {
                own += meta::find(&layer.fd, OsStr::new(name))?.map_or(0, |meta| meta.allocated);
            }
        }
        Ok(Some(project.bytes.saturating_sub(own)))
    }
}
