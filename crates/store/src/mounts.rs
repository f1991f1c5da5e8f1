//! `layerdb/mounts`: the writable layer of each container (moby.md §4; `docs/format/layerdb.md`).

use model::{ChainId, ContainerId, MountId};

use crate::backrefs::{Marker, User};
use crate::commit::CommitLock;
use crate::error::{Error, Result};
use crate::finding::{Damage, Finding, Subject};
use crate::root::DataRoot;
use crate::small::{find_dir, find_text, find_text_in, names_in, os};
use crate::work::{GONE_MOUNT, Intent, Work};

/// Where a container's files are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountRecord {
    /// The driver's directory of the writable layer.
    pub mount_id: MountId,
    /// The driver's directory of the init layer below it; absent in containers that have none.
    pub init_id: Option<MountId>,
    /// The topmost layer of the image; absent for an image without layers.
    pub parent: Option<ChainId>,
}

/// The writable layers.
#[derive(Debug, Clone, Copy)]
pub struct Mounts<'a> {
    pub(crate) root: &'a DataRoot,
}

/// An entry that is not published yet.
#[derive(Debug)]
pub struct StagedMount<'a> {
    work: &'a Work<'a>,
    name: String,
    id: ContainerId,
    record: MountRecord,
}

impl Mounts<'_> {
    /// Reads the entry of a container.
    ///
    /// # Errors
    /// [`Error::NoContainer`] if there is none, [`Error::BrokenContainer`], system calls.
    pub fn get(&self, id: &ContainerId) -> Result<MountRecord> {
        self.find(id)?.ok_or(Error::NoContainer(*id))
    }

    /// Reads the entry of a container, `None` if there is none.
    ///
    /// # Errors
    /// [`Error::BrokenContainer`], system calls.
    pub fn find(&self, id: &ContainerId) -> Result<Option<MountRecord>> {
        let Some(all) = &self.root.dirs.mounts else { return Ok(None) };
        let Some(dir) = find_dir(all, &id.hex())? else { return Ok(None) };
        let texts = (find_text(&dir, "mount-id")?, find_text(&dir, "init-id")?, find_text(&dir, "parent")?);
        self.unless_removed(id, parse(texts))
    }

    /// Of a container's entry, the writable layer and the image's topmost layer: what a list of thousands needs.
    ///
    /// # Errors
    /// As [`Mounts::find`].
    pub fn find_layers(&self, id: &ContainerId) -> Result<Option<(MountId, Option<ChainId>)>> {
        let Some(all) = &self.root.dirs.mounts else { return Ok(None) };
        let text = |file| find_text_in(all, &id.hex(), file);
        let record = self.unless_removed(id, parse((text("mount-id")?, None, text("parent")?)))?;
        Ok(record.map(|record| (record.mount_id, record.parent)))
    }

    /// What was read of an entry, `None` if it was removed meanwhile: it loses its name before its files.
    fn unless_removed(
        &self,
        id: &ContainerId,
        read: Result<MountRecord, Damage>,
    ) -> Result<Option<MountRecord>> {
        match read {
            Ok(record) if record.parent.is_some() => Ok(Some(record)),
            // Files that are absent may be so only since.
            _ if !self.exists(id)? => Ok(None),
            Ok(record) => Ok(Some(record)),
            Err(damage) => Err(Error::BrokenContainer { id: *id, damage }),
        }
    }

    /// Whether the container has an entry, sound or not.
    ///
    /// # Errors
    /// System calls.
    pub fn exists(&self, id: &ContainerId) -> Result<bool> {
        let Some(all) = &self.root.dirs.mounts else { return Ok(false) };
        Ok(sys::meta::find(all, os(&id.hex()))?.is_some())
    }

    /// The containers that have an entry, sorted.
    ///
    /// # Errors
    /// System calls.
    pub fn list(&self) -> Result<Vec<ContainerId>> {
        let names = names_in(self.root.dirs.mounts.as_ref())?;
        Ok(names.iter().filter_map(|name| ContainerId::parse(name).ok()).collect())
    }

    /// Writes an entry aside: directory 0755, files 0644. Notes its driver directories if that was not done yet
    /// ([`Work::note`]).
    ///
    /// # Errors
    /// System calls.
    pub fn stage<'a>(
        &self,
        work: &'a Work<'a>,
        id: &ContainerId,
        record: MountRecord,
    ) -> Result<StagedMount<'a>> {
        work.note(&[Intent::Mount { container: *id, mount_id: record.mount_id }])?;
        let name = work.next_name("mount");
        let dir = sys::dir::ensure(work.fd(), os(&name), 0o755)?;
        let mut files = vec![("mount-id", record.mount_id.to_string())];
        files.extend(record.init_id.map(|init| ("init-id", init.to_string())));
        files.extend(record.parent.map(|parent| ("parent", parent.to_string())));
        for (file, text) in files {
            sys::atomic::create_unsynced(&dir, os(file), 0o644, text.as_bytes())?;
        }
        Ok(StagedMount { work, name, id: *id, record })
    }

    /// Publishes a staged entry. Durable when this returns, if the entry was made durable before
    /// ([`StagedMount::sync`] or [`DataRoot::sync`]).
    ///
    /// # Errors
    /// [`Error::NoLayer`] if the layer below it is not in the store; `EEXIST` if the container has an entry.
    pub fn publish(&self, lock: &CommitLock<'_>, staged: StagedMount<'_>) -> Result<()> {
        let all = self.root.writable(&self.root.dirs.mounts)?;
        if let Some(parent) = &staged.record.parent {
            if !self.root.layers().exists(parent)? {
                return Err(Error::NoLayer(*parent));
            }
            lock.add(&Marker::of_layer(parent, User::Container(staged.id)))?;
        }
        sys::dir::rename_noreplace(staged.work.fd(), os(&staged.name), all, os(&staged.id.hex()))?;
        Ok(sys::dir::sync(all)?)
    }

    /// Removes an entry: into the work directory, where it stays until that is finished. Its driver directories have
    /// to be noted there before ([`Work::note`]). Durable when this returns. An entry that is not there is no error.
    ///
    /// # Errors
    /// System calls.
    pub fn remove(&self, lock: &CommitLock<'_>, work: &Work<'_>, id: &ContainerId) -> Result<()> {
        let all = self.root.writable(&self.root.dirs.mounts)?;
        let parent = self.parent_of(id)?;
        let gone = sys::dir::rename(all, os(&id.hex()), work.fd(), os(&work.next_name(GONE_MOUNT)));
        if crate::small::absent(gone)?.is_some() {
            sys::dir::sync(all)?;
        }
        if let Some(parent) = parent {
            lock.remove(&Marker::of_layer(&parent, User::Container(*id)));
        }
        Ok(())
    }

    /// Names what is wrong with the entries themselves.
    ///
    /// # Errors
    /// System calls.
    pub fn check(&self) -> Result<Vec<Finding>> {
        let mut findings = Vec::new();
        for name in names_in(self.root.dirs.mounts.as_ref())? {
            let path = self.root.image_path("layerdb/mounts").join(&name);
            let Ok(id) = ContainerId::parse(&name) else {
                findings.push(Finding { path, subject: Subject::Leftover, damage: Damage::Unknown });
                continue;
            };
            let damage = match self.find(&id) {
                Ok(Some(MountRecord { parent: Some(parent), .. }))
                    if !self.root.layers().exists(&parent)? =>
                {
                    Some(Damage::LayerMissing(parent))
                }
                Ok(_) if !self.root.containers().exists(&id)? => Some(Damage::Orphan),
                Ok(_) => None,
                Err(Error::BrokenContainer { damage, .. }) => Some(damage),
                Err(e) => return Err(e),
            };
            findings.extend(damage.map(|damage| Finding { path, subject: Subject::Mount(id), damage }));
        }
        Ok(findings)
    }

    /// The layer that a container stands on, as far as its entry says so.
    pub(crate) fn parent_of(&self, id: &ContainerId) -> Result<Option<ChainId>> {
        let Some(all) = &self.root.dirs.mounts else { return Ok(None) };
        let Some(dir) = find_dir(all, &id.hex())? else { return Ok(None) };
        Ok(find_text(&dir, "parent")?.and_then(|text| text.parse().ok()))
    }
}

impl StagedMount<'_> {
    /// Makes the staged files durable.
    ///
    /// # Errors
    /// System calls.
    pub fn sync(&self) -> Result<()> {
        crate::small::sync_files(&sys::dir::open(self.work.fd(), os(&self.name))?)
    }
}

type Texts = (Option<String>, Option<String>, Option<String>);

fn parse((mount, init, parent): Texts) -> Result<MountRecord, Damage> {
    let mount = mount.ok_or(Damage::Missing("mount-id"))?;
    let read = |file: &'static str, text: String| text.parse().map_err(|e| Damage::invalid(file, e));
    Ok(MountRecord {
        mount_id: read("mount-id", mount)?,
        init_id: init.map(|text| read("init-id", text)).transpose()?,
        parent: parent
            .map(|text| text.parse().map_err(|e: model::Error| Damage::invalid("parent", e)))
            .transpose()?,
    })
}
