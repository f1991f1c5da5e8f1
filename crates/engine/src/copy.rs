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
//! | `walk` | a part of a tree as the entries of an archive |
//! | `extract` | the entries of an archive as files |
//! | `local` | the host's side |
//!
//! Different from Docker: `-a` keeps the owners also of what is copied to the host, which is what Docker's manual
//! says and its client does not do; and it gives what is copied into a container the owners of the source, not the
//! container's user. Volumes are refused with a message instead of copied into the directory that they hide.

mod extract;
mod local;
mod paths;
mod tree;
mod walk;

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use archive::{compress, tar};
use changeset::Lowers;
use drivers::Access;
use model::{CacheId, ContainerId};
use sys::{FileKind, Root};

use crate::{Engine, Error, Result};
pub(crate) use extract::{Extractor, Target};
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
            let mut archive = ToArchive::new(out);
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
            let tree = self.container_tree(container)?;
            let spelled = self.container_path(container, path)?;
            let Some(Place { path: dir, .. }) = tree.find(&spelled.path, true)?.ok().filter(Place::is_dir)
            else {
                let name = self.shown_name(container)?;
                return Err(Error::invalid(format!(
                    "destination \"{name}:{}\" must be a directory",
                    path.display()
                )));
            };
            let (_, plain) = compress::open(archive, self.limits.decompress)?;
            self.extract_in(container, &dir, |sink| tar::parse(plain, self.limits.tar, sink))?;
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
            let tree = self.container_tree(container)?;
            let mut destination = self.container_path(container, path)?;
            let there = tree.find(&destination.path, true)?;
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
            self.extract_in(container, &dir, |sink| walk(&source.tree, &source.path, &plan.name, sink))
        })
    }

    /// The container's tree.
    pub(crate) fn container_tree(&self, container: &ContainerId) -> Result<Tree> {
        let mount = self.store.mounts().get(container)?;
        Ok(Tree::new(self.driver.view(None, &mount.mount_id.into())?))
    }

    fn container_path(&self, container: &ContainerId, path: &Path) -> Result<Spelled> {
        if path.as_os_str().is_empty() {
            // Docker's text, without a blank.
            return Err(Error::invalid("bad parameter: pathcannot be empty"));
        }
        let spelled = Spelled::new(Path::new("/"), path);
        self.refuse_volume(container, &spelled.path)?;
        Ok(spelled)
    }

    /// Finds what is at `path` in the container.
    fn source(&self, container: &ContainerId, path: &Path, follow: bool) -> Result<Source> {
        let tree = self.container_tree(container)?;
        let spelled = self.container_path(container, path)?;
        let found = tree.find(&spelled.path, follow || spelled.asserts_directory())?;
        let place = match found {
            Ok(place) if place.is_dir() || !spelled.asserts_directory() => place,
            Ok(_) | Err(Nowhere::NotDirectory) => {
                return Err(Error::invalid(format!("lstat {}: not a directory", spelled.shown())));
            }
            Err(Nowhere::Missing(target)) => {
                // With `-L` Docker tells where the link leads.
                let is_link = follow && tree.find(&spelled.path, false)?.is_ok();
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
        self.refuse_volume(container, &Path::new("/").join(&place.path))?;
        let is_dir = place.is_dir();
        Ok(Source { tree: tree.into_layers(), path: place.path, is_dir, name: spelled.name() })
    }

    /// Makes files below `dir` of the container, which is mounted for it if it is not mounted.
    fn extract_in(
        &self,
        container: &ContainerId,
        dir: &Path,
        feed: impl FnOnce(&mut Extractor<'_>) -> Result<()>,
    ) -> Result<u64> {
        if self.store.mode() != store::Mode::Write {
            return Err(store::Error::ReadOnly(self.root().to_owned()).into());
        }
        self.refuse_volume(container, &Path::new("/").join(dir))?;
        let host = self.store.containers().host_config(container)?;
        if host.field("ReadonlyRootfs").and_then(serde_json::Value::as_bool) == Some(true) {
            return Err(Error::invalid("container rootfs is marked read-only"));
        }
        let id: CacheId = self.store.mounts().get(container)?.mount_id.into();
        // One copy into a container at a time, so that none ends the mount of another.
        let _lock = match self.store.containers().dir(container)? {
            Some(dir) => Some(sys::lock::lock(dir, sys::lock::Mutual::Exclusive)?),
            None => None,
        };
        let was_mounted = self.driver.mounted(&id)?.is_some();
        let mounted = self.driver.mount(&id, Access::Write)?;
        let copied = (|| {
            let root = Root::open(&mounted)?;
            let mut sink = Extractor::new(Target {
                root: &root,
                dir,
                shown: Path::new("/").join(dir).display().to_string(),
                follow: true,
                keep_owners: true,
                user_namespace: is_confined()?,
            });
            feed(&mut sink)?;
            let length = sink.finish()?;
            sys::dir::sync_fs(&root)?;
            Ok(length)
        })();
        if !was_mounted {
            self.driver.unmount(&id)?;
        }
        copied
    }

    /// What is in a volume is not in the container's tree.
    fn refuse_volume(&self, container: &ContainerId, path: &Path) -> Result<()> {
        let document = self.store.containers().get(container)?;
        match document.mount_points().find(|(volume, _)| path.starts_with(volume.as_str())) {
            Some((volume, _)) => {
                let path = path.display();
                Err(Error::invalid(format!(
                    "{path} is in the volume {volume}: layercake does not reach into volumes"
                )))
            }
            None => Ok(()),
        }
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

/// Whether there are owners and devices that this process cannot make.
pub(crate) fn is_confined() -> Result<bool> {
    Ok(sys::userns::privilege()? != sys::userns::Privilege::Root)
}
