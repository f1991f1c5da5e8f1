//! Builds, step by step, on every driver that works here.
#![allow(clippy::unwrap_used)]

mod cache;
mod copy;
mod images;
mod run;
mod stages;
mod world;
