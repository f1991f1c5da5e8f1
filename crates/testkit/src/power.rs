//! Power cuts: what is on the disk after a part of the changes that a command makes.
//!
//! [`Recording::of`] runs a command and keeps the log of its changes ([`sys::record`]). [`Recording::after`] gives the
//! disk as it could be if the power fails after any of them, by these rules, which are weaker than those of any file
//! system in common use:
//!
//! - content is there for sure only after a sync of the file or of the file system;
//! - a name is there for sure only after a sync of its directory (for a rename: of one of the two) or of the file
//!   system;
//! - attributes come with the inode.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use sys::record::Op;
use sys::{FileKind, Time};

use crate::disk::{Disk, Id, Node, Place, What, below};

/// The recorder sees the whole process: one recording at a time.
static ONE: Mutex<()> = Mutex::new(());

/// What goes with the power.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Loss {
    /// Nothing: the process was killed, the machine runs on.
    Nothing,
    /// Content that was not synced; names, in the order in which they came, stay.
    Content,
    /// Content and names that were not synced.
    Names,
}

/// What a command changed below a directory.
#[derive(Debug)]
pub struct Recording {
    before: Disk,
    changes: Vec<Change>,
    log: Vec<Op>,
}

/// One change, of inodes: what they are called at some time does not matter any more.
#[derive(Debug, Clone)]
enum Change {
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
    /// Of a file that has lost its last name.
    Unseen,
}

impl Recording {
    /// Runs `act` and records what it changes below `root`, an absolute path without links. What it changes elsewhere,
    /// and what others change meanwhile, is left out. Everything that is there before counts as synced. `act` can ask
    /// how many changes there are so far.
    pub fn of<T>(root: &Path, act: impl FnOnce(&dyn Fn() -> usize) -> T) -> (Self, T) {
        let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        let (before, inodes) = Disk::read(root);
        let log = Arc::new(Mutex::new(Vec::new()));
        let (sink, top) = (Arc::clone(&log), root.to_owned());
        sys::record::start(Arc::new(move |op| {
            if path_of(&op).starts_with(&top) {
                sink.lock().unwrap().push(op);
            }
        }));
        let result = act(&|| log.lock().unwrap().len());
        sys::record::stop();
        let log = std::mem::take(&mut *log.lock().unwrap());
        let mut translator = Translator { root, now: before.clone(), inodes };
        let changes = log.iter().map(|op| translator.translate(op)).collect();
        (Self { before, changes, log }, result)
    }

    /// How many changes there are.
    pub fn len(&self) -> usize {
        self.changes.len()
    }

    /// Whether nothing was changed.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// The last of the first `count` changes, in short.
    pub fn last(&self, count: usize) -> String {
        let Some(op) = count.checked_sub(1).map(|last| &self.log[last]) else { return "nothing".to_owned() };
        let text = match op {
            Op::Write { path, offset, data, .. } => format!("Write {path:?} {}+{}", offset, data.len()),
            other => format!("{other:?}"),
        };
        format!("change {count}, {text}")
    }

    /// The moments worth a look: all but those in the midst of filling a private directory (a stage, the trash), where
    /// nothing is seen by anybody yet; of these every `stride`th.
    pub fn moments(&self, stride: usize) -> Vec<usize> {
        let between = |count: &usize| {
            let next_to =
                |index: Option<usize>| index.and_then(|index| self.log.get(index)).is_some_and(is_aside);
            next_to(count.checked_sub(1)) && next_to(Some(*count))
        };
        (0..=self.len()).filter(|count| !between(count) || count % stride == 0).collect()
    }

    /// The losses that are possible after `count` changes.
    pub fn losses(&self, count: usize) -> Vec<Loss> {
        let mut losses = vec![Loss::Nothing];
        let done = &self.changes[..count];
        let unsynced = |id: Id, from: usize| !synced(id, &done[from..]);
        let content = done.iter().enumerate().any(|(i, change)| match change {
            Change::Write { id, .. } | Change::Truncate { id, .. } => unsynced(*id, i),
            _ => false,
        });
        let names = done.iter().enumerate().any(|(i, change)| {
            let places = change.places();
            !places.is_empty() && places.iter().all(|(dir, _)| unsynced(*dir, i))
        });
        losses.extend(content.then_some(Loss::Content));
        losses.extend(names.then_some(Loss::Names));
        losses
    }

    /// The disk after the first `count` changes and a loss.
    pub fn after(&self, count: usize, loss: &Loss) -> Disk {
        let mut disk = self.before.clone();
        for (i, change) in self.changes[..count].iter().enumerate() {
            let later = &self.changes[i..count];
            let kept = match (change, loss) {
                (_, Loss::Nothing) => true,
                (Change::Write { id, .. } | Change::Truncate { id, .. }, _) => synced(*id, later),
                (_, Loss::Content) => true,
                (change, Loss::Names) => {
                    let places = change.places();
                    places.is_empty() || places.iter().any(|(dir, _)| synced(*dir, later))
                }
            };
            change.apply(&mut disk, kept);
        }
        disk
    }
}

/// Whether one of these changes makes the content of a file, or the names of a directory, durable.
fn synced(id: Id, changes: &[Change]) -> bool {
    changes.iter().any(|change| match change {
        Change::SyncFs => true,
        Change::SyncFile { id: synced } | Change::SyncDir { id: synced } => *synced == id,
        _ => false,
    })
}

impl Change {
    /// The names that it changes.
    fn places(&self) -> Vec<&Place> {
        match self {
            Self::Make { at, .. } | Self::Link { at, .. } | Self::Remove { at } => vec![at],
            Self::Move { from, to, .. } => vec![from, to],
            _ => Vec::new(),
        }
    }

    /// Does it. What is not kept still makes its inode: later changes know it by its number.
    fn apply(&self, disk: &mut Disk, kept: bool) {
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
struct Translator<'a> {
    root: &'a Path,
    /// The disk as it was at the time of the operation.
    now: Disk,
    inodes: HashMap<u64, Id>,
}

impl Translator<'_> {
    fn translate(&mut self, op: &Op) -> Change {
        let change = self.change(op);
        change.apply(&mut self.now, true);
        change
    }

    fn change(&mut self, op: &Op) -> Change {
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

/// Where an operation took place; of a rename, where it led.
fn path_of(op: &Op) -> &Path {
    match op {
        Op::Rename { to, .. } | Op::Link { to, .. } => to,
        Op::Create { path, .. }
        | Op::Mkdir { path, .. }
        | Op::Symlink { path, .. }
        | Op::Mknod { path, .. }
        | Op::Unlink { path }
        | Op::Rmdir { path }
        | Op::Write { path, .. }
        | Op::Truncate { path, .. }
        | Op::Chown { path, .. }
        | Op::Chmod { path, .. }
        | Op::SetTimes { path, .. }
        | Op::SetXattr { path, .. }
        | Op::RemoveXattr { path, .. }
        | Op::SyncFile { path, .. }
        | Op::SyncDir { path }
        | Op::SyncFs { path } => path,
    }
}

/// Whether an operation changes only what is in a stage, the trash, or the directory of a running command.
fn is_aside(op: &Op) -> bool {
    let private = |path: &Path| {
        let path = path.to_string_lossy();
        ["/staging/", "/trash/", "/layercake/work/"].iter().any(|dir| path.contains(dir))
    };
    match op {
        Op::Rename { from, to } | Op::Link { from, to } => private(from) && private(to),
        Op::SyncFile { .. } | Op::SyncDir { .. } | Op::SyncFs { .. } => false,
        other => private(path_of(other)),
    }
}
