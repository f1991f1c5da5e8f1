//! Chance that can be had again: the seed is printed, and `LAYERCAKE_TEST_SEED` gives it back.

/// SplitMix64.
pub struct Chance(u64);

impl Chance {
    /// A new seed, which is printed for `what`.
    pub fn new(what: &str) -> Self {
        let given = std::env::var("LAYERCAKE_TEST_SEED").ok().and_then(|text| text.parse().ok());
        let seed = given.unwrap_or_else(|| u64::from_le_bytes(sys::process::random()));
        println!("{what}: LAYERCAKE_TEST_SEED={seed}");
        Self(seed)
    }

    /// This very seed.
    pub fn of_seed(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Less than `end`.
    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }

    /// One of these.
    pub fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len())]
    }
}
