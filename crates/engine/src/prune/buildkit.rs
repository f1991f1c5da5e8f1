//! What BuildKit's cache holds of the store (moby.md §12.9).
//!
//! BuildKit's snapshots are layers of the driver. Which layers of the layerdb they stand on, and which directories of
//! the driver are theirs, is known only to `buildkit/snapshots.db`.

use std::collections::HashSet;
use std::path::Path;

use model::{CacheId, ChainId};

use crate::{Error, Result};

/// What BuildKit holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BuildKit {
    /// There is no build cache.
    Absent,
    /// The texts in its database.
    Known(HashSet<String>),
    /// There is a build cache that we cannot read: anything may be held.
    Unreadable,
}

impl BuildKit {
    /// Reads the database in the data root.
    pub fn read(root: &Path) -> Result<Self> {
        let path = root.join("buildkit/snapshots.db");
        let file = match std::fs::read(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Self::Absent),
            Err(e) => return Err(Error::io("read", &path)(e)),
        };
        if file.is_empty() {
            return Ok(Self::Known(HashSet::new())); // as bolt makes it, before its first write
        }
        let Some(strings) = store::bolt_strings(&file) else { return Ok(Self::Unreadable) };
        Ok(Self::Known(
            strings.into_iter().filter_map(|text| String::from_utf8(text.to_vec()).ok()).collect(),
        ))
    }

    /// Whether a snapshot stands on this layer of the layerdb.
    pub fn holds(&self, chain: &ChainId) -> bool {
        match self {
            Self::Absent => false,
            Self::Known(texts) => texts.contains(&chain.to_string()),
            Self::Unreadable => true,
        }
    }

    /// Whether a directory of the driver is, or may be, a snapshot: one that the database names, and any that has a
    /// name as BuildKit makes them.
    pub fn may_own(&self, id: &CacheId) -> bool {
        match self {
            Self::Absent => false,
            Self::Known(texts) => id.is_of_buildkit() || texts.contains(id.as_str()),
            Self::Unreadable => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_build_cache_nothing_is_held() {
        let tmp = tempfile::tempdir().unwrap();
        assert_eq!(BuildKit::read(tmp.path()).unwrap(), BuildKit::Absent);
        assert!(!BuildKit::Absent.may_own(&"0s4t50sf3ue6ec4plxikcqdlv".parse().unwrap()));
    }

    #[test]
    fn what_cannot_be_read_holds_everything() {
        let tmp = tempfile::tempdir().unwrap();
        std::fs::create_dir(tmp.path().join("buildkit")).unwrap();
        std::fs::write(tmp.path().join("buildkit/snapshots.db"), "not a database").unwrap();
        let found = BuildKit::read(tmp.path()).unwrap();
        assert_eq!(found, BuildKit::Unreadable);
        assert!(found.may_own(&"x".parse().unwrap()));
    }
}
