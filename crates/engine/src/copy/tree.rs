//! A container's tree, read without a mount: paths mean what they mean in the container.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::path::{Component, Path, PathBuf};

use changeset::{Found, Lowers};
use sys::FileKind;

use crate::Result;

/// As many links on one way as the kernel follows (path_resolution(7)).
const MAX_LINKS: usize = 40;

/// A tree whose links are followed inside it, step by step: no link leads out, and the host's tree is never asked.
#[derive(Debug)]
pub(crate) struct Tree {
    layers: Lowers,
}

/// What a path leads to.
#[derive(Debug)]
pub(crate) struct Place {
    /// The way to it without links, below the root.
    pub path: PathBuf,
    /// What is there.
    pub found: Found,
}

impl Place {
    /// Whether it is a directory.
    pub fn is_dir(&self) -> bool {
        self.found.meta.kind == FileKind::Dir
    }
}

/// Why a path leads nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Nowhere {
    /// A component is not there. The path that would lead there, its links followed as far as they go.
    Missing(PathBuf),
    /// Something on the way is no directory.
    NotDirectory,
    /// Links lead in a circle, or are too many.
    Loop,
}

impl Tree {
    /// The tree that these layers make.
    pub fn new(layers: Lowers) -> Self {
        Self { layers }
    }

    /// The layers, to look at.
    pub fn layers(&self) -> &Lowers {
        &self.layers
    }

    /// The layers.
    pub fn into_layers(self) -> Lowers {
        self.layers
    }

    /// Looks `path` up. A link in the last component is followed if `follow` says so.
    pub fn find(&self, path: &Path, follow: bool) -> Result<std::result::Result<Place, Nowhere>> {
        let mut rest: VecDeque<OsString> = parts(path).collect();
        let mut at = PathBuf::new();
        let mut links = 0;
        let mut found = match self.layers.lookup(&at)? {
            Some(found) => found,
            None => return Ok(Err(Nowhere::Missing(PathBuf::from("/")))),
        };
        while let Some(name) = rest.pop_front() {
            if found.meta.kind != FileKind::Dir {
                return Ok(Err(Nowhere::NotDirectory));
            }
            if name == ".." {
                at.pop();
            } else {
                at.push(&name);
            }
            let Some(next) = self.layers.lookup(&at)? else {
                return Ok(Err(Nowhere::Missing(super::paths::clean(
                    &rest.iter().fold(at, |at, part| at.join(part)),
                ))));
            };
            found = next;
            if found.meta.kind == FileKind::Symlink && (follow || !rest.is_empty()) {
                links += 1;
                if links > MAX_LINKS {
                    return Ok(Err(Nowhere::Loop));
                }
                let target = self.read_link(&at, &found)?;
                let target = Path::new(&target);
                at.pop();
                if target.is_absolute() {
                    at = PathBuf::new();
                }
                for part in parts(target).collect::<Vec<_>>().into_iter().rev() {
                    rest.push_front(part);
                }
                // What the link is in is a directory: the walk goes on from there.
                match self.layers.lookup(&at)? {
                    Some(dir) => found = dir,
                    None => return Ok(Err(Nowhere::Missing(at))),
                }
            }
        }
        Ok(Ok(Place { path: at, found }))
    }

    /// The content of the link at `path`.
    fn read_link(&self, path: &Path, found: &Found) -> Result<OsString> {
        let (dir, name) = self.layers.root(found.layer).parent_nofollow(path)?;
        Ok(sys::dir::read_link(dir, &name)?)
    }
}

/// The components of a path, `..` among them.
fn parts(path: &Path) -> impl Iterator<Item = OsString> {
    path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some(OsStr::new("..").to_owned()),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn tree() -> (tempfile::TempDir, Tree) {
        let tmp = tempfile::tempdir().unwrap();
        let root = tmp.path().join("root");
        std::fs::create_dir_all(root.join("etc/conf")).unwrap();
        std::fs::write(root.join("etc/passwd"), "inside").unwrap();
        std::fs::write(tmp.path().join("secret"), "outside").unwrap();
        for (link, target) in [
            ("abs", "/etc"),
            ("up", "../../../../etc"),
            ("out", tmp.path().join("secret").to_str().unwrap()),
            ("etc/conf/back", "../passwd"),
            ("dangling", "no/such/../thing"),
            ("a", "b"),
            ("b", "a"),
        ] {
            symlink(target, root.join(link)).unwrap();
        }
        let tree = Tree::new(Lowers::tree(sys::Root::open(&root).unwrap()));
        (tmp, tree)
    }

    fn find(tree: &Tree, path: &str, follow: bool) -> std::result::Result<PathBuf, Nowhere> {
        tree.find(Path::new(path), follow).unwrap().map(|place| place.path)
    }

    #[test]
    fn links_are_followed_inside_the_tree() {
        let (_tmp, tree) = tree();
        for path in [
            "/etc/passwd",
            "abs/passwd",
            "/up/passwd",
            "/../../etc/passwd",
            "abs/conf/back",
            "/abs/../etc/passwd",
        ] {
            assert_eq!(find(&tree, path, true).unwrap(), Path::new("etc/passwd"), "{path}");
        }
        assert_eq!(find(&tree, "/abs", false).unwrap(), Path::new("abs"));
        assert_eq!(find(&tree, "/", true).unwrap(), Path::new(""));
    }

    #[test]
    fn a_link_to_a_file_of_the_host_leads_nowhere() {
        let (tmp, tree) = tree();
        assert_eq!(find(&tree, "/out", true), Err(Nowhere::Missing(tmp.path().join("secret"))));
    }

    #[test]
    fn ways_that_lead_nowhere() {
        let (_tmp, tree) = tree();
        assert_eq!(find(&tree, "/nodir/file", true), Err(Nowhere::Missing("/nodir/file".into())));
        assert_eq!(find(&tree, "/dangling", true), Err(Nowhere::Missing("/no/thing".into())));
        assert_eq!(find(&tree, "/etc/passwd/x", true), Err(Nowhere::NotDirectory));
        assert_eq!(find(&tree, "/a", true), Err(Nowhere::Loop));
    }
}
