//! One layer against a directory.
//!
//! A layer is a tar archive of changes (OCI image-spec, `layer.md`); a driver keeps it as a directory. This crate goes
//! both ways, and knows nothing of stores, chains or mounts:
//!
//! | module | subject |
//! | --- | --- |
//! | [`apply`] | archive → directory, and what can only be done once the lower layers are there |
//! | [`lowers`] | the merged view of lower layers, read without a mount |
//! | [`changes`] | what a directory changes in what is below it (`docker diff`) |
//! | [`diff`] | directory → archive, reproducibly |
//! | [`entry`] | a file of a directory as an archive's entry |
//! | [`regenerate`] | the very archive that a layer came from, by its tar-split record |
//! | [`verify`] | which files are no longer what the archive had |
//!
//! # One meaning for all drivers
//!
//! Docker's drivers disagree about some archives (moby.md §11.2). Here the driver chooses only how deletions are
//! *kept* ([`Whiteouts`]); what they mean is the same:
//!
//! - A whiteout or opaque marker applies to lower layers only, wherever it stands in the archive. What the layer
//!   itself has at that path stays; a directory there starts empty (layer.md, "Whiteouts").
//! - An entry for a directory replaces the attributes of the one below, `./` those of the root (layer.md, "Changeset
//!   over existing files"). Anything else replaces what was there whole.
//! - A parent that has no entry is the lower layers' directory with its attributes, or a new one, 0755 root. What is
//!   below it in a lower layer and is no directory, is replaced: a layer does not write through a link that another
//!   layer made. Through its own links it does, inside the layer.
//! - Two entries for one file are refused: no record could bring both back.
//! - Markers of AUFS (`.wh..wh.*`) mean nothing and are skipped. Other names that begin with `.wh.` are refused, and
//!   so is a marker with content, and the device 0:0, which OverlayFS takes for a whiteout.
//! - OverlayFS's own attributes are dropped.
//! - What OverlayFS would show otherwise than a whole tree is mended once the lower layers are there
//!   ([`Pending::settle`]): an opaque root, which it ignores, and deletions of nothing, which it lists.
//! - A hard link may lead to an earlier file of the layer or to one of a lower layer that this layer leaves there.
//!   The attributes of its entry are not applied: they are the file's.

mod error;
mod marks;
mod name;
mod walk;

pub mod apply;
pub mod changes;
pub mod diff;
pub mod entry;
pub mod lowers;
pub mod regenerate;
pub mod verify;

pub use apply::{Applied, Applier, ApplyLimits, ApplyOptions, Donor, Pending, Taken};
pub use changes::{Change, ChangeKind};
pub use diff::DiffStats;
pub use error::{EntryFault, Error, Result};
pub use lowers::{Found, Lowers};
pub use marks::Marks;

use std::ffi::OsStr;

/// Whose extended attributes OverlayFS reads (kernel Documentation/filesystems/overlayfs.rst, "User xattr").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum XattrSpace {
    /// `trusted.overlay.*`: mounts by root.
    Trusted,
    /// `user.overlay.*`: mounts with `userxattr`, by an ordinary user in a user namespace.
    User,
}

impl XattrSpace {
    /// The attribute of a directory that hides the lower layers' content; its value is `y`.
    pub fn opaque(self) -> &'static OsStr {
        OsStr::new(match self {
            Self::Trusted => "trusted.overlay.opaque",
            Self::User => "user.overlay.opaque",
        })
    }

    /// The attribute of a directory that was renamed away from its lower one (`redirect_dir=on`).
    pub(crate) fn redirect(self) -> &'static OsStr {
        OsStr::new(match self {
            Self::Trusted => "trusted.overlay.redirect",
            Self::User => "user.overlay.redirect",
        })
    }

    /// The attribute of a file whose content is still the lower one's (`metacopy=on`).
    pub(crate) fn metacopy(self) -> &'static OsStr {
        OsStr::new(match self {
            Self::Trusted => "trusted.overlay.metacopy",
            Self::User => "user.overlay.metacopy",
        })
    }
}

/// How a directory keeps the deletions of its layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whiteouts {
    /// As OverlayFS reads them: a character device 0:0, and the opaque attribute. The directory holds this layer only.
    Overlay(XattrSpace),
    /// As archives have them, and unions in user space read them: an empty file `.wh.NAME`, and `.wh..wh..opq` in the
    /// directory. The directory holds this layer only.
    Files,
    /// Not at all: the directory holds the whole tree, and what the layer deletes is deleted.
    Delete,
}

/// Owners of what a layer brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owners {
    /// Those of the archive; an owner that cannot be set is an error.
    Exact,
    /// Those of the archive where they can be set. In a user namespace that lacks an id, the file stays ours.
    Squash,
}
