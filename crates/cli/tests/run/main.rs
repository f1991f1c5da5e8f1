//! Containers that run: the real binary, real runtimes, as root and as an ordinary user in his user namespace.
//!
//! Each test of `life` is one world after another: every runtime that is installed, with root and without. What a
//! machine lacks is said.

#![allow(clippy::unwrap_used)] // helpers of tests, outside of #[test] functions

mod life;
mod limits;
mod lost;
mod privileges;
mod remap;
mod terminal;
mod volumes;
mod world;
