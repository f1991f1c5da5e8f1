//! The kernel as layercake sees it.
//!
//! Everything that changes the file system goes through this crate, for three reasons: errors name the operation and
//! the path ([`Error`]), names that come from an archive or a container cannot leave their directory ([`Root`]), and
//! a test can record every change and rebuild the disk as a power cut would have left it ([`record`]).
//!
//! | module | subject |
//! | --- | --- |
//! | [`root`] | untrusted paths, resolved below a directory descriptor |
//! | [`dir`] | one directory: open, list, create, rename, remove |
//! | [`mod@file`] | one file: write, copy, reflink, holes, sync |
//! | [`handle`] | handles of inodes that outlive descriptors |
//! | [`meta`] | owner, mode, times |
//! | [`xattr`] | extended attributes |
//! | [`tree`] | whole trees: remove, copy |
//! | [`atomic`] | small files that are replaced whole and durably |
//! | [`lock`] | locks between processes |
//! | [`btrfs`] | subvolumes, snapshots, quotas |
//! | [`mount`] | OverlayFS and bind mounts, the mount table |
//! | [`block`] | block devices: loop devices, sizes, discards, growing what is on them |
//! | [`dm`] | device-mapper |
//! | [`fuse`] | the device of a FUSE server |
//! | [`userns`] | a user namespace for those who are not root |
//! | [`memory`] | what files take of it |
//! | [`daemon`] | a process that goes on by itself |
//! | [`quota`] | projects of files, and what they may take |
//! | [`process`] | priorities, random bytes, memory figures |
//! | [`idmap`] | ids of containers, and those on the disk |
//! | [`identity`] | which process it is, beyond its number |
//! | [`signals`] | signals that are read instead of suffered |
//! | [`record`] | the log of changes for crash tests |
//!
//! All `unsafe` of the workspace stands in the folder `raw`.

mod error;
mod raw;

pub mod atomic;
pub mod block;
pub mod btrfs;
pub mod daemon;
pub mod dir;
pub mod dm;
pub mod file;
pub mod fuse;
pub mod handle;
pub mod identity;
pub mod idmap;
pub mod lock;
pub mod memory;
pub mod meta;
pub mod mount;
pub mod process;
pub mod quota;
pub mod record;
pub mod root;
pub mod signals;
pub mod tree;
pub mod userns;
pub mod xattr;

pub use error::{At, Error, Result};
pub use meta::{FileKind, Meta, Time};
pub use root::Root;
pub use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
pub use rustix::io::Errno;
