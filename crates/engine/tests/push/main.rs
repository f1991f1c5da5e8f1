//! `push` against a registry that misbehaves on demand, and to layouts.

#![allow(clippy::unwrap_used)] // in helpers of tests, outside of #[test] functions

mod kept;
mod layout;
mod sends;
mod trouble;
mod world;
