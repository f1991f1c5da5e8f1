//! What stands in a `config.json`.

use std::fmt;
use std::path::{Path, PathBuf};

use serde_json::value::RawValue;

use super::members::Members;
use super::{Error, Result, entry, key};
use crate::{Credential, Credentials};

/// The text of a `config.json`, read.
///
/// The crate docker_credential reads such files, too, but finds them by the environment and writes none.
#[derive(Debug, Clone)]
pub struct Config {
    /// What to call the file in errors.
    origin: PathBuf,
    members: Members,
}

/// A credential helper, and the key to ask it for.
pub(super) struct HelperFor {
    pub(super) name: String,
    pub(super) key: String,
}

impl Config {
    /// Reads the text of a file that errors call `origin`. An empty text is an empty file.
    ///
    /// # Errors
    /// [`Error::Malformed`] if it is no JSON object.
    pub fn parse(origin: &Path, text: &str) -> Result<Self> {
        let text = if text.trim().is_empty() { "{}" } else { text };
        let members = Members::parse(text).map_err(|err| match err.is_data() {
            // The parser would repeat what stands there instead.
            true => malformed(origin, "is not an object"),
            false => malformed(origin, err),
        })?;
        Ok(Self { origin: origin.to_owned(), members })
    }

    /// The credential in `auths` for `server`, which may be a repository (`host[:port]/path`): the most specific one.
    /// Credential helpers are not asked.
    ///
    /// # Errors
    /// [`Error::Malformed`] for the entry.
    pub fn find(&self, server: &str) -> Result<Option<Credential>> {
        let auths = self.object("auths")?;
        let urls = auths.keys().filter(|stored| key::is_url_of(stored, server));
        for key in key::candidates(server).into_iter().chain(urls) {
            let Some(entry) = auths.get(key) else { continue };
            let credential = entry::read(entry).map_err(|why| self.malformed(&["auths", key], why))?;
            if credential.is_some() {
                return Ok(credential);
            }
        }
        Ok(None)
    }

    /// The helper for `server`: its own in `credHelpers`, else the one for all, `credsStore`.
    pub(super) fn helper(&self, server: &str) -> Result<Option<HelperFor>> {
        let helpers = self.object("credHelpers")?;
        let own = key::names(server).into_iter().find_map(|key| Some((key, helpers.get(key)?)));
        let for_all = || self.members.field("credsStore").map(|helper| (key::key(server), helper));
        let (path, found) = match own {
            Some((key, helper)) => (["credHelpers", key], Some((key, helper))),
            None => (["credsStore", ""], for_all()),
        };
        let Some((key, helper)) = found else { return Ok(None) };
        let name: Option<String> =
            serde_json::from_str(helper.get()).map_err(|_| self.malformed(&path, "is not a text"))?;
        let name = name.filter(|name| !name.is_empty());
        Ok(name.map(|name| HelperFor { name, key: key.to_owned() }))
    }

    /// Gives `server` a credential in `auths`, or an entry without one; see [`entry::write`].
    pub(super) fn set(
        &mut self,
        server: &str,
        credential: Option<&Credential>,
        user: Option<&str>,
    ) -> Result<()> {
        let key = key::key(server);
        let mut auths = self.object("auths")?;
        let entry = entry::write(auths.get(key), credential, user);
        let value =
            entry.and_then(|entry| entry.to_value(2)).map_err(|err| self.malformed(&["auths"], err))?;
        auths.set(key, value);
        self.set_auths(&auths)
    }

    /// Removes all entries of `server`, however their keys are spelled.
    pub(super) fn remove(&mut self, server: &str) -> Result<()> {
        let mut auths = self.object("auths")?;
        let stored: Vec<String> = auths
            .keys()
            .filter(|stored| {
                *stored == server || key::names(server).contains(stored) || key::is_url_of(stored, server)
            })
            .map(str::to_owned)
            .collect();
        for key in &stored {
            auths.remove(key);
        }
        if stored.is_empty() { Ok(()) } else { self.set_auths(&auths) }
    }

    fn set_auths(&mut self, auths: &Members) -> Result<()> {
        let value = auths.to_value(1).map_err(|err| self.malformed(&["auths"], err))?;
        let spelling = self.members.spelling("auths").to_owned();
        self.members.set(&spelling, value);
        Ok(())
    }

    /// The text, laid out as Docker does.
    pub(super) fn to_text(&self) -> Result<String> {
        self.members.to_text(0).map_err(|err| malformed(&self.origin, err))
    }

    /// The object `name`; an empty one if there is none.
    fn object(&self, name: &str) -> Result<Members> {
        let text = self.members.field(name).map_or("null", RawValue::get);
        Members::parse(text).map_err(|_| self.malformed(&[name], "is not an object"))
    }

    fn malformed(&self, keys: &[&str], why: impl fmt::Display) -> Error {
        let keys: Vec<&str> = keys.iter().copied().filter(|key| !key.is_empty()).collect();
        malformed(&self.origin, format_args!("{} {why}", keys.join(": ")))
    }
}

fn malformed(origin: &Path, why: impl fmt::Display) -> Error {
    Error::Malformed { path: origin.to_owned(), reason: why.to_string() }
}

impl Credentials for Config {
    fn get(&self, server: &str) -> crate::Result<Option<Credential>> {
        self.find(server).map_err(|err| crate::Error::credentials(server, err))
    }
}
