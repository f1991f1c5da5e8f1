//! The init layer: what Docker puts between a container's image and its writable layer, so that the targets of its bind
//! mounts exist and do not show up in `diff` (moby.md §7).
//!
//! It is made as a small archive and applied like any layer, which gives it the driver's form, and directories that the
//! image has their attributes.

use std::path::{Component, Path};

use archive::tar::{Entry, Kind, Timestamp as TarTime, Writer};
use changeset::Lowers;
use sys::FileKind;

use crate::{Error, Result};

/// What has to be there, in Docker's order; a path that is there already stays as it is.
const CONTENT: [(&str, Kind); 10] = [
    ("dev/pts", Kind::Directory),
    ("dev/shm", Kind::Directory),
    ("proc", Kind::Directory),
    ("sys", Kind::Directory),
    (".dockerenv", Kind::Regular),
    ("etc/resolv.conf", Kind::Regular),
    ("etc/hosts", Kind::Regular),
    ("etc/hostname", Kind::Regular),
    ("dev/console", Kind::Regular),
    ("etc/mtab", Kind::Symlink),
];

/// The archive of the init layer on top of `below`; all of it for a container from nothing.
pub(crate) fn archive(below: Option<&Lowers>) -> Result<Vec<u8>> {
    let mut writer = Writer::new(Vec::new());
    for (path, kind) in CONTENT {
        let there = below.map(|below| below.lookup(Path::new(path))).transpose()?.flatten();
        if there.is_some() {
            continue;
        }
        let mut entry = Entry { mode: 0o755, mtime: tar_now(), ..Entry::new(path, kind) };
        if kind == Kind::Symlink {
            entry = Entry { mode: 0o777, link: b"/proc/mounts".to_vec(), ..entry };
        }
        writer.append_header(&entry)?;
    }
    Ok(writer.finish()?)
}

/// The archive that makes the working directory, if it is not there. A path that leads through a link is left to the
/// runtime, which follows it inside the container.
pub(crate) fn workdir_archive(workdir: &str, below: &Lowers) -> Result<Option<Vec<u8>>> {
    let mut writer = Writer::new(Vec::new());
    let mut path = std::path::PathBuf::new();
    let mut missing = false;
    for component in Path::new(workdir).components() {
        match component {
            Component::Normal(name) => path.push(name),
            Component::RootDir | Component::CurDir => continue,
            Component::ParentDir | Component::Prefix(_) => return Ok(None),
        }
        match below.lookup(&path)?.map(|found| found.meta.kind) {
            Some(FileKind::Dir) => {}
            Some(FileKind::Symlink) => return Ok(None),
            Some(_) => {
                return Err(Error::invalid(format!("Cannot mkdir: /{} is not a directory", path.display())));
            }
            None => {
                missing = true;
                let name = path.as_os_str().as_encoded_bytes();
                writer.append_header(&Entry {
                    mode: 0o755,
                    mtime: tar_now(),
                    ..Entry::new(name, Kind::Directory)
                })?;
            }
        }
    }
    Ok(if missing { Some(writer.finish()?) } else { None })
}

fn tar_now() -> TarTime {
    let now = crate::now();
    TarTime { secs: now.unix_seconds(), nanos: now.subsec_nanos() }
}
