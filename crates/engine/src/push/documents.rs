//! The manifest of a pushed image.

use archive::compress::Compression;
use model::manifest::{Descriptor, Manifest, media_type};
use model::{Digest, ImageConfig, gojson};

use crate::Result;

/// A layer as others get it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Blob {
    pub digest: Digest,
    /// Length in bytes.
    pub size: u64,
    pub kind: Compression,
}

impl Blob {
    /// OCI's name for what it is.
    pub fn media_type(&self) -> &'static str {
        match self.kind {
            Compression::Gzip => media_type::OCI_LAYER_GZIP,
            Compression::Zstd => media_type::OCI_LAYER_ZSTD,
            _ => media_type::OCI_LAYER,
        }
    }
}

/// A manifest in the form in which it is sent.
pub(crate) struct Documents {
    pub media_type: &'static str,
    pub manifest: Vec<u8>,
}

impl Documents {
    /// As for a registry: Docker's manifest, which everybody reads, if all layers are gzip; the other compressions have
    /// media types in OCI's only.
    pub fn for_registry(config: &ImageConfig, layers: &[Blob]) -> Result<Self> {
        let docker = layers.iter().all(|layer| layer.kind == Compression::Gzip);
        if docker { Ok(Self::docker(config, layers)) } else { Self::oci(config, layers) }
    }

    /// OCI's manifest.
    pub fn oci(config: &ImageConfig, layers: &[Blob]) -> Result<Self> {
        let size = config.bytes().len() as u64;
        let config = Descriptor::new(media_type::OCI_CONFIG, *config.id().digest(), size);
        let layer = |blob: &Blob| Descriptor::new(blob.media_type(), blob.digest, blob.size);
        let layers = layers.iter().map(layer).collect();
        let media_type = media_type::OCI_MANIFEST;
        let manifest = Manifest { media_type: Some(media_type.to_owned()), ..Manifest::new(config, layers) };
        Ok(Self { media_type, manifest: gojson::to_vec(&manifest)? })
    }

    /// Docker's manifest in the very bytes that its daemon writes, so that an image has the same digest whoever pushed it:
    /// three spaces for each level, and the size of a descriptor before its digest.
    fn docker(config: &ImageConfig, layers: &[Blob]) -> Self {
        let descriptor = |indent: &str, media_type: &str, size: u64, digest: &Digest| {
            format!(
                "{{\n{indent}   \"mediaType\": \"{media_type}\",\n{indent}   \"size\": {size},\n{indent}   \"digest\": \"{digest}\"\n{indent}}}"
            )
        };
        let media_type = media_type::DOCKER_MANIFEST;
        let size = config.bytes().len() as u64;
        let config = descriptor("   ", media_type::DOCKER_CONFIG, size, config.id().digest());
        let layer = |blob: &Blob| {
            format!(
                "\n      {}",
                descriptor("      ", media_type::DOCKER_LAYER_GZIP, blob.size, &blob.digest)
            )
        };
        let mut layers = layers.iter().map(layer).collect::<Vec<_>>().join(",");
        if !layers.is_empty() {
            layers += "\n   ";
        }
        let manifest = format!(
            "{{\n   \"schemaVersion\": 2,\n   \"mediaType\": \"{media_type}\",\n   \"config\": {config},\n   \"layers\": [{layers}]\n}}"
        );
        Self { media_type, manifest: manifest.into_bytes() }
    }
}
