//! Tests of the drivers: the conformance suite on each, then what is particular to one.

mod overlay2;
mod vfs;
