//! The layers of a stage while it is being built.
//!
//! Layers of files are prepared in a stage of the driver, several on top of each other, and published together, with one
//! sync: before a `RUN`, whose mount needs them published, and at the end of the stage. A `RUN` writes into a writable
//! layer, which becomes the image's layer as it is: its archive is read once, for its digest and its tar-split record,
//! and no file is copied.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use archive::tar::{self, Entry, Sink};
use archive::tar_split::{self, Packer};
use changeset::{DiffStats, Lowers};
use drivers::{Access, Driver};
use model::{CacheId, ChainId, DiffId, Digest, Timestamp};
use store::{BuildRecord, LayerRecord, Work};
use sys::Root;

use super::time;
use crate::hashing::pass_on;
use crate::layers::NewLayers;
use crate::{Engine, Error, Result};

/// What a step that makes a layer is called, and when it was made.
#[derive(Debug, Clone)]
pub(super) struct Made {
    /// For people who look at the cache.
    pub description: String,
    /// When.
    pub created: Timestamp,
}

impl Made {
    fn record(&self, key: Digest, chain: ChainId) -> BuildRecord {
        let (created, description) = (self.created, self.description.clone());
        BuildRecord { key, chain, created, used: created, description }
    }
}

/// Layers on their way into the store.
pub(super) struct Growth<'a> {
    engine: &'a Engine,
    work: &'a Work<'a>,
    pending: Option<NewLayers<'a>>,
    /// To be written down when the pending layers are in the store.
    records: Vec<BuildRecord>,
    top: Option<LayerRecord>,
}

impl<'a> Growth<'a> {
    /// Begins on top of a layer of the store.
    pub fn new(engine: &'a Engine, work: &'a Work<'a>, top: Option<LayerRecord>) -> Self {
        Self { engine, work, pending: None, records: Vec::new(), top }
    }

    /// The topmost layer.
    pub fn top(&self) -> Option<&LayerRecord> {
        self.top.as_ref()
    }

    /// The chain of all layers.
    pub fn chain(&self) -> Option<ChainId> {
        self.top.as_ref().map(|top| top.chain)
    }

    /// The tree as it is now, for reading without a mount.
    pub fn view(&self) -> Result<Option<Lowers>> {
        let stage = self.pending.as_ref().map(NewLayers::stage);
        let view = self.top.as_ref().map(|top| self.engine.driver.view(stage, &top.cache_id));
        Ok(view.transpose()?)
    }

    /// Takes a layer that an earlier build made on top of what is here.
    pub fn adopt(&mut self, record: LayerRecord) -> Result<()> {
        self.flush()?;
        self.top = Some(record);
        Ok(())
    }

    /// Adds a layer whose archive `produce` writes, in a thread of its own. It answers with the key of the step.
    pub fn add(
        &mut self,
        made: &Made,
        produce: impl FnOnce(&mut dyn Write) -> Result<Digest> + Send,
    ) -> Result<DiffId> {
        if self.pending.is_none() {
            self.pending = Some(self.engine.new_layers(self.work)?);
        }
        let Some(pending) = &mut self.pending else { return Err(Error::invalid("no layers")) };
        let below = self.top.clone();
        let (reader, writer) = std::io::pipe().map_err(Error::io("make a pipe for", "a layer"))?;
        let (written, stacked) = std::thread::scope(|scope| {
            let producer = scope.spawn(move || {
                let mut out = BufWriter::with_capacity(PIECE, writer);
                let key = produce(&mut out)?;
                out.flush().map_err(Error::io("write", "a layer"))?;
                Ok(key)
            });
            let stacked = pending.stack(&made.description, Box::new(reader), below.as_ref());
            let written = producer.join().unwrap_or_else(|_| Err(Error::thread("writing", "a layer")));
            (written, stacked)
        });
        let (key, record) = match (written, stacked) {
            // A reader that stopped is seen by the writer as a closed pipe: the reader's error is the cause.
            (Err(written), Err(stacked)) => {
                return Err(if is_closed_pipe(&written) { stacked } else { written });
            }
            (written, stacked) => (written?, stacked?),
        };
        self.records.push(made.record(key, record.chain));
        let diff = record.diff;
        self.top = Some(record);
        Ok(diff)
    }

    /// Adds a layer that `execute` makes by writing into the mounted tree. It answers with directories in which it has
    /// made something and removed it again. The layer is in the store when this returns.
    pub fn run(
        &mut self,
        key: Digest,
        made: &Made,
        epoch: Option<Timestamp>,
        execute: impl FnOnce(&Path) -> Result<Vec<PathBuf>>,
    ) -> Result<DiffId> {
        self.flush()?;
        let id = self.engine.writable_layer(self.work, self.top.as_ref().map(|top| &top.cache_id))?;
        let made_layer = self.in_mount(&id, execute).and_then(|touched| {
            self.forget_touched(&id, &touched)?;
            self.seal(&id, key, made, epoch)
        });
        let record = match made_layer {
            Ok(record) => record,
            Err(e) => {
                self.engine.driver.discard(&id)?;
                return Err(e);
            }
        };
        let diff = record.diff;
        self.top = Some(record);
        Ok(diff)
    }

    fn in_mount<T>(&self, id: &CacheId, execute: impl FnOnce(&Path) -> Result<T>) -> Result<T> {
        let path = self.engine.driver.mount(id, Access::Write)?;
        let executed = execute(&path);
        let unmounted = self.engine.driver.unmount(id);
        let made = executed?;
        unmounted?;
        Ok(made)
    }

    /// Removes directories that were copied into the layer and are as they were below it: no change.
    fn forget_touched(&self, id: &CacheId, touched: &[PathBuf]) -> Result<()> {
        let Some(below) = &self.top else { return Ok(()) };
        let driver = &*self.engine.driver;
        if !driver.capabilities().independent_layers || touched.is_empty() {
            return Ok(());
        }
        let (root, below) = (driver.layer_root(id)?, driver.view(None, &below.cache_id)?);
        let mut paths: Vec<&Path> = touched.iter().flat_map(|path| path.ancestors()).collect();
        paths.sort_unstable_by(|a, b| b.cmp(a));
        paths.dedup();
        for path in paths.into_iter().filter(|path| !path.as_os_str().is_empty()) {
            let Ok((dir, name)) = root.parent_nofollow(path) else { continue };
            let Some(mine) = sys::meta::find(&dir, &name)? else { continue };
            let Some(theirs) = below.lookup(path)?.map(|found| found.meta) else { continue };
            let same = |a: &sys::Meta, b: &sys::Meta| {
                (a.kind, a.mode, a.uid, a.gid, a.mtime) == (b.kind, b.mode, b.uid, b.gid, b.mtime)
            };
            if mine.kind == sys::FileKind::Dir && same(&mine, &theirs) {
                let parent = sys::meta::of_fd(&dir)?;
                // One that holds something stays.
                if sys::dir::rmdir(&dir, &name).is_ok() {
                    sys::meta::set_times_fd(&dir, parent.atime, parent.mtime)?;
                }
            }
        }
        Ok(())
    }

    /// Makes an image's layer of a writable one.
    fn seal(&self, id: &CacheId, key: Digest, made: &Made, epoch: Option<Timestamp>) -> Result<LayerRecord> {
        let engine = self.engine;
        let below = self.top.as_ref().map(|top| &top.cache_id);
        if let Some(epoch) = epoch {
            self.clamp_times(id, below, epoch)?;
        }
        let mut staged = engine.store.layers().stage(self.work)?;
        let out = BufWriter::with_capacity(PIECE, staged.tar_split()?);
        let mut record = Record(Packer::new(tar_split::gzip(out)));
        let mut parser = tar::Parser::new(engine.limits.tar);
        let mut stats = DiffStats::default();
        let digest = pass_on(
            |out| {
                stats = engine.driver.diff(id, below, out)?;
                Ok(())
            },
            |piece| parser.push(piece, &mut record),
        )?;
        parser.finish(&mut record)?;
        let out = record.0.finish()?.finish().map_err(Error::io("write", "tar-split.json.gz"))?;
        out.into_inner().map_err(|e| Error::io("write", "tar-split.json.gz")(e.into_error()))?;
        if stats.sockets > 0 {
            // No archive holds them: without this the layer would show more here than where it is loaded.
            in_layer(&*engine.driver, id, |root| remove_sockets(sys::dir::reopen(root)?))?;
        }
        engine.driver.seal(id)?;
        let diff = DiffId::from(digest);
        let parent = self.chain();
        let chain = ChainId::extend(parent.as_ref(), &diff);
        let record = LayerRecord { chain, diff, parent, cache_id: id.clone(), size: stats.size };
        staged.finish(record.clone())?;
        engine.store.sync()?;
        let lock = engine.store.commit()?;
        if let Some(theirs) = engine.sound_layer(&chain)? {
            engine.store.build_cache().publish(&lock, &made.record(key, chain))?;
            engine.driver.discard(id)?;
            return Ok(theirs);
        }
        if let Some(parent) = &self.top
            && engine.store.layers().find(&parent.chain)?.is_none_or(|now| now.cache_id != parent.cache_id)
        {
            return Err(Error::LayerVanished(parent.chain));
        }
        engine.store.layers().publish(&lock, staged)?;
        engine.store.layers().sync()?;
        engine.store.build_cache().publish(&lock, &made.record(key, chain))?;
        Ok(record)
    }

    /// Sets back what is younger than `epoch`.
    fn clamp_times(&self, id: &CacheId, below: Option<&CacheId>, epoch: Timestamp) -> Result<()> {
        let driver = &*self.engine.driver;
        let limit = time(epoch);
        let changes = driver.changes(id, below)?;
        in_layer(driver, id, |root| {
            for change in changes {
                let path = change.path.strip_prefix("/").unwrap_or(&change.path);
                let Ok((dir, name)) = root.parent_nofollow(path) else { continue };
                // A deletion is dated, too, where it is a file of its own.
                if let Some(meta) = sys::meta::find(&dir, &name)?
                    && meta.mtime > limit
                {
                    sys::meta::set_times(&dir, &name, meta.atime, limit)?;
                }
            }
            let meta = sys::meta::of_fd(root)?;
            if meta.mtime > limit {
                sys::meta::set_times_fd(root, meta.atime, limit)?;
            }
            Ok(())
        })
    }

    /// Publishes what is pending, and writes down what made it.
    pub fn flush(&mut self) -> Result<()> {
        let Some(pending) = self.pending.take() else { return Ok(()) };
        pending.sync()?;
        let lock = self.engine.store.commit()?;
        self.engine.publish_layers(&lock, pending)?;
        for record in std::mem::take(&mut self.records) {
            self.engine.store.build_cache().publish(&lock, &record)?;
        }
        drop(lock);
        if let Some(top) = &self.top {
            // Another build may have been faster with the same layer.
            self.top = Some(self.engine.store.layers().get(&top.chain)?);
        }
        Ok(())
    }
}

/// Bytes that are passed on at a time.
const PIECE: usize = 256 << 10;

fn is_closed_pipe(error: &Error) -> bool {
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    causes
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .any(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
}

/// Works on the files of a layer that nobody uses: where trees are file systems of their own, through a mount, for what
/// is opened without one cannot be written to.
fn in_layer<T>(driver: &dyn Driver, id: &CacheId, work: impl FnOnce(&Root) -> Result<T>) -> Result<T> {
    let capabilities = driver.capabilities();
    if !(capabilities.whole_trees && capabilities.mounts) {
        return work(&driver.layer_root(id)?);
    }
    let root = Root::open(&driver.mount(id, Access::Write)?)?;
    let done = work(&root);
    drop(root);
    driver.unmount(id)?;
    done
}

/// Removes the sockets below a directory.
fn remove_sockets(top: sys::OwnedFd) -> Result<()> {
    let mut dirs = vec![top];
    while let Some(dir) = dirs.pop() {
        for entry in sys::dir::list(&dir)? {
            match sys::meta::find(&dir, &entry.name)?.map(|meta| meta.kind) {
                Some(sys::FileKind::Socket) => sys::dir::unlink(&dir, &entry.name)?,
                Some(sys::FileKind::Dir) => dirs.push(sys::dir::open(&dir, &entry.name)?),
                _ => {}
            }
        }
    }
    Ok(())
}

/// Writes the record that brings an archive back.
struct Record<W: Write>(Packer<W>);

impl<W: Write> Sink for Record<W> {
    type Error = Error;

    fn raw(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.0.raw(bytes)?)
    }

    fn entry(&mut self, entry: &Entry) -> Result<()> {
        Ok(self.0.entry(entry)?)
    }

    fn data(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.0.data(bytes)?)
    }

    fn end_entry(&mut self) -> Result<()> {
        Ok(self.0.end_entry()?)
    }

    fn end_archive(&mut self) -> Result<()> {
        Ok(self.0.end_archive()?)
    }
}
