//! Unpacks layers into a stage of the driver, as many at once as there are processors.

use std::io::{BufWriter, Write};

use archive::compress;
use archive::tar::{self, Entry, Kind, Sink};
use archive::tar_split::{self, GzEncoder, Packer};
use changeset::{Applied, Applier};
use drivers::Stage;
use model::progress::{Phase, Progress};
use model::{CacheId, DiffId};
use sys::idmap::IdMap;

use super::{Archive, pipeline};
use crate::Engine;
use crate::error::{Error, Result};
use crate::parallel::largest_first;

/// A layer to unpack.
pub(crate) struct Job<'a> {
    /// What messages call it.
    pub name: &'a str,
    /// What progress calls it; the DiffID's twelve digits if absent.
    pub item: Option<&'a str>,
    /// Its archive, compressed or not.
    pub archive: &'a dyn Archive,
    /// Length of the archive in bytes, if it is known.
    pub len: Option<u64>,
    /// The driver's directory for it, prepared in the stage.
    pub cache_id: &'a CacheId,
    /// What its uncompressed bytes must hash to; anything if absent.
    pub expected: Option<DiffId>,
    /// Where its tar-split record goes.
    pub record: sys::file::Writer,
}

/// A layer that lies in the stage, verified, but not finished by the driver and not durable.
#[derive(Debug)]
pub(crate) struct Unpacked {
    pub diff_id: DiffId,
    pub applied: Applied,
}

impl Engine {
    /// Unpacks all jobs and returns what came of each, in the same order. After the first error none is begun.
    pub(crate) fn unpack_all(
        &self,
        stage: &Stage,
        jobs: Vec<Job<'_>>,
        progress: &dyn Progress,
    ) -> Result<Vec<Unpacked>> {
        let work = |job| self.unpack(stage, job, progress);
        largest_first(self.threads, jobs, |job| job.len, || {}, work)
    }

    /// Unpacks one layer and verifies its digest.
    pub(crate) fn unpack(&self, stage: &Stage, job: Job<'_>, progress: &dyn Progress) -> Result<Unpacked> {
        let (name, archive) = (job.name, job.archive);
        let item = short(&job);
        progress.start(&item, Phase::Unpacking, job.len);
        let unpacked = self.unpack_job(stage, job, &item, progress);
        let unpacked = unpacked.map_err(|e| archive.judge(e.in_layer(name)))?;
        progress.finish(&item);
        Ok(unpacked)
    }

    fn unpack_job(
        &self,
        stage: &Stage,
        job: Job<'_>,
        item: &str,
        progress: &dyn Progress,
    ) -> Result<Unpacked> {
        let applier = self.driver.applier(stage, job.cache_id, &self.unpack_options())?;
        let (_, plain) = compress::open(job.archive.open()?, self.limits.decompress)?;
        let mut layer = Tee { ids: self.id_map().cloned(), ..Tee::new(applier, job.record) };
        let mut parser = tar::Parser::new(self.limits.tar);
        // The bytes that go through are those of the tar archive; of a compressed one there are more than `len`.
        let mut left = job.len.unwrap_or(u64::MAX);
        let digest = pipeline::run(plain, job.name, |piece| {
            let shown = (piece.len() as u64).min(left);
            left -= shown;
            progress.advance(item, shown);
            parser.push(piece, &mut layer)
        })?;
        parser.finish(&mut layer)?;
        let diff_id = DiffId::from(model::Digest::from(digest));
        if let Some(expected) = job.expected
            && diff_id != expected
        {
            return Err(Error::WrongDiffId { name: job.name.to_owned(), expected, found: diff_id });
        }
        Ok(Unpacked { diff_id, applied: layer.finish()? })
    }
}

/// What progress calls a layer.
fn short(job: &Job<'_>) -> String {
    let digits = || job.expected.map_or_else(|| job.name.to_owned(), |diff| diff.short());
    job.item.map_or_else(digits, str::to_owned)
}

/// One pass over the archive serves both: the files are made, and the record is written that brings the archive back.
pub(crate) struct Tee<W: Write> {
    applier: Applier,
    packer: Packer<GzEncoder<BufWriter<W>>>,
    /// The ids that files can have, if not all.
    ids: Option<IdMap>,
}

impl<W: Write> Tee<W> {
    /// The files go to `applier`, the record, gzipped, to `record`.
    pub fn new(applier: Applier, record: W) -> Self {
        let record = tar_split::gzip(BufWriter::with_capacity(256 << 10, record));
        Self { applier, packer: Packer::new(record), ids: None }
    }

    /// Ends both.
    pub fn finish(self) -> Result<Applied> {
        let record = self.packer.finish()?.finish().map_err(Error::io("write", "tar-split.json.gz"))?;
        record.into_inner().map_err(|e| Error::io("write", "tar-split.json.gz")(e.into_error()))?;
        Ok(self.applier.finish()?)
    }
}

impl<W: Write> Sink for Tee<W> {
    type Error = Error;

    fn raw(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.packer.raw(bytes)?)
    }

    fn entry(&mut self, entry: &Entry) -> Result<()> {
        // The packer first: it refuses a path that occurs twice, before the second can touch the first.
        self.packer.entry(entry)?;
        if let Some(ids) = &self.ids
            && entry.kind != Kind::HardLink
        {
            crate::remap::host_ids(ids, entry.uid, entry.gid)?;
        }
        Ok(self.applier.entry(entry)?)
    }

    fn data(&mut self, bytes: &[u8]) -> Result<()> {
        self.packer.data(bytes)?;
        Ok(self.applier.data(bytes)?)
    }

    fn end_entry(&mut self) -> Result<()> {
        self.packer.end_entry()?;
        Ok(self.applier.end_entry()?)
    }

    fn end_archive(&mut self) -> Result<()> {
        self.packer.end_archive()?;
        Ok(self.applier.end_archive()?)
    }
}
