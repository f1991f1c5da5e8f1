//! Servers in trouble, and such as make it.

use std::io::{ErrorKind, Read};
use std::time::Duration;

use model::manifest::media_type;
use registry::{At, Backoff, Error, Options};
use testkit::registry::{Fault, Server, Trouble};

use crate::{client, name, noise, options, repository};

const MANIFEST: &[u8] = br#"{"schemaVersion":2,"layers":[]}"#;

fn with_manifest() -> Server {
    let server = Server::start();
    server.add_manifest("acme/x", "v1", media_type::OCI_MANIFEST, MANIFEST);
    server
}

/// How often the manifest was asked for.
fn asked(server: &Server) -> usize {
    server.requests_for("GET", "/manifests/").len()
}

#[test]
fn a_busy_server_is_asked_again() {
    for status in [429, 500, 502, 503, 504] {
        let server = with_manifest();
        server.fault(Fault::on("GET", "/manifests/", Trouble::Status(status, None)).times(3));
        assert_eq!(repository(&server).manifest(At::Tag("v1")).unwrap().bytes, MANIFEST, "{status}");
        assert_eq!(asked(&server), 4, "{status}");
    }
}

#[test]
fn it_gives_up_in_the_end_with_the_last_error() {
    let server = with_manifest();
    server.fault(Fault::on("GET", "/manifests/", Trouble::Status(503, None)).always());
    let error = repository(&server).manifest(At::Tag("v1")).unwrap_err();
    assert_eq!((error.status(), asked(&server)), (Some(503), 5));
    server.forget_requests();
    let once = client(Options { attempts: 1, ..options() });
    assert!(once.repository(&name(&server.address())).unwrap().manifest(At::Tag("v1")).is_err());
    assert_eq!(asked(&server), 1);
}

#[test]
fn what_will_not_change_is_not_asked_again() {
    for status in [400, 403, 405, 501] {
        let server = with_manifest();
        server.fault(Fault::on("GET", "/manifests/", Trouble::Status(status, None)).always());
        assert_eq!(repository(&server).manifest(At::Tag("v1")).unwrap_err().status(), Some(status));
        assert_eq!(asked(&server), 1, "{status}");
    }
}

#[test]
fn the_servers_wish_for_a_wait_is_heeded() {
    let server = with_manifest();
    server.fault(Fault::on("GET", "/manifests/", Trouble::Status(429, Some("1".into()))));
    let start = std::time::Instant::now();
    repository(&server).manifest(At::Tag("v1")).unwrap();
    assert!(start.elapsed() >= Duration::from_secs(1), "asked again after {:?}", start.elapsed());
}

#[test]
fn a_server_that_wants_hours_is_left_alone_and_it_is_said() {
    let server = with_manifest();
    server.fault(Fault::on("GET", "/manifests/", Trouble::Status(429, Some("7200".into()))).always());
    let error = repository(&server).manifest(At::Tag("v1")).unwrap_err();
    assert_eq!((error.retry_after(), asked(&server)), (Some(Duration::from_secs(7200)), 1));
}

#[test]
fn a_manifest_that_breaks_off_is_asked_for_again() {
    let server = with_manifest();
    server.fault(Fault::on("GET", "/manifests/", Trouble::Drop { after: 0 }));
    server.fault(Fault::on("GET", "/manifests/", Trouble::Drop { after: 5 }));
    server.fault(Fault::on("GET", "/manifests/", Trouble::HangUp { after: 0 }));
    server.fault(Fault::on("GET", "/manifests/", Trouble::Stall { after: 5 }));
    assert_eq!(repository(&server).manifest(At::Tag("v1")).unwrap().bytes, MANIFEST);
    assert_eq!(asked(&server), 5);
}

#[test]
fn wrong_bytes_of_a_manifest_are_asked_for_again() {
    for what in
        [Trouble::HalfManifest, Trouble::WrongBytes, Trouble::WrongLength(3), Trouble::WrongLength(-3)]
    {
        let server = with_manifest();
        server.fault(Fault::on("GET", "/manifests/", what.clone()).times(2));
        assert_eq!(repository(&server).manifest(At::Tag("v1")).unwrap().bytes, MANIFEST, "{what:?}");
        server.fault(Fault::on("GET", "/manifests/", what.clone()).always());
        let error = repository(&server).manifest(At::Tag("v1")).unwrap_err();
        assert!(matches!(error, Error::Digest { .. }), "{what:?}: {error}");
    }
}

#[test]
fn a_manifest_that_lies_about_its_digest_is_wrong_if_its_digest_was_asked_for() {
    let server = with_manifest();
    let other = model::Digest::of(b"other");
    let answer =
        Trouble::Answer(200, vec![("Docker-Content-Digest".into(), other.to_string())], MANIFEST.to_vec());
    server.fault(Fault::on("GET", "/manifests/", answer).always());
    let error = repository(&server).manifest(At::Digest(&other)).unwrap_err();
    assert!(matches!(error, Error::Digest { expected, .. } if expected == other), "{error}");
}

#[test]
fn a_manifest_without_an_end_has_one() {
    let server = with_manifest();
    server.fault(Fault::on("GET", "/manifests/", Trouble::Endless).always());
    let error = repository(&server).manifest(At::Tag("v1")).unwrap_err();
    assert!(matches!(error, Error::TooLarge { .. }), "{error}");
    assert_eq!(asked(&server), 1);
}

#[test]
fn a_long_error_is_cut() {
    let server = with_manifest();
    server.fault(Fault::on("GET", "/manifests/", Trouble::Answer(404, Vec::new(), vec![b'x'; 200_000])));
    assert!(repository(&server).manifest(At::Tag("v1")).unwrap_err().is_not_found());
}

#[test]
fn a_blob_that_breaks_off_fails_where_it_did_and_is_resumed_there() {
    let server = Server::start();
    let bytes = noise(1_000_000);
    let digest = server.add_blob(&bytes);
    let repository = repository(&server);
    for trouble in [Trouble::Drop { after: 300_000 }, Trouble::Stall { after: 300_000 }] {
        server.fault(Fault::on("GET", "/blobs/", trouble.clone()));
        let mut got = Vec::new();
        let error = repository.blob(&digest, 0, None).unwrap().read_to_end(&mut got).unwrap_err();
        assert_eq!(got, bytes[..300_000], "{trouble:?}");
        let mut backoff = Backoff::new(&options());
        assert!(backoff.again(&Error::interrupted("blob", error)).is_some(), "{trouble:?}");
        let mut rest = repository.blob(&digest, 300_000, None).unwrap();
        assert_eq!(rest.from, 300_000);
        rest.read_to_end(&mut got).unwrap();
        assert_eq!(got, bytes, "{trouble:?}");
    }
}

#[test]
fn a_part_that_breaks_off_is_no_shorter_part() {
    let server = Server::start();
    let digest = server.add_blob(&noise(100_000));
    server.fault(Fault::on("GET", "/blobs/", Trouble::Drop { after: 10 }));
    let mut got = Vec::new();
    let mut body = repository(&server).blob(&digest, 1000, Some(5000)).unwrap();
    assert_eq!(body.read_to_end(&mut got).unwrap_err().kind(), ErrorKind::UnexpectedEof);
    assert_eq!(got.len(), 10);
}

#[test]
fn a_part_without_an_end_has_one() {
    let server = Server::start();
    let bytes = noise(100_000);
    let digest = server.add_blob(&bytes);
    server.fault(Fault::on("GET", "/blobs/", Trouble::Endless));
    let body = repository(&server).blob(&digest, 1000, Some(5000)).unwrap();
    assert_eq!(crate::read(body), bytes[1000..5000]);
}

#[test]
fn a_blob_of_another_length_than_it_has_shows_it() {
    let server = Server::start();
    let digest = server.add_blob(b"content");
    server.fault(Fault::on("GET", "/blobs/", Trouble::WrongLength(5)));
    assert_eq!(repository(&server).blob(&digest, 0, None).unwrap().total, Some(12));
}

#[test]
fn a_drip_is_given_up() {
    let server = Server::start();
    let digest = server.add_blob(&noise(1_000_000));
    // Never silent for as long as the idle timeout, but it would take a day.
    let drip = Trouble::Drip { bytes: 10, every: Duration::from_millis(50) };
    server.fault(Fault::on("GET", "/blobs/", drip));
    let mut got = Vec::new();
    let error = repository(&server).blob(&digest, 0, None).unwrap().read_to_end(&mut got).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
    assert!(!got.is_empty() && got.len() < 16 << 10, "{} bytes", got.len());
}

#[test]
fn a_slow_reader_is_no_slow_server() {
    let server = Server::start();
    let bytes = noise(4000);
    let digest = server.add_blob(&bytes);
    let mut body = repository(&server).blob(&digest, 0, None).unwrap();
    let mut got = Vec::new();
    for _ in 0..4 {
        std::thread::sleep(crate::IDLE / 2);
        let mut part = [0; 1000];
        body.read_exact(&mut part).unwrap();
        got.extend(part);
    }
    assert_eq!(got, bytes);
}

#[test]
fn a_server_that_is_not_there_is_an_error_with_its_name() {
    let address = Server::start().address();
    let repository = client(options()).repository(&name(&address)).unwrap();
    let error = repository.manifest(At::Tag("v1")).unwrap_err();
    assert!(matches!(error, Error::Transport { .. }) && error.to_string().contains(&address), "{error}");
}
