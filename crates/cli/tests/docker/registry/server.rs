//! A running `docker-registry`.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::authority::Authority;
use crate::witness::skip;

/// The distribution's program, and where it lies if `PATH` does not have it.
const PROGRAM: &str = "docker-registry";

/// How long it may take to start.
const PATIENCE: Duration = Duration::from_secs(60);

/// The one user, where passwords are wanted.
pub const USER: &str = "ann";
pub const PASSWORD: &str = "secret";

/// As `htpasswd -B` writes the two (crypt(5), bcrypt).
const HTPASSWD: &str = "ann:$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a\n";

/// How a registry is set up. By default it is open, on a free port of the loopback net.
#[derive(Debug, Default)]
pub struct Setup<'a> {
    /// Only for [`USER`] with [`PASSWORD`].
    pub passwords: bool,
    /// TLS, with a certificate of this authority for the address.
    pub tls: Option<&'a Authority>,
    /// Only for clients with a certificate of that authority.
    pub clients: bool,
    /// Where to listen.
    pub address: Option<&'a str>,
}

/// A registry; it ends when this is dropped.
#[derive(Debug)]
pub struct Registry {
    process: Child,
    dir: TempDir,
    /// `host:port`.
    pub address: String,
}

impl Registry {
    /// Starts one for the test `name` and waits until it listens; or says that the machine has none.
    pub fn start(name: &str, setup: &Setup<'_>) -> Option<Self> {
        if Command::new(PROGRAM).arg("--version").output().is_err() {
            skip(name, &format!("no {PROGRAM}"));
            return None;
        }
        let dir = TempDir::with_prefix("layercake-registry-").unwrap();
        let config = dir.path().join("config.yml");
        fs::write(&config, configuration(dir.path(), setup)).unwrap();
        let log = File::create(dir.path().join("log")).unwrap();
        let mut command = Command::new(PROGRAM);
        command.arg("serve").arg(config).stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        // It has no business with collectors of traces, which it would look for.
        let process = command.env("OTEL_TRACES_EXPORTER", "none").spawn().unwrap();
        let mut registry = Self { process, dir, address: String::new() };
        let start = Instant::now();
        while registry.address.is_empty() {
            let log = registry.log();
            assert!(start.elapsed() < PATIENCE, "{PROGRAM} does not listen:\n{log}");
            registry.address = listening(&log).unwrap_or_default();
            thread::sleep(Duration::from_millis(20));
        }
        Some(registry)
    }

    /// The name of a repository here, with a tag or without.
    pub fn name(&self, repository: &str) -> String {
        format!("{}/{repository}", self.address)
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap()
    }

    /// What was asked so far: `METHOD /path status`.
    pub fn requests(&self) -> Vec<String> {
        // A line of the access log is `… "METHOD target HTTP/1.1" status …`.
        let log = self.log();
        let request = |line: &str| {
            let (request, rest) = line.split_once(" HTTP/1.1\" ")?;
            let status = rest.split(' ').next()?;
            Some(format!("{} {status}", request.rsplit_once('"')?.1))
        };
        log.lines().filter_map(request).collect()
    }

    /// What is asked while `act` runs.
    pub fn requests_of(&self, act: impl FnOnce()) -> Vec<String> {
        let before = self.requests().len();
        act();
        self.requests().split_off(before)
    }

    /// How many blobs it has, manifests included.
    pub fn blobs(&self) -> usize {
        let below = |dir: &Path| fs::read_dir(dir).into_iter().flatten().map(|entry| entry.unwrap().path());
        let blobs = self.dir.path().join("data/docker/registry/v2/blobs/sha256");
        below(&blobs).map(|dir| below(&dir).count()).sum()
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The configuration file, whose form the package's own `config.yml` shows.
fn configuration(dir: &Path, setup: &Setup<'_>) -> String {
    let at = |name: &str| dir.join(name).display().to_string();
    let address = setup.address.unwrap_or("127.0.0.1:0");
    let mut text = format!(
        "version: 0.1\nlog:\n  level: info\nstorage:\n  filesystem:\n    rootdirectory: {}\n  delete:\n    enabled: true\n",
        at("data")
    );
    if setup.passwords {
        fs::write(at("htpasswd"), HTPASSWD).unwrap();
        text += &format!("auth:\n  htpasswd:\n    realm: layercake\n    path: {}\n", at("htpasswd"));
    }
    text += &format!("http:\n  addr: {address}\n");
    if let Some(authority) = setup.tls {
        let host = address.rsplit_once(':').unwrap().0;
        let (certificate, key) = authority.server(host);
        let (certificate, key) = (certificate.display(), key.display());
        text += &format!("  tls:\n    certificate: {certificate}\n    key: {key}\n");
        if setup.clients {
            text += &format!("    clientcas:\n      - {}\n", authority.certificate().display());
        }
    }
    text
}

/// The address in the line in which it says where it listens.
fn listening(log: &str) -> Option<String> {
    let (_, rest) = log.split_once("listening on ")?;
    let address = rest.split(['"', ',', ' ', '\n']).next()?;
    // A line that is not whole yet would give a wrong port.
    rest.contains('\n').then(|| address.to_owned())
}
