//! What a container's layer changes in another container's, its init layer, of whose upper directory it began as a copy.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use changeset::changes::upper_changes;
use changeset::{Change, ChangeKind, Lowers, XattrSpace};
use sys::{FileKind, Root, dir, meta};

use crate::Result;

/// An upper directory, and the one that it began as.
pub(super) struct Copied {
    /// The layer's.
    pub upper: Root,
    /// The layer's tree.
    pub view: Lowers,
    /// The parent's.
    pub origin: Root,
    /// The parent's tree.
    pub below: Lowers,
}

impl Copied {
    /// The changes, sorted by path. What is gone from the copy has left no mark where the image has nothing of that name,
    /// so it is looked for.
    pub fn changes(&self, marks: XattrSpace) -> Result<Vec<Change>> {
        let known = upper_changes(&self.upper, &self.below, marks)?;
        let mut all: BTreeMap<PathBuf, ChangeKind> =
            known.into_iter().map(|change| (change.path, change.kind)).collect();
        let mut rest = vec![PathBuf::new()];
        while let Some(path) = rest.pop() {
            let fd = self.origin.dir_nofollow(&path)?;
            for entry in dir::list(&fd)? {
                let Some(meta) = meta::find(&fd, &entry.name)?.filter(|meta| !meta.is_whiteout()) else {
                    continue;
                };
                let path = path.join(&entry.name);
                match self.view.lookup(&path)? {
                    None => note_deletion(&mut all, &path),
                    Some(found) if meta.kind == FileKind::Dir && found.meta.kind == FileKind::Dir => {
                        rest.push(path);
                    }
                    Some(_) => {}
                }
            }
        }
        Ok(all.into_iter().map(|(path, kind)| Change { path, kind }).collect())
    }
}

/// Notes that something is gone; the directories that it was in are changed by it, except for the root.
fn note_deletion(all: &mut BTreeMap<PathBuf, ChangeKind>, path: &Path) {
    let path = Path::new("/").join(path);
    for above in path.ancestors().skip(1).filter(|above| above.parent().is_some()) {
        all.entry(above.to_owned()).or_insert(ChangeKind::Modified);
    }
    all.insert(path, ChangeKind::Deleted);
}
