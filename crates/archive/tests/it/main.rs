//! Tests of the crate's public interface, with real archivers and with archives that Docker wrote.

// clippy.toml allows this in tests, but takes only functions marked #[test] for tests, not their helpers.
#![allow(clippy::unwrap_used)]

mod docker;
mod formats;
mod hostile;
mod oracle;
mod reader;
mod round_trip;
mod split;
mod support;
