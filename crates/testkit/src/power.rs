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

mod change;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use sys::record::Op;

use crate::disk::{Disk, Id};
use change::{Change, Translator};

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
            if op.path().starts_with(&top) {
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

/// Whether an operation changes only what is in a stage, the trash, or the directory of a running command.
fn is_aside(op: &Op) -> bool {
    let private = |path: &Path| {
        let path = path.to_string_lossy();
        ["/staging/", "/trash/", "/layercake/work/"].iter().any(|dir| path.contains(dir))
    };
    match op {
        Op::Rename { from, to } | Op::Exchange { from, to } | Op::Link { from, to } => {
            private(from) && private(to)
        }
        Op::SyncFile { .. } | Op::SyncDir { .. } | Op::SyncFs { .. } => false,
        other => private(other.path()),
    }
}
