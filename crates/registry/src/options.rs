//! How to speak with servers.

use std::path::PathBuf;
use std::time::Duration;

/// Settings of a [`Client`](crate::Client).
#[derive(Debug, Clone)]
pub struct Options {
    /// The `User-Agent` of all requests.
    pub user_agent: String,
    /// Servers that may be spoken to without a verified certificate, and over plain HTTP if they speak no TLS: names as
    /// they stand in references (`host` or `host:port`), or networks (`10.0.0.0/8`). Loopback addresses and `localhost`
    /// always are, as for Docker, but for those that have a directory in [`certs_dirs`](Self::certs_dirs).
    pub insecure: Vec<String>,
    /// Addresses (`https://host[:port][/prefix]`) to ask before Docker Hub, for images of Docker Hub only.
    pub mirrors: Vec<String>,
    /// Directories with a directory for each server, named `host` or `host:port`: `*.crt` are further roots for it,
    /// `*.cert` with `*.key` is the client's certificate for it. A missing directory is none.
    pub certs_dirs: Vec<PathBuf>,
    /// Proxies.
    pub proxy: Proxy,
    /// How often something is tried in all before it fails; at least 1.
    pub attempts: u32,
    /// The longest time to make a connection, TLS included. For each connection, after its name was resolved.
    pub connect_timeout: Duration,
    /// A connection that brings nothing for so long, or next to nothing (16 KiB), is given up.
    pub idle_timeout: Duration,
    /// The first wait before trying again; each further one is twice as long, at most 10 seconds.
    pub backoff: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            user_agent: concat!("layercake/", env!("CARGO_PKG_VERSION")).to_owned(),
            insecure: Vec::new(),
            mirrors: Vec::new(),
            certs_dirs: Vec::new(),
            proxy: Proxy::default(),
            attempts: 5,
            connect_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(60),
            backoff: Duration::from_millis(250),
        }
    }
}

/// Proxies, with the meaning of the environment variables of these names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proxy {
    /// `HTTP_PROXY`: for `http:` addresses. It must allow `CONNECT`.
    pub http: Option<String>,
    /// `HTTPS_PROXY`: for `https:` addresses.
    pub https: Option<String>,
    /// `NO_PROXY`: what to reach directly: hosts, domains, addresses, networks, or `*`, separated by commas. Loopback
    /// addresses and `localhost` always are.
    pub no: Option<String>,
}
