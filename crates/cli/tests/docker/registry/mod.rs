//! Pulls and pushes with real parts: Debian's `docker-registry`, and skopeo, podman and Docker on its other side.
//!
//! Each test starts a registry of its own, with an empty directory: an open one, one with passwords (htpasswd), one with
//! TLS and an authority of the test's own, one that wants certificates of its clients too. What we push they pull with
//! the same digests, and the other way round. The images are those of the Docker tests, and one with an index as BuildKit
//! writes it. What a machine lacks is said.
#![allow(clippy::unwrap_used, clippy::panic)] // helpers of tests, outside of #[test] functions

// The daemons and the images are the Docker tests'.
#[allow(dead_code)]
#[path = "../docker/archives.rs"]
mod archives;
#[allow(dead_code)]
#[path = "../docker/daemon.rs"]
mod daemon;
#[allow(dead_code)]
#[path = "../docker/said.rs"]
mod said;
#[allow(dead_code)]
#[path = "../docker/witness.rs"]
mod witness;
#[allow(dead_code)]
#[path = "../docker/world.rs"]
mod world;

mod authority;
mod both_ways;
mod by_docker;
mod indexes;
mod layout;
mod network;
mod passwords;
mod peers;
mod server;
mod store;
mod tls;

pub(crate) use witness::witnessed;
