//! What must hold for every union and for whatever is done to it: random layers, a random sequence of operations on
//! them, and three that answer: ours, the kernel's overlay over the same layers, and a plain model in memory that knows
//! nothing of layers once it has read them. Every operation has to have the same outcome in all three; the trees have
//! to be equal afterwards, after a remount, when the other of the two reads what was written, and when the upper layer
//! has become a lower one.
//!
//! Needs root and `/dev/fuse`. `PROPTEST_CASES` and `PROPTEST_RNG_SEED` make it try more, or others.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod disk;
mod layers;
mod listing;
mod memory;
mod mounted;
mod operations;
mod three;

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use crate::three::{Case, ready, try_case};

/// Cases of one property, if nobody asks for more.
const CASES: u32 = 200;

fn config(seed: u64) -> ProptestConfig {
    let default = ProptestConfig::default();
    let asked = std::env::var_os("PROPTEST_CASES").is_some();
    let rng_seed = match default.rng_seed {
        RngSeed::Random => RngSeed::Fixed(seed),
        fixed => fixed,
    };
    let cases = if asked { default.cases } else { CASES };
    ProptestConfig { cases, rng_seed, failure_persistence: None, max_shrink_iters: 600, ..default }
}

proptest! {
    #![proptest_config(config(1))]
    #[test]
    fn any_sequence_of_operations_means_the_same(case in three::case()) {
        if ready() {
            try_case(&Case { redirect: false, ..case });
        }
    }
}

proptest! {
    #![proptest_config(config(2))]
    #[test]
    fn any_sequence_of_operations_means_the_same_with_redirect_dir(case in three::case()) {
        if ready() {
            try_case(&Case { redirect: true, ..case });
        }
    }
}
