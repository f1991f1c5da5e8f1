//! Pushes to places that are no registry: OCI layouts, as directories and as archives, and the plain directories of
//! skopeo's `dir:`.
//!
//! A new place is made aside and renamed; to an OCI layout that exists the blobs are added, and then its index is
//! replaced. So a place has the whole image or nothing of it. What a failure leaves aside is removed.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use archive::compress;
use model::manifest::{ANNOTATION_IMAGE_NAME, ANNOTATION_REF_NAME, Annotations, Descriptor, OciLayout};
use model::progress::{Phase, Progress};
use model::{Digest, Reference, gojson};
use serde_json::{Value, json};
use store::LayerRecord;

use super::{Blob, Documents, Maker, Outgoing, PushOptions, Pushed, tar};
use crate::{Engine, Error, Result};

/// The file that a directory of `dir:` is known by, and what stands in it.
const VERSION: (&str, &str) = ("version", "Directory Transport Version: 1.1\n");

/// A place for an image that is no registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// An OCI layout, new or with other images in it.
    Oci {
        /// The directory.
        dir: PathBuf,
        /// The image's name in it; the name that it is pushed by if absent.
        name: Option<String>,
    },
    /// A tar archive of a new OCI layout; a file that is there is replaced.
    OciArchive {
        /// The archive.
        file: PathBuf,
        /// As above.
        name: Option<String>,
    },
    /// A directory with the manifest and the blobs of one image, as skopeo makes it. One that is there is replaced.
    Dir(PathBuf),
}

impl Engine {
    /// Writes the image that `name` names to another place than a registry. Durable when this returns.
    ///
    /// # Errors
    /// As [`Engine::push`]; a place where something else is.
    pub fn push_to(
        &self,
        destination: &Destination,
        name: &Reference,
        options: &PushOptions,
        progress: &dyn Progress,
    ) -> Result<Pushed> {
        let image = self.image_to_push(name)?;
        let maker = Maker::start(self, options.method()?)?;
        let job = Job { image: &image, name, options, maker, progress };
        match destination {
            Destination::Oci { dir, name } if is_vacant(dir)? => {
                job.aside(dir, |aside| job.oci(aside, name.as_deref()))
            }
            Destination::Oci { dir, name } => {
                let layout =
                    fs::read(dir.join("oci-layout")).ok().and_then(|text| OciLayout::parse(&text).ok());
                match layout {
                    Some(_) => job.oci(dir, name.as_deref()),
                    None => Err(Error::invalid(format!("{} is no OCI layout", dir.display()))),
                }
            }
            Destination::OciArchive { file, name } => job.aside(file, |aside| {
                let layout = beside(file);
                let _cleanup = Cleanup(&layout);
                let pushed = job.oci(&layout, name.as_deref())?;
                tar::pack(&layout, aside)?;
                Ok(pushed)
            }),
            Destination::Dir(dir) => {
                if !is_vacant(dir)? && !dir.join(VERSION.0).is_file() {
                    let dir = dir.display();
                    return Err(Error::invalid(format!("{dir} is not empty, and no directory of an image")));
                }
                job.aside(dir, |aside| job.dir(aside))
            }
        }
    }
}

/// One image on its way to one place.
struct Job<'a> {
    image: &'a Outgoing,
    name: &'a Reference,
    options: &'a PushOptions,
    maker: Maker<'a>,
    progress: &'a dyn Progress,
}

impl Job<'_> {
    /// Has `make` make something beside `path`, and puts it there.
    fn aside(&self, path: &Path, make: impl FnOnce(&Path) -> Result<Pushed>) -> Result<Pushed> {
        let aside = beside(path);
        let _cleanup = Cleanup(&aside);
        let pushed = make(&aside)?;
        publish(&aside, path)?;
        Ok(pushed)
    }

    /// Makes an OCI layout in `dir`, or adds to the one that is there.
    fn oci(&self, dir: &Path, name: Option<&str>) -> Result<Pushed> {
        let blobs = dir.join("blobs/sha256");
        make_dirs(&blobs)?;
        let layers = self.layers(&blobs)?;
        let documents = Documents::oci(&self.image.config, &layers)?;
        write(&blobs, &self.image.id.hex(), self.image.config.bytes())?;
        let digest = Digest::of(&documents.manifest);
        write(&blobs, &digest.hex(), &documents.manifest)?;
        write(dir, "oci-layout", &gojson::to_vec(&OciLayout::current())?)?;
        let size = documents.manifest.len() as u64;
        let mut entry = Descriptor::new(documents.media_type, digest, size);
        entry.annotations = self.annotations(name);
        write(dir, "index.json", &index_with(dir, &entry)?)?;
        Ok(Pushed { digest, size })
    }

    /// The name of the image in `index.json`: as given, else as `save` writes it.
    fn annotations(&self, name: Option<&str>) -> Annotations {
        let mut annotations = Annotations::new();
        match name {
            Some(name) => drop(annotations.insert(ANNOTATION_REF_NAME.to_owned(), name.to_owned())),
            None => {
                let name = self.name.clone().with_default_tag();
                annotations.insert(ANNOTATION_IMAGE_NAME.to_owned(), name.canonical());
                let tag = name.tag().unwrap_or_default().to_owned();
                annotations.insert(ANNOTATION_REF_NAME.to_owned(), tag);
            }
        }
        annotations
    }

    /// Makes a new directory as `dir:` has it.
    fn dir(&self, dir: &Path) -> Result<Pushed> {
        make_dirs(dir)?;
        let layers = self.layers(dir)?;
        let documents = Documents::for_registry(&self.image.config, &layers)?;
        write(dir, &self.image.id.hex(), self.image.config.bytes())?;
        write(dir, "manifest.json", &documents.manifest)?;
        write(dir, VERSION.0, VERSION.1.as_bytes())?;
        Ok(Pushed { digest: Digest::of(&documents.manifest), size: documents.manifest.len() as u64 })
    }

    /// Has all layers in `blobs`. One after the other: each keeps all processors busy.
    fn layers(&self, blobs: &Path) -> Result<Vec<Blob>> {
        self.maker.engine().with_image(&self.image.id, || {
            self.image.layers.iter().map(|layer| self.layer(blobs, layer)).collect()
        })
    }

    fn layer(&self, blobs: &Path, layer: &LayerRecord) -> Result<Blob> {
        let item = layer.diff.short();
        for hint in self.maker.engine().store.distribution().sources(&layer.diff)? {
            let there = blobs.join(hint.digest.hex());
            if let Some(blob) = self.read_blob(&there, &hint.digest, |stream| copy_to(stream, io::sink()))? {
                self.progress.status(&item, "Layer already exists");
                return Ok(blob);
            }
        }
        self.progress.start(&item, Phase::Writing, Some(layer.size));
        let temporary = beside(&blobs.join(&item));
        let _cleanup = Cleanup(&temporary);
        let file = make_file(&temporary, 0o644)?;
        let (_, blob) = self.maker.make(layer, self.progress, |stream| copy_to(stream, &file))?;
        file.sync_all().map_err(Error::io("sync", &temporary))?;
        rename(&temporary, &blobs.join(blob.digest.hex()))?;
        self.progress.status(&item, "Pushed");
        Ok(blob)
    }

    /// Lets `take` read the blob at `path`; `None` if it is not there, not that blob, or of a compression that will
    /// not do.
    fn read_blob(
        &self,
        path: &Path,
        digest: &Digest,
        take: impl FnOnce(&mut dyn Read) -> Result<u64>,
    ) -> Result<Option<Blob>> {
        let Ok(mut file) = File::open(path) else { return Ok(None) };
        let (kind, start) = compress::sniff(&mut file).map_err(Error::io("read", path))?;
        if !self.options.takes(kind) {
            return Ok(None);
        }
        let (_, blob) = self.maker.copy(io::Cursor::new(start).chain(file), kind, take)?;
        Ok((blob.digest == *digest).then_some(blob))
    }
}

fn copy_to(stream: &mut dyn Read, mut out: impl io::Write) -> Result<u64> {
    io::copy(stream, &mut out).map_err(Error::io("write", "a blob"))
}

/// The text of `dir/index.json` with `entry` in the place of the entry with its name. What else stands there stays.
fn index_with(dir: &Path, entry: &Descriptor) -> Result<Vec<u8>> {
    let path = dir.join("index.json");
    let mut index: Value = match fs::read(&path) {
        Ok(text) => serde_json::from_slice(&text)
            .map_err(|error| Error::invalid(format!("{}: {error}", path.display())))?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let media_type = model::manifest::media_type::OCI_INDEX;
            json!({"schemaVersion": 2, "mediaType": media_type, "manifests": []})
        }
        Err(error) => return Err(Error::io("read", &path)(error)),
    };
    let Some(manifests) = index.get_mut("manifests").and_then(Value::as_array_mut) else {
        return Err(Error::invalid(format!("{}: there is no list of manifests in it", path.display())));
    };
    let entry = serde_json::to_value(entry).map_err(|error| Error::invalid(error.to_string()))?;
    let name = |entry: &Value| {
        let annotations = entry.get("annotations");
        [ANNOTATION_REF_NAME, ANNOTATION_IMAGE_NAME]
            .map(|key| annotations.and_then(|all| all.get(key)).cloned())
    };
    manifests.retain(|other| name(other) != name(&entry));
    manifests.push(entry);
    Ok(gojson::to_vec(&index)?)
}

/// Whether nothing is at `path`, or an empty directory.
fn is_vacant(path: &Path) -> Result<bool> {
    match fs::read_dir(path) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(Error::io("read", path)(error)),
    }
}

/// A name beside `path` that nobody has.
fn beside(path: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{:08x}", u32::from_ne_bytes(sys::process::random())));
    path.with_file_name(name)
}

/// Writes a file of `dir` that appears whole, and durable.
fn write(dir: &Path, name: &str, bytes: &[u8]) -> Result<()> {
    let fd = sys::dir::open_path(dir)?;
    Ok(sys::atomic::write(&fd, name.as_ref(), 0o644, bytes)?)
}

/// Makes a directory and those above it, where there are none. Modes do not depend on the umask: a store has none.
fn make_dirs(path: &Path) -> Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o755).create(path).map_err(Error::io("make", path))
}

/// Makes a new file.
pub(super) fn make_file(path: &Path, mode: u32) -> Result<File> {
    let file = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    file.map_err(Error::io("make", path))
}

fn rename(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to).map_err(Error::io("rename", to))
}

/// Puts what was made at `aside` in the place of what is at `path`.
fn publish(aside: &Path, path: &Path) -> Result<()> {
    let above = path.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let above = sys::dir::open_path(above)?;
    let names = (aside.file_name().unwrap_or_default(), path.file_name().unwrap_or_default());
    if path.is_dir() && !is_vacant(path)? {
        sys::dir::exchange(&above, names.0, &above, names.1)?;
    } else {
        sys::dir::rename(&above, names.0, &above, names.1)?;
    }
    Ok(sys::dir::sync(&above)?)
}

/// Removes what was made aside and is still there.
struct Cleanup<'a>(&'a Path);

impl Drop for Cleanup<'_> {
    fn drop(&mut self) {
        // After a rename there is nothing left.
        let _ = fs::remove_file(self.0);
        let _ = fs::remove_dir_all(self.0);
    }
}
