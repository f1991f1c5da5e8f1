//! The archive that a layer came from, byte by byte, by its tar-split record (moby.md §5).

use std::io::{self, Write};

use archive::Crc64;
use archive::tar_split::{Item, Unpacker};
use sys::{Root, file};

use crate::error::{Error, Result, as_path};
use crate::verify::{self, Fault};

/// Bytes that a file is read in at a time.
const BUFFER: usize = 256 << 10;

/// Writes the archive of the layer in `layer` by its tar-split records, uncompressed
/// ([`archive::tar_split::gunzip`]). Files are opened below `layer`; a link in the last component is not followed.
///
/// # Errors
/// [`Error::Integrity`] names the first file that is missing or is not what it was. `out` then has a part of the
/// archive, a part of that file included.
pub fn regenerate(tar_split: impl io::Read, layer: &Root, out: &mut (impl Write + ?Sized)) -> Result<()> {
    let mut buffer = vec![0; BUFFER];
    for item in Unpacker::new(tar_split) {
        match item? {
            Item::Segment(bytes) => out.write_all(&bytes).map_err(write_error)?,
            Item::File { size: 0, .. } => {}
            Item::File { name, size, crc } => copy(layer, &name, size, crc, out, &mut buffer)?,
        }
    }
    Ok(())
}

fn copy(
    layer: &Root,
    name: &[u8],
    size: u64,
    crc: Option<[u8; 8]>,
    out: &mut (impl Write + ?Sized),
    buffer: &mut [u8],
) -> Result<()> {
    let fault = |fault| Error::Integrity { path: as_path(name).to_owned(), fault };
    let (fd, meta) = verify::open(layer, name)?.map_err(fault)?;
    if meta.size != size {
        return Err(fault(Fault::Size { expected: size, found: meta.size }));
    }
    let mut sum = Crc64::new();
    let mut done = 0;
    while done < size {
        let want = usize::try_from(size - done).unwrap_or(usize::MAX).min(buffer.len());
        let n = file::read_at(&fd, &mut buffer[..want], done)?;
        if n == 0 {
            return Err(fault(Fault::Size { expected: size, found: done }));
        }
        sum.update(&buffer[..n]);
        out.write_all(&buffer[..n]).map_err(write_error)?;
        done += n as u64;
    }
    match crc == Some(sum.finish()) {
        true => Ok(()),
        false => Err(fault(Fault::Content)),
    }
}

fn write_error(source: io::Error) -> Error {
    archive::Error::Io { operation: "writing the layer's archive", source }.into()
}
