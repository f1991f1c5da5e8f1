//! Compressed blobs that a pull kept (`--keep-blobs`), `layercake/blobs/sha256/<64 hex>`: a push sends them as they are.

use std::fs::File;
use std::path::{Path, PathBuf};

use model::Digest;
use sys::OwnedFd;

use crate::error::Result;
use crate::root::{DataRoot, PRIVATE};
use crate::small::{absent, find_dir, names_in, os};

const DIR: &str = "blobs";
const ALGORITHM: &str = "sha256";

/// The kept blobs.
#[derive(Debug, Clone, Copy)]
pub struct Blobs<'a> {
    pub(crate) root: &'a DataRoot,
}

impl Blobs<'_> {
    /// Opens a blob, with its length. It was verified when it was kept.
    ///
    /// # Errors
    /// System calls.
    pub fn find(&self, digest: &Digest) -> Result<Option<(File, u64)>> {
        let Some(all) = self.dir()? else { return Ok(None) };
        let Some(fd) = absent(sys::dir::open_file(&all, os(&digest.hex())))? else { return Ok(None) };
        let len = sys::meta::of_fd(&fd)?.size;
        Ok(Some((File::from(fd), len)))
    }

    /// All blobs with their lengths, sorted by digest.
    ///
    /// # Errors
    /// System calls.
    pub fn list(&self) -> Result<Vec<(Digest, u64)>> {
        let all = self.dir()?;
        let mut found = Vec::new();
        for digest in names_in(all.as_ref())?.iter().filter_map(|name| Digest::from_hex(name).ok()) {
            let meta = all.as_ref().map(|all| sys::meta::find(all, os(&digest.hex()))).transpose()?;
            found.extend(meta.flatten().map(|meta| (digest, meta.size)));
        }
        Ok(found)
    }

    /// Where a blob is, relative to the data root.
    pub fn path(&self, digest: &Digest) -> PathBuf {
        Path::new(PRIVATE).join(DIR).join(ALGORITHM).join(digest.hex())
    }

    /// Removes a blob; one that is not there is no error.
    ///
    /// # Errors
    /// System calls.
    pub fn remove(&self, digest: &Digest) -> Result<()> {
        self.root.writable(&self.root.dirs.private)?;
        let Some(all) = self.dir()? else { return Ok(()) };
        absent(sys::dir::unlink(&all, os(&digest.hex())))?;
        Ok(())
    }

    /// Moves the file `name` of `dir`, a verified blob, here.
    pub(crate) fn add(&self, digest: &Digest, dir: &OwnedFd, name: &str) -> Result<()> {
        let private = self.root.writable(&self.root.dirs.private)?;
        let all = sys::dir::ensure(sys::dir::ensure(private, os(DIR), 0o700)?, os(ALGORITHM), 0o700)?;
        Ok(sys::dir::rename(dir, os(name), &all, os(&digest.hex()))?)
    }

    fn dir(&self) -> Result<Option<OwnedFd>> {
        let Some(private) = &self.root.dirs.private else { return Ok(None) };
        match find_dir(private, DIR)? {
            Some(blobs) => find_dir(blobs, ALGORITHM),
            None => Ok(None),
        }
    }
}
