//! What a layer does to a directory, and a directory to a layer.

#![allow(clippy::unwrap_used)] // helpers of tests are tests

mod apply;
mod changes;
mod diff;
mod hostile;
mod namespace;
mod properties;
mod regenerate;
mod settle;
mod support;
mod whiteouts;
