//! What a server has and knows.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use model::Digest;

use super::auth::Issuer;
use super::http::{self, Head};
use super::uploads::Upload;
use super::{Fault, Setup, Trouble};

/// Stands for all repositories.
pub const EVERYWHERE: &str = "";

/// A request that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// `GET`, say.
    pub method: String,
    /// Path and query, as they were sent.
    pub path: String,
    /// Names and values as they were sent.
    pub headers: Vec<(String, String)>,
    /// How many bytes of its body came; 0 until it is answered.
    pub received: u64,
    /// The status of the answer; 0 before, and when there was none.
    pub status: u16,
    /// The connection that it came on; they count from 0.
    pub connection: usize,
}

impl Request {
    /// The value of a header, whose name is written in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        http::find(&self.headers, name)
    }
}

/// What all threads of a server share.
#[derive(Debug)]
pub struct Shared {
    pub setup: Setup,
    pub address: SocketAddr,
    pub issuer: Issuer,
    state: Mutex<State>,
    /// Told of every new request and answer.
    pub changed: Condvar,
}

/// What changes.
#[derive(Debug, Default)]
pub struct State {
    pub blobs: BTreeMap<Digest, Arc<Vec<u8>>>,
    /// Which repositories have which blobs.
    links: BTreeSet<(String, Digest)>,
    /// Types and bytes by repository and digest.
    manifests: BTreeMap<(String, Digest), (String, Vec<u8>)>,
    /// By repository and tag.
    pub tags: BTreeMap<(String, String), Digest>,
    pub uploads: BTreeMap<usize, Upload>,
    pub requests: Vec<Request>,
    /// How many requests were forgotten before those.
    forgotten: usize,
    pub faults: VecDeque<Fault>,
    /// For closing them at the end.
    connections: Vec<TcpStream>,
    numbers: usize,
    stopped: bool,
}

impl Shared {
    pub fn new(setup: Setup, address: SocketAddr) -> Self {
        let issuer = setup.issuer.clone().unwrap_or_else(|| Issuer::new(&address.to_string()));
        Self { setup, address, issuer, state: Mutex::default(), changed: Condvar::new() }
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Takes note of a new connection; nothing when the server has ended.
    pub fn connect(&self, stream: &TcpStream) -> Option<usize> {
        let mut state = self.state();
        if state.stopped {
            return None;
        }
        state.connections.push(stream.try_clone().ok()?);
        Some(state.connections.len() - 1)
    }

    /// Takes note of a request. Answers with its number, and the trouble that it meets.
    pub fn record(&self, head: &Head, connection: usize) -> (usize, Option<Trouble>) {
        let request = Request {
            method: head.method.clone(),
            path: head.target.clone(),
            headers: head.headers.clone(),
            received: 0,
            status: 0,
            connection,
        };
        let mut state = self.state();
        let trouble = state.trouble(&request);
        state.requests.push(request);
        let number = state.forgotten + state.requests.len() - 1;
        self.changed.notify_all();
        (number, trouble)
    }

    /// Takes note of what became of a request.
    pub fn answered(&self, number: usize, received: u64, status: u16) {
        let mut state = self.state();
        let forgotten = state.forgotten;
        if let Some(request) = number.checked_sub(forgotten).and_then(|at| state.requests.get_mut(at)) {
            (request.received, request.status) = (received, status);
        }
        self.changed.notify_all();
    }

    /// Closes every connection and takes no new one.
    pub fn stop(&self) {
        let mut state = self.state();
        state.stopped = true;
        for connection in state.connections.drain(..) {
            let _ = connection.shutdown(Shutdown::Both);
        }
    }
}

impl State {
    /// A number that no other call gets.
    pub fn number(&mut self) -> usize {
        self.numbers += 1;
        self.numbers
    }

    pub fn forget(&mut self) {
        self.forgotten += self.requests.len();
        self.requests.clear();
    }

    /// Takes the trouble for a request from the queue.
    fn trouble(&mut self, request: &Request) -> Option<Trouble> {
        let at = self.faults.iter().position(|fault| fault.matches(request))?;
        let fault = &mut self.faults[at];
        if fault.skip > 0 {
            fault.skip -= 1;
            return None;
        }
        let trouble = fault.what.clone();
        fault.times = fault.times.saturating_sub(1);
        if fault.times == 0 {
            self.faults.remove(at);
        }
        Some(trouble)
    }

    pub fn add_blob(&mut self, repository: &str, bytes: Vec<u8>) -> Digest {
        let digest = Digest::of(&bytes);
        self.blobs.insert(digest, Arc::new(bytes));
        self.link(repository, digest);
        digest
    }

    /// Makes a blob that is there visible in a repository.
    pub fn link(&mut self, repository: &str, digest: Digest) {
        self.links.insert((repository.to_owned(), digest));
    }

    pub fn find_blob(&self, repository: &str, digest: &Digest) -> Option<Arc<Vec<u8>>> {
        let linked = |name: &str| self.links.contains(&(name.to_owned(), *digest));
        if linked(repository) || linked(EVERYWHERE) { self.blobs.get(digest).cloned() } else { None }
    }

    pub fn add_manifest(&mut self, repository: &str, media_type: &str, bytes: Vec<u8>) -> Digest {
        let digest = Digest::of(&bytes);
        self.manifests.insert((repository.to_owned(), digest), (media_type.to_owned(), bytes));
        digest
    }

    /// Digest, type and bytes of the manifest with a tag or a digest.
    pub fn find_manifest(&self, repository: &str, at: &str) -> Option<(Digest, (String, Vec<u8>))> {
        let digest = match Digest::parse(at) {
            Ok(digest) => digest,
            Err(_) => *self.tags.get(&(repository.to_owned(), at.to_owned()))?,
        };
        let manifest = self.manifests.get(&(repository.to_owned(), digest))?;
        Some((digest, manifest.clone()))
    }
}
