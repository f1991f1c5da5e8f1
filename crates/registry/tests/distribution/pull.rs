//! Pulling manifests and blobs.

use std::io::Read;

use model::Digest;
use model::manifest::{Descriptor, media_type};
use registry::{At, Error};
use testkit::registry::{Fault, Server, Setup, Trouble};

use crate::{noise, read, repository};

const MANIFEST: &[u8] = br#"{"schemaVersion":2}"#;

#[test]
fn a_manifest_by_tag_and_by_digest() {
    let server = Server::start();
    let digest = server.add_manifest("acme/x", "v1", media_type::OCI_MANIFEST, MANIFEST);
    let repository = repository(&server);
    for at in [At::Tag("v1"), At::Digest(&digest)] {
        let fetched = repository.manifest(at).unwrap();
        assert_eq!(fetched.bytes, MANIFEST);
        assert_eq!(fetched.descriptor.digest, digest);
        assert_eq!(fetched.descriptor.size, MANIFEST.len() as u64);
        assert_eq!(fetched.descriptor.media_type, media_type::OCI_MANIFEST);
    }
}

#[test]
fn the_types_that_are_understood_are_asked_for() {
    let server = Server::start();
    server.add_manifest("acme/x", "v1", media_type::OCI_MANIFEST, MANIFEST);
    repository(&server).manifest(At::Tag("v1")).unwrap();
    let request = &server.requests_for("GET", "/manifests/v1")[0];
    let accepted: Vec<_> =
        request.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("accept")).collect();
    for wanted in [
        media_type::OCI_INDEX,
        media_type::OCI_MANIFEST,
        media_type::DOCKER_INDEX,
        media_type::DOCKER_MANIFEST,
    ] {
        assert!(accepted.iter().any(|(_, value)| value.contains(wanted)), "{wanted} in {accepted:?}");
    }
    assert!(request.header("user-agent").unwrap().starts_with("layercake/"));
}

#[test]
fn what_is_not_there_is_not_found_and_asked_for_once() {
    let server = Server::start();
    let repository = repository(&server);
    let digest = Digest::of(b"unknown");
    let error = repository.manifest(At::Tag("none")).unwrap_err();
    assert!(error.is_not_found() && !error.is_transient(), "{error}");
    assert!(error.server_message().starts_with("manifest unknown"), "{error}");
    assert!(repository.blob(&digest, 0, None).unwrap_err().is_not_found());
    assert_eq!(repository.find_manifest(At::Tag("none")).unwrap(), None);
    assert_eq!(repository.find_blob(&digest).unwrap(), None);
    assert_eq!(server.requests_for("", "/acme/x/").len(), 4);
}

#[test]
fn a_manifest_is_found_without_fetching_it() {
    let server = Server::start();
    let digest = server.add_manifest("acme/x", "v1", media_type::DOCKER_MANIFEST, MANIFEST);
    let found = repository(&server).find_manifest(At::Tag("v1")).unwrap().unwrap();
    assert_eq!((found.digest, found.size), (digest, MANIFEST.len() as u64));
    assert_eq!(found.media_type, media_type::DOCKER_MANIFEST);
    assert!(server.requests_for("GET", "/manifests/").is_empty());
}

#[test]
fn a_manifest_is_fetched_to_know_its_digest_if_the_server_does_not_say_it() {
    let server = Server::start();
    let digest = server.add_manifest("acme/x", "v1", media_type::OCI_MANIFEST, MANIFEST);
    let silent = Trouble::Header("Docker-Content-Digest".into(), String::new());
    server.fault(Fault::on("", "/manifests/", silent).always());
    assert_eq!(repository(&server).find_manifest(At::Tag("v1")).unwrap().unwrap().digest, digest);
}

#[test]
fn types_that_say_nothing_are_left_to_the_document() {
    let server = Server::start();
    server.add_manifest("acme/x", "v1", "application/json; charset=utf-8", MANIFEST);
    assert_eq!(repository(&server).manifest(At::Tag("v1")).unwrap().descriptor.media_type, "");
}

#[test]
fn a_tag_that_is_none_does_not_get_into_an_address() {
    let server = Server::start();
    let repository = repository(&server);
    for bad in ["../../x", "a/b", "", "a?b", "a b"] {
        assert!(repository.manifest(At::Tag(bad)).is_err(), "{bad:?}");
    }
    assert!(server.requests_for("", "/manifests/").is_empty());
}

#[test]
fn a_blob_whole_and_in_ranges() {
    let server = Server::start();
    let bytes = noise(300_000);
    let digest = server.add_blob(&bytes);
    let repository = repository(&server);
    let whole = repository.blob(&digest, 0, None).unwrap();
    assert_eq!((whole.from, whole.total, whole.ranges), (0, Some(300_000), true));
    assert_eq!(read(whole), bytes);
    for (from, to) in [(0, Some(1)), (1000, Some(200_000)), (299_999, None), (100, Some(1_000_000))] {
        let part = repository.blob(&digest, from, to).unwrap();
        assert_eq!((part.from, part.total, part.ranges), (from, Some(300_000), true));
        let end = to.unwrap_or(300_000).min(300_000);
        assert_eq!(read(part), bytes[from as usize..end as usize], "{from} to {to:?}");
    }
    assert_eq!(repository.find_blob(&digest).unwrap(), Some(300_000));
}

#[test]
fn nothing_is_behind_the_end() {
    let server = Server::start();
    let digest = server.add_blob(b"content");
    let error = repository(&server).blob(&digest, 7, None).unwrap_err();
    assert_eq!(error.status(), Some(416), "{error}");
}

#[test]
fn a_server_without_ranges_sends_all_and_it_shows() {
    let server = Server::start_with(Setup { ranges: false, ..Setup::default() });
    let digest = server.add_blob(b"content");
    let repository = repository(&server);
    assert!(!repository.blob(&digest, 0, None).unwrap().ranges);
    let body = repository.blob(&digest, 3, None).unwrap();
    assert_eq!((body.from, body.total, body.ranges), (0, Some(7), false));
    assert_eq!(read(body), b"content");
}

#[test]
fn a_range_that_was_not_asked_for_is_not_believed() {
    let server = Server::start();
    let digest = server.add_blob(b"content");
    for to in [Some(5), None] {
        server.fault(Fault::on("GET", "/blobs/", Trouble::WrongRange).with("Range", "bytes="));
        let body = repository(&server).blob(&digest, 3, to).unwrap();
        assert_eq!((body.from, body.ranges), (0, false));
        assert_eq!(read(body), b"content");
    }
}

#[test]
fn one_connection_serves_many_requests() {
    let server = Server::start();
    let bytes = noise(100_000);
    let digest = server.add_blob(&bytes);
    server.add_manifest("acme/x", "v1", media_type::OCI_MANIFEST, MANIFEST);
    let repository = repository(&server);
    for part in 0..10 {
        repository.manifest(At::Tag("v1")).unwrap();
        repository.find_blob(&digest).unwrap();
        // Read to its end, but not beyond.
        let mut body = repository.blob(&digest, part * 10_000, Some((part + 1) * 10_000)).unwrap();
        body.read_exact(&mut [0; 10_000]).unwrap();
        assert!(repository.manifest(At::Tag("none")).is_err());
    }
    let connections: std::collections::BTreeSet<_> =
        server.requests_for("", "/acme/x/").iter().map(|request| request.connection).collect();
    assert_eq!(connections.len(), 1, "{connections:?}");
}

#[test]
fn a_small_blob_is_verified() {
    let server = Server::start();
    let digest = server.add_blob(b"content");
    let wanted = Descriptor::new("", digest, 7);
    let repository = repository(&server);
    for what in [
        Trouble::WrongBytes,
        Trouble::WrongLength(2),
        Trouble::WrongLength(-2),
        Trouble::Drop { after: 2 },
        Trouble::Endless,
    ] {
        server.fault(Fault::on("GET", "/blobs/", what.clone()));
        assert_eq!(repository.get_blob(&wanted).unwrap(), b"content", "{what:?}");
    }
    server.fault(Fault::on("GET", "/blobs/", Trouble::WrongBytes).always());
    assert!(matches!(repository.get_blob(&wanted).unwrap_err(), Error::Digest { .. }));
    let large = Descriptor::new("", digest, 17 << 20);
    assert!(matches!(repository.get_blob(&large).unwrap_err(), Error::TooLarge { .. }));
}
