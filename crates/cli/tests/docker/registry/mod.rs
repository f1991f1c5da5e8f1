//! Pulls and pushes with real parts: Debian's `docker-registry`, and skopeo, podman and Docker on its other side.
//!
//! Each test starts a registry of its own, with an empty directory: an open one, one with passwords (htpasswd), one with
//! TLS and an authority of the test's own, one that wants certificates of its clients too. What we push they pull with
//! the same digests, and the other way round. The images are those of the other tests, and one with an index as BuildKit
//! writes it.

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
