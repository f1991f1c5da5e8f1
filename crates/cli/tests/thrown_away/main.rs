//! Commands that work in temporary stores, and leave nothing behind however they end.

#![allow(clippy::unwrap_used)] // helpers of tests, outside of #[test] functions

mod bench;
mod tour;
mod world;
