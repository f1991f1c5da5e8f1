//! Whole images on a server.

use archive::compress::Compression;
use model::Digest;
use model::manifest::media_type;
use serde_json::{Value, json};

use super::Server;
use crate::image::Image;

/// Whose media types an image has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Docker's, schema 2.
    Docker,
    /// OCI's.
    Oci,
}

impl Server {
    /// Adds an image: its layers, its configuration and its manifest, with a tag (none if it is empty). The layers' types
    /// are those of their compression; Docker's form has no zstd of its own and borrows OCI's.
    pub fn add_image(&self, repository: &str, tag: &str, image: &Image, form: Form) -> Digest {
        for layer in &image.layers {
            self.add_blob(layer);
        }
        self.add_blob(image.config().as_bytes());
        let manifest = manifest(image, form);
        let media_type = manifest["mediaType"].as_str().unwrap();
        self.add_manifest(repository, tag, media_type, manifest.to_string().as_bytes())
    }

    /// Adds an index of manifests that are there, each with its platform, as `linux/arm64/v8`.
    pub fn add_index(&self, repository: &str, tag: &str, manifests: &[(&str, Digest)]) -> Digest {
        let entry = |(platform, digest): &(&str, Digest)| {
            let (media_type, bytes) = self.manifest(repository, &digest.to_string()).unwrap();
            let mut parts = platform.split('/');
            let mut platform = json!({ "os": parts.next(), "architecture": parts.next() });
            if let Some(variant) = parts.next() {
                platform["variant"] = variant.into();
            }
            json!({ "mediaType": media_type, "digest": digest, "size": bytes.len(), "platform": platform })
        };
        let manifests: Vec<Value> = manifests.iter().map(entry).collect();
        let media_type = media_type::OCI_INDEX;
        let index = json!({ "schemaVersion": 2, "mediaType": media_type, "manifests": manifests });
        self.add_manifest(repository, tag, media_type, index.to_string().as_bytes())
    }
}

/// The manifest of an image.
pub fn manifest(image: &Image, form: Form) -> Value {
    let (manifest, config) = match form {
        Form::Docker => (media_type::DOCKER_MANIFEST, media_type::DOCKER_CONFIG),
        Form::Oci => (media_type::OCI_MANIFEST, media_type::OCI_CONFIG),
    };
    let descriptor = |media_type: &str, bytes: &[u8]| json!({ "mediaType": media_type, "size": bytes.len(), "digest": Digest::of(bytes) });
    let layers = image.layers.iter().map(|layer| descriptor(layer_type(layer, form), layer));
    json!({
        "schemaVersion": 2,
        "mediaType": manifest,
        "config": descriptor(config, image.config().as_bytes()),
        "layers": layers.collect::<Vec<_>>(),
    })
}

fn layer_type(layer: &[u8], form: Form) -> &'static str {
    match (Compression::detect(layer), form) {
        (Compression::Gzip, Form::Docker) => media_type::DOCKER_LAYER_GZIP,
        (Compression::Gzip, Form::Oci) => media_type::OCI_LAYER_GZIP,
        (Compression::Zstd, _) => media_type::OCI_LAYER_ZSTD,
        (_, Form::Docker) => media_type::DOCKER_LAYER,
        (_, Form::Oci) => media_type::OCI_LAYER,
    }
}
