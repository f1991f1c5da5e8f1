//! Tests of the drivers: the conformance suite on each, then what is particular to one.

#![allow(clippy::unwrap_used)] // clippy knows tests only by their attribute, not their helpers

mod btrfs;
mod crash;
mod devicemapper;
mod overlay;
mod overlay2;
mod user_namespace;
mod vfs;
mod zfs;
