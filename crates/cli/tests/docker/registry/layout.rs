//! An index as BuildKit writes it with `--provenance`, as an OCI layout made by hand.

use std::fs;
use std::path::Path;

use archive::compress::Compression;
use model::Digest;
use model::manifest::media_type;
use serde_json::{Value, json};
use testkit::archive::Builder;
use testkit::image::Image;

/// What is in the layout.
#[derive(Debug)]
pub struct Built {
    /// The digest of the index.
    pub index: String,
    /// The digest of the first attestation.
    pub attestation: String,
    /// The IDs of the images for amd64 and arm64.
    pub ids: [String; 2],
}

/// The attestation's own media type (in-toto), which is no layer of an image.
const IN_TOTO: &str = "application/vnd.in-toto+json";

/// Writes a layout at `dir`, whose index has the tag `built`: for each of two platforms an image, and an attestation
/// that says how it was built.
pub fn write(dir: &Path) -> Built {
    fs::create_dir_all(dir.join("blobs/sha256")).unwrap();
    let mut manifests = Vec::new();
    let ids = ["amd64", "arm64"].map(|arch| {
        let image = image(arch);
        let config = json!({
            "architecture": arch,
            "os": "linux",
            "created": "2001-09-09T01:46:40Z",
            "config": { "Cmd": ["/bin/sh"] },
            "rootfs": { "type": "layers", "diff_ids": image.diff_ids },
            "history": [{ "created": "2001-09-09T01:46:40Z", "created_by": "test" }],
        });
        let config = blob(dir, media_type::OCI_CONFIG, config.to_string().as_bytes());
        let layer = blob(dir, media_type::OCI_LAYER_GZIP, &image.layers[0]);
        let manifest = manifest(dir, &config, &[layer]);
        let attestation = attestation(dir, &manifest);
        manifests.push(with(manifest, "platform", json!({ "architecture": arch, "os": "linux" })));
        manifests.push(attestation);
        digest(&config)
    });
    let attestation = digest(&manifests[1]);
    let index = json!({ "schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": manifests });
    let index = blob(dir, media_type::OCI_INDEX, index.to_string().as_bytes());
    let named = json!({ "org.opencontainers.image.ref.name": "built" });
    let top = json!({ "schemaVersion": 2, "manifests": [with(index.clone(), "annotations", named)] });
    fs::write(dir.join("index.json"), top.to_string()).unwrap();
    fs::write(dir.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    Built { index: digest(&index), attestation, ids }
}

/// An image whose only layer tells the platform.
fn image(arch: &str) -> Image {
    let layer = Builder::new().dir("etc").file("etc/platform", arch).build();
    Image::new().layer(layer).compressed(Compression::Gzip)
}

/// The attestation of an image: a manifest for no platform, which refers to the image's.
fn attestation(dir: &Path, of: &Value) -> Value {
    let statement = json!({
        "_type": "https://in-toto.io/Statement/v0.1",
        "predicateType": "https://slsa.dev/provenance/v0.2",
        "subject": [{ "name": "pkg:docker/built", "digest": { "sha256": &of["digest"].as_str().unwrap()[7..] } }],
        "predicate": {},
    });
    let statement = blob(dir, IN_TOTO, statement.to_string().as_bytes());
    let config = json!({
        "architecture": "unknown", "os": "unknown", "config": {},
        "rootfs": { "type": "layers", "diff_ids": [statement["digest"]] },
    });
    let config = blob(dir, media_type::OCI_CONFIG, config.to_string().as_bytes());
    let predicate = json!({ "in-toto.io/predicate-type": "https://slsa.dev/provenance/v0.2" });
    let manifest = manifest(dir, &config, &[with(statement, "annotations", predicate)]);
    let refers = json!({
        "vnd.docker.reference.digest": of["digest"],
        "vnd.docker.reference.type": "attestation-manifest",
    });
    let manifest = with(manifest, "annotations", refers);
    with(manifest, "platform", json!({ "architecture": "unknown", "os": "unknown" }))
}

fn manifest(dir: &Path, config: &Value, layers: &[Value]) -> Value {
    let media_type = media_type::OCI_MANIFEST;
    let manifest = json!({ "schemaVersion": 2, "mediaType": media_type, "config": config, "layers": layers });
    blob(dir, media_type, manifest.to_string().as_bytes())
}

/// Writes a blob; returns its descriptor.
fn blob(dir: &Path, media_type: &str, bytes: &[u8]) -> Value {
    let digest = Digest::of(bytes);
    fs::write(dir.join("blobs/sha256").join(digest.hex()), bytes).unwrap();
    json!({ "mediaType": media_type, "digest": digest, "size": bytes.len() })
}

fn digest(descriptor: &Value) -> String {
    descriptor["digest"].as_str().unwrap().to_owned()
}

fn with(mut value: Value, key: &str, field: Value) -> Value {
    value[key] = field;
    value
}
