//! Real Docker daemons as witnesses that layercake's data root is theirs; in `registry`, as partners of pulls and pushes.
//!
//! Two of them, if the machine has them: the distribution's `dockerd` (as installed, or named by `DOCKERD`; Debian 12
//! has 20.10 with the classic builder), and the newest that the peers' tree has (`PEERS_TREE`; 28.5 with BuildKit).
//! Every test runs once with each. It has a directory of its own, in which layercake and the daemon work on one data
//! root in turn; the daemon lives in a mount and a process namespace that end with the test, whatever happens.
//!
//! The images come from `tests/fixtures`: a few kilobytes with everything that a layer can hold, and with a program,
//! `/bin/do`, that containers run. The tests `real_*` take a real image instead, and are ignored unless asked for.
#![allow(clippy::unwrap_used, clippy::panic)] // helpers of tests, outside of #[test] functions

mod archives;
mod built;
mod daemon;
mod damaged;
mod emptied;
mod from_docker;
mod live;
mod migrated;
mod other_drivers;
mod ran;
mod real_image;
mod real_verbs;
mod registry;
mod remapped;
mod said;
mod to_docker;
mod volumes;
mod witness;
mod world;

pub(crate) use witness::witnessed;
