//! The file `config.json` with its credential helpers.

use std::path::{Path, PathBuf};

use super::helper::{Helper, Helpers};
use super::{Config, Error, Result, file};
use crate::{Credential, Credentials};

/// Docker's `config.json`, or the `auth.json` of podman and skopeo, which is one with less in it.
///
/// Credentials stand in the file, in base64, unless it names a credential helper. Whatever else it holds is kept as it
/// is spelled.
#[derive(Debug, Clone)]
pub struct ConfigFile {
    path: PathBuf,
    config: Config,
    helpers: Helpers,
}

/// Where a credential went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
    /// To the file, as text that everybody understands who may read it.
    InFile(PathBuf),
    /// To the credential helper of this name.
    ByHelper(String),
    /// It was in the file already.
    Already,
}

impl ConfigFile {
    /// Reads the file at `path`. One that is not there is empty; it is made when something is stored.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Malformed`].
    pub fn open(path: &Path, helpers: Helpers) -> Result<Self> {
        let text = file::read(path).map_err(|err| Error::io("read", path, err))?;
        Ok(Self { path: path.to_owned(), config: Config::parse(path, &text)?, helpers })
    }

    /// The file's path, as it was given.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The credential for `server` (`host[:port]` or a URL), or for a repository on it (`host[:port]/path`). The
    /// server's credential helper is asked first; then the file, where the most specific entry counts.
    ///
    /// # Errors
    /// [`Error::Helper`], and [`Error::Malformed`] for an entry.
    pub fn find(&self, server: &str) -> Result<Option<Credential>> {
        if let Some(helper) = self.config.helper(server)? {
            let found = Helper::new(&helper.name, &self.helpers).get(&helper.key)?;
            if found.is_some() {
                return Ok(found);
            }
        }
        self.config.find(server)
    }

    /// Keeps a credential for `server`: with its credential helper, else in the file. With an identity token goes the
    /// name of the `user` whose it is.
    ///
    /// On return the file is on the disk; it replaces the old one at once, and only its owner can read it. Others who
    /// have changed it since it was opened lose nothing.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Malformed`], [`Error::Helper`].
    pub fn store(&mut self, server: &str, credential: &Credential, user: Option<&str>) -> Result<Kept> {
        let helper = self.config.helper(server)?;
        let in_file = match &helper {
            Some(helper) => {
                Helper::new(&helper.name, &self.helpers).store(&helper.key, credential)?;
                None
            }
            None => Some(credential),
        };
        let changed = self.change(|config| config.set(server, in_file, user))?;
        Ok(match helper {
            Some(helper) => Kept::ByHelper(helper.name),
            None if changed => Kept::InFile(self.path.clone()),
            None => Kept::Already,
        })
    }

    /// Forgets all credentials of `server`. That there are none is no error.
    ///
    /// # Errors
    /// As [`ConfigFile::store`].
    pub fn erase(&mut self, server: &str) -> Result<()> {
        if let Some(helper) = self.config.helper(server)? {
            Helper::new(&helper.name, &self.helpers).erase(&helper.key)?;
        }
        // Where there is no file, none is made, nor its directory.
        match self.path.exists() {
            true => self.change(|config| config.remove(server)).map(drop),
            false => Ok(()),
        }
    }

    /// Changes the file as it is now. Whether there was something to change.
    fn change(&mut self, edit: impl FnOnce(&mut Config) -> Result<()>) -> Result<bool> {
        let path = &self.path;
        let mut now = self.config.clone();
        let changed = file::change(path, |text| {
            now = Config::parse(path, text)?;
            let before = now.to_text()?;
            edit(&mut now)?;
            let after = now.to_text()?;
            Ok((after != before).then_some(after))
        })?;
        self.config = now;
        Ok(changed)
    }
}

impl Credentials for ConfigFile {
    fn get(&self, server: &str) -> crate::Result<Option<Credential>> {
        self.find(server).map_err(|err| crate::Error::credentials(server, err))
    }
}
