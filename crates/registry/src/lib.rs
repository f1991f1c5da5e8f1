//! Speaks with OCI distribution servers: manifests, tags and blobs, in both directions. Blocking; knows no store.
//!
//! A [`Client`] holds what all requests share: settings, connections, tokens. A [`Repository`] is one name on one
//! server; clones of it may be used by many threads at once, and their requests share connections.
//!
//! # What is retried, and by whom
//! A method that returns bytes or an answer tries again by itself, [`Options::attempts`] times in all, with growing and
//! jittered waits; a `Retry-After` of the server is heeded. What is streamed cannot be tried again here: when reading a
//! [`Body`] fails, its reader asks for the rest with [`Repository::blob`]; when [`Upload::send`] fails, the sender
//! begins another upload. [`Backoff`] tells both whether and when.
//!
//! # What never happens
//! Credentials and tokens go only to the server they are for, and to the token server that it names; not to the host
//! of a redirect, not over plain HTTP after HTTPS. A redirect from HTTPS to HTTP is not followed.
//!
//! # What is verified
//! Manifests, by digest. A blob's digest is its reader's to verify.
#![forbid(unsafe_code)]

mod agents;
mod answer;
mod backoff;
mod blob;
mod certificates;
mod challenge;
mod client;
mod credential;
pub mod credentials;
mod endpoint;
mod error;
mod fetch;
mod grant;
mod headers;
mod hosts;
mod login;
mod manifest;
mod options;
mod repository;
mod scope;
mod tags;
mod tokens;
mod upload;
mod url;
mod wire;

pub use backoff::Backoff;
pub use blob::Body;
pub use client::Client;
pub use credential::{Anonymous, Credential, Credentials, Secret};
pub use error::{Error, Result};
pub use fetch::Download;
pub use manifest::Fetched;
pub use options::{Options, Proxy};
pub use repository::{At, Repository};
pub use upload::Upload;
