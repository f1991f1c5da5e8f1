//! The images that the rows work on: the real one in its three forms, and one with as many layers as Docker opens.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::exec::run;
use super::options::Options;
use crate::Result;

/// One file or directory with an image in it.
#[derive(Debug)]
pub struct Image {
    pub path: PathBuf,
    /// `sha256:…` of the configuration, which every program has to show afterwards.
    pub id: String,
    /// `sha256:…` of the OCI manifest; empty for a docker-archive.
    pub manifest: String,
}

impl Image {
    /// Reads the whole image once, so that it is in the page cache for everybody.
    pub fn warm(&self) -> Result<()> {
        run(Command::new("tar")
            .args(["-C", "/", "-cf", "-", "--"])
            .arg(&self.path)
            .stdout(std::process::Stdio::null()))?;
        Ok(())
    }
}

/// The images of a run.
#[derive(Debug)]
pub struct Images {
    /// docker-archive, plain layers.
    pub docker: Image,
    /// OCI archive, gzip layers.
    pub gzip: Image,
    /// OCI layout directory, zstd layers.
    pub zstd: Image,
}

impl Images {
    pub fn new(options: &Options) -> Result<Self> {
        let dir = &options.images;
        let docker = dir.join("buildpack.docker.tar");
        if !docker.exists() {
            return Err(
                format!("no {}: make it with make-buildpack {}", docker.display(), dir.display()).into()
            );
        }
        let manifest = manifest_of(&docker)?;
        let config = manifest[0]["Config"].as_str().and_then(|name| name.strip_suffix(".json"));
        let id = config.ok_or("no Config in manifest.json")?;
        let docker = Image { path: docker, id: format!("sha256:{id}"), manifest: String::new() };
        let mut gzip = layout(&dir.join("buildpack.oci"))?;
        gzip.path = dir.join("buildpack.oci.tar");
        Ok(Self { docker, gzip, zstd: layout(&dir.join("buildpack.oci-zstd"))? })
    }
}

/// Takes the layers out of a docker-archive, lowest first, as plain tars below `into`.
pub fn layers(archive: &Path, into: &Path) -> Result<Vec<PathBuf>> {
    fs::create_dir_all(into)?;
    let manifest = manifest_of(archive)?;
    let names: Vec<&str> =
        manifest[0]["Layers"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    run(Command::new("tar").arg("-xf").arg(archive).arg("-C").arg(into).arg("--").args(&names))?;
    Ok(names.iter().map(|name| into.join(name)).collect())
}

/// The `manifest.json` of a docker-archive.
fn manifest_of(archive: &Path) -> Result<Value> {
    let text = run(Command::new("tar").arg("-xOf").arg(archive).arg("manifest.json"))?;
    Ok(serde_json::from_str(&text)?)
}

/// The only image of an OCI layout directory.
fn layout(dir: &Path) -> Result<Image> {
    let index = json(&dir.join("index.json"))?;
    let manifest = digest(&index["manifests"][0])?;
    let id = digest(&json(&blob(dir, &manifest))?["config"])?;
    Ok(Image { path: dir.to_path_buf(), id, manifest })
}

fn json(path: &Path) -> Result<Value> {
    let text = fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    Ok(serde_json::from_str(&text)?)
}

fn digest(descriptor: &Value) -> Result<String> {
    Ok(descriptor["digest"].as_str().ok_or("a descriptor without a digest")?.to_string())
}

fn blob(dir: &Path, digest: &str) -> PathBuf {
    dir.join("blobs").join(digest.replace(':', "/"))
}

/// Makes a docker-archive of `layers` layers with one small file each, below `dir`; its name is `deep:1`.
pub fn deep(dir: &Path, layers: usize) -> Result<PathBuf> {
    fs::create_dir_all(dir)?;
    let names: Vec<String> = (1..=layers).map(|n| format!("{n}.tar")).collect();
    for (n, name) in names.iter().enumerate() {
        let file = format!("file-{n}");
        fs::write(dir.join(&file), format!("in layer {n}\n"))?;
        run(Command::new("tar").current_dir(dir).args(["--owner=0", "--group=0", "-cf", name, &file]))?;
    }
    let sums = run(Command::new("sha256sum").current_dir(dir).args(&names))?;
    let diff_ids: Vec<String> =
        sums.lines().filter_map(|line| line.split(' ').next()).map(|sum| format!("sha256:{sum}")).collect();
    let config = serde_json::json!({
        "architecture": "amd64", "os": "linux", "created": "2020-01-01T00:00:00Z",
        "config": { "Cmd": ["/file-0"] }, "rootfs": { "type": "layers", "diff_ids": diff_ids },
        "history": diff_ids.iter().map(|_| serde_json::json!({"created_by": "deep"})).collect::<Vec<_>>(),
    });
    let manifest = serde_json::json!([{ "Config": "config.json", "RepoTags": ["deep:1"], "Layers": names }]);
    fs::write(dir.join("config.json"), config.to_string())?;
    fs::write(dir.join("manifest.json"), manifest.to_string())?;
    let archive = dir.join("deep.tar");
    let mut tar = Command::new("tar");
    run(tar.current_dir(dir).args(["-cf", "deep.tar", "manifest.json", "config.json"]).args(&names))?;
    Ok(archive)
}

/// One line for the head of the report.
pub fn describe(images: &Images) -> String {
    let mut text = String::new();
    for (form, image) in
        [("docker-archive", &images.docker), ("OCI gzip", &images.gzip), ("OCI zstd", &images.zstd)]
    {
        let _ = writeln!(text, "image, {form}: {} {}", image.path.display(), image.id);
    }
    text
}
