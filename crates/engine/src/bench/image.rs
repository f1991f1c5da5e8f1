//! The images that the work is done on, as archives that every data root loads.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use archive::digest::Sha256;
use archive::tar::{Entry, Kind, Timestamp, Writer};
use model::Platform;
use serde_json::json;

use super::{Plan, Scale, Workload};
use crate::{Error, Result};

/// The names of the images that are made here.
const USUAL: &str = "layercake-bench:usual";
const DEEP: &str = "layercake-bench:deep";

/// The directory with a file of each layer of the deep image.
pub(super) const DEEP_FILES: &str = "deep";

/// An archive with an image, and its name in there.
pub(super) struct Archive {
    pub path: PathBuf,
    pub name: String,
}

/// What every data root loads.
pub(super) struct Archives {
    pub image: Archive,
    /// Only for who asked for deep layers.
    pub deep: Option<Archive>,
}

impl Archives {
    /// Writes those that the user did not bring.
    pub fn make(plan: &Plan) -> Result<Self> {
        let write = |file: &str, name: &str, layers: &mut dyn Iterator<Item = Result<Vec<u8>>>| {
            let path = plan.scratch.join(file);
            write_image(&path, name, layers)?;
            Ok::<_, Error>(Archive { path, name: name.to_owned() })
        };
        let image = match &plan.image {
            Some(user) => Archive { path: user.archive.clone(), name: user.name.clone() },
            None => write("usual.tar", USUAL, &mut usual(&plan.scale))?,
        };
        let wanted = plan.workloads.contains(&Workload::DeepLayers);
        let deep = wanted.then(|| write("deep.tar", DEEP, &mut deep(plan.scale.depth))).transpose()?;
        Ok(Self { image, deep })
    }
}

/// A big file below, small files above.
fn usual(scale: &Scale) -> impl Iterator<Item = Result<Vec<u8>>> {
    let Scale { big, layers, files, .. } = *scale;
    let base = std::iter::once_with(move || {
        let mut layer = Layer::new();
        layer.dir("data")?;
        layer.file("data/big", &noise(0, usize::try_from(big).unwrap_or(usize::MAX)))?;
        layer.finish()
    });
    base.chain((0..layers).map(move |n| {
        let mut layer = Layer::new();
        layer.dir("tree")?;
        layer.dir(&format!("tree/{n}"))?;
        for file in 0..files {
            let dir = format!("tree/{n}/{}", file / FILES_OF_DIR);
            if file % FILES_OF_DIR == 0 {
                layer.dir(&dir)?;
            }
            layer.file(&format!("{dir}/{file}"), &noise(n * files + file + 1, SMALL_FILE))?;
        }
        layer.finish()
    }))
}

/// Bytes of a small file, and how many are in one directory.
const SMALL_FILE: usize = 2000;
const FILES_OF_DIR: usize = 20;

/// Many layers, one file each.
fn deep(depth: usize) -> impl Iterator<Item = Result<Vec<u8>>> {
    (0..depth).map(|n| {
        let mut layer = Layer::new();
        layer.dir(DEEP_FILES)?;
        layer.file(&format!("{DEEP_FILES}/{n}"), format!("layer {n}\n").as_bytes())?;
        layer.finish()
    })
}

/// Bytes that no file system can make smaller, others for each `seed`: numbers of the generator SplitMix64.
fn noise(seed: usize, len: usize) -> Vec<u8> {
    let mut state = (seed as u64).wrapping_mul(0xd1b5_4a32_d192_ed03);
    let mut bytes = Vec::with_capacity(len.next_multiple_of(8));
    while bytes.len() < len {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = state;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bytes.extend((word ^ (word >> 31)).to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// The archive of a layer.
struct Layer(Writer<Vec<u8>>);

impl Layer {
    fn new() -> Self {
        Self(Writer::new(Vec::new()))
    }

    fn dir(&mut self, path: &str) -> Result<()> {
        Ok(append(&mut self.0, &format!("{path}/"), Kind::Directory, &[])?)
    }

    fn file(&mut self, path: &str, content: &[u8]) -> Result<()> {
        Ok(append(&mut self.0, path, Kind::Regular, content)?)
    }

    fn finish(self) -> Result<Vec<u8>> {
        Ok(self.0.finish()?)
    }
}

fn append<W: Write>(tar: &mut Writer<W>, path: &str, kind: Kind, content: &[u8]) -> archive::Result<()> {
    let mode = if kind == Kind::Directory { 0o755 } else { 0o644 };
    let mtime = Timestamp { secs: 1, nanos: 0 };
    tar.append(&Entry { mode, mtime, size: content.len() as u64, ..Entry::new(path, kind) }, content)
}

/// Writes an archive of one image, as `docker save` does.
fn write_image(path: &Path, name: &str, layers: &mut dyn Iterator<Item = Result<Vec<u8>>>) -> Result<()> {
    let file = File::create(path).map_err(Error::io("create", path))?;
    let mut tar = Writer::new(BufWriter::new(file));
    let (mut members, mut diff_ids) = (Vec::new(), Vec::new());
    for layer in layers {
        let layer = layer?;
        let digest = hex(&layer);
        let member = format!("{digest}/layer.tar");
        append(&mut tar, &member, Kind::Regular, &layer)?;
        members.push(member);
        diff_ids.push(format!("sha256:{digest}"));
    }
    let host = Platform::host();
    let config = json!({
        "architecture": host.architecture,
        "os": host.os,
        "config": {"Cmd": [super::ground::PROGRAM]},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    });
    let config = config.to_string();
    let config_name = format!("{}.json", hex(config.as_bytes()));
    append(&mut tar, &config_name, Kind::Regular, config.as_bytes())?;
    let manifest = json!([{"Config": config_name, "RepoTags": [name], "Layers": members}]).to_string();
    append(&mut tar, "manifest.json", Kind::Regular, manifest.as_bytes())?;
    tar.finish()?.flush().map_err(Error::io("write", path))
}

fn hex(bytes: &[u8]) -> String {
    Sha256::of(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
