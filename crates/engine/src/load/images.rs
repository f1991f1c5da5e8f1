//! Which images an archive or a layout holds: `manifest.json` (every `docker save`), else `index.json` (OCI).

use std::collections::BTreeSet;

use model::manifest::{
    ANNOTATION_IMAGE_NAME, ANNOTATION_REF_NAME, ArchiveImage, Descriptor, Document, Index, Manifest,
    media_type,
};
use model::{Digest, ImageConfig, Platform, Reference};

use super::source::{Blob, Source};
use crate::error::{Error, Result};

/// Documents of an archive are read whole; none is honestly larger.
const DOCUMENT_LIMIT: u64 = 8 << 20;
/// An index may name indexes; deeper than this it is a trap.
const INDEX_DEPTH: u32 = 4;

/// An image as its archive describes it; nothing of it is verified but its configuration.
pub(crate) struct Image {
    pub config: ImageConfig,
    pub layers: Vec<Layer>,
    pub references: Vec<Reference>,
}

/// One layer of an [`Image`].
#[derive(Clone)]
pub(crate) struct Layer {
    /// What the archive calls it.
    pub name: String,
    pub blob: Blob,
}

/// Finds the images of `source` that are for `platform`.
pub(crate) fn find(source: &Source, platform: Option<&Platform>) -> Result<Vec<Image>> {
    if let Some(manifest) = source.find("manifest.json")? {
        let entries = ArchiveImage::parse_all(&manifest.bytes("manifest.json", DOCUMENT_LIMIT)?)?;
        return entries.iter().map(|entry| docker_image(source, entry, platform)).collect();
    }
    let Some(index) = source.find("index.json")? else {
        if source.breaks_off() {
            return Err(Error::invalid(
                "the archive is incomplete: it breaks off before manifest.json and index.json",
            ));
        }
        return Err(Error::invalid(
            "neither manifest.json nor index.json found: not an archive of docker save, nor an OCI layout \
             (an archive of files, as docker export makes it, is read by `import`)",
        ));
    };
    let index = index.bytes("index.json", DOCUMENT_LIMIT)?;
    let Document::Index(index) = Document::parse(&index, None)? else {
        return Err(Error::invalid("index.json is no index"));
    };
    let host = Platform::host();
    let mut images = Vec::new();
    oci_images(
        source,
        &index,
        platform.unwrap_or(&host),
        platform.is_some(),
        None,
        INDEX_DEPTH,
        &mut images,
    )?;
    if images.is_empty() {
        return Err(Error::invalid("index.json names no image for this platform"));
    }
    Ok(images)
}

fn docker_image(source: &Source, entry: &ArchiveImage, platform: Option<&Platform>) -> Result<Image> {
    let config = source.get(&entry.config)?.bytes(&entry.config, DOCUMENT_LIMIT)?;
    let layers = entry
        .layers
        .iter()
        .map(|name| Ok(Layer { name: name.clone(), blob: source.get(name)? }))
        .collect::<Result<Vec<_>>>()?;
    let references = entry
        .repo_tags
        .iter()
        .flatten()
        .map(|tag| Ok(Reference::parse(tag)?.with_default_tag()))
        .collect::<Result<Vec<_>>>()?;
    let image = image(config, layers, references)?;
    match platform.filter(|wanted| image.config.platform().rank_on(wanted).is_none()) {
        Some(wanted) => Err(Error::invalid(format!("the archive's image is not for {wanted}"))),
        None => Ok(image),
    }
}

/// Follows an index: of the manifests of one name, the one that suits the platform; of differently named ones, each.
fn oci_images(
    source: &Source,
    index: &Index,
    platform: &Platform,
    strict: bool,
    inherited: Option<&Reference>,
    depth: u32,
    images: &mut Vec<Image>,
) -> Result<()> {
    if depth == 0 {
        return Err(Error::invalid("index.json: indexes are nested too deeply"));
    }
    let mut groups: Vec<(Option<Reference>, Vec<&Descriptor>)> = Vec::new();
    for descriptor in &index.manifests {
        let name = reference_of(descriptor)?.or_else(|| inherited.cloned());
        match groups.iter_mut().find(|(n, _)| *n == name && name.is_some() && descriptor.platform.is_some()) {
            Some((_, group)) => group.push(descriptor),
            None => groups.push((name, vec![descriptor])),
        }
    }
    for (name, group) in groups {
        let group = Index { manifests: group.into_iter().cloned().collect(), ..index.clone() };
        let Some(descriptor) = group.select(platform) else {
            if strict || inherited.is_none() {
                continue;
            }
            return Err(Error::invalid(format!("no image for {platform} in the archive")));
        };
        let bytes = document(source, descriptor)?;
        match Document::parse(&bytes, Some(&descriptor.media_type))? {
            Document::Manifest(manifest) => images.extend(oci_image(source, &manifest, name)?),
            Document::Index(nested) => {
                oci_images(source, &nested, platform, strict, name.as_ref(), depth - 1, images)?;
            }
        }
    }
    Ok(())
}

/// The image of a manifest; attestations and other artifacts are none.
fn oci_image(source: &Source, manifest: &Manifest, name: Option<Reference>) -> Result<Option<Image>> {
    if manifest.artifact_type.is_some() || !media_type::is_config(&manifest.config.media_type) {
        return Ok(None);
    }
    let config = document(source, &manifest.config)?;
    let layers = manifest
        .layers
        .iter()
        .map(|layer| {
            let name = blob_path(&layer.digest);
            let blob = source.get(&name)?;
            if blob.len != layer.size {
                let message = format!("{name} has {} bytes, its manifest says {}", blob.len, layer.size);
                return Err(Error::invalid(message));
            }
            Ok(Layer { name, blob })
        })
        .collect::<Result<Vec<_>>>()?;
    image(config, layers, name.into_iter().collect()).map(Some)
}

fn image(config: Vec<u8>, layers: Vec<Layer>, mut references: Vec<Reference>) -> Result<Image> {
    let config = ImageConfig::parse(config)?;
    let diffs = config.diff_ids().len();
    if layers.len() != diffs {
        return Err(Error::invalid(format!(
            "invalid manifest, layers length mismatch: expected {diffs}, got {}",
            layers.len()
        )));
    }
    let mut seen = BTreeSet::new();
    references.retain(|r| seen.insert(r.canonical()));
    Ok(Image { config, layers, references })
}

/// A document by its descriptor: length and digest are verified before it is looked at.
fn document(source: &Source, descriptor: &Descriptor) -> Result<Vec<u8>> {
    let name = blob_path(&descriptor.digest);
    let bytes = source.get(&name)?.bytes(&name, DOCUMENT_LIMIT)?;
    let found = Digest::of(&bytes);
    if found != descriptor.digest {
        return Err(Error::invalid(format!("{name} has the digest {found}: the archive is damaged")));
    }
    Ok(bytes)
}

fn blob_path(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

/// The name that a descriptor of `index.json` carries: containerd's annotation holds a whole reference, OCI's a whole
/// one or only a tag, which names nothing by itself.
fn reference_of(descriptor: &Descriptor) -> Result<Option<Reference>> {
    if let Some(name) = descriptor.annotations.get(ANNOTATION_IMAGE_NAME) {
        return Ok(Some(Reference::parse(name)?.with_default_tag()));
    }
    match descriptor.annotations.get(ANNOTATION_REF_NAME) {
        Some(name) if name.contains(['/', ':']) => Ok(Some(Reference::parse(name)?.with_default_tag())),
        _ => Ok(None),
    }
}
