//! Connections: one pool for each server, with its certificates and its proxy.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use rustls::crypto::CryptoProvider;
use ureq::Agent;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use crate::certificates;
use crate::endpoint::Endpoint;
use crate::hosts::{Direct, Insecure, is_loopback};
use crate::url::Url;
use crate::{Error, Options, Result};

/// How much is read from and written to a socket at once, in bytes.
const BUFFER: usize = 256 << 10;
/// How many connections to one server are kept for the next request.
const KEPT: usize = 16;

/// What a mutex guards, also when a thread that held it panicked: no guarded value here is ever half changed.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The connections of a client.
pub(crate) struct Agents {
    options: Options,
    insecure: Insecure,
    direct: Direct,
    http_proxy: Option<ureq::Proxy>,
    https_proxy: Option<ureq::Proxy>,
    provider: Arc<CryptoProvider>,
    system_roots: OnceLock<Vec<Certificate<'static>>>,
    /// By scheme and host of the address, and by the registry on whose behalf it is reached.
    agents: Mutex<HashMap<(bool, String, String), Agent>>,
}

impl Agents {
    /// # Errors
    /// [`Error::Setting`] if the proxies or the list of insecure servers cannot be used.
    pub fn new(options: &Options) -> Result<Self> {
        let proxy = |name: &str, address: &Option<String>| match address.as_deref() {
            // Its text may hold a password.
            Some(text) if !text.is_empty() => {
                ureq::Proxy::new(text).map(Some).map_err(|e| Error::setting(format!("proxy for {name}"), e))
            }
            _ => Ok(None),
        };
        Ok(Agents {
            insecure: Insecure::new(&options.insecure)?,
            direct: Direct::new(options.proxy.no.as_deref().unwrap_or_default()),
            http_proxy: proxy("http", &options.proxy.http)?,
            https_proxy: proxy("https", &options.proxy.https)?,
            provider: Arc::new(rustls::crypto::ring::default_provider()),
            system_roots: OnceLock::new(),
            agents: Mutex::new(HashMap::new()),
            options: options.clone(),
        })
    }

    /// Whether the certificate of `server` (`host[:port]`) is not verified.
    pub fn is_insecure(&self, server: &str) -> bool {
        let host = crate::url::split_port(server).map_or(server, |(host, _)| host);
        self.insecure.lists(server)
            || is_loopback(host) && !certificates::exist(&self.options.certs_dirs, server)
    }

    /// The connections to the server of `url`, reached on behalf of `endpoint`: `endpoint` itself, its token server, or
    /// where it redirects to. The roots of `endpoint` serve for all of them, as for Docker; its client certificate is
    /// for itself.
    ///
    /// # Errors
    /// [`Error::Setting`] if its certificates cannot be used.
    pub fn get(&self, url: &Url, endpoint: &Endpoint) -> Result<Agent> {
        let key = (url.is_https(), url.authority().to_owned(), endpoint.host.clone());
        if let Some(agent) = lock(&self.agents).get(&key) {
            return Ok(agent.clone());
        }
        let agent = self.make(url, endpoint)?;
        Ok(lock(&self.agents).entry(key).or_insert(agent).clone())
    }

    fn make(&self, url: &Url, endpoint: &Endpoint) -> Result<Agent> {
        let options = &self.options;
        let proxy = if url.is_https() { &self.https_proxy } else { &self.http_proxy };
        let proxy = proxy.clone().filter(|_| !self.direct.allows(url));
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(&options.user_agent)
            .proxy(proxy)
            .timeout_connect(Some(options.connect_timeout))
            .timeout_per_read(Some(options.idle_timeout))
            .timeout_per_write(Some(options.idle_timeout))
            .timeout_recv_response(Some(options.idle_timeout.saturating_mul(2)))
            .input_buffer_size(BUFFER)
            .output_buffer_size(BUFFER)
            .max_idle_connections(KEPT)
            .max_idle_connections_per_host(KEPT)
            .max_idle_age(Duration::from_secs(30));
        if url.is_https() {
            config = config.tls_config(self.tls(url, endpoint)?);
        }
        Ok(config.build().into())
    }

    fn tls(&self, url: &Url, endpoint: &Endpoint) -> Result<TlsConfig> {
        let own = Url::of_server(true, &endpoint.host);
        let is_own = own.as_ref().is_some_and(|own| own.authority() == url.authority());
        let same_host = own.as_ref().is_some_and(|own| own.host() == url.host());
        let insecure = endpoint.insecure && same_host || !is_own && self.is_insecure(url.authority());

        let read = |server: &str| certificates::read(&self.options.certs_dirs, server, &self.provider);
        let mut found = read(&endpoint.host)?;
        if endpoint.server != endpoint.host {
            found.roots.append(&mut read(&endpoint.server)?.roots);
        }
        if !is_own {
            let mut theirs = read(url.authority())?;
            found.roots.append(&mut theirs.roots);
            found.client = theirs.client;
        }
        let mut roots = found.roots;
        if !insecure {
            roots.extend(self.system_roots().iter().cloned());
        }
        let config = TlsConfig::builder()
            .unversioned_rustls_crypto_provider(self.provider.clone())
            .root_certs(RootCerts::from(roots))
            .client_cert(found.client)
            .disable_verification(insecure);
        Ok(config.build())
    }

    fn system_roots(&self) -> &[Certificate<'static>] {
        self.system_roots.get_or_init(|| {
            let found = rustls_native_certs::load_native_certs().certs;
            found.iter().map(|certificate| Certificate::from_der(certificate).to_owned()).collect()
        })
    }
}
