//! The verbs as the command calls them, on real stores.

#![allow(clippy::unwrap_used)] // helpers of tests, outside of #[test] functions

mod both;
mod check;
mod containers;
mod copy;
mod df;
mod docker;
mod export;
mod images;
mod other_drivers;
mod prune;
mod remove_image;
mod volumes;
mod world;
