//! Tags, errors, warnings.

use model::manifest::media_type;
use registry::At;
use testkit::registry::{Fault, Server, Setup, Trouble};

use crate::{client, options, repository, repository_by};

fn with_tags(page: usize, tags: &[&str]) -> Server {
    let server = Server::start_with(Setup { page, ..Setup::default() });
    for tag in tags {
        server.add_manifest("acme/x", tag, media_type::OCI_MANIFEST, b"{}");
    }
    server
}

#[test]
fn tags_of_all_pages() {
    let tags = ["a", "b", "c", "d", "e"];
    for page in [1, 2, 5, 100] {
        assert_eq!(repository(&with_tags(page, &tags)).tags().unwrap(), tags, "{page} on a page");
    }
}

#[test]
fn a_repository_without_tags_and_one_that_is_unknown() {
    let server = Server::start();
    server.fault(Fault::on(
        "GET",
        "/tags/list",
        Trouble::Answer(200, Vec::new(), br#"{"tags":null}"#.to_vec()),
    ));
    assert!(repository(&server).tags().unwrap().is_empty());
    assert!(repository(&server).tags().unwrap_err().is_not_found());
}

#[test]
fn pages_without_an_end_end() {
    let server = with_tags(100, &["a"]);
    let itself = Trouble::Header("Link".into(), r#"</v2/acme/x/tags/list?last=a>; rel="next""#.into());
    server.fault(Fault::on("GET", "/tags/list", itself).always());
    assert_eq!(repository(&server).tags().unwrap(), ["a"]);
    assert!(server.requests_for("GET", "/tags/list").len() <= 3);
}

#[test]
fn the_next_page_is_on_the_same_server() {
    let server = with_tags(100, &["a"]);
    let other = Server::start();
    let away = format!(r#"<http://{}/v2/acme/x/tags/list>; rel="next""#, other.address());
    server.fault(Fault::on("GET", "/tags/list", Trouble::Header("Link".into(), away)).always());
    let error = repository(&server).tags().unwrap_err();
    assert!(error.to_string().contains("not on this server"), "{error}");
    assert!(other.requests().is_empty());
}

#[test]
fn errors_say_what_was_attempted_and_what_the_server_says() {
    let server = Server::start();
    let error = repository(&server).manifest(At::Tag("v1")).unwrap_err();
    let expected = format!("manifest v1 of {}/acme/x: manifest unknown: v1", server.address());
    assert_eq!(error.to_string(), expected);
}

#[test]
fn errors_without_a_text_say_their_status() {
    let server = Server::start();
    server.fault(Fault::on("GET", "/manifests/", Trouble::Answer(418, Vec::new(), b"<html>".to_vec())));
    let error = repository(&server).manifest(At::Tag("v1")).unwrap_err();
    assert!(error.to_string().ends_with("the server answered with status 418"), "{error}");
}

#[test]
fn denied_is_told_from_unauthorized() {
    let server = Server::start();
    let body = br#"{"errors":[{"code":"DENIED","message":"requested access to the resource is denied"}]}"#;
    server.fault(Fault::on("GET", "/manifests/", Trouble::Answer(403, Vec::new(), body.to_vec())));
    let error = repository(&server).manifest(At::Tag("v1")).unwrap_err();
    assert!(error.is_denied() && !error.is_unauthorized(), "{error}");
    assert_eq!(error.server_message(), "denied: requested access to the resource is denied");
}

#[test]
fn warnings_are_kept_for_the_user_each_once() {
    let server = Server::start();
    server.add_manifest("acme/x", "v1", media_type::OCI_MANIFEST, b"{}");
    let warning = Trouble::Header("Warning".into(), r#"299 - "this repository moves""#.into());
    server.fault(Fault::on("GET", "/manifests/", warning).times(2));
    let client = client(options());
    let repository = repository_by(&client, &server);
    for _ in 0..3 {
        repository.manifest(At::Tag("v1")).unwrap();
    }
    assert_eq!(client.take_warnings(), [format!("{}: this repository moves", server.address())]);
    assert!(client.take_warnings().is_empty());
}
