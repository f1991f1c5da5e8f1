//! `volumes/`: one directory per volume, named by it, with the content in `_data` (`docs/format/volumes.md`).
//!
//! A volume is its directory. What Docker knows of it besides, its labels and options, stands in the database
//! `metadata.db` (`metadata`); the options that say what is mounted there, also in the volume's `opts.json`
//! (`device`). Volumes of other drivers than Docker's `local` are only in the database, and are not shown here.

mod device;
mod metadata;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use model::{Timestamp, VolumeName};
use sys::OwnedFd;

use crate::commit::CommitLock;
use crate::error::{Error, Result};
use crate::finding::{Damage, Finding, Subject};
use crate::root::DataRoot;
use crate::small::{absent, find_dir, names_in, os};
use crate::work::Work;

pub use device::Device;
use metadata::Metadata;

/// The content of a volume, in its directory.
pub const DATA: &str = "_data";
/// Modes as of Docker: everybody may pass to the content, whose own mode then counts.
const DIR_MODE: u32 = 0o701;
const DATA_MODE: u32 = 0o755;

/// The volumes.
#[derive(Debug, Clone, Copy)]
pub struct Volumes<'a> {
    pub(crate) root: &'a DataRoot,
}

/// A volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// Its name.
    pub name: VolumeName,
    /// Its labels; `None` where Docker shows `null`.
    pub labels: Option<BTreeMap<String, String>>,
    /// The options that it was made with; `None` where Docker shows `null`.
    pub options: Option<BTreeMap<String, String>>,
    /// When its directory changed last, which is what Docker calls its creation.
    pub created: Timestamp,
}

impl Volume {
    /// Whether nobody named it.
    pub fn is_anonymous(&self) -> bool {
        self.labels.as_ref().is_some_and(|labels| labels.contains_key(model::volume::ANONYMOUS))
    }
}

/// A volume that is not published yet.
#[derive(Debug)]
pub struct StagedVolume<'a> {
    work: &'a Work<'a>,
    dir_name: String,
    dir: OwnedFd,
    name: VolumeName,
    metadata: Metadata,
}

impl Volumes<'_> {
    /// The volumes, sorted by name.
    ///
    /// # Errors
    /// [`Error::BrokenFile`] if the database is damaged, system calls.
    pub fn list(&self) -> Result<Vec<Volume>> {
        self.list_with(metadata::read(self.root)?)
    }

    /// The volumes, sorted by name, without labels and options: also if the database is damaged.
    ///
    /// # Errors
    /// System calls.
    pub fn list_bare(&self) -> Result<Vec<Volume>> {
        self.list_with(BTreeMap::new())
    }

    fn list_with(&self, mut known: BTreeMap<String, Metadata>) -> Result<Vec<Volume>> {
        let names = names_in(self.root.dirs.volumes.as_ref())?;
        let volumes = names.into_iter().filter_map(|name| VolumeName::parse(&name).ok());
        volumes.filter_map(|name| self.volume(name, &mut known).transpose()).collect()
    }

    /// A volume, `None` if it is not there.
    ///
    /// # Errors
    /// As [`Volumes::list`].
    pub fn find(&self, name: &VolumeName) -> Result<Option<Volume>> {
        if self.exists(name)? { self.volume(name.clone(), &mut metadata::read(self.root)?) } else { Ok(None) }
    }

    /// Whether the volume is there.
    ///
    /// # Errors
    /// System calls.
    pub fn exists(&self, name: &VolumeName) -> Result<bool> {
        Ok(self.dir(name)?.is_some())
    }

    /// The directory that is the volume's content.
    ///
    /// # Errors
    /// [`Error::NoVolume`], system calls.
    pub fn data(&self, name: &VolumeName) -> Result<OwnedFd> {
        let dir = self.dir(name)?.ok_or_else(|| Error::NoVolume(name.clone()))?;
        Ok(sys::dir::open(dir, os(DATA))?)
    }

    /// Where that directory is, whether the volume is there or not.
    pub fn path(&self, name: &VolumeName) -> PathBuf {
        self.root.path().join("volumes").join(name.as_str()).join(DATA)
    }

    /// What is mounted on the volume's content when a container uses it; `None` for most volumes.
    ///
    /// # Errors
    /// [`Error::BrokenFile`], system calls.
    pub fn device(&self, name: &VolumeName) -> Result<Option<Device>> {
        match self.dir(name)? {
            Some(dir) => device::read(&dir, name),
            None => Ok(None),
        }
    }

    /// Makes a volume aside: directory 0701, content 0755.
    ///
    /// # Errors
    /// System calls.
    pub fn stage<'a>(
        &self,
        work: &'a Work<'a>,
        name: &VolumeName,
        labels: Option<BTreeMap<String, String>>,
        options: Option<BTreeMap<String, String>>,
    ) -> Result<StagedVolume<'a>> {
        let dir_name = work.next_name("volume");
        let dir = sys::dir::ensure(work.fd(), os(&dir_name), DIR_MODE)?;
        let data = sys::dir::ensure(&dir, os(DATA), DATA_MODE)?;
        if let Some((uid, gid)) = self.root.container_root {
            sys::meta::chown_fd(data, uid, gid)?;
        }
        if let Some(device) = options.as_ref().and_then(Device::of_options) {
            device::write(&dir, &device)?;
        }
        let metadata = Metadata::local(name, labels, options);
        Ok(StagedVolume { work, dir_name, dir, name: name.clone(), metadata })
    }

    /// Publishes staged volumes, all at once: the database is written once. Durable when this returns, if their content
    /// was made durable before ([`DataRoot::sync`]).
    ///
    /// # Errors
    /// `EEXIST` if there is a volume of a name; [`Error::BrokenFile`] if the database is damaged; system calls.
    pub fn publish(&self, lock: &CommitLock<'_>, staged: Vec<StagedVolume<'_>>) -> Result<()> {
        if staged.is_empty() {
            return Ok(());
        }
        let all = self.root.writable(&self.root.dirs.volumes)?;
        // The directory is what makes it a volume, for Docker too; an entry without one is passed over.
        let entries: Vec<Metadata> = staged.iter().map(|volume| volume.metadata.clone()).collect();
        metadata::put(lock, entries)?;
        for volume in staged {
            sys::dir::rename_noreplace(
                volume.work.fd(),
                os(&volume.dir_name),
                all,
                os(volume.name.as_str()),
            )?;
        }
        Ok(sys::dir::sync(all)?)
    }

    /// Removes a volume with its content: into the work directory, where it stays until that is finished. Durable when
    /// this returns. A volume that is not there is no error.
    ///
    /// # Errors
    /// [`Error::BrokenFile`] if the database is damaged; system calls.
    pub fn remove(&self, lock: &CommitLock<'_>, work: &Work<'_>, name: &VolumeName) -> Result<()> {
        let all = self.root.writable(&self.root.dirs.volumes)?;
        let gone = sys::dir::rename(all, os(name.as_str()), work.fd(), os(&work.next_name("gone-volume")));
        if absent(gone)?.is_some() {
            sys::dir::sync(all)?;
        }
        metadata::remove(lock, name)
    }

    /// Names what is wrong with volumes.
    ///
    /// # Errors
    /// System calls.
    pub fn check(&self) -> Result<Vec<Finding>> {
        let mut findings = Vec::new();
        if let Err(Error::BrokenFile { damage, .. }) = metadata::read(self.root) {
            let path = Path::new("volumes").join(metadata::FILE);
            findings.push(Finding { path, subject: Subject::Leftover, damage });
        }
        for name in names_in(self.root.dirs.volumes.as_ref())? {
            let Ok(name) = VolumeName::parse(&name) else { continue };
            let Some(dir) = self.dir_of(&name)? else { continue };
            let mut report = |damage| {
                let path = Path::new("volumes").join(name.as_str());
                findings.push(Finding { path, subject: Subject::Volume(name.clone()), damage });
            };
            if find_dir(&dir, DATA)?.is_none() {
                report(Damage::Missing(DATA));
            }
            if let Err(Error::BrokenFile { damage, .. }) = device::read(&dir, &name) {
                report(damage);
            }
        }
        Ok(findings)
    }

    /// A volume's directory, if it has content.
    fn dir(&self, name: &VolumeName) -> Result<Option<OwnedFd>> {
        let Some(dir) = self.dir_of(name)? else { return Ok(None) };
        Ok(find_dir(&dir, DATA)?.map(|_| dir))
    }

    /// The directory of this name; beside them are files of the daemon's.
    fn dir_of(&self, name: &VolumeName) -> Result<Option<OwnedFd>> {
        let Some(all) = &self.root.dirs.volumes else { return Ok(None) };
        match sys::meta::find(all, os(name.as_str()))? {
            Some(meta) if meta.kind == sys::FileKind::Dir => find_dir(all, name.as_str()),
            _ => Ok(None),
        }
    }

    fn volume(&self, name: VolumeName, known: &mut BTreeMap<String, Metadata>) -> Result<Option<Volume>> {
        let Some(dir) = self.dir(&name)? else { return Ok(None) };
        let changed = sys::meta::of_fd(&dir)?.ctime;
        let metadata = known.remove(name.as_str()).filter(Metadata::is_local);
        let (labels, options) = metadata.map_or((None, None), |metadata| (metadata.labels, metadata.options));
        Ok(Some(Volume { name, labels, options, created: Timestamp::from_unix(changed.secs, changed.nanos) }))
    }
}

impl StagedVolume<'_> {
    /// Its name.
    pub fn name(&self) -> &VolumeName {
        &self.name
    }

    /// The directory that its content, [`DATA`], is in.
    pub fn dir(&self) -> &OwnedFd {
        &self.dir
    }

    /// Moves the content into the volume of this name, which is there already, and gives it the owner, mode and time of
    /// the content; nothing of that if it is not empty. Durable when this returns, if the content is. A crash in the
    /// middle leaves a part of the content there.
    ///
    /// # Errors
    /// [`Error::NoVolume`], system calls.
    pub fn pour(self, lock: &CommitLock<'_>) -> Result<()> {
        let to = lock.root.volumes().data(&self.name)?;
        let from = sys::dir::open(&self.dir, os(DATA))?;
        if !sys::dir::list(&to)?.is_empty() {
            return Ok(());
        }
        let meta = sys::meta::of_fd(&from)?;
        for entry in sys::dir::list(&from)? {
            sys::dir::rename_noreplace(&from, &entry.name, &to, &entry.name)?;
        }
        let now = sys::meta::of_fd(&to)?;
        if (now.uid, now.gid) != (meta.uid, meta.gid) {
            sys::meta::chown_fd(&to, meta.uid, meta.gid)?;
        }
        sys::meta::chmod_fd(&to, meta.mode)?;
        sys::meta::set_times_fd(&to, meta.atime, meta.mtime)?;
        Ok(sys::dir::sync(&to)?)
    }
}
