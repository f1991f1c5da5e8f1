//! What is no image, or not one for here: refused by name, before a layer is fetched.

use model::manifest::media_type;
use serde_json::{Value, json};
use testkit::registry::{Form, manifest};

use crate::world::{APP, World, image};

/// A world whose `acme/app:1` has this manifest, and the text with which it is refused.
fn refused(media_type: &str, document: &Value) -> String {
    let world = World::new();
    let blobs = world.serve(&image());
    world.server.add_manifest(APP, "1", media_type, document.to_string().as_bytes());
    let error = world.fails("acme/app:1");
    assert!(blobs.iter().all(|blob| world.gets(blob).is_empty()));
    assert_eq!(world.interrupted(), 0);
    error
}

fn oci() -> Value {
    manifest(&image(), Form::Oci)
}

#[test]
fn artifacts_are_refused_by_name() {
    let helm = "application/vnd.cncf.helm.config.v1+json";
    let mut document = oci();
    document["config"]["mediaType"] = json!(helm);
    let error = refused(media_type::OCI_MANIFEST, &document);
    assert!(error.contains(helm) && error.contains("Helm chart") && error.contains("acme/app:1"), "{error}");

    let mut document = oci();
    document["artifactType"] = json!("application/vnd.example.thing");
    let error = refused(media_type::OCI_MANIFEST, &document);
    assert!(error.contains("no image but an artifact of type application/vnd.example.thing"), "{error}");
}

#[test]
fn foreign_layers_are_refused_with_the_reason() {
    let mut document = oci();
    document["layers"][1]["urls"] = json!(["https://example.org/layer"]);
    let error = refused(media_type::OCI_MANIFEST, &document);
    assert!(error.contains("https://example.org/layer") && error.contains("foreign layer"), "{error}");

    let kind = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
    let mut document = oci();
    document["layers"][0]["mediaType"] = json!(kind);
    let error = refused(media_type::OCI_MANIFEST, &document);
    assert!(error.contains(kind) && error.contains("foreign layer"), "{error}");
}

#[test]
fn unknown_compressions_are_refused_by_name() {
    for (kind, name) in [
        ("application/vnd.oci.image.layer.v1.tar+lz4", "lz4"),
        ("application/vnd.oci.image.layer.v1.tar+gzip+encrypted", "gzip+encrypted"),
        ("application/vnd.in-toto+json", "no type of a layer"),
    ] {
        let mut document = oci();
        document["layers"][0]["mediaType"] = json!(kind);
        let error = refused(media_type::OCI_MANIFEST, &document);
        assert!(error.contains(name) && error.contains(kind), "{error}");
    }
}

#[test]
fn schema_1_is_refused() {
    let document = json!({"schemaVersion": 1, "name": APP, "tag": "1", "architecture": "amd64", "fsLayers": [], "history": []});
    let error = refused("application/vnd.docker.distribution.manifest.v1+prettyjws", &document);
    assert!(error.contains("schema version 1"), "{error}");
}

/// CVE-2021-41190: one digest, two meanings.
#[test]
fn a_document_is_what_its_media_type_says_or_nothing() {
    let error = refused(media_type::OCI_INDEX, &oci());
    assert!(error.contains("fields are those of a manifest"), "{error}");
    let mut both = oci();
    both["manifests"] = json!([]);
    let error = refused(media_type::OCI_MANIFEST, &both);
    assert!(error.contains("both a manifest and an index"), "{error}");
    let error = refused(media_type::DOCKER_MANIFEST, &oci());
    assert!(error.contains("promised"), "{error}");
}

#[test]
fn layers_that_do_not_fit_the_configuration_are_refused() {
    let mut document = oci();
    document["layers"].as_array_mut().unwrap().pop();
    let error = refused(media_type::OCI_MANIFEST, &document);
    assert!(error.contains("layers length mismatch"), "{error}");
}

#[test]
fn a_layer_of_a_length_beyond_the_limit_is_refused() {
    let mut document = oci();
    document["layers"][0]["size"] = json!(1_u64 << 62);
    let error = refused(media_type::OCI_MANIFEST, &document);
    assert!(error.contains("max_output"), "{error}");
}

#[test]
fn indexes_without_end_are_a_trap() {
    let world = World::new();
    let host = model::Platform::host().to_string();
    let mut digest = world.server.add_image(APP, "", &image(), Form::Oci);
    for _ in 0..6 {
        digest = world.server.add_index(APP, "1", &[(&*host, digest)]);
    }
    assert!(world.fails("acme/app:1").contains("nested too deeply"));
}

#[test]
fn what_is_not_there_is_said_in_dockers_words() {
    let world = World::new();
    world.serve(&image());
    let error = world.fails("acme/app:none");
    let name = world.name("acme/app:none");
    assert!(error.starts_with(&format!("manifest for {name} not found: manifest unknown")), "{error}");
}
