//! What a step depends on, as one digest: the key of the build cache.

use archive::digest::Sha256;
use model::{ChainId, Digest};

/// Another number whenever the same step would make another layer than before.
const FORMAT: &str = "1";

/// A key that is being put together. Every part has its length in front, so that no two lists of parts are alike.
pub(super) struct Key(Sha256);

impl Key {
    /// The key of a step of this kind on top of `below`. The layers below are named by what they are: two ways to the
    /// same tree are one.
    pub fn new(kind: &str, below: Option<&ChainId>) -> Self {
        let mut key = Self(Sha256::new());
        key.part(FORMAT);
        key.part(kind);
        key.part(below.map(ChainId::hex).unwrap_or_default());
        key
    }

    /// Adds a part.
    pub fn part(&mut self, part: impl AsRef<[u8]>) -> &mut Self {
        let part = part.as_ref();
        self.0.update(&(part.len() as u64).to_le_bytes());
        self.0.update(part);
        self
    }

    /// Adds a list.
    pub fn parts<T: AsRef<[u8]>>(&mut self, parts: impl IntoIterator<Item = T>) -> &mut Self {
        let parts: Vec<T> = parts.into_iter().collect();
        self.0.update(&(parts.len() as u64).to_le_bytes());
        parts.iter().fold(self, Self::part)
    }

    /// The key.
    pub fn finish(self) -> Digest {
        Digest::from(self.0.finish())
    }

    /// One half of a key, to which files are still to be added.
    pub fn shape(self) -> Shape {
        let mut half = [0; HALF];
        half.copy_from_slice(&self.0.finish()[..HALF]);
        Shape(half)
    }
}

const HALF: usize = 16;

/// All that a step depends on but the content of files: if no key begins so, no file need be read to know that the step
/// was never carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape([u8; HALF]);

impl Shape {
    /// The key of a step of this shape with these files.
    pub fn with(&self, files: impl IntoIterator<Item = [u8; 32]>) -> Digest {
        let mut hash = Sha256::new();
        files.into_iter().for_each(|file| hash.update(&file));
        let mut key = hash.finish();
        key[..HALF].copy_from_slice(&self.0);
        Digest::from(key)
    }

    /// What the names of such keys begin with.
    pub fn hex(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_one_part_ends_counts() {
        let key = |parts: &[&str]| {
            let mut key = Key::new("test", None);
            parts.iter().fold(&mut key, Key::part);
            key.finish()
        };
        assert_ne!(key(&["ab", "c"]), key(&["a", "bc"]));
        assert_ne!(key(&["a"]), key(&["a", ""]));
        let list = |first: &[&str], second: &[&str]| {
            let mut key = Key::new("test", None);
            key.parts(first).parts(second);
            key.finish()
        };
        assert_ne!(list(&["a", "b"], &[]), list(&["a"], &["b"]));
    }
}
