//! Changes of inodes, whatever they are called, and how the paths of a log are translated into them.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use sys::record::Op;
use sys::{FileKind, Time};

use crate::disk::{Disk, Id, Node, Place, What, below};

/// One change, of inodes: what they are called at some time does not matter any more.
#[derive(Debug, Clone)]
pub(super) enum Change {
    Make {
        id: Id,
        node: Node,
        at: Place,
    },
    Link {
        id: Id,
        at: Place,
    },
    Move {
        id: Id,
        from: Place,
        to: Place,
    },
    Swap {
        one: (Id, Place),
        other: (Id, Place),
    },
    Remove {
        at: Place,
    },
    Write {
        id: Id,
        offset: usize,
        data: Box<[u8]>,
    },
    Truncate {
        id: Id,
        len: usize,
    },
    Owner {
        id: Id,
        uid: u32,
        gid: u32,
    },
    Mode {
        id: Id,
        mode: u32,
    },
    Times {
        id: Id,
        atime: Time,
        mtime: Time,
    },
    Xattr {
        id: Id,
        key: std::ffi::OsString,
        value: Option<Box<[u8]>>,
    },
    SyncFile {
        id: Id,
    },
    SyncDir {
        id: Id,
    },
    SyncFs,
    /// Of a file that has lost its last name, or of what is not followed.
    Unseen,
}

impl Change {
    /// The names that it changes.
    pub fn places(&self) -> Vec<&Place> {
        match self {
            Self::Make { at, .. } | Self::Link { at, .. } | Self::Remove { at } => vec![at],
            Self::Move { from, to, .. } => vec![from, to],
            Self::Swap { one: (_, one), other: (_, other) } => vec![one, other],
            _ => Vec::new(),
        }
    }

    /// Does it. What is not kept still makes its inode: later changes know it by its number.
    pub fn apply(&self, disk: &mut Disk, kept: bool) {
        let name = |disk: &mut Disk, at: &Place, to| {
            if kept {
                disk.name(at.clone(), to);
            }
        };
        match self {
            Self::Make { id, node, at } => {
                assert_eq!(disk.add(node.clone()), *id);
                name(disk, at, Some(*id));
            }
            Self::Link { id, at } => name(disk, at, Some(*id)),
            Self::Move { id, from, to } => {
                name(disk, from, None);
                name(disk, to, Some(*id));
            }
            Self::Swap { one: (one, here), other: (other, there) } => {
                name(disk, here, Some(*other));
                name(disk, there, Some(*one));
            }
            Self::Remove { at } => name(disk, at, None),
            Self::Write { id, offset, data } if kept => {
                let content = disk.content(*id);
                content.resize(content.len().max(offset + data.len()), 0);
                content[*offset..offset + data.len()].copy_from_slice(data);
            }
            Self::Truncate { id, len } if kept => disk.content(*id).resize(*len, 0),
            Self::Owner { id, uid, gid } => disk.nodes[*id].owner = Some((*uid, *gid)),
            Self::Mode { id, mode } => disk.nodes[*id].mode = *mode,
            Self::Times { id, atime, mtime } => disk.nodes[*id].times = Some((*atime, *mtime)),
            Self::Xattr { id, key, value: Some(value) } => {
                disk.nodes[*id].xattrs.insert(key.clone(), value.clone());
            }
            Self::Xattr { id, key, value: None } => drop(disk.nodes[*id].xattrs.remove(key)),
            Self::Write { .. } | Self::Truncate { .. } => {}
            Self::SyncFile { .. } | Self::SyncDir { .. } | Self::SyncFs | Self::Unseen => {}
        }
    }
}

/// Finds out which inodes the paths of a log mean.
pub(super) struct Translator<'a> {
    pub root: &'a Path,
    /// The disk as it was at the time of the operation.
    pub now: Disk,
    pub inodes: HashMap<u64, Id>,
}

impl Translator<'_> {
    /// The change that an operation made; operations come in their order.
    pub fn translate(&mut self, op: &Op) -> Change {
        let change = self.change(op);
        change.apply(&mut self.now, true);
        change
    }

    fn change(&mut self, op: &Op) -> Change {
        if is_tried_out(op.path()) {
            return Change::Unseen;
        }
        let file = |ino: &u64| self.inodes.get(ino).copied();
        let or_unseen = |change: Option<Change>| change.unwrap_or(Change::Unseen);
        match op {
            Op::Create { path, mode, ino } => {
                let change = self.make(path, Node::new(What::File(Arc::default()), *mode));
                if let Change::Make { id, .. } = &change {
                    self.inodes.insert(*ino, *id);
                }
                change
            }
            Op::Mkdir { path, mode } => self.make(path, Node::new(What::Dir(BTreeMap::new()), *mode)),
            Op::Symlink { path, target } => self.make(path, Node::new(What::Symlink(target.clone()), 0o777)),
            Op::Mknod { path, kind, mode, major, minor } => {
                let what = match kind {
                    FileKind::File => What::File(Arc::default()),
                    kind => What::Special { kind: *kind, major: *major, minor: *minor },
                };
                self.make(path, Node::new(what, *mode))
            }
            Op::Link { from, to } => Change::Link { id: self.known(from), at: self.place(to) },
            Op::Rename { from, to } => {
                Change::Move { id: self.known(from), from: self.place(from), to: self.place(to) }
            }
            Op::Exchange { from, to } => Change::Swap {
                one: (self.known(from), self.place(from)),
                other: (self.known(to), self.place(to)),
            },
            Op::Unlink { path } | Op::Rmdir { path } => Change::Remove { at: self.place(path) },
            Op::Write { ino, offset, data, .. } => or_unseen(file(ino).map(|id| Change::Write {
                id,
                offset: usize::try_from(*offset).unwrap(),
                data: data.clone(),
            })),
            Op::Truncate { ino, len, .. } => {
                or_unseen(file(ino).map(|id| Change::Truncate { id, len: usize::try_from(*len).unwrap() }))
            }
            Op::Chown { path, uid, gid } => {
                or_unseen(self.find(path).map(|id| Change::Owner { id, uid: *uid, gid: *gid }))
            }
            Op::Chmod { path, mode } => or_unseen(self.find(path).map(|id| Change::Mode { id, mode: *mode })),
            Op::SetTimes { path, atime, mtime } => {
                or_unseen(self.find(path).map(|id| Change::Times { id, atime: *atime, mtime: *mtime }))
            }
            Op::SetXattr { path, key, value } => or_unseen(self.find(path).map(|id| Change::Xattr {
                id,
                key: key.clone(),
                value: Some(value.clone()),
            })),
            Op::RemoveXattr { path, key } => {
                or_unseen(self.find(path).map(|id| Change::Xattr { id, key: key.clone(), value: None }))
            }
            Op::SyncFile { ino, .. } => or_unseen(file(ino).map(|id| Change::SyncFile { id })),
            Op::SyncDir { path } => or_unseen(self.find(path).map(|id| Change::SyncDir { id })),
            Op::SyncFs { .. } => Change::SyncFs,
            Op::Subvolume { .. } | Op::DestroySubvolume { .. } => panic!("this disk has no subvolumes"),
        }
    }

    fn make(&self, path: &Path, node: Node) -> Change {
        Change::Make { id: self.now.nodes.len(), node, at: self.place(path) }
    }

    fn find(&self, path: &Path) -> Option<Id> {
        self.now.find(below(path, self.root)?)
    }

    fn known(&self, path: &Path) -> Id {
        self.find(path).unwrap_or_else(|| panic!("the log has {path:?}, which nothing made"))
    }

    fn place(&self, path: &Path) -> Place {
        let place = below(path, self.root).and_then(|path| self.now.place(path));
        place.unwrap_or_else(|| panic!("the log has {path:?}, whose directory nothing made"))
    }
}

/// Whether it is below a directory in which a driver tries out a mount: what such a mount does is the kernel's, and not
/// in the log. The directory itself is.
fn is_tried_out(path: &Path) -> bool {
    let is_probe = |name: &std::ffi::OsStr| name.as_encoded_bytes().starts_with(b".probe-");
    path.ancestors().skip(1).filter_map(Path::file_name).any(is_probe)
}
