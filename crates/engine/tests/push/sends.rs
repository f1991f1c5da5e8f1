//! What is sent, and what is not.

use std::sync::Arc;

use archive::compress::Compression;
use engine::push::PushOptions;
use model::Digest;
use model::manifest::media_type;
use store::V2Metadata;
use testkit::image::Image;
use testkit::registry::{Server, Setup};

use crate::world::{User, World, app, assert_has, base, client, digests, image, manifest, reference, top};

fn with(compression: Compression) -> PushOptions {
    PushOptions { compression: Some(compression), ..PushOptions::default() }
}

#[test]
fn a_new_image_arrives_whole() {
    let server = Server::start();
    let image = image(&app(&server));
    let world = World::with(&image);
    let pushed = world.push(&app(&server)).unwrap();
    assert_has(&server, "acme/app", "1", &image);
    let (kind, bytes) = server.manifest("acme/app", "1").unwrap();
    assert_eq!((kind.as_str(), pushed.size), (media_type::DOCKER_MANIFEST, bytes.len() as u64));
    assert_eq!(pushed.digest, Digest::of(&bytes));
    let manifest = manifest(&server, "acme/app", "1");
    assert_eq!(manifest["config"]["mediaType"], media_type::DOCKER_CONFIG);
    assert_eq!(manifest["layers"][0]["mediaType"], media_type::DOCKER_LAYER_GZIP);
    assert_eq!(server.open_uploads(), 0);
}

#[test]
fn the_store_learns_the_digest_and_where_the_layers_are() {
    let server = Server::start();
    let world = World::with(&image(&app(&server)));
    let pushed = world.push(&app(&server)).unwrap();
    let pinned = reference(&app(&server)).without_tag_and_digest().with_digest(pushed.digest);
    let names = world.engine.store().references().read().unwrap();
    assert_eq!(names.get(&pinned), names.get(&reference(&app(&server))));
    let hints = world.hints(&base());
    assert_eq!(hints.len(), 1);
    assert_eq!(hints[0].source_repository, format!("{}/acme/app", server.address()));
    assert_eq!(hints[0].digest, digests(&manifest(&server, "acme/app", "1"))[0]);
    assert_eq!(hints[0].hmac.len(), 64);
}

#[test]
fn a_second_push_sends_the_manifest_only() {
    let server = Server::start();
    let world = World::with(&image(&app(&server)));
    let first = world.push(&app(&server)).unwrap();
    server.forget_requests();
    assert_eq!(world.push(&app(&server)).unwrap(), first);
    let changing: Vec<String> = server
        .requests()
        .iter()
        .filter(|request| !matches!(request.method.as_str(), "GET" | "HEAD"))
        .map(|request| format!("{} {}", request.method, request.path))
        .collect();
    assert_eq!(changing, ["PUT /v2/acme/app/manifests/1"]);
    assert_eq!(world.hints(&base()).len(), 1, "the hint is there once");
}

#[test]
fn two_stores_make_the_same_digests() {
    let (here, there) = (Server::start(), Server::start());
    let push = |server: &Server, compression| {
        let world = World::with(&image(&app(server)));
        world.push_so(&app(server), &with(compression)).unwrap().digest
    };
    for compression in [Compression::Gzip, Compression::Zstd] {
        assert_eq!(push(&here, compression), push(&there, compression), "{compression}");
    }
}

#[test]
fn other_compressions_make_an_oci_image() {
    for (compression, layer) in
        [(Compression::Zstd, media_type::OCI_LAYER_ZSTD), (Compression::None, media_type::OCI_LAYER)]
    {
        let server = Server::start();
        let image = image(&app(&server));
        World::with(&image).push_so(&app(&server), &with(compression)).unwrap();
        assert_has(&server, "acme/app", "1", &image);
        let manifest = manifest(&server, "acme/app", "1");
        assert_eq!(manifest["mediaType"], media_type::OCI_MANIFEST);
        assert_eq!(manifest["config"]["mediaType"], media_type::OCI_CONFIG);
        assert_eq!(manifest["layers"][0]["mediaType"], layer);
    }
}

#[test]
fn a_compression_that_was_asked_for_is_made_although_another_is_there() {
    let server = Server::start();
    let world = World::with(&image(&app(&server)));
    let zstd = world.push_so(&app(&server), &with(Compression::Zstd)).unwrap();
    assert_eq!(world.push(&app(&server)).unwrap(), zstd, "nothing was asked for");
    world.push_so(&app(&server), &with(Compression::Gzip)).unwrap();
    let manifest = manifest(&server, "acme/app", "1");
    assert_eq!(manifest["layers"][0]["mediaType"], media_type::DOCKER_LAYER_GZIP);
}

#[test]
fn a_layer_that_occurs_twice_is_sent_once() {
    let server = Server::start();
    let image = Image::new().layer(base()).layer(top()).layer(top()).tag(&app(&server));
    World::with(&image).push(&app(&server)).unwrap();
    assert_has(&server, "acme/app", "1", &image);
    assert_eq!(server.requests_for("PATCH", "/blobs/uploads/").len(), 2);
}

#[test]
fn an_image_without_layers_is_pushed() {
    let server = Server::start();
    let image = Image::new().tag(&app(&server));
    World::with(&image).push(&app(&server)).unwrap();
    assert_has(&server, "acme/app", "1", &image);
}

#[test]
fn layers_of_another_repository_are_mounted() {
    let server = Server::start();
    let image = image(&app(&server));
    let other = format!("{}/acme/other:2", server.address());
    let world = World::with(&image.clone().tag(&other));
    world.push(&app(&server)).unwrap();
    server.forget_requests();
    world.push(&other).unwrap();
    assert_has(&server, "acme/other", "2", &image);
    assert_eq!(server.requests_for("PATCH", "").len(), 0);
    assert_eq!(server.requests_for("POST", "from=acme%2Fapp").len(), 2);
}

#[test]
fn a_server_that_mounts_nothing_gets_the_layers() {
    let server = Server::start_with(Setup { mounts: false, ..Setup::default() });
    let image = image(&app(&server));
    let other = format!("{}/acme/other:2", server.address());
    let world = World::with(&image.clone().tag(&other));
    world.push(&app(&server)).unwrap();
    server.forget_requests();
    world.push(&other).unwrap();
    assert_has(&server, "acme/other", "2", &image);
    assert_eq!(server.requests_for("POST", "").len(), 2 + 1, "the upload that it began is used");
    assert_eq!(server.open_uploads(), 0);
}

/// Docker writes no media type into its hints, so the blob itself has to tell.
#[test]
fn a_blob_of_unknown_compression_is_looked_into() {
    let server = Server::start();
    let world = World::with(&image(&app(&server)));
    let zstd = world.push_so(&app(&server), &with(Compression::Zstd)).unwrap();
    let engine = &world.engine;
    let distribution = engine.store().distribution();
    for layer in [base(), top()] {
        let diff = model::DiffId::of(&layer);
        let hint = world.hints(&layer).remove(0);
        let lock = engine.store().commit().unwrap();
        distribution.add(&lock, &diff, V2Metadata { media_type: String::new(), ..hint }).unwrap();
    }
    server.forget_requests();
    assert_eq!(world.push(&app(&server)).unwrap(), zstd);
    assert_eq!(server.requests_for("PATCH", "").len(), 0);
}

#[test]
fn a_hint_that_is_wrong_is_dropped() {
    let server = Server::start();
    let image = image(&app(&server));
    let world = World::with(&image);
    let wrong = V2Metadata {
        digest: Digest::of(b"gone"),
        source_repository: format!("{}/acme/app", server.address()),
        hmac: String::new(),
        media_type: media_type::OCI_LAYER_GZIP.to_owned(),
    };
    let lock = world.engine.store().commit().unwrap();
    world.engine.store().distribution().add(&lock, &model::DiffId::of(&base()), wrong.clone()).unwrap();
    drop(lock);
    world.push(&app(&server)).unwrap();
    assert_has(&server, "acme/app", "1", &image);
    let hints = world.hints(&base());
    assert_eq!(hints.len(), 1);
    assert_ne!(hints[0], wrong);
}

#[test]
fn hints_are_sealed_with_the_credentials() {
    let server = Server::start();
    let world = World::with(&image(&app(&server)));
    for user in ["ann", "bob"] {
        let client = client(Arc::new(User(user, "secret")));
        world.push_by(&client, &app(&server), &PushOptions::default()).unwrap();
    }
    let hints = world.hints(&top());
    assert_eq!(hints.len(), 2);
    assert_eq!(hints[0].digest, hints[1].digest);
    assert_ne!(hints[0].hmac, hints[1].hmac);
}

#[test]
fn all_tags_of_a_repository_are_found_and_no_others() {
    let world =
        World::with(&image("acme/app:b").tag("acme/app:a").tag("acme/other:c").tag("localhost:1/acme/app:d"));
    let tags = world.engine.tags_to_push(&reference("acme/app")).unwrap();
    assert_eq!(tags.iter().map(model::Reference::familiar).collect::<Vec<_>>(), ["acme/app:a", "acme/app:b"]);
}

#[test]
fn what_is_not_there_is_said_in_dockers_words() {
    let server = Server::start();
    let world = World::with(&image(&app(&server)));
    let says = |name: &str| world.push(name).unwrap_err().to_string();
    assert_eq!(says("acme/none:1"), "An image does not exist locally with the tag: acme/none");
    let name = format!("{}/acme/app", server.address());
    assert_eq!(says(&name), format!("tag does not exist: {name}:latest"));
    let pinned = format!("{name}@{}", Digest::of(b"x"));
    assert_eq!(says(&pinned), "cannot push a digest reference");
    let error = world.engine.tags_to_push(&reference("acme/none")).unwrap_err().to_string();
    assert_eq!(error, "An image does not exist locally with the tag: acme/none");
    assert!(server.requests().is_empty());
}
