//! Drivers: how layers lie on the disk and become one tree.
//!
//! [`Driver`] is the specification, and `suite` (with the feature of that name) the test of it that every driver
//! passes. These drivers exist:
//!
//! | driver | a layer is | a container's tree is |
//! | --- | --- | --- |
//! | [`overlay2`](Overlay2) | the layer's own files, deletions as whiteouts | a mount of the kernel's OverlayFS |
//! | [`fuse-overlayfs`](FuseOverlayfs) | the same, deletions as in archives | a mount of a union in user space |
//! | [`overlay`](LegacyOverlay) | the whole tree, of hard links to the layer below | a mount of the kernel's OverlayFS on one |
//! | [`aufs`](Aufs) | the layer's own files, deletions as in archives | a mount of a union in user space |
//! | [`btrfs`](Btrfs) | a snapshot of its parent's subvolume | the subvolume |
//! | [`zfs`](Zfs) | a dataset, a clone of its parent's | that file system |
//! | [`devicemapper`](DeviceMapper) | a thin device with a file system, a snapshot of its parent's | that file system |
//! | [`vfs`](Vfs) | a whole copy of the tree | the copy |
//!
//! [`select`] is the only place that knows them all by name.

#[cfg(feature = "suite")]
pub mod suite;

mod aside;
mod aufs;
mod backing;
mod btrfs;
mod config;
mod devicemapper;
mod directories;
mod driver;
mod error;
mod finding;
mod fuse_overlayfs;
mod mountpoint;
mod nothing;
mod overlay;
mod overlay2;
mod prerequisite;
mod quota;
mod select;
mod shifted;
mod stacked;
mod stamp;
mod vfs;
mod whole;
mod zfs;

pub use aside::{Stage, Swept};
pub use aufs::Aufs;
pub use backing::name as backing_name;
pub use btrfs::Btrfs;
pub use config::Config;
pub use devicemapper::DeviceMapper;
pub use driver::{Access, Capabilities, Driver, LayerKind, Unpack};
pub use error::{Error, Result};
pub use finding::{Damage, Finding};
pub use fuse_overlayfs::{FuseOverlayfs, Server};
pub use overlay::LegacyOverlay;
pub use overlay2::Overlay2;
pub use prerequisite::{Prerequisite, Unmet, backing_file_systems};
pub use select::{
    Choice, Refusal, Selected, Why, is_known, names, nothing, open, prior_states, probe, select,
};
pub use stacked::Stacked;
pub use stamp::Stamp;
pub use vfs::Vfs;
pub use zfs::Zfs;
