//! OCI and Docker manifests, indexes and descriptors, and the two files that tell what an image archive
//! holds: Docker's `manifest.json` and OCI's `oci-layout`.
//!
//! A document that could be read as a manifest and as an index is refused (CVE-2021-41190): its digest
//! would be the same, but what it names depends on who reads it.

use crate::json::{self, null_is_default};
use crate::{Digest, Error, Platform, Result};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// Media types, as they stand in documents.
pub mod media_type {
    /// OCI image manifest.
    pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
    /// OCI image index.
    pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
    /// OCI image configuration.
    pub const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
    /// OCI layer, not compressed.
    pub const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
    /// OCI layer, gzip.
    pub const OCI_LAYER_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
    /// OCI layer, zstd.
    pub const OCI_LAYER_ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
    /// Docker manifest, schema 2.
    pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
    /// Docker manifest list.
    pub const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
    /// Docker image configuration.
    pub const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
    /// Docker layer, not compressed.
    pub const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar";
    /// Docker layer, gzip.
    pub const DOCKER_LAYER_GZIP: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";

    /// Whether this names a manifest.
    pub fn is_manifest(media_type: &str) -> bool {
        matches!(media_type, OCI_MANIFEST | DOCKER_MANIFEST)
    }

    /// Whether this names an index.
    pub fn is_index(media_type: &str) -> bool {
        matches!(media_type, OCI_INDEX | DOCKER_INDEX)
    }

    /// Whether this names an image configuration.
    pub fn is_config(media_type: &str) -> bool {
        matches!(media_type, OCI_CONFIG | DOCKER_CONFIG)
    }
}

/// Annotations: keys and values that say something about a document or blob, sorted by key.
pub type Annotations = BTreeMap<String, String>;

/// The annotation of a descriptor in `index.json` that holds a tag or a whole reference.
pub const ANNOTATION_REF_NAME: &str = "org.opencontainers.image.ref.name";
/// The annotation of a descriptor in `index.json` that holds the whole reference (containerd, Docker).
pub const ANNOTATION_IMAGE_NAME: &str = "io.containerd.image.name";

/// A blob by type, digest and size (OCI descriptor.md).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What the blob is.
    #[serde(default)]
    pub media_type: String,
    /// The digest of the blob's bytes.
    pub digest: Digest,
    /// The number of the blob's bytes.
    pub size: u64,
    /// Other places to get the blob from.
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub urls: Vec<String>,
    /// What else there is to say.
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: Annotations,
    /// What the image runs on; in an index only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// The kind of a manifest that is no image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
}

impl Descriptor {
    /// A descriptor of a blob with nothing else to say about it.
    pub fn new(media_type: &str, digest: Digest, size: u64) -> Self {
        Descriptor {
            media_type: media_type.to_owned(),
            digest,
            size,
            urls: Vec::new(),
            annotations: Annotations::new(),
            platform: None,
            artifact_type: None,
        }
    }
}

/// The manifest of one image: a configuration and layers, lowest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Always 2.
    pub schema_version: u32,
    /// What the document is; OCI allows leaving it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// The kind of a manifest that is no image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The image configuration.
    pub config: Descriptor,
    /// The layers, lowest first.
    #[serde(deserialize_with = "null_is_default")]
    pub layers: Vec<Descriptor>,
    /// What else there is to say.
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: Annotations,
}

impl Manifest {
    /// An OCI manifest of an image.
    pub fn new(config: Descriptor, layers: Vec<Descriptor>) -> Self {
        Manifest {
            schema_version: 2,
            media_type: Some(media_type::OCI_MANIFEST.to_owned()),
            artifact_type: None,
            config,
            layers,
            annotations: Annotations::new(),
        }
    }
}

/// A list of manifests, of one image for several platforms or of several images.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// Always 2.
    pub schema_version: u32,
    /// What the document is; OCI allows leaving it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// The manifests, or further indexes.
    #[serde(deserialize_with = "null_is_default")]
    pub manifests: Vec<Descriptor>,
    /// What else there is to say.
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: Annotations,
}

impl Index {
    /// An OCI index.
    pub fn new(manifests: Vec<Descriptor>) -> Self {
        Index {
            schema_version: 2,
            media_type: Some(media_type::OCI_INDEX.to_owned()),
            manifests,
            annotations: Annotations::new(),
        }
    }

    /// The manifest that suits `machine` best; the first of equals. An entry without a platform suits any
    /// machine, but worse than all that name one. `None` if nothing suits.
    pub fn select(&self, machine: &Platform) -> Option<&Descriptor> {
        let rank = |entry: &&Descriptor| match &entry.platform {
            Some(platform) => platform.rank_on(machine),
            None => Some(u32::MAX),
        };
        self.manifests.iter().filter(|entry| rank(entry).is_some()).min_by_key(rank)
    }
}

/// A manifest or an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Document {
    /// One image.
    Manifest(Box<Manifest>),
    /// A list of images.
    Index(Index),
}

/// The fields that tell manifests, indexes and older documents apart.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Outline<'a> {
    schema_version: Option<u32>,
    media_type: Option<String>,
    #[serde(borrow)]
    config: Option<&'a RawValue>,
    #[serde(borrow)]
    layers: Option<&'a RawValue>,
    #[serde(borrow)]
    manifests: Option<&'a RawValue>,
    #[serde(borrow)]
    fs_layers: Option<&'a RawValue>,
}

impl Document {
    /// Reads a manifest or an index. `expected` is the media type that the descriptor promised, if it
    /// promised one.
    ///
    /// # Errors
    /// [`Error::Json`], and [`Error::Manifest`] if the promised type, the document's own type and its
    /// fields are not all of the same kind, or if it is of schema 1.
    pub fn parse(bytes: &[u8], expected: Option<&str>) -> Result<Self> {
        let outline: Outline<'_> = json::parse_object("manifest", bytes)?;
        let refuse = |why: String| Err(Error::Manifest(why));
        if outline.fs_layers.is_some() || outline.schema_version == Some(1) {
            return refuse("schema version 1 is not supported".to_owned());
        }
        if outline.schema_version != Some(2) {
            return refuse("schemaVersion is not 2".to_owned());
        }
        let is_index = match (&outline.config, &outline.layers, &outline.manifests) {
            (Some(_), Some(_), None) => false,
            (None, None, Some(_)) => true,
            (None, None, None) => return refuse("neither a manifest nor an index".to_owned()),
            (_, _, Some(_)) => return refuse("both a manifest and an index".to_owned()),
            _ => return refuse("config or layers missing".to_owned()),
        };
        let expected = expected.filter(|expected| !expected.is_empty());
        for named in [expected, outline.media_type.as_deref()].into_iter().flatten() {
            let fits = if is_index { media_type::is_index(named) } else { media_type::is_manifest(named) };
            if !fits {
                let kind = if is_index { "an index" } else { "a manifest" };
                return refuse(format!("media type is {named}, but the fields are those of {kind}"));
            }
        }
        if let (Some(promised), Some(own)) = (expected, outline.media_type.as_deref())
            && promised != own
        {
            return refuse(format!("media type is {own}, but the descriptor promised {promised}"));
        }
        if is_index {
            json::parse_object("index", bytes).map(Document::Index)
        } else {
            json::parse_object("manifest", bytes).map(Document::Manifest)
        }
    }
}

/// One image in the `manifest.json` of `docker save`. Paths are relative to the archive's root, and are as
/// untrusted as everything in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ArchiveImage {
    /// Where the configuration is.
    pub config: String,
    /// The names of the image, in familiar form.
    #[serde(default)]
    pub repo_tags: Option<Vec<String>>,
    /// Where the layers are, lowest first.
    #[serde(default, deserialize_with = "null_is_default")]
    pub layers: Vec<String>,
    /// The image that this one was built on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// Descriptors of the layers by DiffID; written by 25.0 and later for every layer.
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub layer_sources: BTreeMap<String, Descriptor>,
}

impl ArchiveImage {
    /// Reads a whole `manifest.json`.
    ///
    /// # Errors
    /// [`Error::Json`]; also for `null`, and for `null` in the place of an image.
    pub fn parse_all(bytes: &[u8]) -> Result<Vec<Self>> {
        serde_json::from_slice(bytes).map_err(|error| Error::json("manifest.json", &error))
    }
}

/// The file `oci-layout` (OCI image-layout.md).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OciLayout {
    /// Always `1.0.0`.
    pub image_layout_version: String,
}

impl OciLayout {
    /// The version that we read and write.
    pub const VERSION: &str = "1.0.0";

    /// What we write.
    pub fn current() -> Self {
        OciLayout { image_layout_version: Self::VERSION.to_owned() }
    }

    /// Reads `oci-layout`.
    ///
    /// # Errors
    /// [`Error::Json`], and [`Error::Manifest`] for another major version.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let layout: OciLayout = json::parse_object("oci-layout", bytes)?;
        if !layout.image_layout_version.starts_with("1.") {
            let version = &layout.image_layout_version;
            return Err(Error::Manifest(format!("image layout version {version:?} is not supported")));
        }
        Ok(layout)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use media_type::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn descriptor(kind: &str) -> Value {
        json!({"mediaType": kind, "digest": format!("sha256:{}", "0".repeat(64)), "size": 3})
    }

    fn manifest() -> Value {
        json!({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": descriptor(OCI_CONFIG),
               "layers": [descriptor(OCI_LAYER_GZIP)]})
    }

    fn index() -> Value {
        json!({"schemaVersion": 2, "manifests": [descriptor(OCI_MANIFEST)]})
    }

    fn parse(value: &Value, expected: Option<&str>) -> Result<Document> {
        Document::parse(value.to_string().as_bytes(), expected)
    }

    fn with(mut value: Value, key: &str, new: Value) -> Value {
        value[key] = new;
        value
    }

    #[test]
    fn manifests_and_indexes_are_told_apart() {
        assert!(matches!(parse(&manifest(), None), Ok(Document::Manifest(m)) if m.layers.len() == 1));
        assert!(matches!(parse(&manifest(), Some(OCI_MANIFEST)), Ok(Document::Manifest(_))));
        assert!(matches!(parse(&index(), Some(OCI_INDEX)), Ok(Document::Index(i)) if i.manifests.len() == 1));
        assert!(matches!(parse(&index(), Some("")), Ok(Document::Index(_))));
        let docker = with(manifest(), "mediaType", json!(DOCKER_MANIFEST));
        assert!(matches!(parse(&docker, Some(DOCKER_MANIFEST)), Ok(Document::Manifest(_))));
    }

    /// CVE-2021-41190: one digest, two meanings.
    #[test]
    fn documents_with_two_meanings_are_refused() {
        for (value, expected, part) in [
            (with(manifest(), "manifests", json!([])), None, "both a manifest and an index"),
            (with(index(), "layers", json!([])), None, "both a manifest and an index"),
            (with(index(), "mediaType", json!(OCI_MANIFEST)), None, "fields are those of an index"),
            (with(manifest(), "mediaType", json!(OCI_INDEX)), None, "fields are those of a manifest"),
            (manifest(), Some(OCI_INDEX), "fields are those of a manifest"),
            (index(), Some(DOCKER_MANIFEST), "fields are those of an index"),
            (manifest(), Some(DOCKER_MANIFEST), "the descriptor promised"),
            (json!({"schemaVersion": 2}), None, "neither"),
            (json!({"schemaVersion": 2, "config": descriptor(OCI_CONFIG)}), None, "missing"),
            (with(index(), "schemaVersion", json!(3)), None, "schemaVersion is not 2"),
            (json!({"schemaVersion": 1, "fsLayers": []}), None, "schema version 1"),
        ] {
            let message = parse(&value, expected).unwrap_err().to_string();
            assert!(message.contains(part), "{message}");
        }
        // Serde would take an array of the fields for the structure.
        assert!(Document::parse(br#"[2,null,null,null,[]]"#, None).is_err());
        assert!(parse(&with(manifest(), "config", json!({"digest": "x"})), None).is_err());
    }

    #[test]
    fn selection_by_platform() {
        let mut index =
            Index { schema_version: 2, media_type: None, manifests: vec![], annotations: Annotations::new() };
        let mut add = |platform: Option<&str>, size| {
            let mut entry = Descriptor::new(OCI_MANIFEST, Digest::of(b""), size);
            entry.platform = platform.map(|p| Platform::parse(p).unwrap());
            index.manifests.push(entry);
        };
        add(None, 0);
        add(Some("linux/386"), 1);
        add(Some("linux/amd64/v3"), 2);
        add(Some("linux/amd64"), 3);
        add(Some("linux/amd64"), 4);
        let size = |machine| index.select(&Platform::parse(machine).unwrap()).unwrap().size;
        assert_eq!(size("linux/amd64"), 3);
        assert_eq!(size("linux/amd64/v4"), 2);
        assert_eq!(size("linux/386"), 1);
        assert_eq!(size("linux/riscv64"), 0);
    }

    #[test]
    fn archive_manifests_are_read_as_docker_writes_them() {
        let text = br#"[{"Config":"a.json","RepoTags":null,"Layers":["a/layer.tar"]},
            {"Config":"b.json","RepoTags":["x:1"],"Layers":null,"LayerSources":{}}]"#;
        let images = ArchiveImage::parse_all(text).unwrap();
        assert_eq!((images[0].repo_tags.as_ref(), images[0].layers.len()), (None, 1));
        assert_eq!((images[1].repo_tags.as_ref().unwrap()[0].as_str(), images[1].layers.len()), ("x:1", 0));
        // CVE-2021-21285: a manifest of null crashed the daemon.
        for bad in ["null", "[null]", "{}", "", "[{}]"] {
            assert!(ArchiveImage::parse_all(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn layout_versions() {
        assert_eq!(OciLayout::parse(br#"{"imageLayoutVersion":"1.0.0"}"#), Ok(OciLayout::current()));
        assert!(OciLayout::parse(br#"{"imageLayoutVersion":"2.0.0"}"#).is_err());
        assert!(OciLayout::parse(b"{}").is_err());
    }

    #[test]
    fn what_is_written_reads_back() {
        let text = crate::gojson::to_vec(&match parse(&manifest(), None) {
            Ok(Document::Manifest(manifest)) => manifest,
            other => panic!("{other:?}"),
        });
        assert_eq!(Document::parse(&text.unwrap(), None), parse(&manifest(), None));
    }

    proptest! {
        #[test]
        fn parsing_never_panics(bytes: Vec<u8>) {
            let _ = Document::parse(&bytes, None);
            let _ = ArchiveImage::parse_all(&bytes);
            let _ = OciLayout::parse(&bytes);
        }
    }
}
