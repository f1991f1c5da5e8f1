//! The images on the registry: the real one with gzip and with zstd, the same without its last layer, and one with a
//! single large layer.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::super::Bench;
use super::super::exec::run;
use super::super::{ground, images};
use super::clients::Image;
use super::server::Registry;
use crate::Result;

/// The size of the large layer, before compression.
const LARGE: u64 = 1 << 30;

/// A directory with an image in OCI's layout.
struct Layout {
    dir: PathBuf,
}

/// The real image, with this compression of its layers.
pub fn real(bench: &Bench<'_>, registry: &Registry, zstd: bool) -> Result<Image> {
    let (name, source) = match zstd {
        false => ("bench/gzip:1", &bench.images.gzip),
        true => ("bench/zstd:1", &bench.images.zstd),
    };
    let transport = if zstd { "oci" } else { "oci-archive" };
    copy(bench, &format!("{transport}:{}", source.path.display()), registry, name)?;
    Ok(Image { name: name.into(), id: source.id.clone(), manifest: source.manifest.clone() })
}

/// The real image without its last layer, gzip. As with [`large`], its files lie where skopeo in the peers' tree sees
/// them.
pub fn without_last_layer(bench: &Bench<'_>, registry: &Registry) -> Result<Image> {
    let source = Layout { dir: bench.options.images.join("buildpack.oci") };
    let manifest = source.json(&bench.images.gzip.manifest)?;
    let mut config = source.json(&bench.images.gzip.id)?;
    let pop = |list: &mut Value| list.as_array_mut().and_then(Vec::pop);
    pop(&mut config["rootfs"]["diff_ids"]).ok_or("an image without layers")?;
    let made = |entry: &Value| entry["empty_layer"] != true;
    let history = config["history"].as_array_mut().ok_or("an image without history")?;
    let last = history.iter().rposition(made).ok_or("a history without layers")?;
    history.remove(last);
    let layout = Layout::new(&bench.peers.path("without-last"))?;
    let mut layers = manifest["layers"].as_array().cloned().unwrap_or_default();
    layers.pop();
    for layer in &layers {
        let digest = layer["digest"].as_str().ok_or("a layer without a digest")?;
        symlink(source.blob(digest), layout.blob(digest))?;
    }
    let image = layout.finish("bench/base:1", &config, &layers)?;
    copy(bench, &format!("oci:{}", layout.dir.display()), registry, &image.name)?;
    ground::remove(&layout.dir)?;
    Ok(image)
}

/// An image with one layer of [`LARGE`] bytes, gzip: the start of the real image's data, in files of 4 MiB.
pub fn large(bench: &Bench<'_>, registry: &Registry) -> Result<Image> {
    eprintln!("making an image with a layer of {LARGE} bytes");
    let layout = Layout::new(&bench.peers.path("large"))?;
    let parts = layout.dir.join("parts");
    let layers = images::layers(&bench.images.docker.path, &layout.dir.join("plain"))?;
    fs::create_dir(&parts)?;
    let script =
        r#"size=$1 parts=$2 && shift 2 && cat "$@" | head -c "$size" | split -b 4M - "$parts/part-""#;
    run(Command::new("sh").args(["-c", script, "sh", &LARGE.to_string()]).arg(&parts).args(&layers))?;
    let tar = layout.dir.join("layer.tar");
    run(Command::new("tar").arg("--sort=name").arg("-cf").arg(&tar).arg("-C").arg(&parts).arg("."))?;
    ground::remove(&parts)?;
    ground::remove(&layout.dir.join("plain"))?;
    let gzip = layout.dir.join("layer.tar.gz");
    let mut compress = Command::new("gzip");
    compress.arg("-nc").arg(&tar).stdin(Stdio::null()).stdout(File::create(&gzip)?);
    if !compress.status()?.success() {
        return Err("gzip of the large layer failed".into());
    }
    let (diff_id, digest) = (sha256(&tar)?, sha256(&gzip)?);
    let size = fs::metadata(&gzip)?.len();
    fs::remove_file(&tar)?;
    fs::rename(&gzip, layout.blob(&digest))?;
    let config = json!({
        "architecture": "amd64", "os": "linux", "created": "2020-01-01T00:00:00Z", "config": {},
        "rootfs": { "type": "layers", "diff_ids": [diff_id] }, "history": [{ "created_by": "large" }],
    });
    let media_type = "application/vnd.oci.image.layer.v1.tar+gzip";
    let layers = [json!({ "mediaType": media_type, "digest": digest, "size": size })];
    let image = layout.finish("bench/large:1", &config, &layers)?;
    copy(bench, &format!("oci:{}", layout.dir.display()), registry, &image.name)?;
    ground::remove(&layout.dir)?;
    Ok(image)
}

impl Layout {
    fn new(dir: &Path) -> Result<Self> {
        ground::remove(dir)?;
        fs::create_dir_all(dir.join("blobs/sha256"))?;
        fs::write(dir.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#)?;
        Ok(Self { dir: dir.to_path_buf() })
    }

    fn blob(&self, digest: &str) -> PathBuf {
        self.dir.join("blobs").join(digest.replace(':', "/"))
    }

    fn json(&self, digest: &str) -> Result<Value> {
        Ok(serde_json::from_slice(&fs::read(self.blob(digest))?)?)
    }

    /// Adds a document; returns its descriptor.
    fn add(&self, media_type: &str, document: &Value) -> Result<Value> {
        let text = document.to_string();
        let file = self.dir.join("document");
        fs::write(&file, &text)?;
        let digest = sha256(&file)?;
        fs::rename(file, self.blob(&digest))?;
        Ok(json!({ "mediaType": media_type, "digest": digest, "size": text.len() }))
    }

    /// Writes all documents of an image with these layers, whose blobs are there.
    fn finish(&self, name: &str, config: &Value, layers: &[Value]) -> Result<Image> {
        let config = self.add("application/vnd.oci.image.config.v1+json", config)?;
        let media_type = "application/vnd.oci.image.manifest.v1+json";
        let manifest =
            json!({ "schemaVersion": 2, "mediaType": media_type, "config": config, "layers": layers });
        let manifest = self.add(media_type, &manifest)?;
        let index = json!({ "schemaVersion": 2, "manifests": [manifest] });
        fs::write(self.dir.join("index.json"), index.to_string())?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Ok(Image { name: name.into(), id: text(&config["digest"]), manifest: text(&manifest["digest"]) })
    }
}

/// Copies an image into a registry, every blob as it is.
fn copy(bench: &Bench<'_>, from: &str, registry: &Registry, name: &str) -> Result<()> {
    let to = format!("docker://{}/{name}", registry.address);
    let mut skopeo = bench.peers.inside("skopeo");
    run(skopeo.args(["copy", "--quiet", "--preserve-digests", "--dest-tls-verify=false", from, &to]))?;
    Ok(())
}

fn sha256(file: &Path) -> Result<String> {
    let sum = run(Command::new("sha256sum").arg(file))?;
    Ok(format!("sha256:{}", sum.split(' ').next().unwrap_or_default().trim_start_matches('\\')))
}
