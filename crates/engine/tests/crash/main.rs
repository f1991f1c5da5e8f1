//! Nothing lost: what is left of a store after power cuts, kills, crowds, full disks and hostile archives.
//!
//! | module | subject |
//! | --- | --- |
//! | [`replay`] | the power fails after each change that a verb makes |
//! | [`heal`] | the power fails while a load heals a damaged layer
//! | [`kill`] | a process is killed at random moments |
//! | [`crowd`] | many processes at once |
//! | [`faults`] | a full disk, a read-only one, files that may not grow |
//! | [`hostile`] | archives that want out, or too much |
//! | [`migrate`] | the store moves to another storage driver |
//!
//! All of them end with [`sound::check`]. Stores lie in memory (`/dev/shm`) where there is such a thing: it is the order
//! of the changes that counts here, and waiting for a disk would only mean fewer of them.
//!
//! Whoever has time can have more: `LAYERCAKE_TEST_SECONDS=60` for the crowd. What chance has found can be had again:
//! `LAYERCAKE_TEST_SEED=…`, as a failing test prints it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod chance;
mod child;
mod crowd;
mod faults;
mod heal;
mod hostile;
mod kill;
mod migrate;
mod replay;
mod shop;
mod sound;
mod verbs;
mod volume;
