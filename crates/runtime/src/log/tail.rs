//! The last lines of a log, found from its end.

use std::collections::VecDeque;
use std::io::{Seek, SeekFrom};
use std::os::unix::fs::FileExt;

use crate::error::{Error, Result};

const BLOCK: u64 = 64 << 10;

/// Positions the files, the oldest first, so that what is left to read are the last `lines` lines; files without any of
/// those are dropped.
pub(super) fn skip_to(files: &mut VecDeque<std::fs::File>, lines: usize, name: &str) -> Result<()> {
    let mut wanted = lines;
    let mut first = files.len();
    for (index, file) in files.iter_mut().enumerate().rev() {
        let (start, found) = start_of_last(file, wanted, name)?;
        file.seek(SeekFrom::Start(start)).map_err(Error::io("seek in", name))?;
        wanted -= found;
        first = index;
        if wanted == 0 {
            break;
        }
    }
    // The file that is written to is read on, even if nothing is wanted of what it has.
    files.drain(..first.min(files.len().saturating_sub(1)));
    Ok(())
}

/// Where the last `wanted` lines of a file begin, and how many there are.
fn start_of_last(file: &std::fs::File, wanted: usize, name: &str) -> Result<(u64, usize)> {
    let size = file.metadata().map_err(Error::io("stat", name))?.len();
    if wanted == 0 {
        return Ok((size, 0));
    }
    let mut found = 0;
    let mut at = size;
    let mut block = vec![0; usize::try_from(BLOCK).unwrap_or(0)];
    while at > 0 {
        let length = at.min(BLOCK);
        at -= length;
        let bytes = &mut block[..usize::try_from(length).unwrap_or(0)];
        file.read_exact_at(bytes, at).map_err(Error::io("read", name))?;
        for (index, _) in bytes.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n') {
            let after = at + index as u64 + 1;
            // The newline at the very end ends the last line; any other one ends the line before one that counts.
            if after < size {
                found += 1;
                if found == wanted {
                    return Ok((after, found));
                }
            }
        }
    }
    Ok((0, found + usize::from(size > 0)))
}
