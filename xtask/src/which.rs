//! The union file systems that benchmarks and suites compare.

use crate::Result;

/// One of the four.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// The kernel's OverlayFS.
    Kernel,
    /// fuse-overlayfs up to 1.x.
    C,
    /// fuse-overlayfs from 2.0 on.
    Rust,
    /// Ours.
    Ours,
}

impl Which {
    /// All, in the order of tables.
    pub const ALL: [Self; 4] = [Self::Kernel, Self::C, Self::Rust, Self::Ours];

    /// Reads a list of words, separated by commas.
    pub fn parse(flag: &str, value: &str) -> Result<Vec<Self>> {
        let one = |word: &str| Self::ALL.into_iter().find(|which| which.word() == word);
        let all: Option<Vec<Self>> = value.split(',').map(one).collect();
        all.ok_or_else(|| format!("{flag}: {value}: the words are kernel, c, rust, ours").into())
    }

    /// The word for it on command lines.
    pub fn word(self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::C => "c",
            Self::Rust => "rust",
            Self::Ours => "ours",
        }
    }

    /// The name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::C => "fuse-overlayfs, C",
            Self::Rust => "fuse-overlayfs, Rust",
            Self::Ours => "layercake",
        }
    }
}
