//! `manifest inspect`: what a registry has under a name, as it is.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use model::manifest::{Descriptor, Document, Index, media_type};
use model::{Digest, Platform, Reference, gojson};
use registry::{At, Repository};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::context::Context;
use crate::output::failure::Failure;
use crate::output::{json, stdout};
use crate::registry::Servers;

/// Display an image manifest, or manifest list
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Allow communication with an insecure registry
    #[arg(long)]
    insecure: bool,
    #[command(flatten)]
    servers: Servers,
    /// Output additional info including layers and platform
    #[arg(short, long)]
    verbose: bool,
    #[arg(value_name = "MANIFEST")]
    name: String,
}

/// Prints the document.
///
/// # Errors
/// The name is none, the registry has nothing of it, or it is no manifest.
pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let name = Reference::parse(&args.name).map_err(Failure::plain)?.with_default_tag();
    let insecure: &[&str] = if args.insecure { &[name.domain()] } else { &[] };
    let client = args.servers.connect_with(insecure, context)?.client;
    let remote = Remote { repository: client.repository(&name)?, name };
    let fetched = remote.named()?;
    let text = match (fetched.document.clone(), args.verbose) {
        (Document::Manifest(_), false) => json::indent(&fetched.text, "\t"),
        (Document::Manifest(manifest), true) => text(&remote.image(fetched, &manifest.config)?, "\t")?,
        // Docker's own layout of lists.
        (Document::Index(index), false) => text(&List::new(index), "   ")?,
        (Document::Index(index), true) => text(&remote.images(&index)?, "\t")?,
    };
    stdout::print(&(text + "\n"))
}

/// A document of the registry.
struct Fetched {
    descriptor: Descriptor,
    text: String,
    document: Document,
}

/// The name, and where to ask for it.
struct Remote {
    name: Reference,
    repository: Repository,
}

impl Remote {
    /// The document of the name.
    fn named(&self) -> Result<Fetched, Failure> {
        let at = match (self.name.digest(), self.name.tag()) {
            (Some(digest), _) => At::Digest(digest),
            (None, tag) => At::Tag(tag.unwrap_or_default()),
        };
        self.fetch(at, &self.name)
    }

    fn fetch(&self, at: At<'_>, name: &Reference) -> Result<Fetched, Failure> {
        let fetched = self.repository.manifest(at).map_err(|err| match err.is_not_found() {
            true => Failure::plain(format_args!("no such manifest: {}", name.canonical())),
            false => err.into(),
        })?;
        let document = Document::parse(&fetched.bytes, Some(&fetched.descriptor.media_type))
            .map_err(|err| Failure::refused(format_args!("{}: {err}", name.canonical())))?;
        let text = String::from_utf8_lossy(&fetched.bytes).into_owned();
        Ok(Fetched { descriptor: fetched.descriptor, text, document })
    }

    /// What is known of an image, its platform as its configuration says.
    fn image(&self, mut fetched: Fetched, config: &Descriptor) -> Result<Image, Failure> {
        let bytes = self.repository.get_blob(config)?;
        let platform: Platform = serde_json::from_slice(&bytes)
            .map_err(|err| Failure::refused(format_args!("configuration {}: {err}", config.digest)))?;
        fetched.descriptor.platform = Some(platform);
        Image::new(&self.name, fetched)
    }

    /// What is known of every image of a list, their platforms as the list says.
    fn images(&self, index: &Index) -> Result<Vec<Image>, Failure> {
        index
            .manifests
            .iter()
            .map(|entry| {
                let name = self.name.with_digest(entry.digest);
                let mut fetched = self.fetch(At::Digest(&entry.digest), &name)?;
                if let Document::Index(_) = fetched.document {
                    return Err(Failure::refused(format_args!("{}: a list in a list", name.canonical())));
                }
                fetched.descriptor.platform = Some(entry.platform.clone().unwrap_or_default());
                Image::new(&name, fetched)
            })
            .collect()
    }
}

/// What `--verbose` prints of an image.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Image {
    #[serde(rename = "Ref")]
    name: String,
    descriptor: Descriptor,
    /// The manifest's very bytes, in base64.
    raw: String,
    #[serde(rename = "SchemaV2Manifest", skip_serializing_if = "Option::is_none")]
    docker: Option<Box<RawValue>>,
    #[serde(rename = "OCIManifest", skip_serializing_if = "Option::is_none")]
    oci: Option<Box<RawValue>>,
}

impl Image {
    fn new(name: &Reference, fetched: Fetched) -> Result<Self, Failure> {
        let is_docker = fetched.descriptor.media_type == media_type::DOCKER_MANIFEST;
        let raw = STANDARD.encode(&fetched.text);
        let manifest = RawValue::from_string(fetched.text).map_err(Failure::refused)?;
        let (docker, oci) = if is_docker { (Some(manifest), None) } else { (None, Some(manifest)) };
        Ok(Self { name: name.canonical(), descriptor: fetched.descriptor, raw, docker, oci })
    }
}

/// What is printed of a list: the images with their platforms, and nothing else of it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct List {
    schema_version: u32,
    media_type: &'static str,
    manifests: Vec<Entry>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    media_type: String,
    size: u64,
    digest: Digest,
    platform: Platform,
}

impl List {
    fn new(index: Index) -> Self {
        let entry = |entry: Descriptor| Entry {
            media_type: entry.media_type,
            size: entry.size,
            digest: entry.digest,
            platform: entry.platform.unwrap_or_default(),
        };
        let manifests: Vec<Entry> = index.manifests.into_iter().map(entry).collect();
        // Docker makes the list anew, and takes its type from the first image.
        let is_oci = manifests.first().is_some_and(|first| first.media_type == media_type::OCI_MANIFEST);
        let media_type = if is_oci { media_type::OCI_INDEX } else { media_type::DOCKER_INDEX };
        Self { schema_version: 2, media_type, manifests }
    }
}

/// A value as Go writes it, laid out.
fn text<T: Serialize + ?Sized>(value: &T, indent: &str) -> Result<String, Failure> {
    let text = gojson::LINE.to_string(value).map_err(Failure::refused)?;
    Ok(json::indent(&json::escape_html(&text), indent))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn descriptor(media_type: &str, platform: Option<&str>) -> Descriptor {
        let mut descriptor = Descriptor::new(media_type, Digest::of(b"m"), 7);
        descriptor.platform = platform.map(|text| Platform::parse(text).unwrap());
        descriptor.annotations.insert("a".into(), "<b>".into());
        descriptor
    }

    #[test]
    fn lists_are_dockers() {
        let index = Index::new(vec![
            descriptor(media_type::OCI_MANIFEST, Some("linux/arm/v7")),
            descriptor(media_type::OCI_MANIFEST, None),
        ]);
        let digest = Digest::of(b"m");
        let expected = format!(
            r#"{{
   "schemaVersion": 2,
   "mediaType": "application/vnd.oci.image.index.v1+json",
   "manifests": [
      {{
         "mediaType": "application/vnd.oci.image.manifest.v1+json",
         "size": 7,
         "digest": "{digest}",
         "platform": {{
            "architecture": "arm",
            "os": "linux",
            "variant": "v7"
         }}
      }},
      {{
         "mediaType": "application/vnd.oci.image.manifest.v1+json",
         "size": 7,
         "digest": "{digest}",
         "platform": {{
            "architecture": "",
            "os": ""
         }}
      }}
   ]
}}"#
        );
        assert_eq!(text(&List::new(index), "   ").unwrap(), expected);
        let docker = Index::new(vec![descriptor(media_type::DOCKER_MANIFEST, None)]);
        assert_eq!(List::new(docker).media_type, media_type::DOCKER_INDEX);
    }

    #[test]
    fn the_verbose_form_holds_the_manifest_as_it_is() {
        let document = r#"{ "schemaVersion":2,"x":1.50,
            "config":{"mediaType":"","digest":"D","size":1},"layers":[],"n":"<>" }"#
            .replace('D', &Digest::of(b"c").to_string());
        let image = |media_type: &str| {
            let fetched = Fetched {
                descriptor: Descriptor::new(media_type, Digest::of(b"m"), 9),
                document: Document::parse(document.as_bytes(), None).unwrap(),
                text: document.clone(),
            };
            text(&Image::new(&Reference::parse("x:1").unwrap(), fetched).unwrap(), "\t").unwrap()
        };
        let expected = format!(
            "{{\n\t\"Ref\": \"docker.io/library/x:1\",\n\t\"Descriptor\": {{\n\
             \t\t\"mediaType\": \"{}\",\n\t\t\"digest\": \"{}\",\n\t\t\"size\": 9\n\t}},\n\
             \t\"Raw\": \"{}\",\n\t\"SchemaV2Manifest\": {{\n\t\t\"schemaVersion\": 2,\n\t\t\"x\": 1.50,\n\
             \t\t\"config\": {{\n\t\t\t\"mediaType\": \"\",\n\t\t\t\"digest\": \"{}\",\n\t\t\t\"size\": 1\n\t\t}},\n\
             \t\t\"layers\": [],\n\t\t\"n\": \"\\u003c\\u003e\"\n\t}}\n}}",
            media_type::DOCKER_MANIFEST,
            Digest::of(b"m"),
            STANDARD.encode(&document),
            Digest::of(b"c"),
        );
        assert_eq!(image(media_type::DOCKER_MANIFEST), expected);
        assert!(image(media_type::OCI_MANIFEST).contains("\n\t\"OCIManifest\": {"));
    }
}
