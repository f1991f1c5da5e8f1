//! Archives of images, as `docker save` makes them.

use std::io::Write;

use archive::compress::{Compression, encoder};
use sha2::{Digest, Sha256};

use crate::archive::Builder;

/// An image to be. What is not said is as small as it can be.
#[derive(Debug, Clone, Default)]
pub struct Image {
    /// The layers' archives, compressed or not, the base first.
    pub layers: Vec<Vec<u8>>,
    /// The digests of the layers uncompressed, if they are not those of [`layers`](Self::layers).
    pub diff_ids: Option<Vec<String>>,
    /// Names with tags.
    pub tags: Vec<String>,
    /// The steps that made it, and whether they made no layer; a step for each layer if there are none.
    pub history: Vec<(String, bool)>,
}

impl Image {
    /// An image without layers and names.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a layer.
    pub fn layer(mut self, archive: impl Into<Vec<u8>>) -> Self {
        self.layers.push(archive.into());
        self
    }

    /// The same image with its layers compressed.
    pub fn compressed(mut self, how: Compression) -> Self {
        self.diff_ids.get_or_insert_with(|| self.layers.iter().map(|layer| digest(layer)).collect());
        for layer in &mut self.layers {
            let mut encoder = encoder(how, Vec::new()).unwrap();
            encoder.write_all(layer).unwrap();
            *layer = encoder.finish().unwrap();
        }
        self
    }

    /// Says which steps made it, and of each whether it made no layer.
    pub fn history(mut self, steps: &[(&str, bool)]) -> Self {
        self.history = steps.iter().map(|(step, empty)| ((*step).to_owned(), *empty)).collect();
        self
    }

    /// Adds a name.
    pub fn tag(mut self, name: &str) -> Self {
        self.tags.push(name.to_owned());
        self
    }

    /// The configuration, for this machine.
    pub fn config(&self) -> String {
        let digests = || self.layers.iter().map(|layer| digest(layer)).collect();
        let diff_ids: Vec<String> = self.diff_ids.clone().unwrap_or_else(digests);
        let arch = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        let created = "2001-09-09T01:46:40Z";
        let mut history: Vec<String> =
            diff_ids.iter().map(|_| format!(r#"{{"created":"{created}","created_by":"test"}}"#)).collect();
        if !self.history.is_empty() {
            let step = |(by, empty): &(String, bool)| {
                let empty = if *empty { r#","empty_layer":true"# } else { "" };
                format!(r#"{{"created":"{created}","created_by":{by:?}{empty}}}"#)
            };
            history = self.history.iter().map(step).collect();
        }
        format!(
            r#"{{"architecture":"{arch}","config":{{"Cmd":["/bin/sh"]}},"created":"{created}","history":[{}],"os":"linux","rootfs":{{"type":"layers","diff_ids":{}}}}}"#,
            history.join(","),
            quoted(&diff_ids),
        )
    }

    /// The image's ID.
    pub fn id(&self) -> String {
        digest(self.config().as_bytes())
    }

    /// An archive with this image.
    pub fn archive(&self) -> Vec<u8> {
        archive(std::slice::from_ref(self))
    }
}

/// An archive with several images; what they share is in it once.
pub fn archive(images: &[Image]) -> Vec<u8> {
    let mut tar = Builder::new();
    let mut there = std::collections::BTreeSet::new();
    let mut entries = Vec::new();
    for image in images {
        let config = image.config();
        let config_name = format!("{}.json", hex(config.as_bytes()));
        if there.insert(config_name.clone()) {
            tar = tar.file(&config_name, config);
        }
        let mut names = Vec::new();
        for layer in &image.layers {
            let name = format!("{}/layer.tar", hex(layer));
            if there.insert(name.clone()) {
                tar = tar.file(&name, layer);
            }
            names.push(name);
        }
        entries.push(format!(
            r#"{{"Config":"{config_name}","RepoTags":{},"Layers":{}}}"#,
            quoted(&image.tags),
            quoted(&names)
        ));
    }
    tar.file("manifest.json", format!("[{}]", entries.join(","))).build()
}

/// `sha256:…` of some bytes.
pub fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex(bytes))
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn quoted(texts: &[String]) -> String {
    let texts: Vec<String> = texts.iter().map(|text| format!("{text:?}")).collect();
    format!("[{}]", texts.join(","))
}
