//! The store as its callers see it, on real directories.

#![allow(clippy::unwrap_used)] // helpers of tests, outside of #[test] functions

mod containers;
mod crash;
mod damage;
mod fixtures;
mod images;
mod index;
mod layers;
mod layout;
mod races;
mod sweep;
mod world;
