//! How a command speaks with registries: the one place that makes a [`Client`] of the command line, `daemon.json`,
//! the files of credentials and the environment.

use std::env::consts::{ARCH, OS};
use std::path::PathBuf;
use std::sync::Arc;

use engine::pull::PullOptions;

use ::registry::credentials::{Config, ConfigFile, Helpers};
use ::registry::{Client, Credential, Credentials, Options, Proxy};

use crate::context::{Context, env};
use crate::daemon_json::Proxies;
use crate::files;
use crate::output::failure::Failure;

/// The variable with the text of a `config.json` that counts more than the file.
pub const AUTH_CONFIG: &str = "DOCKER_AUTH_CONFIG";

/// Where credentials are.
#[derive(Debug, Default, clap::Args)]
pub struct Authfile {
    /// Path of the credentials file (default "$DOCKER_CONFIG/config.json", or "~/.docker/config.json"; overridden by
    /// REGISTRY_AUTH_FILE)
    #[arg(long, value_name = "file")]
    authfile: Option<PathBuf>,
}

/// How to reach servers; what is not given is as `daemon.json` says.
#[derive(Debug, Default, clap::Args)]
pub struct Servers {
    #[command(flatten)]
    authfile: Authfile,
    /// Directory with certificates of servers, as "/etc/docker/certs.d"
    #[arg(long, value_name = "dir")]
    certs_dir: Vec<PathBuf>,
    /// Enable insecure registry communication
    #[arg(long, value_name = "list")]
    insecure_registry: Vec<String>,
    /// Set the max download attempts for each pull (default 5)
    #[arg(long, value_name = "int", value_parser = clap::value_parser!(u32).range(1..))]
    max_download_attempts: Option<u32>,
    /// Preferred registry mirror
    #[arg(long, value_name = "list")]
    registry_mirror: Vec<String>,
}

/// A client, and what else `daemon.json` says.
pub struct Connection {
    /// The client.
    pub client: Client,
    /// `max-concurrent-downloads`.
    pub max_downloads: Option<u32>,
    /// `max-concurrent-uploads`.
    pub max_uploads: Option<u32>,
}

impl Connection {
    /// How to pull, as `daemon.json` says.
    pub fn pull_options(&self) -> PullOptions {
        let connections = self.max_downloads.and_then(|number| usize::try_from(number).ok());
        let default = PullOptions::default();
        PullOptions {
            connections: connections.map_or(default.connections, |number| number.max(1)),
            ..default
        }
    }
}

impl Authfile {
    /// The file of credentials, with the helpers that it names.
    ///
    /// # Errors
    /// There is no place for it, it cannot be read, or it is no such file.
    pub fn open(&self) -> Result<ConfigFile, Failure> {
        match self.path() {
            Some(path) => Ok(ConfigFile::open(&path, helpers())?),
            None => Err(Failure::plain(
                "where are your credentials? set HOME or DOCKER_CONFIG, or name the file with --authfile",
            )),
        }
    }

    fn path(&self) -> Option<PathBuf> {
        let named = self.authfile.clone().or_else(|| env("REGISTRY_AUTH_FILE").map(PathBuf::from));
        named.or_else(files::config_json)
    }

    /// All credentials there are: those of the environment first, then those of the file.
    fn credentials(&self) -> Result<Arc<dyn Credentials>, Failure> {
        let mut sources: Vec<Box<dyn Credentials>> = Vec::new();
        if let Some(text) = env(AUTH_CONFIG) {
            sources.push(Box::new(Config::parse(AUTH_CONFIG.as_ref(), &text.to_string_lossy())?));
        }
        if let Some(path) = self.path() {
            sources.push(Box::new(ConfigFile::open(&path, helpers())?));
        }
        Ok(Arc::new(Sources(sources)))
    }
}

impl Servers {
    /// A client for all servers.
    ///
    /// An ordinary user's process may have to enter his user namespace before: open the store first.
    ///
    /// # Errors
    /// What a file or an option says cannot be used.
    pub fn connect(&self, context: &Context) -> Result<Connection, Failure> {
        self.connect_with(&[], context)
    }

    /// The same, with more servers that are `insecure`.
    ///
    /// # Errors
    /// As [`Servers::connect`].
    pub fn connect_with(&self, insecure: &[&str], context: &Context) -> Result<Connection, Failure> {
        let config = context.config()?;
        config.not_with_flag("insecure-registries", !self.insecure_registry.is_empty())?;
        config.not_with_flag("registry-mirrors", !self.registry_mirror.is_empty())?;
        config.not_with_flag("max-download-attempts", self.max_download_attempts.is_some())?;
        let insecure = insecure.iter().map(|server| (*server).to_owned());
        let listed = self.insecure_registry.iter().chain(&config.insecure_registries).cloned();
        let mut options = Options {
            user_agent: format!("layercake/{} ({OS}; {ARCH})", env!("CARGO_PKG_VERSION")),
            insecure: insecure.chain(listed).collect(),
            mirrors: self.registry_mirror.iter().chain(&config.registry_mirrors).cloned().collect(),
            certs_dirs: self.certs_dir.iter().cloned().chain(files::certs_dirs()).collect(),
            proxy: proxy(&config.proxies),
            ..Options::default()
        };
        if let Some(attempts) = self.max_download_attempts.or(config.max_download_attempts) {
            options.attempts = attempts;
        }
        Ok(Connection {
            client: Client::new(options, self.authfile.credentials()?)?,
            max_downloads: config.max_concurrent_downloads,
            max_uploads: config.max_concurrent_uploads,
        })
    }

    /// The file of credentials.
    ///
    /// # Errors
    /// As [`Authfile::open`].
    pub fn credentials_file(&self) -> Result<ConfigFile, Failure> {
        self.authfile.open()
    }
}

/// The first that has something counts.
struct Sources(Vec<Box<dyn Credentials>>);

impl Credentials for Sources {
    fn get(&self, server: &str) -> ::registry::Result<Option<Credential>> {
        for source in &self.0 {
            if let Some(found) = source.get(server)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}

fn helpers() -> Helpers {
    Helpers { path: env("PATH").unwrap_or_default(), ..Helpers::default() }
}

/// The proxies of `daemon.json`, else the environment's.
fn proxy(file: &Proxies) -> Proxy {
    let variable = |upper: &str| {
        let value = env(upper).or_else(|| env(&upper.to_lowercase()));
        value.map(|value| value.to_string_lossy().into_owned())
    };
    Proxy {
        http: file.http_proxy.clone().or_else(|| variable("HTTP_PROXY")),
        https: file.https_proxy.clone().or_else(|| variable("HTTPS_PROXY")),
        no: file.no_proxy.clone().or_else(|| variable("NO_PROXY")),
    }
}
