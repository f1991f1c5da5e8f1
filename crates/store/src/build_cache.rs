//! What builds remember: which step, on which layer, reading which bytes, made which layer (`layercake/build/<driver>`).
//!
//! A record holds its layer: the layer stays in the store as long as the record does, whether an image has it or not. A
//! record that is lost or torn costs a step that is carried out again, so nothing here is synced.

use model::{ChainId, Digest, Timestamp};
use serde::{Deserialize, Serialize};
use sys::{OwnedFd, Time};

use crate::backrefs::{Marker, User};
use crate::commit::CommitLock;
use crate::error::{Error, Result};
use crate::root::DataRoot;
use crate::small::{absent, find_dir, names_in, os, replace_unsynced};

const BUILD: &str = "build";

/// The records.
#[derive(Debug, Clone, Copy)]
pub struct BuildCache<'a> {
    pub(crate) root: &'a DataRoot,
}

/// One step that was carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildRecord {
    /// The digest of all that the step depends on; the record's name.
    pub key: Digest,
    /// The layer that it made, with those below.
    pub chain: ChainId,
    /// When it was carried out.
    pub created: Timestamp,
    /// When a build last used it.
    pub used: Timestamp,
    /// What it was, for people.
    pub description: String,
}

/// The file's content. `used` is the file's time of change, its name is the key.
#[derive(Serialize, Deserialize)]
struct Content {
    chain: ChainId,
    created: Timestamp,
    description: String,
}

impl BuildCache<'_> {
    /// The record of this key. One that cannot be read counts as none.
    ///
    /// # Errors
    /// System calls.
    pub fn find(&self, key: &Digest) -> Result<Option<BuildRecord>> {
        match self.dir()? {
            Some(dir) => read(&dir, key),
            None => Ok(None),
        }
    }

    /// Whether there is a record whose key begins with these hexadecimal digits. Reads one directory.
    ///
    /// # Errors
    /// System calls.
    pub fn has_prefix(&self, digits: &str) -> Result<bool> {
        let Some(dir) = self.dir()? else { return Ok(false) };
        let entries = sys::dir::list(&dir)?;
        Ok(entries.iter().any(|entry| entry.name.to_str().is_some_and(|name| name.starts_with(digits))))
    }

    /// All records that can be read, sorted by key.
    ///
    /// # Errors
    /// System calls.
    pub fn list(&self) -> Result<Vec<BuildRecord>> {
        let Some(dir) = self.dir()? else { return Ok(Vec::new()) };
        let mut records = Vec::new();
        for key in names_in(Some(&dir))?.iter().filter_map(|name| Digest::from_hex(name).ok()) {
            records.extend(read(&dir, &key)?);
        }
        Ok(records)
    }

    /// Writes a record down, in the place of one of the same key. The layer is held from then on.
    ///
    /// # Errors
    /// [`Error::NoLayer`], system calls.
    pub fn publish(&self, lock: &CommitLock<'_>, record: &BuildRecord) -> Result<()> {
        if !self.root.layers().exists(&record.chain)? {
            return Err(Error::NoLayer(record.chain));
        }
        let dir = self.make_dir()?;
        let before = read(&dir, &record.key)?;
        lock.add(&Marker::of_layer(&record.chain, User::Build(record.key)))?;
        let content =
            Content { chain: record.chain, created: record.created, description: record.description.clone() };
        let text = model::gojson::to_vec(&content)?;
        replace_unsynced(lock, &dir, &record.key.hex(), 0o600, &text)?;
        if let Some(before) = before.filter(|before| before.chain != record.chain) {
            lock.remove(&Marker::of_layer(&before.chain, User::Build(before.key)));
        }
        Ok(())
    }

    /// Notes that a build used the record now. One that is gone meanwhile is no error.
    ///
    /// # Errors
    /// System calls.
    pub fn touch(&self, key: &Digest, now: Timestamp) -> Result<()> {
        self.root.writable(&self.root.dirs.private)?;
        let Some(dir) = self.dir()? else { return Ok(()) };
        let time = Time { secs: now.unix_seconds(), nanos: now.subsec_nanos() };
        absent(sys::meta::set_times(&dir, os(&key.hex()), time, time))?;
        Ok(())
    }

    /// Removes a record, and answers with what it held: release that layer, unless something else uses it.
    ///
    /// # Errors
    /// System calls.
    pub fn remove(&self, lock: &CommitLock<'_>, key: &Digest) -> Result<Option<ChainId>> {
        self.root.writable(&self.root.dirs.private)?;
        let Some(dir) = self.dir()? else { return Ok(None) };
        let record = read(&dir, key)?;
        absent(sys::dir::unlink(&dir, os(&key.hex())))?;
        if let Some(record) = &record {
            lock.remove(&Marker::of_layer(&record.chain, User::Build(*key)));
        }
        Ok(record.map(|record| record.chain))
    }

    /// The directory of cache mounts (`RUN --mount=type=cache`), made if it is not there. What is in it is the
    /// builder's business; no driver and no layer is concerned.
    ///
    /// # Errors
    /// [`Error::ReadOnly`], system calls.
    pub fn mounts(&self) -> Result<OwnedFd> {
        let private = self.root.writable(&self.root.dirs.private)?;
        let build = sys::dir::ensure(private, os(BUILD), 0o700)?;
        Ok(sys::dir::ensure(&build, os("mounts"), 0o700)?)
    }

    /// As [`mounts`](Self::mounts), `None` if there is none.
    ///
    /// # Errors
    /// System calls.
    pub fn find_mounts(&self) -> Result<Option<OwnedFd>> {
        let Some(private) = &self.root.dirs.private else { return Ok(None) };
        match find_dir(private, BUILD)? {
            Some(build) => find_dir(&build, "mounts"),
            None => Ok(None),
        }
    }

    fn dir(&self) -> Result<Option<OwnedFd>> {
        let Some(private) = &self.root.dirs.private else { return Ok(None) };
        let Some(build) = find_dir(private, BUILD)? else { return Ok(None) };
        let Some(steps) = find_dir(&build, "steps")? else { return Ok(None) };
        find_dir(&steps, self.root.driver())
    }

    fn make_dir(&self) -> Result<OwnedFd> {
        let mut dir = sys::dir::reopen(self.root.writable(&self.root.dirs.private)?)?;
        for name in [BUILD, "steps", self.root.driver()] {
            dir = sys::dir::ensure(&dir, os(name), 0o700)?;
        }
        Ok(dir)
    }
}

fn read(dir: &OwnedFd, key: &Digest) -> Result<Option<BuildRecord>> {
    let name = key.hex();
    let Some(bytes) = sys::atomic::find(dir, os(&name))? else { return Ok(None) };
    let Ok(content) = serde_json::from_slice::<Content>(&bytes) else { return Ok(None) };
    let Some(meta) = sys::meta::find(dir, os(&name))? else { return Ok(None) };
    Ok(Some(BuildRecord {
        key: *key,
        chain: content.chain,
        created: content.created,
        used: Timestamp::from_unix(meta.mtime.secs, meta.mtime.nanos),
        description: content.description,
    }))
}
