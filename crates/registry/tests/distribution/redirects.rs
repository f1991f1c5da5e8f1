//! Redirects: followed, but without our credentials.

use model::Digest;
use model::manifest::media_type;
use registry::{At, Client};
use testkit::registry::{Auth, Fault, Server, Setup, Trouble};

use crate::{Known, noise, options, read, repository, repository_by};

fn to(server: &Server) -> Trouble {
    Trouble::Redirect(format!("http://{}{{target}}", server.address()))
}

#[test]
fn a_blob_on_another_host_is_fetched_from_there() {
    let (server, storage) = (Server::start(), Server::start());
    let bytes = noise(10_000);
    let digest = storage.add_blob(&bytes);
    server.fault(Fault::on("", "/blobs/", to(&storage)).always());
    let repository = repository(&server);
    assert_eq!(read(repository.blob(&digest, 0, None).unwrap()), bytes);
    assert_eq!(read(repository.blob(&digest, 1000, Some(2000)).unwrap()), bytes[1000..2000]);
    assert_eq!(repository.find_blob(&digest).unwrap(), Some(10_000));
}

#[test]
fn no_password_and_no_token_goes_to_another_host() {
    let auths = [Auth::basic("me", "secret"), Auth::bearer("me", "secret")];
    for auth in auths {
        let server = Server::start_with(Setup { auth, ..Setup::default() });
        // It would like to know.
        let storage = Server::start_with(Setup { auth: Auth::basic("me", "secret"), ..Setup::default() });
        let digest = storage.add_blob(b"content");
        server.fault(Fault::on("GET", "/blobs/", to(&storage)).with("Authorization", "").always());
        let client = Client::new(options(), Known::user("me", "secret")).unwrap();
        let error = repository_by(&client, &server).blob(&digest, 0, None).unwrap_err();
        assert!(error.is_unauthorized(), "{error}");
        let asked = storage.requests();
        assert!(!asked.is_empty());
        assert!(asked.iter().all(|request| request.header("authorization").is_none()), "{asked:?}");
    }
}

#[test]
fn an_upload_that_is_sent_to_another_host_goes_without_a_password() {
    let server = Server::start_with(Setup { auth: Auth::basic("me", "secret"), ..Setup::default() });
    let storage = Server::start();
    let away = format!("http://{}/v2/acme/x/blobs/uploads/1?state=1", storage.address());
    server.fault(
        Fault::on("POST", "/uploads/", Trouble::Answer(202, vec![("Location".into(), away)], Vec::new()))
            .with("Authorization", ""),
    );
    let client = Client::new(options(), Known::user("me", "secret")).unwrap();
    let mut upload = repository_by(&client, &server).upload().unwrap();
    let _ = upload.send(&mut &b"content"[..]);
    let asked = storage.requests();
    assert!(!asked.is_empty());
    assert!(asked.iter().all(|request| request.header("authorization").is_none()), "{asked:?}");
}

#[test]
fn circles_end() {
    let server = Server::start();
    server.add_manifest("acme/x", "v1", media_type::OCI_MANIFEST, b"{}");
    server.fault(Fault::on("GET", "/manifests/", to(&server)).always());
    let error = repository(&server).manifest(At::Tag("v1")).unwrap_err();
    assert!(error.to_string().contains("too many redirects"), "{error}");
    assert!(server.requests_for("GET", "/manifests/").len() < 10);
}

#[test]
fn redirects_to_nowhere() {
    for location in ["", "ftp://host/x", "http://user:pw@host/", "http://"] {
        let server = Server::start();
        let headers =
            if location.is_empty() { Vec::new() } else { vec![("Location".into(), location.into())] };
        server.fault(Fault::on("GET", "/blobs/", Trouble::Answer(307, headers, Vec::new())));
        let error = repository(&server).blob(&Digest::of(b"x"), 0, None).unwrap_err();
        assert!(error.to_string().contains("location"), "{location:?}: {error}");
    }
}

#[test]
fn what_is_sent_whole_is_sent_again_where_it_is_wanted() {
    let (server, other) = (Server::start(), Server::start());
    server.fault(Fault::on("PUT", "/manifests/", to(&other)));
    let bytes = br#"{"schemaVersion":2,"manifests":[]}"#;
    repository(&server).put_manifest(At::Tag("v1"), media_type::OCI_INDEX, bytes).unwrap();
    assert_eq!(other.manifest("acme/x", "v1").unwrap().1, bytes);
}

#[test]
fn what_is_streamed_is_not_sent_twice() {
    let server = Server::start();
    server.fault(Fault::on("PATCH", "/uploads/", to(&server)));
    let error = repository(&server).upload().unwrap().send(&mut &b"content"[..]).unwrap_err();
    assert_eq!(error.status(), Some(307), "{error}");
}
