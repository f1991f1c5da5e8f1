//! Whiteouts as AUFS and OCI archives spell them: `.wh.NAME` and `.wh..wh..opq` (union-fs.md rule 12). Docker's
//! fuse-overlayfs driver keeps its layers so (moby.md §9.4), and fuse-overlayfs falls back to them.
//!
//! They are read in every layer, and written only where the file system refuses the kernel's ([`crate::whiteouts`]). Where they count, such names belong to the union: nobody sees or
//! makes them through it.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use rustix::io::Errno;

use crate::backing::{At, Result};
use crate::node::Part;
use crate::union::Union;

const PREFIX: &[u8] = b".wh.";
/// Beside the names of a directory: nothing shows from below.
pub const OPAQUE: &str = ".wh..wh..opq";

impl Union {
    /// Whether a name is the union's own.
    pub(crate) fn is_reserved(&self, name: &OsStr) -> bool {
        self.options.aufs_whiteouts && name.as_bytes().starts_with(PREFIX)
    }

    /// Whether a layer's directory has `.wh.NAME`.
    pub(crate) fn aufs_hides(&self, base: &Part, name: &OsStr) -> Result<bool> {
        if !self.options.aufs_whiteouts {
            return Ok(false);
        }
        // There can be no whiteout of a name that leaves no room for the prefix.
        match hiding(name) {
            Some(whiteout) => exists(base, &whiteout),
            None => Ok(false),
        }
    }

    /// Whether a directory of a layer lets nothing show from below: it is marked, or it stands beside a whiteout of its
    /// own name, which means what is below.
    pub(crate) fn aufs_ends(&self, base: &Part, name: &OsStr, dir: &Part) -> Result<bool> {
        Ok(self.options.aufs_whiteouts
            && (exists(dir, OsStr::new(OPAQUE))? || self.aufs_hides(base, name)?))
    }
}

/// The name that a listed `.wh.NAME` hides.
pub fn hidden(name: &[u8]) -> Option<&[u8]> {
    name.strip_prefix(PREFIX)
}

/// The name of the whiteout of a name.
pub fn hiding(name: &OsStr) -> Option<OsString> {
    (name.len() + PREFIX.len() <= 255).then(|| [OsStr::from_bytes(PREFIX), name].into_iter().collect())
}

fn exists(part: &Part, name: &OsStr) -> Result<bool> {
    if part.names.is_some() {
        return Ok(!part.lacks(name));
    }
    match At::child(&part.dir, name).stat() {
        Ok(_) => Ok(true),
        Err(Errno::NOENT) => Ok(false),
        Err(e) => Err(e),
    }
}
