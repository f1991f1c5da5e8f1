//! An OCI layout as a tar archive.

use std::fs::{self, File};
use std::io::BufWriter;
use std::path::Path;

use archive::tar::{Entry, Kind, Writer};

use super::layout::make_file;
use crate::{Error, Result};

/// Bytes that are written at a time.
const BUFFER: usize = 256 << 10;

/// Writes the layout in `dir` as the archive `file`, durable, with mode 0600 as `save` does. The same layout makes the
/// same archive.
pub(super) fn pack(dir: &Path, file: &Path) -> Result<()> {
    let out = make_file(file, 0o600)?;
    let mut writer = Writer::new(BufWriter::with_capacity(BUFFER, out));
    for name in ["blobs/", "blobs/sha256/"] {
        writer.append_header(&Entry { mode: 0o755, ..Entry::new(name, Kind::Directory) })?;
    }
    let blobs = dir.join("blobs/sha256");
    let mut names = Vec::new();
    for entry in fs::read_dir(&blobs).map_err(Error::io("read", &blobs))? {
        let name = entry.map_err(Error::io("read", &blobs))?.file_name();
        names.push(format!("blobs/sha256/{}", name.to_string_lossy()));
    }
    names.sort();
    names.extend(["index.json".to_owned(), "oci-layout".to_owned()]);
    for name in &names {
        append(&mut writer, name, &dir.join(name))?;
    }
    let out = writer.finish()?;
    let out = out.into_inner().map_err(|error| Error::io("write", file)(error.into_error()))?;
    out.sync_all().map_err(Error::io("sync", file))
}

fn append(writer: &mut Writer<BufWriter<File>>, name: &str, path: &Path) -> Result<()> {
    let input = File::open(path).map_err(Error::io("open", path))?;
    let size = input.metadata().map_err(Error::io("look at", path))?.len();
    Ok(writer.append(&Entry { mode: 0o644, size, ..Entry::new(name, Kind::Regular) }, input)?)
}
