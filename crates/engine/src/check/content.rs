//! Layers' files against their digests.
//!
//! A layer's archive is put together from its files and its tar-split record, as `save` does; its digest has to be
//! the one that the record, and so every image on it, names. Where it is not, the files are compared one by one.

use std::io::Write;
use std::sync::{Mutex, PoisonError};

use archive::digest::Sha256;
use changeset::verify::Difference;
use model::progress::Phase;
use model::{DiffId, Digest};
use store::LayerRecord;

use super::{Check, Finding, REPAIR, REPLACE};
use crate::{Engine, Error, Result};

/// So many files of a layer are named in a message.
const NAMED: usize = 3;

/// What came of comparing a layer.
#[derive(Debug, Default)]
struct Compared {
    /// Files that are not what they were.
    differences: Vec<Difference>,
    /// What is wrong with the whole, if no file is to blame.
    wrong: Option<String>,
    /// Length of the archive in bytes.
    bytes: u64,
    /// The size that should be on record, if it is another.
    size: Option<u64>,
}

impl Check<'_> {
    /// Reads all layers, several at a time.
    pub(super) fn content(&mut self) -> Result<()> {
        let records: Vec<LayerRecord> = self.sound_layers()?.into_values().collect();
        let devices = self.makes_devices()?;
        let queue = Mutex::new(records.iter());
        let done = Mutex::new(Vec::new());
        let (engine, progress) = (self.engine, self.progress);
        let work = || {
            loop {
                let next = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
                let Some(record) = next else { break };
                let item = record.diff.short();
                progress.start(&item, Phase::Verifying, None);
                let compared = engine.compare(record, devices, &|bytes| progress.advance(&item, bytes));
                progress.finish(&item);
                done.lock().unwrap_or_else(PoisonError::into_inner).push((record, compared));
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..self.engine.threads.min(records.len()) {
                scope.spawn(work);
            }
            work();
        });
        let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
        done.sort_by_key(|(record, _)| record.chain);
        for (record, compared) in done {
            // A layer whose directory is missing was found before.
            if let Some(compared) = compared? {
                self.content_finding(record, compared)?;
            }
        }
        Ok(())
    }

    fn content_finding(&mut self, record: &LayerRecord, compared: Compared) -> Result<()> {
        self.report.bytes += compared.bytes;
        let subject = self.directory(&record.cache_id).display().to_string();
        let affects = self.affected.by_layer(&record.chain);
        let message = match compared.differences.split_at_checked(NAMED) {
            Some((named, rest)) if !rest.is_empty() => {
                Some(format!("{}; and {} more files", list(named), rest.len()))
            }
            _ if !compared.differences.is_empty() => Some(list(&compared.differences)),
            _ => compared.wrong,
        };
        if let Some(message) = message {
            let kind = if compared.differences.is_empty() { "wrong-digest" } else { "changed-files" };
            let advice = REPLACE.to_owned();
            let finding = Finding { kind, subject, message, affects, advice, harmful: true, repaired: false };
            return self.found(finding, |engine| engine.mark_suspect(&record.chain).map(|()| false));
        }
        if let Some(size) = compared.size {
            let message = format!("the size on record is {} bytes, it has {size}", record.size);
            let advice = REPAIR.to_owned();
            let finding = Finding {
                kind: "wrong-size",
                subject,
                message,
                affects,
                advice,
                harmful: false,
                repaired: false,
            };
            self.found(finding, |engine| {
                let lock = engine.store.commit()?;
                engine.store.layers().rewrite(&lock, &LayerRecord { size, ..record.clone() })?;
                Ok(true)
            })?;
        }
        if self.options.repair {
            self.engine.clear_suspect(&record.chain)?;
        }
        Ok(())
    }
}

impl Engine {
    /// Compares one layer. `None` if it has no directory, or no record of its archive.
    fn compare(&self, record: &LayerRecord, devices: bool, report: &dyn Fn(u64)) -> Result<Option<Compared>> {
        let root = match self.driver.layer_root(&record.cache_id) {
            Err(drivers::Error::NoLayer(_) | drivers::Error::Damaged(_)) => return Ok(None),
            Err(drivers::Error::Sys(e)) if e.is_not_found() => return Ok(None),
            other => other?,
        };
        let open =
            || Ok::<_, Error>(self.store.layers().tar_split(&record.chain)?.map(archive::tar_split::gunzip));
        let (Some(first), Some(second)) = (open()?, open()?) else { return Ok(None) };
        let mut hash = Hashed { sha: Sha256::new(), bytes: 0, report };
        let wrong = match changeset::regenerate::regenerate(first, &root, &mut hash) {
            Ok(()) => {
                let found = DiffId::from(Digest::from(hash.sha.finish()));
                (found != record.diff)
                    .then(|| format!("its content has the digest {found} instead of {}", record.diff))
            }
            Err(changeset::Error::Sys(e)) => return Err(e.into()),
            Err(e) => Some(e.to_string()),
        };
        let bytes = hash.bytes;
        // Links, devices and directories are no part of the regenerated archive, so they are compared in any case.
        let differences = match changeset::verify::verify(second, &root, devices) {
            Ok(differences) => differences,
            Err(changeset::Error::Sys(e)) => return Err(e.into()),
            Err(_) => Vec::new(),
        };
        let size = if wrong.is_none() && differences.is_empty() { self.wrong_size(record)? } else { None };
        Ok(Some(Compared { differences, wrong, bytes, size }))
    }

    /// The right size of a layer if neither way to count it gives the one on record. Docker counts the files on the
    /// disk or the archive's, depending on how it unpacked the layer (moby.md §11.5).
    fn wrong_size(&self, record: &LayerRecord) -> Result<Option<u64>> {
        if !self.driver.capabilities().independent_layers {
            return Ok(None);
        }
        let on_disk = self.driver.usage(&record.cache_id, None)?;
        if on_disk == record.size {
            return Ok(None);
        }
        let mut in_archive = 0;
        if let Some(file) = self.store.layers().tar_split(&record.chain)? {
            for item in archive::tar_split::Unpacker::new(archive::tar_split::gunzip(file)) {
                if let archive::tar_split::Item::File { size, .. } = item? {
                    in_archive += size;
                }
            }
        }
        Ok((in_archive != record.size).then_some(on_disk))
    }
}

fn list(differences: &[Difference]) -> String {
    let texts: Vec<String> =
        differences.iter().map(|d| format!("{}: {}", d.path.display(), d.fault)).collect();
    texts.join("; ")
}

/// Hashes and counts what is written.
struct Hashed<'a> {
    sha: Sha256,
    bytes: u64,
    report: &'a dyn Fn(u64),
}

impl Write for Hashed<'_> {
    fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
        self.sha.update(buf);
        self.bytes += buf.len() as u64;
        (self.report)(buf.len() as u64);
        Ok(buf.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
