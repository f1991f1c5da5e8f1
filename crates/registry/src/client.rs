//! What all requests of a process share.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use model::Reference;

use crate::agents::lock;
use crate::endpoint::Endpoint;
use crate::url::Url;
use crate::wire::Wire;
use crate::{Backoff, Credential, Credentials, Error, Options, Repository, Result};

/// Speaks with servers. Clones share connections and tokens.
#[derive(Clone)]
pub struct Client {
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub wire: Wire,
    /// Those that stand in for Docker Hub.
    mirrors: Vec<Arc<Endpoint>>,
    /// By the domain of references.
    endpoints: Mutex<HashMap<String, Arc<Endpoint>>>,
}

impl Client {
    /// Nothing is connected yet.
    ///
    /// # Errors
    /// [`Error::Setting`] if `options` has an address that is none.
    pub fn new(options: Options, credentials: Arc<dyn Credentials>) -> Result<Self> {
        let addresses = options.mirrors.iter().map(|text| {
            Url::parse(text).ok_or_else(|| {
                Error::setting(format!("mirror {text:?}"), "not an address (https://host[:port][/prefix])")
            })
        });
        let addresses = addresses.collect::<Result<Vec<_>>>()?;
        let wire = Wire::new(options, credentials)?;
        let mirror = |address: &Url| {
            Arc::new(Endpoint::of_mirror(address, wire.agents.is_insecure(address.authority())))
        };
        let mirrors = addresses.iter().map(mirror).collect();
        Ok(Client { shared: Arc::new(Shared { wire, mirrors, endpoints: Mutex::default() }) })
    }

    /// The repository of `name`; a tag or digest of it does not matter.
    ///
    /// # Errors
    /// [`Error::Setting`] if `name` is on no server.
    pub fn repository(&self, name: &Reference) -> Result<Repository> {
        let origin = self.endpoint(name.domain())?;
        let mirrors = if Endpoint::is_hub(name.domain()) { self.shared.mirrors.clone() } else { Vec::new() };
        Ok(Repository::new(self.clone(), name, origin, mirrors))
    }

    /// The settings.
    pub fn options(&self) -> &Options {
        &self.shared.wire.options
    }

    /// Counts failures with these settings.
    pub fn backoff(&self) -> Backoff {
        Backoff::new(self.options())
    }

    /// What the credentials have for the repository of `name`.
    ///
    /// # Errors
    /// [`Error::Credentials`].
    pub fn credential(&self, name: &Reference) -> Result<Option<Credential>> {
        self.shared.wire.tokens.credentials.get(&name.canonical_name())
    }

    /// What the servers want their users to know, since the last time; each once.
    pub fn take_warnings(&self) -> Vec<String> {
        self.shared.wire.take_warnings()
    }

    pub(crate) fn endpoint(&self, domain: &str) -> Result<Arc<Endpoint>> {
        if let Some(known) = lock(&self.shared.endpoints).get(domain) {
            return Ok(known.clone());
        }
        let insecure = self.shared.wire.agents.is_insecure(domain);
        let endpoint = Arc::new(Endpoint::of_domain(domain, insecure)?);
        Ok(lock(&self.shared.endpoints).entry(domain.to_owned()).or_insert(endpoint).clone())
    }

    /// Tries until it works, or until there is no point in it.
    pub(crate) fn retry<T>(&self, mut attempt: impl FnMut() -> Result<T>) -> Result<T> {
        let mut backoff = self.backoff();
        loop {
            match attempt() {
                Ok(value) => return Ok(value),
                Err(e) => match backoff.again(&e) {
                    Some(wait) => std::thread::sleep(wait),
                    None => return Err(e),
                },
            }
        }
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("options", self.options()).finish_non_exhaustive()
    }
}
