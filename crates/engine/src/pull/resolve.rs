//! From a name to the manifest of one image, and whether it is one that can be had.

use model::manifest::{Descriptor, Document, Manifest, media_type};
use model::{Digest, ImageConfig, ImageId, Platform, Reference};
use registry::{At, Repository};

use crate::{Engine, Error, Result};

/// An index may name indexes; deeper than this it is a trap.
const INDEX_DEPTH: u32 = 4;

/// What a name stands for.
pub(super) struct Found {
    /// The digest of what the name leads to: of the index, if there is one.
    pub digest: Digest,
    pub manifest: Manifest,
}

/// Finds the image that `name` stands for: of an index, the one for `platform`, this machine if absent.
pub(super) fn find(repository: &Repository, name: &Reference, platform: Option<&Platform>) -> Result<Found> {
    let at = match (name.digest(), name.tag()) {
        (Some(digest), _) => At::Digest(digest),
        (None, tag) => At::Tag(tag.unwrap_or(model::reference::DEFAULT_TAG)),
    };
    let fetched = repository.manifest(at).map_err(|e| refused(e, name))?;
    let digest = fetched.descriptor.digest;
    let mut document = Document::parse(&fetched.bytes, Some(&fetched.descriptor.media_type))?;
    let host = Platform::host();
    let platform = platform.unwrap_or(&host);
    for _ in 0..INDEX_DEPTH {
        let index = match document {
            Document::Manifest(manifest) => {
                check(&manifest, name)?;
                return Ok(Found { digest, manifest: *manifest });
            }
            Document::Index(index) => index,
        };
        let entry = index.select(platform).ok_or_else(|| {
            Error::invalid(format!("no matching manifest for {platform} in the manifest list entries"))
        })?;
        let fetched = repository.manifest(At::Digest(&entry.digest)).map_err(|e| refused(e, name))?;
        if fetched.bytes.len() as u64 != entry.size {
            return Err(Error::invalid(format!(
                "{name}: manifest {} has {} bytes, its index says {}",
                entry.digest,
                fetched.bytes.len(),
                entry.size
            )));
        }
        document = Document::parse(&fetched.bytes, Some(&entry.media_type))?;
    }
    Err(Error::invalid(format!("{name}: indexes are nested too deeply")))
}

/// A server's no, in Docker's words.
pub(super) fn refused(error: registry::Error, name: &Reference) -> Error {
    let message = error.server_message();
    let text = if message.is_empty() {
        return error.into();
    } else if error.is_denied() || error.is_unauthorized() {
        format!(
            "pull access denied for {}, repository does not exist or may require 'layercake login': {message}",
            name.familiar_name()
        )
    } else if !error.is_not_found() {
        return error.into();
    } else if message.starts_with("name unknown") {
        format!("repository {} not found: {message}", name.familiar_name())
    } else {
        format!("manifest for {} not found: {message}", name.familiar())
    };
    Error::invalid(text)
}

/// Refuses what is no image, and layers that cannot be had or understood.
fn check(manifest: &Manifest, name: &Reference) -> Result<()> {
    let config = manifest.config.media_type.as_str();
    if let Some(kind) = manifest.artifact_type.as_deref().or((!is_config(config)).then_some(config)) {
        let known = artifact_name(kind).map(|known| format!(" ({known})")).unwrap_or_default();
        return Err(Error::invalid(format!("{name} is no image but an artifact of type {kind}{known}")));
    }
    manifest.layers.iter().try_for_each(|layer| check_layer(layer, name))
}

/// Types of configurations that Docker takes for images: some registries and old tools give wrong ones.
fn is_config(kind: &str) -> bool {
    media_type::is_config(kind) || matches!(kind, "" | "application/octet-stream" | "application/json")
}

fn artifact_name(kind: &str) -> Option<&'static str> {
    const KNOWN: [(&str, &str); 8] = [
        ("application/vnd.cncf.helm.", "Helm chart"),
        ("application/vnd.docker.plugin.", "Docker plugin"),
        ("application/vnd.dev.cosign.", "cosign signature"),
        ("application/vnd.dev.sigstore.", "sigstore bundle"),
        ("application/vnd.wasm.", "WebAssembly module"),
        ("application/vnd.docker.ai.", "AI model"),
        ("application/vnd.cncf.flux.", "Flux configuration"),
        ("application/vnd.cyclonedx", "CycloneDX bill of materials"),
    ];
    KNOWN.iter().find(|(prefix, _)| kind.starts_with(prefix)).map(|(_, name)| *name)
}

fn check_layer(layer: &Descriptor, name: &Reference) -> Result<()> {
    let refuse = |why: String| Err(Error::invalid(format!("{name}: layer {}: {why}", layer.digest)));
    let kind = layer.media_type.as_str();
    if let Some(url) = layer.urls.first() {
        return refuse(format!(
            "it is not in the registry but at {url} (a foreign layer), which is not fetched"
        ));
    }
    if kind.contains(".foreign.") || kind.contains(".nondistributable.") {
        return refuse(format!("{kind}: a foreign layer, which registries do not have, is not fetched"));
    }
    let base =
        [media_type::OCI_LAYER, media_type::DOCKER_LAYER].into_iter().find(|base| kind.starts_with(base));
    match base.map(|base| &kind[base.len()..]) {
        // What it really is, its first bytes say.
        Some("" | "+gzip" | "+zstd" | ".gzip" | ".zstd") => Ok(()),
        Some(rest) => refuse(format!("{kind}: compression or encryption {:?} is not known", &rest[1..])),
        // Docker does not look at it either.
        None if matches!(kind, "" | "application/octet-stream") => Ok(()),
        None => refuse(format!("{kind} is no type of a layer")),
    }
}

impl Engine {
    /// The configuration of a pulled image: from the store if it has the image, else from the registry.
    pub(super) fn pulled_config(
        &self,
        repository: &Repository,
        name: &Reference,
        manifest: &Manifest,
    ) -> Result<ImageConfig> {
        let descriptor = &manifest.config;
        if let Some(config) = self.find_sound_image(&ImageId::from(descriptor.digest))? {
            return Ok(config);
        }
        let bytes = repository.get_blob(descriptor).map_err(|e| refused(e, name))?;
        Ok(ImageConfig::parse(bytes)?)
    }
}

/// Refuses what this system cannot run at all, and what does not fit its manifest.
pub(super) fn check_config(config: &ImageConfig, manifest: &Manifest, limit: u64) -> Result<()> {
    config.validate()?;
    let (diffs, layers) = (config.diff_ids().len(), manifest.layers.len());
    if diffs != layers {
        let text = format!("invalid manifest, layers length mismatch: expected {diffs}, got {layers}");
        return Err(Error::invalid(text));
    }
    let os = config.platform().os;
    if !os.is_empty() && os != "linux" {
        return Err(Error::invalid(format!("image operating system {os:?} cannot be used on this platform")));
    }
    match manifest.layers.iter().find(|layer| layer.size > limit) {
        Some(layer) => Err(Error::invalid(format!(
            "layer {} has {} bytes: more than the limit max_output = {limit}",
            layer.digest, layer.size
        ))),
        None => Ok(()),
    }
}

/// Docker's warning about an image that is not for the platform that was asked for.
pub(super) fn mismatch(config: &ImageConfig, name: &Reference, wanted: &Platform) -> Option<String> {
    let found = config.platform().normalized();
    let fits = found.rank_on(wanted).is_some();
    (!fits).then(|| {
        format!(
            "WARNING: image with reference {name} was found but its platform ({found}) does not match the specified \
             platform ({wanted})"
        )
    })
}
