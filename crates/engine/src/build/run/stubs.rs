//! The files and directories that a step's mounts stand on. Those that had to be made for them go afterwards, if nothing
//! was put there: they are no change of the step.

use std::ffi::{OsStr, OsString};
use std::path::{Component, Path, PathBuf};

use runtime::Mount;
use sys::idmap::IdMap;
use sys::{FileKind, Meta, OwnedFd, Root, dir, meta};

use crate::Result;

/// What was made, in the order in which it was.
pub(super) struct Stubs {
    root: Root,
    /// Who owns them, if not we.
    owner: Option<(u32, u32)>,
    made: Vec<Stub>,
}

struct Stub {
    dir: PathBuf,
    name: OsString,
    is_dir: bool,
    /// The directory that it is in, as it was before.
    before: Meta,
}

/// What every container has: BuildKit leaves what a runtime makes for these.
const KERNELS: [&str; 3] = ["/proc", "/sys", "/dev"];

impl Stubs {
    /// Makes what the mounts need below `rootfs`. Links are followed inside it.
    pub fn make(rootfs: &Path, mounts: &[Mount], ids: Option<&IdMap>) -> Result<Self> {
        let owner = ids.map(IdMap::root);
        let mut stubs = Self { root: Root::open(rootfs)?, owner, made: Vec::new() };
        for mount in mounts {
            if KERNELS.iter().any(|path| mount.destination.starts_with(path)) {
                continue;
            }
            let is_file = mount.kind == "bind" && !mount.source.is_dir();
            stubs.make_one(&mount.destination, !is_file)?;
        }
        Ok(stubs)
    }

    fn make_one(&mut self, path: &Path, is_dir: bool) -> Result<()> {
        let names: Vec<&OsStr> = path
            .components()
            .filter_map(|part| if let Component::Normal(name) = part { Some(name) } else { None })
            .collect();
        let mut at = PathBuf::new();
        for (number, name) in names.iter().enumerate() {
            let is_last = number + 1 == names.len();
            let below = at.join(name);
            match self.root.resolve(&below) {
                Ok(real) => at = real,
                Err(e) if e.is_not_found() => {
                    // A link to nothing is the runtime's to deal with.
                    let Ok(parent) = self.root.dir(&at) else { return Ok(()) };
                    if meta::find(&parent, name)?.is_some() {
                        return Ok(());
                    }
                    let is_dir = is_dir || !is_last;
                    let before = meta::of_fd(&parent)?;
                    make(&parent, name, is_dir)?;
                    if let Some((uid, gid)) = self.owner {
                        meta::chown(&parent, name, uid, gid)?;
                    }
                    self.made.push(Stub { dir: at.clone(), name: (*name).to_owned(), is_dir, before });
                    at = below;
                }
                // Something that is no directory is in the way: the runtime will say so.
                Err(_) => return Ok(()),
            }
        }
        Ok(())
    }

    /// Removes what is still as it was made. Answers with the directories that something was made in.
    pub fn remove(self) -> Result<Vec<PathBuf>> {
        for stub in self.made.iter().rev() {
            let Ok(parent) = self.root.dir_nofollow(&stub.dir) else { continue };
            let removed = match meta::find(&parent, &stub.name)? {
                Some(now) if stub.is_dir && now.kind == FileKind::Dir => {
                    dir::rmdir(&parent, &stub.name).is_ok()
                }
                Some(now) if !stub.is_dir && now.kind == FileKind::File && now.size == 0 => {
                    dir::unlink(&parent, &stub.name).is_ok()
                }
                _ => false,
            };
            if removed {
                meta::set_times_fd(&parent, stub.before.atime, stub.before.mtime)?;
            }
        }
        Ok(self.made.into_iter().map(|stub| stub.dir).collect())
    }
}

fn make(parent: &OwnedFd, name: &OsStr, is_dir: bool) -> Result<()> {
    if is_dir {
        dir::mkdir(parent, name, 0o755)?;
    } else {
        dir::create_file(parent, name, 0o644)?;
    }
    Ok(())
}
