//! Images into the store and out again, and containers on them: load, save, import, create, commit, on every driver that
//! works here.

#![allow(clippy::unwrap_used)] // in helpers of tests, outside of #[test] functions

mod containers;
mod load;
mod save;
mod world;
