//! Servers that fail, and stores that are damaged.

use std::sync::Arc;

use engine::push::PushOptions;
use testkit::registry::{Auth, Fault, Server, Setup, Trouble};

use crate::world::{User, World, app, assert_has, client, image};

/// Pushes past `faults`, and the image is there whole.
#[track_caller]
fn survives(faults: impl IntoIterator<Item = Fault>) {
    let server = Server::start();
    let image = image(&app(&server));
    let world = World::with(&image);
    faults.into_iter().for_each(|fault| server.fault(fault));
    world.push(&app(&server)).unwrap();
    assert_has(&server, "acme/app", "1", &image);
}

#[test]
fn an_upload_that_breaks_off_is_begun_again() {
    survives([Fault::on("PATCH", "/blobs/uploads/", Trouble::HangUp { after: 1 << 20 }).times(2)]);
}

#[test]
fn busy_servers_are_asked_again() {
    let zero = || Some("0".to_owned());
    survives([
        Fault::on("HEAD", "/blobs/", Trouble::Status(503, None)),
        Fault::on("POST", "/blobs/uploads/", Trouble::Status(429, zero())),
        Fault::on("PATCH", "/blobs/uploads/", Trouble::Status(503, zero())),
        Fault::on("PUT", "/blobs/uploads/", Trouble::Status(500, None)),
        Fault::on("PUT", "/manifests/", Trouble::Status(429, zero())),
    ]);
}

#[test]
fn a_token_that_expires_meanwhile_is_renewed() {
    for method in ["HEAD", "POST", "PATCH", "PUT"] {
        let server = Server::start_with(Setup { auth: Auth::bearer("me", "pw"), ..Setup::default() });
        let image = image(&app(&server));
        let world = World::with(&image);
        server.fault(Fault::on(method, "/v2/acme/app/", Trouble::Expire));
        let client = client(Arc::new(User("me", "pw")));
        world.push_by(&client, &app(&server), &PushOptions::default()).unwrap();
        assert_has(&server, "acme/app", "1", &image);
    }
}

#[test]
fn a_server_that_never_takes_the_layer_gets_no_tag() {
    let server = Server::start();
    let world = World::with(&image(&app(&server)));
    server.fault(Fault::on("PATCH", "/blobs/uploads/", Trouble::Status(503, Some("0".to_owned()))).always());
    let error = world.push(&app(&server)).unwrap_err();
    assert!(matches!(&error, engine::Error::Registry(cause) if cause.status() == Some(503)), "{error}");
    assert!(server.manifest("acme/app", "1").is_none());
    let asked = server.requests_for("PATCH", "").len();
    assert!(asked <= 2 * 5, "{asked} attempts for two layers");
}

#[test]
fn who_may_not_push_is_told_at_once() {
    let server = Server::start();
    let world = World::with(&image(&app(&server)));
    server.fault(Fault::on("POST", "/blobs/uploads/", Trouble::Status(403, None)).always());
    let error = world.push(&app(&server)).unwrap_err();
    assert!(matches!(&error, engine::Error::Registry(cause) if cause.is_denied()), "{error}");
    // One for each of the two layers and the configuration at most.
    assert!(server.requests_for("POST", "").len() <= 3);
    assert!(server.requests_for("PATCH", "").is_empty());
}

#[test]
fn who_is_not_known_is_told_so() {
    let auth = Auth::basic("me", "pw");
    let server = Server::start_with(Setup { auth, ..Setup::default() });
    let world = World::with(&image(&app(&server)));
    let error = world.push(&app(&server)).unwrap_err();
    assert!(matches!(&error, engine::Error::Registry(cause) if cause.is_unauthorized()), "{error}");
}

#[test]
fn a_damaged_layer_is_not_sent_and_the_file_is_named() {
    let server = Server::start();
    let world = World::with(&image(&app(&server)));
    for id in world.engine.driver().list().unwrap() {
        let root = world.engine.driver().layer_root(&id).unwrap();
        std::fs::write(root.path().join("srv/text"), "text\n".repeat((1 << 18) - 1) + "TEXT\n").unwrap();
    }
    let error = world.push(&app(&server)).unwrap_err();
    assert!(error.to_string().contains("srv/text"), "{error}");
    assert!(server.manifest("acme/app", "1").is_none());
    let small_and_large = server.requests_for("POST", "/blobs/uploads/").len();
    assert!(small_and_large <= 3, "damage does not go away by trying again: {small_and_large}");
}

#[test]
fn what_arrived_before_a_failure_is_not_sent_again() {
    let server = Server::start();
    let image = image(&app(&server));
    let world = World::with(&image);
    server.fault(Fault::on("PUT", "/manifests/", Trouble::Status(403, None)));
    world.push(&app(&server)).unwrap_err();
    server.forget_requests();
    world.push(&app(&server)).unwrap();
    assert_has(&server, "acme/app", "1", &image);
    assert!(server.requests_for("PATCH", "").is_empty());
}
