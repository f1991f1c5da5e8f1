//! `containers/`: one directory per container, named by its id (`docs/format/containers.md`).

use std::path::Path;

use model::{ContainerId, ContainerName, MountId};
use sys::OwnedFd;

use crate::backrefs::{Marker, User};
use crate::commit::CommitLock;
use crate::container::{CONFIG, Container, HOST_CONFIG, HostConfig};
use crate::error::{Error, Result};
use crate::finding::{Damage, Finding, Subject};
use crate::root::DataRoot;
use crate::small::{absent, find_dir, names_in, os, replace};
use crate::work::{Intent, Work};

/// Modes as of Docker 28.5; 20.10 wrote `hostconfig.json` with 0644.
const DIR_MODE: u32 = 0o710;
pub(crate) const FILE_MODE: u32 = 0o600;

/// The containers.
#[derive(Debug, Clone, Copy)]
pub struct Containers<'a> {
    pub(crate) root: &'a DataRoot,
}

/// A container that is not published yet.
#[derive(Debug)]
pub struct StagedContainer<'a> {
    work: &'a Work<'a>,
    dir_name: String,
    document: Container,
}

impl Containers<'_> {
    /// Reads a container's document.
    ///
    /// # Errors
    /// [`Error::NoContainer`], [`Error::BrokenContainer`], system calls.
    pub fn get(&self, id: &ContainerId) -> Result<Container> {
        self.find(id)?.ok_or(Error::NoContainer(*id))
    }

    /// As [`Containers::get`], `None` if there is no such container.
    ///
    /// # Errors
    /// [`Error::BrokenContainer`], system calls.
    pub fn find(&self, id: &ContainerId) -> Result<Option<Container>> {
        let Some(all) = &self.root.dirs.containers else { return Ok(None) };
        let broken = |damage| Error::BrokenContainer { id: *id, damage };
        let Some(bytes) = sys::atomic::find_below(all, &Path::new(&id.hex()).join(CONFIG))? else {
            return if self.exists(id)? { Err(broken(Damage::Missing(CONFIG))) } else { Ok(None) };
        };
        let container = Container::parse(bytes).map_err(broken)?;
        if container.id() != id {
            return Err(broken(Damage::WrongId(container.id().hex())));
        }
        Ok(Some(container))
    }

    /// Reads what a container gets from the host. Docker takes a container without this file, and so do we: it then
    /// is as for a new container.
    ///
    /// # Errors
    /// [`Error::NoContainer`], [`Error::BrokenContainer`], system calls.
    pub fn host_config(&self, id: &ContainerId) -> Result<HostConfig> {
        let dir = self.dir(id)?.ok_or(Error::NoContainer(*id))?;
        match sys::atomic::find(&dir, os(HOST_CONFIG))? {
            Some(bytes) => {
                HostConfig::parse(bytes).map_err(|damage| Error::BrokenContainer { id: *id, damage })
            }
            None => Ok(HostConfig::new(true)),
        }
    }

    /// Whether the store has a directory for the container, sound or not.
    ///
    /// # Errors
    /// System calls.
    pub fn exists(&self, id: &ContainerId) -> Result<bool> {
        let Some(all) = &self.root.dirs.containers else { return Ok(false) };
        Ok(sys::meta::find(all, os(&id.hex()))?.is_some())
    }

    /// The ids of all containers of all drivers, sorted. Nothing but the directory is read.
    ///
    /// # Errors
    /// System calls.
    pub fn list(&self) -> Result<Vec<ContainerId>> {
        let names = names_in(self.root.dirs.containers.as_ref())?;
        Ok(names.iter().filter_map(|name| ContainerId::parse(name).ok()).collect())
    }

    /// The container that somebody means by `text`, in Docker's order: a whole id, a name, the start of an id.
    /// Containers of other drivers are not meant.
    ///
    /// # Errors
    /// [`Error::ManyIds`] if several ids start so, system calls.
    pub fn resolve(&self, text: &str) -> Result<Option<ContainerId>> {
        if let Ok(id) = ContainerId::parse(text)
            && self.is_ours(&id)?
        {
            return Ok(Some(id));
        }
        if text.is_empty() {
            return Ok(None);
        }
        if let Some(id) = self.root.backrefs().of_name(text)?.first() {
            return Ok(Some(*id));
        }
        let mut found = None;
        let names = names_in(self.root.dirs.containers.as_ref())?;
        for id in names.iter().filter(|name| name.starts_with(text)).filter_map(|name| name.parse().ok()) {
            if self.is_ours(&id)? && found.replace(id).is_some() {
                return Err(Error::ManyIds(text.to_owned()));
            }
        }
        Ok(found)
    }

    /// Writes a container aside: directory 0710, both documents 0600, `checkpoints/` 0700.
    ///
    /// # Errors
    /// System calls.
    pub fn stage<'a>(
        &self,
        work: &'a Work<'a>,
        document: Container,
        host: &HostConfig,
    ) -> Result<StagedContainer<'a>> {
        let dir_name = work.next_name("container");
        let dir = sys::dir::ensure(work.fd(), os(&dir_name), DIR_MODE)?;
        self.root.let_pass(&dir)?;
        sys::dir::ensure(&dir, os("checkpoints"), 0o700)?;
        sys::atomic::create_unsynced(&dir, os(CONFIG), FILE_MODE, document.as_bytes())?;
        sys::atomic::create_unsynced(&dir, os(HOST_CONFIG), FILE_MODE, &host.to_bytes()?)?;
        Ok(StagedContainer { work, dir_name, document })
    }

    /// Publishes a staged container, whose entry in `layerdb/mounts` is published. Durable when this returns, if the
    /// container was made durable before ([`StagedContainer::sync`] or [`DataRoot::sync`]).
    ///
    /// # Errors
    /// [`Error::NameInUse`], [`Error::NoContainer`] if there is no such entry, system calls.
    pub fn publish(&self, lock: &CommitLock<'_>, staged: StagedContainer<'_>) -> Result<()> {
        let all = self.root.writable(&self.root.dirs.containers)?;
        let id = *staged.document.id();
        self.refuse_taken(staged.document.name(), &id)?;
        self.root.mounts().get(&id)?;
        lock.add(&Marker::of_name(staged.document.name(), id))?;
        if let Some(image) = staged.document.image() {
            lock.add(&Marker::of_image(&image, User::Container(id)))?;
        }
        sys::dir::rename_noreplace(staged.work.fd(), os(&staged.dir_name), all, os(&id.hex()))?;
        Ok(sys::dir::sync(all)?)
    }

    /// Gives a container another name. Durable when this returns.
    ///
    /// # Errors
    /// [`Error::NameInUse`], as [`Containers::get`].
    pub fn rename(&self, lock: &CommitLock<'_>, id: &ContainerId, name: &ContainerName) -> Result<()> {
        let container = self.get(id)?;
        let old = container.name().to_owned();
        let new = name.with_slash();
        if old == new {
            return Ok(());
        }
        self.refuse_taken(&new, id)?;
        lock.add(&Marker::of_name(&new, *id))?;
        let dir = self.dir(id)?.ok_or(Error::NoContainer(*id))?;
        replace(lock, &dir, CONFIG, FILE_MODE, container.renamed(name)?.as_bytes())?;
        sys::dir::sync(&dir)?;
        lock.remove(&Marker::of_name(&old, *id));
        Ok(())
    }

    /// Removes a container: into the work directory, where it stays until that is finished. Its entry in
    /// `layerdb/mounts` and its files in the driver go next, and for the case that we die before, they are noted
    /// here. Durable when this returns. A container that is not there is no error, a damaged one no obstacle.
    ///
    /// # Errors
    /// System calls.
    pub fn remove(&self, lock: &CommitLock<'_>, work: &Work<'_>, id: &ContainerId) -> Result<()> {
        let all = self.root.writable(&self.root.dirs.containers)?;
        let document = self.find_sound(id)?;
        if let Some(mount_id) = self.mount_id(id)? {
            work.note(&[Intent::Mount { container: *id, mount_id }])?;
        }
        let gone = sys::dir::rename(all, os(&id.hex()), work.fd(), os(&work.next_name("gone-container")));
        if absent(gone)?.is_some() {
            sys::dir::sync(all)?;
        }
        if let Some(document) = document {
            lock.remove(&Marker::of_name(document.name(), *id));
            if let Some(image) = document.image() {
                lock.remove(&Marker::of_image(&image, User::Container(*id)));
            }
        }
        Ok(())
    }

    /// Names what is wrong with containers.
    ///
    /// # Errors
    /// System calls.
    pub fn check(&self) -> Result<Vec<Finding>> {
        let mut findings = Vec::new();
        let mut names = std::collections::BTreeMap::new();
        for name in names_in(self.root.dirs.containers.as_ref())? {
            let path = Path::new("containers").join(&name);
            let Ok(id) = ContainerId::parse(&name) else {
                findings.push(Finding { path, subject: Subject::Leftover, damage: Damage::Unknown });
                continue;
            };
            let mut report = |damage| {
                findings.push(Finding { path: path.clone(), subject: Subject::Container(id), damage });
            };
            match self.find(&id) {
                Ok(Some(container)) if container.driver() == self.root.driver() => {
                    if !matches!(
                        self.root.mounts().find(&id),
                        Ok(Some(_)) | Err(Error::BrokenContainer { .. })
                    ) {
                        report(Damage::MountMissing);
                    }
                    if let Some(image) = container.image()
                        && !self.root.images().exists(&image)?
                    {
                        report(Damage::ImageMissing(image));
                    }
                    if let Some(other) = names.insert(container.name().to_owned(), id) {
                        report(Damage::SameName(other));
                    }
                }
                Ok(_) => {}
                Err(Error::BrokenContainer { damage, .. }) => report(damage),
                Err(e) => return Err(e),
            }
            if let Err(Error::BrokenContainer { damage, .. }) = self.host_config(&id) {
                report(damage);
            }
        }
        Ok(findings)
    }

    /// The directory of a container, for the files that only a daemon makes.
    ///
    /// # Errors
    /// System calls.
    pub fn dir(&self, id: &ContainerId) -> Result<Option<OwnedFd>> {
        match &self.root.dirs.containers {
            Some(all) => find_dir(all, &id.hex()),
            None => Ok(None),
        }
    }

    /// A container's document, `None` also if it is damaged: Docker does not show it either.
    pub(crate) fn find_sound(&self, id: &ContainerId) -> Result<Option<Container>> {
        match self.find(id) {
            Err(Error::BrokenContainer { .. }) => Ok(None),
            other => other,
        }
    }

    /// Whether a daemon with our driver would show the container.
    fn is_ours(&self, id: &ContainerId) -> Result<bool> {
        Ok(self.find_sound(id)?.is_some_and(|container| container.driver() == self.root.driver()))
    }

    fn mount_id(&self, id: &ContainerId) -> Result<Option<MountId>> {
        match self.root.mounts().find(id) {
            Ok(record) => Ok(record.map(|record| record.mount_id)),
            Err(Error::BrokenContainer { .. }) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Whether the name is free for a new container, while the lock is held.
    ///
    /// # Errors
    /// [`Error::NameInUse`], system calls.
    pub fn require_free(&self, _lock: &CommitLock<'_>, name: &ContainerName, id: &ContainerId) -> Result<()> {
        self.refuse_taken(&name.with_slash(), id)
    }

    fn refuse_taken(&self, name: &str, id: &ContainerId) -> Result<()> {
        match self.root.backrefs().of_name(name)?.iter().find(|other| *other != id) {
            None => Ok(()),
            Some(other) => Err(Error::NameInUse { name: name.to_owned(), id: *other }),
        }
    }
}

impl StagedContainer<'_> {
    /// Makes the staged files durable.
    ///
    /// # Errors
    /// System calls.
    pub fn sync(&self) -> Result<()> {
        crate::small::sync_files(&sys::dir::open(self.work.fd(), os(&self.dir_name))?)
    }
}
