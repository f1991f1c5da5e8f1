//! Writes images as an archive that Docker and every OCI tool load: Docker 25's form, an OCI layout with a
//! `manifest.json` beside it (moby.md §12.6). Each layer is put together from the store while it is written; nothing
//! is staged on the disk.
//!
//! Left out is what nobody reads any more: the v1 configurations that Docker still puts among the blobs.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use archive::tar::{Entry, Kind, Timestamp as TarTime, Writer};
use archive::tar_split::{Item, Unpacker};
use model::manifest::{
    ANNOTATION_IMAGE_NAME, ANNOTATION_REF_NAME, ArchiveImage, Descriptor, Index, Manifest, media_type,
};
use model::progress::{Phase, Progress};
use model::{AnyReference, Digest, ImageConfig, ImageId, Reference, Timestamp, gojson};
use store::LayerRecord;

use crate::{Engine, Error, Result};

/// An image to save.
struct Saved {
    id: ImageId,
    config: ImageConfig,
    layers: Vec<LayerRecord>,
    references: BTreeSet<Reference>,
}

impl Engine {
    /// Writes the images with these names, once each layer. A repository's name stands for all its tags; an ID saves
    /// the image without a name. Every layer's digest is verified on the way.
    ///
    /// # Errors
    /// [`Error::NoSuchImage`] before anything is written. After damage in a layer, `out` has a part of the archive.
    pub fn save(&self, names: &[String], out: &mut dyn Write, progress: &dyn Progress) -> Result<()> {
        let images = self.images_to_save(names)?;
        let mut writer = Writer::new(out);
        let mut tar = Blobs { writer: &mut writer, written: BTreeSet::new() };
        for dir in ["blobs/", "blobs/sha256/"] {
            tar.directory(dir)?;
        }
        let mut index = Index::new(Vec::new());
        let mut entries = Vec::new();
        let mut repositories: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
        for image in &images {
            let created = tar_time(image.config.view().created);
            let mut layers = Vec::new();
            for record in &image.layers {
                let write = || self.write_layer(&mut tar, record, created, progress);
                let size = self.with_image(&image.id, write)?;
                layers.push(Descriptor::new(media_type::OCI_LAYER, *record.diff.digest(), size));
            }
            let config = tar.blob(image.config.bytes(), created)?;
            let config = Descriptor { media_type: media_type::OCI_CONFIG.to_owned(), ..config };
            let manifest = gojson::to_vec(&Manifest::new(config.clone(), layers.clone()))?;
            let manifest = tar.blob(&manifest, TarTime::default())?;
            let manifest = Descriptor { media_type: media_type::OCI_MANIFEST.to_owned(), ..manifest };
            index.manifests.extend(index_entries(&manifest, &image.references));
            for reference in &image.references {
                if let (Some(tag), Some(top)) = (reference.tag(), image.layers.last()) {
                    let tags = repositories.entry(reference.familiar_name()).or_default();
                    tags.insert(tag.to_owned(), top.diff.hex());
                }
            }
            entries.push(self.archive_image(image, &config, &layers)?);
        }
        tar.file("index.json", &gojson::to_vec(&index)?)?;
        tar.file("manifest.json", &line(gojson::to_vec(&entries)?))?;
        tar.file("oci-layout", br#"{"imageLayoutVersion": "1.0.0"}"#)?;
        if !repositories.is_empty() {
            tar.file("repositories", &line(gojson::to_vec(&repositories)?))?;
        }
        writer.finish()?;
        Ok(())
    }

    fn images_to_save(&self, names: &[String]) -> Result<Vec<Saved>> {
        let repositories = self.store.references().read()?;
        let mut images: Vec<Saved> = Vec::new();
        for name in names {
            for (id, reference) in self.images_of(name, &repositories)? {
                let at = match images.iter().position(|image| image.id == id) {
                    Some(at) => at,
                    None => {
                        let config = self.store.images().get(&id)?;
                        let Some(top) = config.chain_id() else {
                            return Err(Error::invalid(format!(
                                "{name}: an image without layers cannot be saved"
                            )));
                        };
                        let layers = self.with_image(&id, || Ok(self.store.layers().chain(&top)?))?;
                        images.push(Saved { id, config, layers, references: BTreeSet::new() });
                        images.len() - 1
                    }
                };
                images[at].references.extend(reference);
            }
        }
        Ok(images)
    }

    /// The images that a word on the command line of `save` means: all tags of a repository, one tag, or an ID.
    fn images_of(
        &self,
        name: &str,
        repositories: &store::Repositories,
    ) -> Result<Vec<(ImageId, Option<Reference>)>> {
        if let Ok(AnyReference::Named(reference)) = Reference::parse_any(name)
            && reference.is_name_only()
        {
            let all: Vec<_> = repositories
                .iter()
                .filter(|(known, _)| {
                    known.canonical_name() == reference.canonical_name() && known.tag().is_some()
                })
                .map(|(known, id)| (id, Some(known)))
                .collect();
            if !all.is_empty() {
                return Ok(all);
            }
        }
        let id = self.find_image(name).map_err(|e| match e {
            // Docker's text has the name as it was typed: it can stand for several tags.
            Error::NoSuchImage(_) => Error::NoSuchImage(name.to_owned()),
            other => other,
        })?;
        let reference =
            Reference::parse(name).ok().filter(|reference| repositories.get(reference) == Some(id));
        Ok(vec![(id, reference.filter(|reference| reference.tag().is_some()))])
    }

    /// The image's part of `manifest.json`.
    fn archive_image(
        &self,
        image: &Saved,
        config: &Descriptor,
        layers: &[Descriptor],
    ) -> Result<ArchiveImage> {
        let tags: Vec<String> = image.references.iter().map(Reference::familiar).collect();
        Ok(ArchiveImage {
            config: blob_path(&config.digest),
            repo_tags: Some(tags).filter(|tags| !tags.is_empty()),
            layers: layers.iter().map(|layer| blob_path(&layer.digest)).collect(),
            parent: self.store.images().parent(&image.id)?.map(|parent| parent.to_string()),
            layer_sources: layers.iter().map(|layer| (layer.digest.to_string(), layer.clone())).collect(),
        })
    }

    /// Writes a layer, unless the archive has it already, and returns its length.
    fn write_layer(
        &self,
        tar: &mut Blobs<'_, '_>,
        record: &LayerRecord,
        time: TarTime,
        progress: &dyn Progress,
    ) -> Result<u64> {
        let size = self.layer_length(record)?;
        if !tar.written.insert(*record.diff.digest()) {
            return Ok(size);
        }
        let item = record.diff.short();
        progress.start(&item, Phase::Writing, Some(size));
        tar.writer.append_header(&file_entry(&blob_path(record.diff.digest()), size, time))?;
        self.regenerate(record, |piece| {
            progress.advance(&item, piece.len() as u64);
            Ok(tar.writer.data(piece)?)
        })?;
        progress.finish(&item);
        Ok(size)
    }

    /// The length of a layer's archive, by its record.
    fn layer_length(&self, record: &LayerRecord) -> Result<u64> {
        let mut length = 0;
        for item in Unpacker::new(self.tar_split(record)?) {
            length += match item? {
                Item::Segment(bytes) => bytes.len() as u64,
                Item::File { size, .. } => size,
            };
        }
        Ok(length)
    }
}

/// The archive, and which blobs it has.
struct Blobs<'a, 'w> {
    writer: &'a mut Writer<&'w mut dyn Write>,
    written: BTreeSet<Digest>,
}

impl Blobs<'_, '_> {
    fn directory(&mut self, path: &str) -> Result<()> {
        let entry = Entry { mode: 0o755, ..Entry::new(path, Kind::Directory) };
        Ok(self.writer.append_header(&entry)?)
    }

    fn file(&mut self, path: &str, bytes: &[u8]) -> Result<()> {
        Ok(self.writer.append(&file_entry(path, bytes.len() as u64, TarTime::default()), bytes)?)
    }

    /// Writes a blob, unless it is there already, and describes it, the media type left open.
    fn blob(&mut self, bytes: &[u8], time: TarTime) -> Result<Descriptor> {
        let digest = Digest::of(bytes);
        let size = bytes.len() as u64;
        if self.written.insert(digest) {
            self.writer.append(&file_entry(&blob_path(&digest), size, time), bytes)?;
        }
        Ok(Descriptor::new("", digest, size))
    }
}

/// One entry of `index.json` for each name; one without annotations for an image that has none.
fn index_entries(manifest: &Descriptor, references: &BTreeSet<Reference>) -> Vec<Descriptor> {
    let named = |reference: &Reference| {
        let mut entry = manifest.clone();
        entry.annotations.insert(ANNOTATION_IMAGE_NAME.to_owned(), reference.canonical());
        let tag = reference.tag().unwrap_or_default().to_owned();
        entry.annotations.insert(ANNOTATION_REF_NAME.to_owned(), tag);
        entry
    };
    match references.is_empty() {
        true => vec![manifest.clone()],
        false => references.iter().map(named).collect(),
    }
}

fn file_entry(path: &str, size: u64, mtime: TarTime) -> Entry {
    Entry { mode: 0o644, size, mtime, ..Entry::new(path, Kind::Regular) }
}

fn tar_time(time: Option<Timestamp>) -> TarTime {
    TarTime { secs: time.map_or(0, |time| time.unix_seconds()), nanos: 0 }
}

fn blob_path(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

/// Docker ends these two files with a newline, and the others without.
fn line(mut json: Vec<u8>) -> Vec<u8> {
    json.push(b'\n');
    json
}
