//! What a running command has not published yet.
//!
//! One directory per command, `layercake/work/<16 hex>/`, locked with flock(2) by its process. A directory that nobody
//! has locked is garbage, whatever is in it. The file `notes` in it lists what the command was about to make outside:
//! directories of the driver, and names whose users might never have come to be.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use model::{CacheId, ChainId, ContainerId, ImageId, MountId, VolumeName};
use sys::OwnedFd;
use sys::lock::{Lock, Mutual};

use crate::error::Result;
use crate::root::DataRoot;
use crate::small::{find_dir, find_text, names, os};

const NOTES: &str = "notes";
/// What a note of an image begins with.
const IMAGE: &str = "image ";
/// What the names of entries of `layerdb/mounts` begin with that the command has removed.
pub(crate) const GONE_MOUNT: &str = "gone-mount";

/// Something that a command is about to make, to be taken back if it dies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Intent {
    /// A layer: first the driver's directory, then, if its chain is known, the name in the layerdb.
    Layer {
        /// The driver's directory.
        cache_id: CacheId,
        /// The layer that it will become.
        chain: Option<ChainId>,
    },
    /// A container's writable layer, its init layer, and their entry in `layerdb/mounts`.
    Mount {
        /// The container.
        container: ContainerId,
        /// The driver's directory.
        mount_id: MountId,
    },
    /// An anonymous volume of a container that is about to be made: if the command dies, it goes with the container.
    Volume {
        /// The container.
        container: ContainerId,
        /// The volume.
        name: VolumeName,
    },
    /// An image that is published or removed: if the command dies, it stays only with a name or a user.
    Image {
        /// The image.
        id: ImageId,
    },
}

/// The directory of a running command. Dropped without [`Work::finish`] it is removed if nothing was noted; else it
/// stays for the sweep, because what was noted may be there.
#[derive(Debug)]
pub struct Work<'a> {
    pub(crate) root: &'a DataRoot,
    name: String,
    fd: OwnedFd,
    _lock: Lock,
    next: AtomicU64,
    notes: Mutex<Notes>,
}

/// The file of notes, and what stands in it.
#[derive(Debug, Default)]
struct Notes {
    fd: Option<OwnedFd>,
    lines: BTreeSet<String>,
}

impl DataRoot {
    /// Makes the directory for a command that changes the store.
    ///
    /// # Errors
    /// [`Error::ReadOnly`](crate::Error::ReadOnly), system calls.
    pub fn begin(&self) -> Result<Work<'_>> {
        let all = self.writable(&self.dirs.work)?;
        loop {
            let name = format!("{:016x}", u64::from_le_bytes(sys::process::random()));
            sys::dir::mkdir(all, os(&name), 0o700)?;
            // A sweep that comes between these calls takes the directory for garbage. Then there is another name.
            let Some(fd) = find_dir(all, &name)? else { continue };
            let Some(lock) = sys::lock::try_lock(sys::dir::reopen(&fd)?, Mutual::Exclusive)? else {
                continue;
            };
            if sys::meta::find(all, os(&name))?.is_some() {
                let (next, notes) = (AtomicU64::new(0), Mutex::new(Notes::default()));
                return Ok(Work { root: self, name, fd, _lock: lock, next, notes });
            }
        }
    }
}

impl Work<'_> {
    /// Creates a file (0600) for whatever the command has to keep for a while. It goes with the work.
    ///
    /// # Errors
    /// System calls.
    pub fn scratch(&self) -> Result<File> {
        Ok(File::from(sys::dir::create_file(&self.fd, os(&self.next_name("scratch")), 0o600)?))
    }

    /// Makes a directory (0700) for whatever the command has to keep for a while, and answers with its path. It goes with
    /// the work.
    ///
    /// # Errors
    /// System calls.
    pub fn scratch_dir(&self) -> Result<PathBuf> {
        let name = self.next_name("scratch");
        sys::dir::mkdir(&self.fd, os(&name), 0o700)?;
        Ok(self.root.path().join(crate::root::PRIVATE).join("work").join(&self.name).join(name))
    }

    /// Notes what is about to be made. Durable when this returns, so call it once for many things, and before the
    /// first of them is made. What is noted already is not written again.
    ///
    /// # Errors
    /// System calls.
    pub fn note(&self, intents: &[Intent]) -> Result<()> {
        let mut notes = self.notes();
        let first = notes.fd.is_none();
        if let Some(fd) = self.append(&mut notes, intents)? {
            sys::file::sync(fd)?;
            if first {
                sys::dir::sync(&self.fd)?;
                sys::dir::sync(self.root.writable(&self.root.dirs.work)?)?;
            }
        }
        Ok(())
    }

    /// Writes the lines that are new; answers with the file if there were any.
    fn append<'n>(&self, notes: &'n mut Notes, intents: &[Intent]) -> Result<Option<&'n OwnedFd>> {
        let new: Vec<String> = intents.iter().map(line).filter(|line| !notes.lines.contains(line)).collect();
        if new.is_empty() {
            return Ok(None);
        }
        let fd = match notes.fd.take() {
            Some(fd) => fd,
            None => sys::dir::create_file(&self.fd, os(NOTES), 0o600)?,
        };
        let fd = notes.fd.insert(fd);
        let text: String = new.iter().map(|line| format!("{line}\n")).collect();
        sys::file::write_all(&*fd, text.as_bytes())?;
        notes.lines.extend(new);
        Ok(Some(fd))
    }

    /// Removes the directory. Everything noted has been published with its users, or taken back. What the driver took
    /// back has to be durable: without the notes, a directory that comes back with the power is found by a check only.
    ///
    /// # Errors
    /// System calls; the next sweep tries again.
    pub fn finish(self) -> Result<()> {
        // The notes go first: without them what is left is plain garbage.
        if self.notes().fd.take().is_some() {
            sys::dir::unlink(&self.fd, os(NOTES))?;
            // An image without a name must not be taken for one that was never finished.
            if self.notes().lines.iter().any(|line| line.starts_with(IMAGE)) {
                sys::dir::sync(&self.fd)?;
            }
        }
        self.remove()
    }

    pub(crate) fn fd(&self) -> &OwnedFd {
        &self.fd
    }

    /// A name that is free in the directory.
    pub(crate) fn next_name(&self, kind: &str) -> String {
        format!("{kind}-{}", self.next.fetch_add(1, Ordering::Relaxed))
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remove(&self) -> Result<()> {
        Ok(sys::tree::remove(self.root.writable(&self.root.dirs.work)?, os(&self.name))?)
    }

    /// Gives back the space of what nobody needs any more, the sweep neither.
    fn remove_unpublished(&self) -> Result<()> {
        for name in names(&self.fd)? {
            if name != NOTES && !name.starts_with(GONE_MOUNT) {
                sys::tree::remove(&self.fd, os(&name))?;
            }
        }
        Ok(())
    }
}

impl Drop for Work<'_> {
    fn drop(&mut self) {
        if self.notes().fd.is_none() {
            let _ = self.remove();
        } else {
            let _ = self.remove_unpublished();
        }
    }
}

/// The directory of a command that died, locked by us now.
#[derive(Debug)]
pub struct DeadWork<'a> {
    root: &'a DataRoot,
    name: String,
    _lock: Lock,
    pub(crate) intents: Vec<Intent>,
    /// Layers that writable layers stood on which the command has taken out of the store: perhaps it did not come to
    /// release them.
    pub(crate) stood_on: Vec<ChainId>,
}

impl DeadWork<'_> {
    /// Where the directory is.
    pub fn path(&self) -> PathBuf {
        self.root.path().join(crate::root::PRIVATE).join("work").join(&self.name)
    }

    /// Removes the directory, after all that was noted has been looked after.
    ///
    /// # Errors
    /// System calls; the next sweep tries again.
    pub fn finish(self) -> Result<()> {
        Ok(sys::tree::remove(self.root.writable(&self.root.dirs.work)?, os(&self.name))?)
    }
}

/// Finds the directories of commands that died. Those that left no notes are removed at once.
pub(crate) fn dead(root: &DataRoot) -> Result<Vec<DeadWork<'_>>> {
    let mut found = Vec::new();
    let all = root.writable(&root.dirs.work)?;
    for name in names(all)? {
        let Some(fd) = find_dir(all, &name)? else { continue };
        let Some(lock) = sys::lock::try_lock(sys::dir::reopen(&fd)?, Mutual::Exclusive)? else { continue };
        let notes = find_text(&fd, NOTES)?.unwrap_or_default();
        let intents: Vec<Intent> = notes.lines().filter_map(parse).collect();
        let work = DeadWork { root, name, _lock: lock, intents, stood_on: below_gone_mounts(&fd)? };
        if work.intents.is_empty() && work.stood_on.is_empty() {
            work.finish()?;
        } else {
            found.push(work);
        }
    }
    Ok(found)
}

fn below_gone_mounts(work: &OwnedFd) -> Result<Vec<ChainId>> {
    let mut below = Vec::new();
    for name in names(work)?.iter().filter(|name| name.starts_with(GONE_MOUNT)) {
        let Some(mount) = find_dir(work, name)? else { continue };
        below.extend(find_text(&mount, "parent")?.and_then(|text| text.parse::<ChainId>().ok()));
    }
    Ok(below)
}

fn line(intent: &Intent) -> String {
    match intent {
        Intent::Layer { cache_id, chain: None } => format!("layer - {cache_id}"),
        Intent::Layer { cache_id, chain: Some(chain) } => format!("layer {chain} {cache_id}"),
        Intent::Mount { container, mount_id } => format!("mount {container} {mount_id}"),
        Intent::Volume { container, name } => format!("volume {container} {name}"),
        Intent::Image { id } => format!("{IMAGE}{id} -"),
    }
}

/// Reads a line of the notes; one that a power cut tore is `None`: what it stood for was not made yet.
fn parse(line: &str) -> Option<Intent> {
    let mut words = line.splitn(3, ' ');
    match (words.next()?, words.next()?, words.next()?) {
        ("layer", "-", cache) => Some(Intent::Layer { cache_id: cache.parse().ok()?, chain: None }),
        ("layer", chain, cache) => {
            Some(Intent::Layer { cache_id: cache.parse().ok()?, chain: Some(chain.parse().ok()?) })
        }
        ("mount", container, mount) => {
            Some(Intent::Mount { container: container.parse().ok()?, mount_id: mount.parse().ok()? })
        }
        ("volume", container, name) => {
            Some(Intent::Volume { container: container.parse().ok()?, name: name.parse().ok()? })
        }
        ("image", id, "-") => Some(Intent::Image { id: id.parse().ok()? }),
        _ => None,
    }
}
