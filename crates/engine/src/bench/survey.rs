//! What an image has that work can be done on.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use changeset::Lowers;
use sys::FileKind;

use crate::Result;

/// A regular file is small up to this size, in bytes.
const SMALL: u64 = 16 << 10;

/// The parts of an image's tree. Paths are relative, and no component of them is a symbolic link.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Survey {
    /// The biggest regular file, and its size.
    pub big: Option<(PathBuf, u64)>,
    /// Small regular files with content, sorted.
    pub small: Vec<PathBuf>,
    /// The directory at the top that has most below it, and how many files and directories that are.
    pub fullest: Option<(PathBuf, u64)>,
    /// How many files and directories there are.
    pub entries: u64,
}

impl Survey {
    /// Looks at the whole tree.
    pub fn of(tree: &Lowers) -> Result<Self> {
        let mut survey = Self::default();
        let mut below: BTreeMap<PathBuf, u64> = BTreeMap::new();
        let mut waiting = vec![PathBuf::new()];
        while let Some(dir) = waiting.pop() {
            for (name, found) in tree.list(&dir)? {
                let path = dir.join(name);
                survey.entries += 1;
                if let Some(top) = path.iter().next() {
                    *below.entry(Path::new(top).to_owned()).or_default() += 1;
                }
                match found.meta.kind {
                    FileKind::Dir => waiting.push(path),
                    FileKind::File => survey.file(path, found.meta.size),
                    _ => {}
                }
            }
        }
        survey.small.sort();
        // A lone file at the top is a tree of one.
        survey.fullest = below.into_iter().filter(|(_, count)| *count > 1).max_by_key(|(_, count)| *count);
        Ok(survey)
    }

    fn file(&mut self, path: PathBuf, size: u64) {
        if (1..=SMALL).contains(&size) {
            self.small.push(path.clone());
        }
        if size > self.big.as_ref().map_or(0, |(_, size)| *size) {
            self.big = Some((path, size));
        }
    }
}
