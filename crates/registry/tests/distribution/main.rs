//! The client against servers that keep the rules of the OCI distribution specification, and against such as do not.
//!
//! The specification's rules for clients, and where each is tested:
//!
//! | section | module |
//! | --- | --- |
//! | Pulling manifests, pulling blobs, ranges | [`pull`] |
//! | Pushing blobs (monolithic, streamed, mounts), pushing manifests, `Location` | [`push`] |
//! | Listing tags, `Link` | [`discovery`] |
//! | Error codes, warnings | [`discovery`] |
//! | Broken connections, limits, waits | [`trouble`] |
//! | Tokens and passwords | [`tokens`] |
//! | Redirects | [`redirects`] |
//! | TLS, `certs.d`, proxies, mirrors | [`tls`], [`ways`] |

#![allow(clippy::unwrap_used)] // helpers of tests

mod discovery;
mod pull;
mod push;
mod redirects;
mod tls;
mod tokens;
mod trouble;
mod ways;

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use model::Reference;
use registry::{Anonymous, Body, Client, Credential, Credentials, Options, Repository, Secret};
use testkit::registry::{Request, Server};

/// Settings for tests: short waits. What a test waits for to fail comes after [`IDLE`].
fn options() -> Options {
    Options {
        backoff: Duration::from_millis(1),
        idle_timeout: IDLE,
        connect_timeout: Duration::from_secs(20),
        ..Options::default()
    }
}

const IDLE: Duration = Duration::from_millis(500);

fn client(options: Options) -> Client {
    Client::new(options, Arc::new(Anonymous)).unwrap()
}

/// The repository `acme/x` of a server, without credentials.
fn repository(server: &Server) -> Repository {
    repository_by(&client(options()), server)
}

fn repository_by(client: &Client, server: &Server) -> Repository {
    client.repository(&name(&server.address())).unwrap()
}

fn name(address: &str) -> Reference {
    Reference::parse(&format!("{address}/acme/x")).unwrap()
}

/// One user with a password, for every server; and whom he was asked for.
#[derive(Default)]
struct Known {
    credential: Option<Credential>,
    asked: std::sync::Mutex<Vec<String>>,
}

impl Known {
    fn user(user: &str, password: &str) -> Arc<Self> {
        Known::credential(Credential::Basic { user: user.into(), password: Secret::new(password) })
    }

    fn credential(credential: Credential) -> Arc<Self> {
        Arc::new(Known { credential: Some(credential), ..Known::default() })
    }
}

impl Credentials for Known {
    fn get(&self, server: &str) -> registry::Result<Option<Credential>> {
        self.asked.lock().unwrap().push(server.to_owned());
        Ok(self.credential.clone())
    }
}

fn read(mut body: Body) -> Vec<u8> {
    let mut bytes = Vec::new();
    body.read_to_end(&mut bytes).unwrap();
    bytes
}

/// So many bytes that are not all the same.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32;
    let step = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    std::iter::repeat_with(step).take(len).collect()
}

/// `METHOD path status` of each request under a repository.
fn summary(requests: &[Request]) -> Vec<String> {
    let path = |request: &Request| request.path.split('?').next().unwrap().to_owned();
    requests
        .iter()
        .map(|request| format!("{} {} {}", request.method, path(request), request.status))
        .collect()
}
