//! New layers: assembled aside, published by one rename.

use std::fs::File;

use model::{CacheId, ChainId};
use sys::OwnedFd;

use super::{LayerRecord, Layers, TAR_SPLIT, read};
use crate::backrefs::{Marker, User};
use crate::commit::CommitLock;
use crate::error::Result;
use crate::small::{find_dir, os, replace};
use crate::work::{Intent, Work};

/// A layer's directory that is not published yet.
#[derive(Debug)]
pub struct StagedLayer<'a> {
    work: &'a Work<'a>,
    name: String,
    dir: OwnedFd,
    record: Option<LayerRecord>,
}

/// What became of a staged layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Published {
    /// It is in the store now.
    New,
    /// It took the place of another entry. The driver's directory that the other entry named, if it could be read,
    /// may still be what layers on top of it are mounted with: discard it only when nothing uses it.
    Replaced(Option<CacheId>),
}

impl Layers<'_> {
    /// Begins a new layer (directory 0700).
    ///
    /// # Errors
    /// System calls.
    pub fn stage<'a>(&self, work: &'a Work<'a>) -> Result<StagedLayer<'a>> {
        let name = work.next_name("layer");
        sys::dir::mkdir(work.fd(), os(&name), 0o700)?;
        let dir = sys::dir::open(work.fd(), os(&name))?;
        sys::meta::chmod_fd(&dir, 0o700)?;
        Ok(StagedLayer { work, name, dir, record: None })
    }

    /// Publishes a staged layer that was made durable ([`StagedLayer::sync`] or
    /// [`DataRoot::sync`](crate::DataRoot::sync)): from now on it is in the store. Its name is durable after
    /// [`Layers::sync`], or when an image on top of it is published.
    ///
    /// It takes the place of another record of the same name, sound or not, in one step: whoever does not want that
    /// asks before, under the same lock. So a layer is healed, also where Docker says "file exists" (moby.md §4).
    ///
    /// # Errors
    /// [`Error::NoLayer`](crate::Error::NoLayer) if its parent is not in the store, system calls.
    pub fn publish(&self, lock: &CommitLock<'_>, staged: StagedLayer<'_>) -> Result<Published> {
        let Some(record) = &staged.record else {
            return Err(sys::Error::new("publish unfinished layer", &staged.name, sys::Errno::INVAL).into());
        };
        let all = self.root.writable(&self.root.dirs.layers)?;
        let hex = record.chain.hex();
        if let Some(parent) = record.parent {
            if !self.exists(&parent)? {
                return Err(crate::Error::NoLayer(parent));
            }
            lock.add(&Marker::of_layer(&parent, User::Layer(record.chain)))?;
        }
        let Some(old) = find_dir(all, &hex)? else {
            sys::dir::rename(staged.work.fd(), os(&staged.name), all, os(&hex))?;
            return Ok(Published::New);
        };
        staged.change_places(all, &hex)?;
        Ok(Published::Replaced(read::Files::read(&old)?.cache_id().ok()))
    }

    /// Makes the names in the layerdb durable. Once, after the last of several [`Layers::publish`].
    ///
    /// # Errors
    /// System calls.
    pub fn sync(&self) -> Result<()> {
        Ok(sys::dir::sync(self.root.writable(&self.root.dirs.layers)?)?)
    }

    /// Writes the small files of a layer that is in the store anew, to repair them; its tar-split stays. Durable when
    /// this returns.
    ///
    /// # Errors
    /// [`Error::NoLayer`](crate::Error::NoLayer), system calls.
    pub fn rewrite(&self, lock: &CommitLock<'_>, record: &LayerRecord) -> Result<()> {
        let all = self.root.writable(&self.root.dirs.layers)?;
        let dir = find_dir(all, &record.chain.hex())?.ok_or(crate::Error::NoLayer(record.chain))?;
        if let Some(parent) = record.parent {
            lock.add(&Marker::of_layer(&parent, User::Layer(record.chain)))?;
        }
        for (name, text) in files(record) {
            replace(lock, &dir, name, 0o644, text.as_bytes())?;
        }
        Ok(sys::dir::sync(&dir)?)
    }
}

impl StagedLayer<'_> {
    /// Creates the file for the gzipped tar-split stream (0644).
    ///
    /// # Errors
    /// System calls.
    pub fn tar_split(&self) -> Result<sys::file::Writer> {
        let fd = sys::atomic::create_unsynced(&self.dir, os(TAR_SPLIT), 0o644, b"")?;
        Ok(sys::file::Writer::new(fd))
    }

    /// Opens what was written to [`tar_split`](Self::tar_split), gzipped.
    ///
    /// # Errors
    /// System calls.
    pub fn read_tar_split(&self) -> Result<File> {
        Ok(File::from(sys::dir::open_file(&self.dir, os(TAR_SPLIT))?))
    }

    /// Writes everything else, and notes the layer with its chain if that was not done yet ([`Work::note`]). The name
    /// under which the layer is published follows from `diff` and `parent`; `record.chain` has to be that name.
    ///
    /// # Errors
    /// System calls; `EINVAL` if the chain is not the right one.
    pub fn finish(&mut self, record: LayerRecord) -> Result<()> {
        if record.chain != ChainId::extend(record.parent.as_ref(), &record.diff) {
            return Err(sys::Error::new("stage layer", record.chain.to_string(), sys::Errno::INVAL).into());
        }
        let intent = Intent::Layer { cache_id: record.cache_id.clone(), chain: Some(record.chain) };
        self.work.note(&[intent])?;
        for (name, text) in files(&record) {
            sys::atomic::create_unsynced(&self.dir, os(name), 0o644, text.as_bytes())?;
        }
        self.record = Some(record);
        Ok(())
    }

    /// Takes the place of the layer `hex`, which goes with the work.
    fn change_places(&self, all: &OwnedFd, hex: &str) -> Result<()> {
        match sys::dir::exchange(self.work.fd(), os(&self.name), all, os(hex)) {
            // A file system without the call: a crash between these two takes the damaged layer away.
            Err(e) if e.errno == sys::Errno::INVAL => {
                sys::dir::rename(all, os(hex), self.work.fd(), os(&self.work.next_name("damaged")))?;
                Ok(sys::dir::rename(self.work.fd(), os(&self.name), all, os(hex))?)
            }
            other => Ok(other?),
        }
    }

    /// What it was finished with.
    pub fn record(&self) -> Option<&LayerRecord> {
        self.record.as_ref()
    }

    /// Makes the staged files durable, one by one. For several layers [`DataRoot::sync`](crate::DataRoot::sync) is
    /// faster.
    ///
    /// # Errors
    /// System calls.
    pub fn sync(&self) -> Result<()> {
        crate::small::sync_files(&self.dir)
    }
}

/// The small files of a layer, without a newline at their ends, in the order in which Docker writes them.
fn files(record: &LayerRecord) -> Vec<(&'static str, String)> {
    let mut files = vec![("size", record.size.to_string()), ("cache-id", record.cache_id.to_string())];
    files.push(("diff", record.diff.to_string()));
    files.extend(record.parent.map(|parent| ("parent", parent.to_string())));
    files
}
