//! `volumes/metadata.db`: what Docker knows of volumes besides their content. A bolt file with one bucket; the keys are
//! names, the values JSON.

use std::collections::BTreeMap;
use std::path::Path;

use model::VolumeName;
use serde::{Deserialize, Serialize};

use crate::bolt::{self, Pairs};
use crate::commit::CommitLock;
use crate::error::{Error, Result};
use crate::finding::Damage;
use crate::root::DataRoot;
use crate::small::os;

pub(super) const FILE: &str = "metadata.db";
const MODE: u32 = 0o600;
const BUCKET: &[u8] = b"volumes";
/// Docker's own driver, the only one here.
const LOCAL: &str = "local";

/// The value of a volume.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct Metadata {
    name: String,
    driver: String,
    pub labels: Option<BTreeMap<String, String>>,
    pub options: Option<BTreeMap<String, String>>,
}

impl Default for Metadata {
    fn default() -> Self {
        Self { name: String::new(), driver: LOCAL.to_owned(), labels: None, options: None }
    }
}

impl Metadata {
    pub fn local(
        name: &VolumeName,
        labels: Option<BTreeMap<String, String>>,
        options: Option<BTreeMap<String, String>>,
    ) -> Self {
        Self { name: name.to_string(), labels, options, ..Self::default() }
    }

    pub fn is_local(&self) -> bool {
        self.driver.is_empty() || self.driver == LOCAL
    }
}

/// What is known, by name. Without a database nothing is.
pub(super) fn read(root: &DataRoot) -> Result<BTreeMap<String, Metadata>> {
    let pairs = pairs(root)?.into_iter();
    let value = |(name, value): (Vec<u8>, Vec<u8>)| {
        let metadata = serde_json::from_slice(&value).map_err(|e| broken(root, e))?;
        Ok((String::from_utf8_lossy(&name).into_owned(), metadata))
    };
    pairs.map(value).collect()
}

/// Writes entries, in the place of those that there are. Durable when this returns.
pub(super) fn put(lock: &CommitLock<'_>, entries: Vec<Metadata>) -> Result<()> {
    let encoded: Result<Pairs, model::Error> = entries
        .into_iter()
        .map(|entry| Ok((entry.name.clone().into_bytes(), model::gojson::to_vec(&entry)?)))
        .collect();
    let mut encoded = encoded?;
    change(lock, |pairs| pairs.append(&mut encoded))
}

/// Removes an entry. One that is not there is no error.
pub(super) fn remove(lock: &CommitLock<'_>, name: &VolumeName) -> Result<()> {
    change(lock, |pairs| drop(pairs.remove(name.as_str().as_bytes())))
}

fn pairs(root: &DataRoot) -> Result<Pairs> {
    let Some(all) = &root.dirs.volumes else { return Ok(Pairs::new()) };
    match sys::atomic::find(all, os(FILE))? {
        // As bolt makes it, before its first write.
        Some(file) if file.is_empty() => Ok(Pairs::new()),
        Some(file) => bolt::bucket(&file, BUCKET).ok_or_else(|| broken(root, "it is no sound bolt file")),
        None => Ok(Pairs::new()),
    }
}

/// The commit lock keeps other commands of ours away, and its guard daemons.
fn change(lock: &CommitLock<'_>, edit: impl FnOnce(&mut Pairs)) -> Result<()> {
    let root = lock.root;
    let before = pairs(root)?;
    let mut after = before.clone();
    edit(&mut after);
    if after == before {
        return Ok(());
    }
    let all = root.writable(&root.dirs.volumes)?;
    if sys::atomic::find(all, os(FILE))?.is_none_or(|file| file.is_empty()) {
        crate::small::replace(lock, all, FILE, MODE, &bolt::empty())?;
        sys::dir::sync(all)?;
    }
    let fd = sys::dir::open_or_create_file(all, os(FILE), MODE)?;
    let file = sys::atomic::read(all, os(FILE))?;
    let written = bolt::replace_bucket(&fd, &file, BUCKET, &after)?;
    written.ok_or_else(|| broken(root, "it is no sound bolt file"))
}

fn broken(root: &DataRoot, why: impl std::fmt::Display) -> Error {
    let path = root.path().join(Path::new("volumes").join(FILE));
    Error::BrokenFile { path, damage: Damage::invalid(FILE, why) }
}
