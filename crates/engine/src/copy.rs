//! `cp`: files between a container and the host.
//!
//! Reading takes no mount: the layers are read as they lie. Writing goes through the container's mount, which is made
//! for that time if it is not there. Paths mean what they mean in the container, also for a link that somebody swaps
//! meanwhile: reading follows links by itself and never asks the host's tree, writing resolves below the mount's
//! descriptor (moby.md §15: CVE-2018-15664, CVE-2021-41089, CVE-2026-42306). No program and no library of the
//! container is run or loaded (CVE-2019-14271, CVE-2026-41567).
//!
//! | file | subject |
//! | --- | --- |
//! | `paths` | what the two paths of the command line mean |
//! | `tree` | looking up a path in a container |
//! | `mounted` | the same where a volume or a directory of the host is mounted |
//! | `walk` | a part of a tree as the entries of an archive |
//! | `extract` | the entries of an archive as files |
//! | `local` | the host's side |
//!
//! Different from Docker: `-a` keeps the owners also of what is copied to the host, which is what Docker's manual
//! says and its client does not do; and it gives what is copied into a container the owners of the source, not the
//! container's user.

mod extract;
mod local;
mod mounted;
mod paths;
mod tree;
mod walk;

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use archive::{compress, tar};
use changeset::Lowers;
use drivers::Access;
use model::{CacheId, ContainerId};
use sys::idmap::IdMap;
use sys::{FileKind, Root};

use crate::{Engine, Error, Result};
pub(crate) use extract::{Extractor, Target};
use mounted::{InContainer, Mounted};
use paths::Spelled;
pub(crate) use tree::{Nowhere, Place, Tree};
pub(crate) use walk::{ToArchive, walk};

/// How to copy.
#[derive(Debug, Clone, Copy, Default)]
pub struct CopyOptions {
    /// Copy what a link leads to instead of the link, if the source is one (`-L`).
    pub follow: bool,
    /// Keep user and group of the source (`-a`); else copies on the host belong to this process.
    pub keep_owners: bool,
}

/// Something to copy, found and named.
struct Source {
    tree: Lowers,
    /// Where it is, without links.
    path: PathBuf,
    is_dir: bool,
    /// What its archive calls it.
    name: Vec<u8>,
}

impl Engine {
    /// Writes what is at `path` in the container as a tar archive (`cp CONTAINER:PATH -`). A path in a container
    /// starts at its root, with or without a slash; one that ends in `/.` means the content of a directory.
    ///
    /// # Errors
    /// Nothing is there; then nothing is written.
    pub fn copy_from(
        &self,
        container: &ContainerId,
        path: &Path,
        follow: bool,
        out: &mut dyn Write,
    ) -> Result<()> {
        self.with_container(container, || {
            let mut source = self.source(container, path, follow)?;
            if follow && source.name != b"." {
                // Docker's client gives the copy the link's name, but the raw archive has the name of the target.
                source.name = Spelled::new(Path::new("/"), &Path::new("/").join(&source.path)).name();
            }
            let mut archive = ToArchive::new(out, self.id_map().is_some());
            walk(&source.tree, &source.path, &source.name, &mut archive)?;
            archive.finish()?.flush().map_err(Error::io("write", "archive"))
        })
    }

    /// Unpacks an archive, compressed or not, into the directory `path` of the container (`cp - CONTAINER:PATH`).
    /// Owners are those of the archive. Durable when this returns.
    ///
    /// # Errors
    /// After an error in the middle of the archive, what came before it is there.
    pub fn copy_to(&self, container: &ContainerId, path: &Path, archive: Box<dyn Read + Send>) -> Result<()> {
        self.with_container(container, || {
            let spelled = container_path(path)?;
            let found = self.find_in_container(container, &spelled.path, true)?;
            let Some(Place { path: dir, .. }) = found.place.ok().filter(Place::is_dir) else {
                let name = self.shown_name(container)?;
                return Err(Error::invalid(format!(
                    "destination \"{name}:{}\" must be a directory",
                    path.display()
                )));
            };
            let (_, plain) = compress::open(archive, self.limits.decompress)?;
            let feed = |sink: &mut Extractor<'_>| tar::parse(plain, self.limits.tar, sink);
            self.extract_in(container, found.mounted.as_ref(), &dir, feed)?;
            Ok(())
        })
    }

    /// Copies from the container to the host (`cp CONTAINER:PATH LOCAL`), and returns the length of a plain archive of
    /// what was copied, in bytes. Not durable: that is the host's business.
    ///
    /// # Errors
    /// After an error while copying, a part of the files is there.
    pub fn copy_out(
        &self,
        container: &ContainerId,
        path: &Path,
        local: &Path,
        options: CopyOptions,
    ) -> Result<u64> {
        self.with_container(container, || {
            let local = local::spelled(local)?;
            local::validate(&local)?;
            let source = self.source(container, path, options.follow)?;
            let (destination, is_dir) = local::destination(&local)?;
            let plan = paths::plan(source.is_dir, source.name, &destination, is_dir)?;
            let root = Root::open(&plan.dir)?;
            let mut sink = Extractor::new(Target {
                root: &root,
                dir: Path::new(""),
                shown: plan.dir.display().to_string(),
                follow: false,
                keep_owners: options.keep_owners,
                user_namespace: is_confined()?,
                ids: None,
            });
            walk(&source.tree, &source.path, &plan.name, &mut sink)?;
            sink.finish()
        })
    }

    /// Copies from the host into the container (`cp LOCAL CONTAINER:PATH`), and returns the length of a plain archive
    /// of what was copied, in bytes. Owners are those of the source, as with Docker. Durable when this returns.
    ///
    /// # Errors
    /// After an error while copying, a part of the files is there.
    pub fn copy_in(
        &self,
        local: &Path,
        container: &ContainerId,
        path: &Path,
        options: CopyOptions,
    ) -> Result<u64> {
        self.with_container(container, || {
            let mut destination = container_path(path)?;
            let InContainer { tree, mounted, path: inside, place: there } =
                self.find_in_container(container, &destination.path, true)?;
            destination.path = inside;
            if let Err(Nowhere::Missing(target)) = &there
                && let Ok(Ok(link)) = tree.find(&destination.path, false)
                && link.found.meta.kind == FileKind::Symlink
            {
                // A link to nothing: what it leads to is made.
                destination.path.clone_from(target);
            }
            let is_dir = match &there {
                Ok(place)
                    if matches!(place.found.meta.kind, FileKind::CharDevice | FileKind::BlockDevice) =>
                {
                    let name = self.shown_name(container)?;
                    return Err(Error::invalid(format!(
                        "destination \"{name}:{}\" must be a directory or a regular file: got a device",
                        path.display()
                    )));
                }
                Ok(place) => {
                    destination.path = Path::new("/").join(&place.path);
                    Some(place.is_dir()).filter(|is_dir| *is_dir || !destination.asserts_directory())
                }
                Err(_) => None,
            };
            let source = local::source(local, options.follow)?;
            let plan = paths::plan(source.is_dir, source.name, &destination, is_dir)?;
            let dir = match tree.find(&plan.dir, true)? {
                Ok(place) if place.is_dir() => place.path,
                Err(Nowhere::Missing(_)) => {
                    return Err(self.no_file(container, &plan.dir.display().to_string())?);
                }
                _ => return Err(Error::invalid("extraction point is not a directory")),
            };
            let feed = |sink: &mut Extractor<'_>| walk(&source.tree, &source.path, &plan.name, sink);
            self.extract_in(container, mounted.as_ref(), &dir, feed)
        })
    }

    /// The container's tree.
    pub(crate) fn container_tree(&self, container: &ContainerId) -> Result<Tree> {
        let mount = self.store.mounts().get(container)?;
        Ok(Tree::new(self.driver.view(None, &mount.mount_id.into())?))
    }

    /// Finds what is at `path` in the container.
    fn source(&self, container: &ContainerId, path: &Path, follow: bool) -> Result<Source> {
        let spelled = container_path(path)?;
        let follow_last = follow || spelled.asserts_directory();
        let InContainer { tree, path: inside, place, .. } =
            self.find_in_container(container, &spelled.path, follow_last)?;
        let place = match place {
            Ok(place) if place.is_dir() || !spelled.asserts_directory() => place,
            Ok(_) | Err(Nowhere::NotDirectory) => {
                return Err(Error::invalid(format!("lstat {}: not a directory", spelled.shown())));
            }
            Err(Nowhere::Missing(target)) => {
                // With `-L` Docker tells where the link leads.
                let is_link = follow && tree.find(&inside, false)?.is_ok();
                let shown = if is_link { target.display().to_string() } else { path.display().to_string() };
                return Err(self.no_file(container, &shown)?);
            }
            Err(Nowhere::Loop) => {
                return Err(Error::invalid(format!(
                    "lstat {}: too many levels of symbolic links",
                    spelled.shown()
                )));
            }
        };
        let is_dir = place.is_dir();
        Ok(Source { tree: tree.into_layers(), path: place.path, is_dir, name: spelled.name() })
    }

    /// Makes files below `dir` of the container, which is mounted for it if it is not mounted; or of what is mounted in
    /// it.
    fn extract_in(
        &self,
        container: &ContainerId,
        mounted: Option<&Mounted>,
        dir: &Path,
        feed: impl FnOnce(&mut Extractor<'_>) -> Result<()>,
    ) -> Result<u64> {
        if self.store.mode() != store::Mode::Write {
            return Err(store::Error::ReadOnly(self.root().to_owned()).into());
        }
        if let Some(mounted) = mounted {
            if !mounted.writable {
                return Err(Error::invalid("mounted volume is marked read-only"));
            }
            return extract_below(&Root::open(&mounted.root)?, dir, self.id_map(), feed);
        }
        let host = self.store.containers().host_config(container)?;
        if host.field("ReadonlyRootfs").and_then(serde_json::Value::as_bool) == Some(true) {
            return Err(Error::invalid("container rootfs is marked read-only"));
        }
        let id: CacheId = self.store.mounts().get(container)?.mount_id.into();
        // One copy into a container at a time, so that none ends the mount of another. Its directory itself is locked as
        // long as it runs.
        let beside = self.store.containers().dir(container)?;
        let beside = beside.and_then(|dir| sys::dir::open(dir, "checkpoints".as_ref()).ok());
        let _lock = beside.map(|dir| sys::lock::lock(dir, sys::lock::Mutual::Exclusive)).transpose()?;
        let was_mounted = self.driver.mounted(&id)?.is_some();
        let mounted = self.driver.mount(&id, Access::Write)?;
        let copied = Root::open(&mounted)
            .map_err(Error::from)
            .and_then(|root| extract_below(&root, dir, self.id_map(), feed));
        if !was_mounted {
            self.driver.unmount(&id)?;
        }
        copied
    }

    fn no_file(&self, container: &ContainerId, path: &str) -> Result<Error> {
        let name = self.shown_name(container)?;
        Ok(Error::invalid(format!("Could not find the file {path} in container {name}")))
    }

    /// The container's name, as people type it.
    fn shown_name(&self, container: &ContainerId) -> Result<String> {
        Ok(self.store.containers().get(container)?.name().trim_start_matches('/').to_owned())
    }
}

/// A path in a container, which starts at its root.
fn container_path(path: &Path) -> Result<Spelled> {
    if path.as_os_str().is_empty() {
        // Docker's text, without a blank.
        return Err(Error::invalid("bad parameter: pathcannot be empty"));
    }
    Ok(Spelled::new(Path::new("/"), path))
}

/// Makes files below `dir` of a container's tree. Durable when this returns.
fn extract_below(
    root: &Root,
    dir: &Path,
    ids: Option<&IdMap>,
    feed: impl FnOnce(&mut Extractor<'_>) -> Result<()>,
) -> Result<u64> {
    let mut sink = Extractor::new(Target {
        root,
        dir,
        shown: Path::new("/").join(dir).display().to_string(),
        follow: true,
        keep_owners: true,
        user_namespace: is_confined()?,
        ids,
    });
    feed(&mut sink)?;
    let length = sink.finish()?;
    sys::dir::sync_fs(root)?;
    Ok(length)
}

/// Whether there are owners and devices that this process cannot make.
pub(crate) fn is_confined() -> Result<bool> {
    Ok(sys::userns::privilege()? != sys::userns::Privilege::Root)
}
