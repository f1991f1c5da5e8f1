//! Which images an archive or a directory holds: `manifest.json` (every `docker save`, and with another content
//! skopeo's `dir`), else `index.json` (OCI).

use std::collections::BTreeSet;
use std::sync::Arc;

use model::manifest::{
    ANNOTATION_IMAGE_NAME, ANNOTATION_REF_NAME, ArchiveImage, Descriptor, Document, Index, Manifest,
    media_type,
};
use model::{Digest, ImageConfig, Platform, Reference};

use super::LoadOptions;
use super::source::{Blob, Source};
use crate::error::{Error, Result};
use crate::install::{Image, Layer};

/// Documents of an archive are read whole; none is honestly larger.
const DOCUMENT_LIMIT: u64 = 8 << 20;
/// An index may name indexes; deeper than this it is a trap.
const INDEX_DEPTH: u32 = 4;

/// Finds the images of `source` that the options ask for.
pub(crate) fn find(source: &Source, options: &LoadOptions) -> Result<Vec<Image>> {
    let images = if let Some(manifest) = source.find("manifest.json")? {
        let bytes = manifest.bytes("manifest.json", DOCUMENT_LIMIT)?;
        if bytes.trim_ascii_start().starts_with(b"{") {
            Manifests::new(source, options, Place::Dir).of_document(&bytes)?
        } else {
            docker_images(source, &bytes, options)?
        }
    } else if let Some(index) = source.find("index.json")? {
        let bytes = index.bytes("index.json", DOCUMENT_LIMIT)?;
        Manifests::new(source, options, Place::Blobs).of_index(&bytes)?
    } else if source.breaks_off() {
        return Err(Error::invalid(
            "the archive is incomplete: it breaks off before manifest.json and index.json",
        ));
    } else {
        return Err(Error::invalid(
            "neither manifest.json nor index.json found: not an archive of docker save, nor an OCI layout \
             (an archive of files, as docker export makes it, is read by `import`)",
        ));
    };
    match &options.image {
        Some(wanted) if images.is_empty() => Err(Error::invalid(format!("there is no image {wanted} in it"))),
        _ => Ok(images),
    }
}

fn docker_images(source: &Source, manifest: &[u8], options: &LoadOptions) -> Result<Vec<Image>> {
    let entries = ArchiveImage::parse_all(manifest)?;
    let mut images = Vec::new();
    for entry in &entries {
        let image = docker_image(source, entry, options.platform.as_ref())?;
        match &options.image {
            None => images.push(image),
            Some(wanted) => {
                let wanted = Reference::parse(wanted)?.with_default_tag();
                if image.names.contains(&wanted) {
                    images.push(Image { names: vec![wanted], ..image });
                }
            }
        }
    }
    Ok(images)
}

fn docker_image(source: &Source, entry: &ArchiveImage, platform: Option<&Platform>) -> Result<Image> {
    let config = source.get(&entry.config)?.bytes(&entry.config, DOCUMENT_LIMIT)?;
    let layers = entry
        .layers
        .iter()
        .map(|name| Ok(layer(name.clone(), source.get(name)?)))
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

/// How blobs are called.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// `blobs/sha256/<hex>` (OCI image-layout.md).
    Blobs,
    /// `<hex>`, and `<hex>.manifest.json` for manifests (skopeo).
    Dir,
}

impl Place {
    fn of(self, digest: &Digest, is_manifest: bool) -> String {
        let hex = digest.hex();
        match (self, is_manifest) {
            (Self::Blobs, _) => format!("blobs/sha256/{hex}"),
            (Self::Dir, false) => hex,
            (Self::Dir, true) => format!("{hex}.manifest.json"),
        }
    }
}

/// Images described by manifests and indexes.
struct Manifests<'a> {
    source: &'a Source,
    place: Place,
    platform: Platform,
    /// Whether the user named the platform.
    strict: bool,
    /// The image that the user named.
    wanted: Option<&'a str>,
    images: Vec<Image>,
}

impl<'a> Manifests<'a> {
    fn new(source: &'a Source, options: &'a LoadOptions, place: Place) -> Self {
        Self {
            source,
            place,
            platform: options.platform.clone().unwrap_or_else(Platform::host),
            strict: options.platform.is_some(),
            wanted: options.image.as_deref(),
            images: Vec::new(),
        }
    }

    /// The images of an `index.json`.
    fn of_index(mut self, bytes: &[u8]) -> Result<Vec<Image>> {
        let Document::Index(mut index) = Document::parse(bytes, None)? else {
            return Err(Error::invalid("index.json is no index"));
        };
        if let Some(wanted) = self.wanted {
            index.manifests.retain(|descriptor| is_called(descriptor, wanted));
        }
        self.follow(&index, None, INDEX_DEPTH)?;
        if self.images.is_empty() && self.wanted.is_none() {
            return Err(Error::invalid("index.json names no image for this platform"));
        }
        Ok(self.images)
    }

    /// The image of a manifest, or of an index for several platforms.
    fn of_document(mut self, bytes: &[u8]) -> Result<Vec<Image>> {
        match Document::parse(bytes, None)? {
            Document::Manifest(manifest) => self.add(&manifest, None)?,
            Document::Index(index) => {
                let suits = index.select(&self.platform).cloned();
                self.follow(&Index { manifests: suits.into_iter().collect(), ..index }, None, INDEX_DEPTH)?;
            }
        }
        if self.images.is_empty() {
            return Err(Error::invalid("manifest.json names no image for this platform"));
        }
        Ok(self.images)
    }

    /// Follows an index: of the manifests of one name, the one that suits the platform; of differently named ones,
    /// each.
    fn follow(&mut self, index: &Index, inherited: Option<&Reference>, depth: u32) -> Result<()> {
        if depth == 0 {
            return Err(Error::invalid("index.json: indexes are nested too deeply"));
        }
        let mut groups: Vec<(Option<Reference>, Vec<&Descriptor>)> = Vec::new();
        for descriptor in &index.manifests {
            let name = reference_of(descriptor)?.or_else(|| inherited.cloned());
            match groups
                .iter_mut()
                .find(|(n, _)| *n == name && name.is_some() && descriptor.platform.is_some())
            {
                Some((_, group)) => group.push(descriptor),
                None => groups.push((name, vec![descriptor])),
            }
        }
        for (name, group) in groups {
            let group = Index { manifests: group.into_iter().cloned().collect(), ..index.clone() };
            let Some(descriptor) = group.select(&self.platform) else {
                if self.strict || inherited.is_none() {
                    continue;
                }
                return Err(Error::invalid(format!("no image for {} in the archive", self.platform)));
            };
            let bytes = self.document(descriptor, true)?;
            match Document::parse(&bytes, Some(&descriptor.media_type))? {
                Document::Manifest(manifest) => self.add(&manifest, name)?,
                Document::Index(nested) => self.follow(&nested, name.as_ref(), depth - 1)?,
            }
        }
        Ok(())
    }

    /// Adds the image of a manifest; attestations and other artifacts are none.
    fn add(&mut self, manifest: &Manifest, name: Option<Reference>) -> Result<()> {
        if manifest.artifact_type.is_some() || !media_type::is_config(&manifest.config.media_type) {
            return Ok(());
        }
        let config = self.document(&manifest.config, false)?;
        let layers = manifest
            .layers
            .iter()
            .map(|descriptor| {
                let name = self.place.of(&descriptor.digest, false);
                let blob = self.source.get(&name)?;
                if blob.len != descriptor.size {
                    let message =
                        format!("{name} has {} bytes, its manifest says {}", blob.len, descriptor.size);
                    return Err(Error::invalid(message));
                }
                Ok(layer(name, blob))
            })
            .collect::<Result<Vec<_>>>()?;
        self.images.push(image(config, layers, name.into_iter().collect())?);
        Ok(())
    }

    /// A document by its descriptor: length and digest are verified before it is looked at.
    fn document(&self, descriptor: &Descriptor, is_manifest: bool) -> Result<Vec<u8>> {
        let name = self.place.of(&descriptor.digest, is_manifest);
        let bytes = self.source.get(&name)?.bytes(&name, DOCUMENT_LIMIT)?;
        let found = Digest::of(&bytes);
        if found != descriptor.digest {
            return Err(Error::invalid(format!("{name} has the digest {found}: the archive is damaged")));
        }
        Ok(bytes)
    }
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
    Ok(Image { config, layers, names: references })
}

fn layer(name: String, blob: Blob) -> Layer {
    Layer { name, item: None, len: blob.len, archive: Arc::new(blob), seen: None }
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

/// Whether a descriptor of `index.json` is the image that the user calls `wanted`: by OCI's annotation as it stands, or
/// by its whole name.
fn is_called(descriptor: &Descriptor, wanted: &str) -> bool {
    let by_name = || {
        let wanted = Reference::parse(wanted).ok()?.with_default_tag();
        reference_of(descriptor).ok()?.filter(|name| *name == wanted)
    };
    descriptor.annotations.get(ANNOTATION_REF_NAME).is_some_and(|name| name == wanted) || by_name().is_some()
}
