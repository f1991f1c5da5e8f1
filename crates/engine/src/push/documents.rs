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
        if docker { Self::docker(config, layers) } else { Self::oci(config, layers) }
    }

    /// OCI's manifest.
    pub fn oci(config: &ImageConfig, layers: &[Blob]) -> Result<Self> {
        let of = |kind| match kind {
            Compression::Gzip => media_type::OCI_LAYER_GZIP,
            Compression::Zstd => media_type::OCI_LAYER_ZSTD,
            _ => media_type::OCI_LAYER,
        };
        Self::new(media_type::OCI_MANIFEST, media_type::OCI_CONFIG, config, layers, of)
    }

    fn docker(config: &ImageConfig, layers: &[Blob]) -> Result<Self> {
        let of = |_| media_type::DOCKER_LAYER_GZIP;
        Self::new(media_type::DOCKER_MANIFEST, media_type::DOCKER_CONFIG, config, layers, of)
    }

    fn new(
        manifest_type: &'static str,
        config_type: &str,
        config: &ImageConfig,
        layers: &[Blob],
        layer_type: impl Fn(Compression) -> &'static str,
    ) -> Result<Self> {
        let size = config.bytes().len() as u64;
        let config = Descriptor::new(config_type, *config.id().digest(), size);
        let layers = layers
            .iter()
            .map(|blob| Descriptor::new(layer_type(blob.kind), blob.digest, blob.size))
            .collect();
        let manifest =
            Manifest { media_type: Some(manifest_type.to_owned()), ..Manifest::new(config, layers) };
        Ok(Self { media_type: manifest_type, manifest: gojson::to_vec(&manifest)? })
    }
}
