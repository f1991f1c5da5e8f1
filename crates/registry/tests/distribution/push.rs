//! Pushing blobs and manifests.

use std::io::{self, Read};

use model::Digest;
use model::manifest::media_type;
use registry::{At, Error};
use testkit::registry::{Fault, Server, Setup, Trouble};

use crate::{noise, repository, summary};

#[test]
fn a_blob_streamed_in_one_or_more_pieces() {
    for absolute in [false, true] {
        let server = Server::start_with(Setup { absolute, ..Setup::default() });
        let bytes = noise(1_000_000);
        let digest = Digest::of(&bytes);
        let mut upload = repository(&server).upload().unwrap();
        assert_eq!(upload.send(&mut &bytes[..600_000]).unwrap(), 600_000);
        assert_eq!(upload.send(&mut &bytes[600_000..]).unwrap(), 400_000);
        upload.finish(&digest).unwrap();
        assert_eq!(server.blob(&digest).unwrap(), bytes);
        assert_eq!(server.open_uploads(), 0);
        let streamed = &server.requests_for("PATCH", "/uploads/")[0];
        assert_eq!(streamed.header("transfer-encoding"), Some("chunked"));
        assert_eq!(streamed.header("content-type"), Some("application/octet-stream"));
    }
}

#[test]
fn an_empty_blob() {
    let server = Server::start();
    let digest = Digest::of(b"");
    let mut upload = repository(&server).upload().unwrap();
    assert_eq!(upload.send(&mut io::empty()).unwrap(), 0);
    upload.finish(&digest).unwrap();
    assert_eq!(server.blob(&digest).unwrap(), b"");
    repository(&server).put_blob(&digest, b"").unwrap();
}

#[test]
fn a_small_blob_with_its_length() {
    let server = Server::start();
    let digest = Digest::of(b"content");
    repository(&server).put_blob(&digest, b"content").unwrap();
    assert_eq!(server.blob(&digest).unwrap(), b"content");
    let put = &server.requests_for("PUT", "/uploads/")[0];
    assert_eq!(put.header("content-length"), Some("7"));
    assert!(put.path.contains("state=") && put.path.contains("&digest=sha256%3A"), "{}", put.path);
}

#[test]
fn wrong_bytes_are_refused_by_the_server() {
    let server = Server::start();
    let mut upload = repository(&server).upload().unwrap();
    upload.send(&mut &b"content"[..]).unwrap();
    let error = upload.finish(&Digest::of(b"other")).unwrap_err();
    assert_eq!(error.status(), Some(400), "{error}");
    assert!(error.server_message().starts_with("digest invalid"), "{error}");
}

#[test]
fn a_server_that_got_fewer_bytes_is_noticed() {
    let server = Server::start();
    server.fault(Fault::on("PATCH", "/uploads/", Trouble::Header("Range".into(), "0-2".into())));
    let error = repository(&server).upload().unwrap().send(&mut &b"content"[..]).unwrap_err();
    assert!(error.to_string().contains("7 bytes were sent, but the server has 3"), "{error}");
}

#[test]
fn a_blob_of_another_repository_is_mounted() {
    let server = Server::start();
    let digest = server.add_blob_to("acme/base", b"content");
    let repository = repository(&server);
    assert!(repository.mount(&digest, "acme/base").unwrap().is_none());
    assert!(server.has_blob("acme/x", &digest));
    assert_eq!(server.open_uploads(), 0);
}

#[test]
fn what_cannot_be_mounted_is_uploaded() {
    let server = Server::start_with(Setup { mounts: false, ..Setup::default() });
    let digest = server.add_blob_to("acme/base", b"content");
    let mut upload = repository(&server).mount(&digest, "acme/base").unwrap().expect("an upload");
    upload.send(&mut &b"content"[..]).unwrap();
    upload.finish(&digest).unwrap();
    assert!(server.has_blob("acme/x", &digest));
}

#[test]
fn an_upload_that_is_not_wanted_is_cancelled() {
    let server = Server::start();
    let mut upload = repository(&server).upload().unwrap();
    upload.send(&mut &b"content"[..]).unwrap();
    assert_eq!(server.open_uploads(), 1);
    upload.cancel();
    assert_eq!(server.open_uploads(), 0);
}

#[test]
fn a_manifest_by_tag_and_by_digest() {
    let server = Server::start();
    let repository = repository(&server);
    let bytes = br#"{"schemaVersion":2,"manifests":[]}"#;
    let digest = Digest::of(bytes);
    for at in [At::Tag("v1"), At::Digest(&digest)] {
        assert_eq!(repository.put_manifest(at, media_type::OCI_INDEX, bytes).unwrap(), digest);
    }
    let stored = server.manifest("acme/x", "v1").unwrap();
    assert_eq!(stored, (media_type::OCI_INDEX.to_owned(), bytes.to_vec()));
}

#[test]
fn a_server_that_stored_another_manifest_is_noticed() {
    let server = Server::start();
    let other = Digest::of(b"other");
    let lie = Trouble::Header("Docker-Content-Digest".into(), other.to_string());
    server.fault(Fault::on("PUT", "/manifests/", lie).always());
    let error = repository(&server).put_manifest(At::Tag("v1"), media_type::OCI_INDEX, b"{}").unwrap_err();
    assert!(matches!(error, Error::Digest { actual, .. } if actual == other), "{error}");
}

#[test]
fn a_manifest_without_its_blobs_is_refused_with_the_servers_words() {
    let server = Server::start();
    let bytes = format!(r#"{{"schemaVersion":2,"layers":[{{"digest":"{}"}}]}}"#, Digest::of(b"layer"));
    let put = repository(&server).put_manifest(At::Tag("v1"), media_type::OCI_MANIFEST, bytes.as_bytes());
    let error = put.unwrap_err();
    assert!(error.to_string().contains("manifest blob unknown"), "{error}");
}

#[test]
fn the_end_of_an_upload_is_tried_again_when_the_answer_is_lost() {
    let server = Server::start();
    let digest = Digest::of(b"content");
    let mut upload = repository(&server).upload().unwrap();
    upload.send(&mut &b"content"[..]).unwrap();
    // The blob is there, but nobody said so; the second attempt hears that there is no such upload.
    server.fault(Fault::on("PUT", "/uploads/", Trouble::HangUp { after: 1 }));
    upload.finish(&digest).unwrap();
    assert_eq!(
        summary(&server.requests_for("", "/acme/x/")).last().unwrap(),
        &format!("HEAD /v2/acme/x/blobs/{digest} 200")
    );
}

#[test]
fn starts_and_small_blobs_are_tried_again() {
    let server = Server::start();
    let digest = Digest::of(b"content");
    server.fault(Fault::on("POST", "/uploads/", Trouble::Status(503, None)));
    server.fault(Fault::on("PUT", "/uploads/", Trouble::HangUp { after: 3 }));
    repository(&server).put_blob(&digest, b"content").unwrap();
    assert_eq!(server.blob(&digest).unwrap(), b"content");
}

#[test]
fn a_stream_that_breaks_is_for_the_sender_to_begin_again() {
    let server = Server::start();
    let bytes = noise(4_000_000);
    let digest = Digest::of(&bytes);
    let repository = repository(&server);
    server.fault(Fault::on("PATCH", "/uploads/", Trouble::HangUp { after: 100_000 }));
    let error = repository.upload().unwrap().send(&mut &bytes[..]).unwrap_err();
    assert!(error.is_transient(), "{error}");
    let mut upload = repository.upload().unwrap();
    upload.send(&mut &bytes[..]).unwrap();
    upload.finish(&digest).unwrap();
    assert_eq!(server.blob(&digest).unwrap(), bytes);
}

#[test]
fn a_source_that_cannot_be_read_is_named_and_nothing_is_finished() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the disk is gone"))
        }
    }
    let server = Server::start();
    let mut body = (&b"start"[..]).chain(Broken);
    let error = repository(&server).upload().unwrap().send(&mut body).unwrap_err();
    assert!(
        matches!(error, Error::Input { .. }) && error.to_string().contains("the disk is gone"),
        "{error}"
    );
    assert!(!error.is_transient());
    assert!(server.requests_for("PUT", "/uploads/").is_empty());
}
