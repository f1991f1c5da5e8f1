//! Blobs that were kept of a pull.

use std::fs;
use std::io::Write;

use archive::compress::{self, Compression};
use engine::push::PushOptions;
use model::{DiffId, Digest};
use store::V2Metadata;
use testkit::registry::Server;

use crate::world::{World, app, assert_has, base, digests, image, manifest};

/// A blob as another tool makes it.
fn foreign(kind: Compression) -> Vec<u8> {
    let mut encoder = compress::encoder(kind, Vec::new()).unwrap();
    encoder.write_all(&base()).unwrap();
    encoder.finish().unwrap()
}

/// Keeps `bytes` as the blob of the base layer that a pull found under `digest`.
fn keep(world: &World, digest: &Digest, bytes: &[u8]) {
    let dir = world.engine.root().join("layercake/blobs/sha256");
    fs::create_dir_all(&dir).unwrap();
    fs::write(dir.join(digest.hex()), bytes).unwrap();
    let seen = V2Metadata {
        digest: *digest,
        source_repository: "docker.io/acme/app".to_owned(),
        hmac: String::new(),
        media_type: String::new(),
    };
    let lock = world.engine.store().commit().unwrap();
    world.engine.store().distribution().add(&lock, &DiffId::of(&base()), seen).unwrap();
}

#[test]
fn a_kept_blob_is_sent_as_it_came() {
    for kind in [Compression::Gzip, Compression::Zstd] {
        let server = Server::start();
        let image = image(&app(&server));
        let world = World::with(&image);
        let blob = foreign(kind);
        keep(&world, &Digest::of(&blob), &blob);
        world.push(&app(&server)).unwrap();
        assert_has(&server, "acme/app", "1", &image);
        assert_eq!(digests(&manifest(&server, "acme/app", "1"))[0], Digest::of(&blob), "{kind}");
    }
}

#[test]
fn a_kept_blob_of_another_compression_than_asked_for_is_not_sent() {
    let server = Server::start();
    let image = image(&app(&server));
    let world = World::with(&image);
    let blob = foreign(Compression::Zstd);
    keep(&world, &Digest::of(&blob), &blob);
    let gzip = PushOptions { compression: Some(Compression::Gzip), ..PushOptions::default() };
    world.push_so(&app(&server), &gzip).unwrap();
    assert_has(&server, "acme/app", "1", &image);
    assert_eq!(server.blob(&Digest::of(&blob)), None);
}

#[test]
fn a_kept_blob_that_has_changed_is_made_anew() {
    let server = Server::start();
    let image = image(&app(&server));
    let world = World::with(&image);
    let blob = foreign(Compression::Gzip);
    let mut changed = blob.clone();
    changed[1000] ^= 1;
    keep(&world, &Digest::of(&blob), &changed);
    world.push(&app(&server)).unwrap();
    assert_has(&server, "acme/app", "1", &image);
    assert_eq!(server.blob(&Digest::of(&changed)), None);
}
