//! A bundle: the directory that a runtime is given.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::error::Result;
use crate::host::Host;
use crate::spec::Spec;

/// A directory with a `config.json`, in which the runtime's own state and its messages are kept, too. It belongs to one
/// container and may be removed when that has been deleted ([`Runtime::delete`](crate::Runtime::delete)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    dir: PathBuf,
}

impl Bundle {
    /// Writes what `spec` says into `dir`, which exists and is an absolute path. Nothing of it is durable: a bundle is of
    /// no use after a restart.
    ///
    /// # Errors
    /// As [`Spec::document`]; system calls.
    pub fn write(dir: &Path, spec: &Spec, host: &Host) -> Result<Self> {
        let bundle = Self::at(dir);
        bundle.put("config.json", &crate::spec::to_json("config.json", &spec.document(host)?)?)?;
        Ok(bundle)
    }

    /// The bundle that was written to `dir` before.
    pub fn at(dir: &Path) -> Self {
        Self { dir: dir.to_owned() }
    }

    /// Where it is.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Writes a file of the bundle, in place of one that is there.
    pub(crate) fn put(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let dir = sys::dir::open_path(&self.dir)?;
        match sys::dir::unlink(&dir, OsStr::new(name)) {
            Err(e) if !e.is_not_found() => return Err(e.into()),
            _ => {}
        }
        sys::atomic::create_unsynced(&dir, OsStr::new(name), 0o600, bytes)?;
        Ok(())
    }

    /// Reads a file of the bundle; empty if there is none.
    pub(crate) fn read(&self, name: &str) -> Result<Vec<u8>> {
        let dir = sys::dir::open_path(&self.dir)?;
        Ok(sys::atomic::find(&dir, OsStr::new(name))?.unwrap_or_default())
    }

    /// Reads a file of the bundle and removes it; empty if there is none.
    pub(crate) fn take(&self, name: &str) -> Result<Vec<u8>> {
        let dir = sys::dir::open_path(&self.dir)?;
        let Some(bytes) = sys::atomic::find(&dir, OsStr::new(name))? else { return Ok(Vec::new()) };
        sys::dir::unlink(&dir, OsStr::new(name))?;
        Ok(bytes)
    }
}
