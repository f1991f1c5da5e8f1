//! One name on one server.

use std::fmt;
use std::sync::Arc;

use model::{Digest, Reference};
use ureq::http::Method;

use crate::endpoint::Endpoint;
use crate::scope::{self, Need};
use crate::wire::{Call, Wire};
use crate::{Backoff, Client, Error, Result};

/// Which manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At<'a> {
    /// The one that has this tag now.
    Tag(&'a str),
    /// This very one.
    Digest(&'a Digest),
}

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            At::Tag(tag) => f.write_str(tag),
            At::Digest(digest) => digest.fmt(f),
        }
    }
}

/// One name on one server, with its mirrors. Many threads may use clones of it at once.
#[derive(Clone)]
pub struct Repository {
    pub(crate) client: Client,
    name: Reference,
    pub(crate) origin: Arc<Endpoint>,
    mirrors: Vec<Arc<Endpoint>>,
    push: bool,
}

impl Repository {
    pub(crate) fn new(
        client: Client,
        name: &Reference,
        origin: Arc<Endpoint>,
        mirrors: Vec<Arc<Endpoint>>,
    ) -> Self {
        Repository { client, name: name.without_tag_and_digest(), origin, mirrors, push: false }
    }

    /// Its name, without tag and digest.
    pub fn name(&self) -> &Reference {
        &self.name
    }

    /// The same for a push: no mirror is asked, and the first token already allows to push.
    pub fn pushing(mut self) -> Self {
        self.push = true;
        self.without_mirrors()
    }

    /// The same without mirrors: for whom a mirror gave wrong bytes.
    pub fn without_mirrors(mut self) -> Self {
        self.mirrors.clear();
        self
    }

    /// Counts failures with the client's settings: for those who read a [`Body`](crate::Body).
    pub fn backoff(&self) -> Backoff {
        self.client.backoff()
    }

    pub(crate) fn wire(&self) -> &Wire {
        &self.client.shared.wire
    }

    /// `<subject> of <name>`.
    pub(crate) fn what(&self, subject: impl fmt::Display) -> String {
        format!("{subject} of {}", self.name.canonical_name())
    }

    /// A request for `/v2/<name>/<path>` of `endpoint`, which tells now whether it speaks TLS.
    pub(crate) fn call<'a>(
        &self,
        endpoint: &Endpoint,
        what: String,
        method: Method,
        path: &str,
        expected: &'static [u16],
    ) -> Result<Call<'a>> {
        self.wire().settle(endpoint)?;
        let url = endpoint.url(&format!("{}/{path}", self.name.path()))?;
        Ok(Call::new(what, method, url, expected).need(self.need(endpoint, false)))
    }

    /// What reading from, or also writing to `endpoint` needs. A mirror's credentials are for the whole of it.
    pub(crate) fn need(&self, endpoint: &Endpoint, write: bool) -> Need {
        let place = if endpoint.is_mirror { endpoint.server.clone() } else { self.name.canonical_name() };
        Need { place, scope: scope::repository(self.name.path(), write || self.push) }
    }

    /// Asks the mirrors once each, then the server itself as often as it makes sense. A mirror that gives no answer is
    /// not asked again.
    pub(crate) fn read<T>(&self, ask: impl Fn(&Arc<Endpoint>) -> Result<T>) -> Result<T> {
        for mirror in self.mirrors.iter().filter(|mirror| !mirror.has_failed()) {
            match ask(mirror) {
                Ok(value) => return Ok(value),
                Err(Error::Transport { .. } | Error::Protocol { .. } | Error::Digest { .. }) => mirror.fail(),
                Err(_) => {}
            }
        }
        self.client.retry(|| ask(&self.origin))
    }
}

impl fmt::Debug for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Repository").field(&self.name.canonical_name()).finish()
    }
}
