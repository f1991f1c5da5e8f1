//! Pulls from a registry of our own that misbehaves on demand.
//!
//! | module | subject |
//! | --- | --- |
//! | [`images`] | what comes, under which names, and what is not fetched |
//! | [`files`] | the transports that are no registry |
//! | [`refused`] | what is no image, or not one for here |
//! | [`trouble`] | connections that break, wrong bytes, wrong lengths, servers without ranges |
//! | [`together`] | two pulls at once |
//! | [`killed`] | a process that is killed, a full disk, what is left and who takes it |
#![allow(clippy::unwrap_used, clippy::panic)]

mod files;
mod images;
mod killed;
mod refused;
mod together;
mod trouble;
mod world;
