//! For tests only: builders of archives, images and trees, listings of trees, power cuts, a registry that misbehaves, and
//! what a machine must have for a test.
//!
//! Everything here panics on failure: it is the test that fails then.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod archive;
pub mod disk;
pub mod image;
pub mod machine;
pub mod power;
pub mod random;
pub mod registry;
pub mod tree;

pub use machine::{in_user_namespace, require_root};
