//! A registry in memory that misbehaves on demand.
//!
//! It speaks HTTP/1.1 on a free loopback port as the OCI distribution specification has it: manifests by tag and digest,
//! tags, blobs with ranges, uploads in every form, mounts, tokens. [`Server::fault`] makes the next requests that match
//! go wrong in one way; [`Server::requests`] tells what was asked. It ends when it is dropped.
//!
//! ```
//! use testkit::registry::{Fault, Server, Trouble};
//! let server = Server::start();
//! server.add_blob(b"content");
//! server.fault(Fault::on("GET", "/blobs/", Trouble::Drop { after: 3 }));
//! // … whatever is tested pulls from `server.address()` …
//! assert!(server.requests().iter().all(|request| request.header("Range").is_none()));
//! ```

mod auth;
mod blobs;
mod fault;
mod http;
mod image;
mod manifests;
mod route;
mod send;
mod serve;
mod state;
#[cfg(test)]
mod tests;
mod uploads;

use std::net::{IpAddr, Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use model::Digest;

pub use auth::{Auth, Issuer, Scopes, scopes};
pub use fault::{Fault, Trouble};
pub use image::{Form, manifest};
pub use state::Request;
use state::Shared;

/// How a server behaves when nothing goes wrong.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Who has to show what.
    pub auth: Auth,
    /// Who gives out tokens, if not the server itself.
    pub issuer: Option<Issuer>,
    /// Whether a token to pull is given to those who do not say who they are.
    pub anonymous: bool,
    /// Whether tokens can be had by POST too (OAuth2), and with them identity tokens.
    pub oauth: bool,
    /// Whether the answer with a token says how long it is good.
    pub says_lifetime: bool,
    /// Whether ranges of blobs are served.
    pub ranges: bool,
    /// Whether blobs are mounted from other repositories.
    pub mounts: bool,
    /// How many tags are in an answer at most.
    pub page: usize,
    /// Whether `Location` of uploads is a whole address, and not a path only.
    pub absolute: bool,
    /// Where it listens: another address of the loopback net is another host.
    pub listen: IpAddr,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            auth: Auth::None,
            issuer: None,
            anonymous: false,
            oauth: true,
            says_lifetime: true,
            ranges: true,
            mounts: true,
            page: usize::MAX,
            absolute: false,
            listen: Ipv4Addr::LOCALHOST.into(),
        }
    }
}

/// A running registry.
#[derive(Debug)]
pub struct Server {
    shared: Arc<Shared>,
}

impl Server {
    /// One that wants no credentials and does everything.
    pub fn start() -> Self {
        Self::start_with(Setup::default())
    }

    /// One that behaves so.
    pub fn start_with(setup: Setup) -> Self {
        let listener = TcpListener::bind((setup.listen, 0)).unwrap();
        let shared = Arc::new(Shared::new(setup, listener.local_addr().unwrap()));
        let acceptor = Arc::clone(&shared);
        thread::spawn(move || serve::accept(&acceptor, &listener));
        Self { shared }
    }

    /// `127.0.0.1:<port>`.
    pub fn address(&self) -> String {
        self.shared.address.to_string()
    }

    /// Who gives out this server's tokens: for another server's setup, and to make tokens in a test.
    pub fn issuer(&self) -> Issuer {
        self.shared.issuer.clone()
    }

    /// Adds a blob to every repository.
    pub fn add_blob(&self, bytes: &[u8]) -> Digest {
        self.shared.state().add_blob(state::EVERYWHERE, bytes.to_vec())
    }

    /// Adds a blob to one repository only.
    pub fn add_blob_to(&self, repository: &str, bytes: &[u8]) -> Digest {
        self.shared.state().add_blob(repository, bytes.to_vec())
    }

    /// Adds a manifest or an index, whether or not what it names is there. No tag is added if `tag` is empty.
    pub fn add_manifest(&self, repository: &str, tag: &str, media_type: &str, bytes: &[u8]) -> Digest {
        let mut state = self.shared.state();
        let digest = state.add_manifest(repository, media_type, bytes.to_vec());
        if !tag.is_empty() {
            state.tags.insert((repository.into(), tag.into()), digest);
        }
        digest
    }

    /// Lets something go wrong, after the faults that are there already.
    pub fn fault(&self, fault: Fault) {
        self.shared.state().faults.push_back(fault);
    }

    /// Forgets all faults.
    pub fn heal(&self) {
        self.shared.state().faults.clear();
    }

    /// What was asked so far, in order, but for what [`forget_requests`](Self::forget_requests) forgot.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.state().requests.clone()
    }

    /// The requests with this method (empty: any), whose path and query contain this.
    pub fn requests_for(&self, method: &str, path: &str) -> Vec<Request> {
        let matching = Fault::on(method, path, Trouble::Endless);
        self.requests().into_iter().filter(|request| matching.matches(request)).collect()
    }

    /// Forgets what was asked.
    pub fn forget_requests(&self) {
        self.shared.state().forget();
    }

    /// Waits until what was asked so far satisfies a condition.
    pub fn wait_for(&self, what: &str, condition: impl Fn(&[Request]) -> bool) {
        let state = self.shared.state();
        let patience = Duration::from_secs(60);
        let (state, timeout) = self
            .shared
            .changed
            .wait_timeout_while(state, patience, |state| !condition(&state.requests))
            .unwrap();
        let asked: Vec<_> = state.requests.iter().map(|it| format!("{} {}", it.method, it.path)).collect();
        drop(state);
        assert!(!timeout.timed_out(), "no {what} among {asked:#?}");
    }

    /// A blob, in whatever repository.
    pub fn blob(&self, digest: &Digest) -> Option<Vec<u8>> {
        self.shared.state().blobs.get(digest).map(|blob| blob.to_vec())
    }

    /// Whether a repository has a blob.
    pub fn has_blob(&self, repository: &str, digest: &Digest) -> bool {
        self.shared.state().find_blob(repository, digest).is_some()
    }

    /// Type and bytes of the manifest with a tag or a digest.
    pub fn manifest(&self, repository: &str, at: &str) -> Option<(String, Vec<u8>)> {
        self.shared.state().find_manifest(repository, at).map(|(_, manifest)| manifest)
    }

    /// The uploads that were begun and neither finished nor cancelled.
    pub fn open_uploads(&self) -> usize {
        self.shared.state().uploads.len()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stop();
        // Wakes the acceptor, which then sees that it is over.
        let _ = TcpStream::connect(self.shared.address);
    }
}
