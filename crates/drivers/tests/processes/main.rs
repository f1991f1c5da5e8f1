//! Tests of drivers that start processes, apart from the others: until it executes its program, a child process has
//! their locks.

#![allow(clippy::unwrap_used, clippy::panic)] // clippy knows tests only by their attribute, not their helpers

mod killed;
mod power_cut;
mod without_root;
