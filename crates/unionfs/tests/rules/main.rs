//! The rule book of a union file system as tests: a module for each group of rules, and one for the faults that others
//! have. They run through the mounted union, so that the kernel's side of FUSE is part of what is tested.
//!
//! A rule is first tried on the kernel's own overlay: what that does not do is no rule. Then ours has to do the same.
//! Where ours does better than the kernel, or reads layers that the kernel does not, it runs alone.
//!
//! Needs root, or a user namespace with a `/dev/fuse` that may be opened. `RULES_ON` chooses what is tested: `kernel`,
//! `ours`, or the path of a mount helper (see `../suites/mount-layercake.sh`) for any other union.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod aufs_upper;
mod copy_up;
mod faults;
mod files;
mod forgetting;
mod identity;
mod lookup;
mod mounting;
mod open_files;
mod permissions;
mod readdir;
mod rename;
mod stage;
mod whiteouts;
mod xattrs;
