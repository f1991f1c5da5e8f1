//! Tests of the crate's public interface, with real archivers and with archives that Docker wrote.

mod docker;
mod formats;
mod hostile;
mod oracle;
mod reader;
mod round_trip;
mod split;
mod support;
