//! `RUN --mount`: trees of the context, of stages and images, caches, memory, secrets.
//!
//! A tree of a stage or an image is mounted as a container's would be, with a writable layer of its own that is thrown
//! away: what a step writes there changes nothing.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use dockerfile::{Mount as Asked, MountKind, Sharing};
use drivers::Access;
use model::{CacheId, Digest};
use runtime::Mount;
use store::{LayerRecord, Work};
use sys::idmap::IdMap;
use sys::lock::{self, Lock, Mutual};

use super::super::copy::plain;
use super::super::key::Key;
use super::super::options::BuildOptions;
use crate::{Engine, Error, Result};

/// A mount that a step asks for, and what it is of.
#[derive(Debug, Clone)]
pub(in crate::build) struct Planned {
    pub asked: Asked,
    /// Absolute.
    pub target: PathBuf,
    pub tree: Tree,
}

/// What a bind mount is of.
#[derive(Debug, Clone)]
pub(in crate::build) enum Tree {
    /// None: it is another kind of mount.
    None,
    /// A directory of this machine, for reading only; the digest is that of what is in it.
    Host { path: PathBuf, digest: Digest },
    /// A layer of the store with those below it; without one, an empty tree.
    Layer(Option<LayerRecord>),
}

impl Planned {
    /// Adds what the step sees of it. What is in a cache or a secret does not count.
    pub fn add_to(&self, key: &mut Key) {
        let asked = &self.asked;
        key.part(format!("{:?}", asked.kind)).part(self.target.as_os_str().as_encoded_bytes());
        key.part(asked.source.as_deref().unwrap_or_default());
        key.part(if asked.read_only { "ro" } else { "rw" });
        key.part(asked.id.as_deref().unwrap_or_default());
        key.part(asked.env.as_deref().unwrap_or_default());
        key.part(asked.size.to_le_bytes());
        match &self.tree {
            Tree::None => key.part(""),
            Tree::Host { digest, .. } => key.part(digest.as_bytes()),
            Tree::Layer(None) => key.part("empty"),
            Tree::Layer(Some(layer)) => key.part(layer.chain.digest().as_bytes()),
        };
    }
}

/// What is mounted for a step. Dropped, it is unmounted and thrown away.
pub(in crate::build) struct Mounted<'a> {
    engine: &'a Engine,
    pub mounts: Vec<Mount>,
    /// Secrets as variables.
    pub env: Vec<(String, String)>,
    /// Layers that were made for it.
    layers: Vec<CacheId>,
    /// Of caches.
    _locks: Vec<Lock>,
}

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        for id in &self.layers {
            // What stays is noted, and goes with the next command.
            let _ = self.engine.driver.discard(id);
        }
    }
}

impl Engine {
    /// Makes the mounts of a step.
    pub(in crate::build) fn mount_for_step<'a>(
        &'a self,
        work: &Work<'_>,
        options: &BuildOptions,
        planned: &[Planned],
    ) -> Result<Mounted<'a>> {
        let mut mounted = Mounted {
            engine: self,
            mounts: Vec::new(),
            env: Vec::new(),
            layers: Vec::new(),
            _locks: Vec::new(),
        };
        for plan in planned {
            match plan.asked.kind {
                MountKind::Bind => mounted.bind(work, plan)?,
                MountKind::Cache => mounted.cache(plan)?,
                MountKind::Tmpfs => mounted.memory(plan),
                MountKind::Secret => mounted.secret(work, options, plan)?,
                MountKind::Ssh if !plan.asked.required => {}
                MountKind::Ssh => {
                    return Err(Error::invalid(
                        "RUN --mount=type=ssh is not supported: layercake forwards no agent",
                    ));
                }
            }
        }
        Ok(mounted)
    }
}

impl Mounted<'_> {
    fn bind(&mut self, work: &Work<'_>, plan: &Planned) -> Result<()> {
        let read_only = plan.asked.read_only;
        let root = match &plan.tree {
            Tree::None => return Ok(()),
            Tree::Host { path, .. } => {
                // The path is that of the tree's part already.
                self.mounts.push(Mount::bind(path, &plan.target, true));
                return Ok(());
            }
            Tree::Layer(layer) => self.layer(work, layer.as_ref())?,
        };
        let source = plan.asked.source.as_deref().unwrap_or("/");
        let inside = sys::Root::open(&root)?.resolve(&plain(Path::new(source)));
        let inside = inside.map_err(|e| match e.is_not_found() {
            true => Error::invalid(format!("failed to compute cache key: \"{source}\": not found")),
            false => e.into(),
        })?;
        self.mounts.push(Mount::bind(root.join(inside), &plan.target, read_only));
        Ok(())
    }

    /// The tree of a layer, under a writable layer that nobody keeps.
    fn layer(&mut self, work: &Work<'_>, below: Option<&LayerRecord>) -> Result<PathBuf> {
        let id = self.engine.writable_layer(work, below.map(|layer| &layer.cache_id))?;
        self.layers.push(id.clone());
        Ok(self.engine.driver.mount(&id, Access::Write)?)
    }

    /// A directory that outlives the build, named by its ID.
    fn cache(&mut self, plan: &Planned) -> Result<()> {
        let asked = &plan.asked;
        if asked.from.is_some() {
            return Err(Error::invalid(
                "RUN --mount=type=cache with from= is not supported: fill the cache in the step",
            ));
        }
        let (caches, ids) = (self.engine.store.build_cache().mounts()?, self.engine.id_map());
        let target = plan.target.to_string_lossy();
        let name = Digest::of(asked.id.as_deref().unwrap_or(&target).as_bytes()).hex();
        let (dir, lock) = match asked.sharing {
            Sharing::Shared => {
                let dir = open_cache(&caches, &name, asked, ids)?;
                let lock = lock::lock(sys::dir::reopen(&dir)?, Mutual::Shared)?;
                (dir, lock)
            }
            Sharing::Locked => {
                let dir = open_cache(&caches, &name, asked, ids)?;
                let lock = lock::lock(sys::dir::reopen(&dir)?, Mutual::Exclusive)?;
                (dir, lock)
            }
            Sharing::Private => free_cache(&caches, &name, asked, ids)?,
        };
        let mut path = sys::dir::path(&dir);
        if let Some(source) = asked.source.as_deref().map(|source| plain(Path::new(source)))
            && !source.as_os_str().is_empty()
        {
            let mut at = sys::dir::reopen(&dir)?;
            for name in source.components() {
                at = sys::dir::ensure(&at, name.as_os_str(), 0o755)?;
                self.engine.give_to_containers(&at)?;
            }
            path = path.join(source);
        }
        self.mounts.push(Mount::bind(path, &plan.target, asked.read_only));
        self._locks.push(lock);
        Ok(())
    }

    fn memory(&mut self, plan: &Planned) {
        let mut options = vec!["nosuid".to_owned(), "nodev".to_owned()];
        if plan.asked.size > 0 {
            options.push(format!("size={}", plan.asked.size));
        }
        self.mounts.push(Mount {
            destination: plan.target.clone(),
            kind: "tmpfs".to_owned(),
            source: "tmpfs".into(),
            options,
        });
    }

    fn secret(&mut self, work: &Work<'_>, options: &BuildOptions, plan: &Planned) -> Result<()> {
        let asked = &plan.asked;
        let id = secret_id(asked);
        let Some(secret) = options.secrets.get(&id) else {
            return match asked.required {
                true => Err(Error::invalid(format!("secret {id}: not found"))),
                false => Ok(()),
            };
        };
        if let Some(name) = &asked.env {
            self.env.push((name.clone(), String::from_utf8_lossy(&secret.0).into_owned()));
            if asked.target.is_none() {
                return Ok(());
            }
        }
        let dir = work.scratch_dir()?;
        let name = OsStr::new("secret");
        let mode = asked.mode.unwrap_or(0o400);
        let file = sys::atomic::create_unsynced(sys::dir::open_path(&dir)?, name, mode, &secret.0)?;
        give(&file, asked, self.engine.id_map())?;
        sys::meta::chmod_fd(&file, mode)?;
        self.mounts.push(Mount::bind(dir.join(name), &plan.target, true));
        Ok(())
    }
}

/// What a secret is asked for by.
pub(in crate::build) fn secret_id(asked: &Asked) -> String {
    let last = |path: &String| Path::new(path).file_name().map(|name| name.to_string_lossy().into_owned());
    let from_path = || asked.source.as_ref().or(asked.target.as_ref()).and_then(last);
    asked.id.clone().or_else(from_path).unwrap_or_default()
}

/// Gives a new file to whom the flag names.
fn give(fd: &sys::OwnedFd, asked: &Asked, ids: Option<&IdMap>) -> Result<()> {
    if ids.is_none() && asked.uid.is_none() && asked.gid.is_none() {
        return Ok(());
    }
    let (uid, gid) = (asked.uid.unwrap_or(0), asked.gid.unwrap_or(0));
    let (uid, gid) = ids.map_or(Ok((uid, gid)), |ids| crate::remap::host_ids(ids, uid, gid))?;
    Ok(sys::meta::chown_fd(fd, uid, gid)?)
}

/// The cache of this name, made if there is none.
fn open_cache(caches: &sys::OwnedFd, name: &str, asked: &Asked, ids: Option<&IdMap>) -> Result<sys::OwnedFd> {
    let name = OsStr::new(name);
    match sys::dir::mkdir(caches, name, 0o700) {
        Ok(()) => {
            let dir = sys::dir::open(caches, name)?;
            give(&dir, asked, ids)?;
            sys::meta::chmod_fd(&dir, asked.mode.unwrap_or(0o755))?;
            Ok(dir)
        }
        Err(e) if e.is_exists() => Ok(sys::dir::open(caches, name)?),
        Err(e) => Err(e.into()),
    }
}

/// The first cache of this name that nobody has.
fn free_cache(
    caches: &sys::OwnedFd,
    name: &str,
    asked: &Asked,
    ids: Option<&IdMap>,
) -> Result<(sys::OwnedFd, Lock)> {
    let mut number = 0;
    loop {
        let name = if number == 0 { name.to_owned() } else { format!("{name}-{number}") };
        let dir = open_cache(caches, &name, asked, ids)?;
        if let Some(lock) = lock::try_lock(sys::dir::reopen(&dir)?, Mutual::Exclusive)? {
            return Ok((dir, lock));
        }
        number += 1;
    }
}
