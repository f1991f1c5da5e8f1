//! How much memory the contents of files take, shared pages counted once.

use std::fs;
use std::ops::Range;
use std::path::Path;

use crate::error::{At, Result, error_from};
use crate::{AsFd, raw};

/// A file's content, mapped into this process for as long as this is there.
#[derive(Debug)]
pub struct Mapped(raw::Mapping);

impl Mapped {
    /// Maps the whole file and has all of it read into memory. An empty file cannot be mapped.
    ///
    /// # Errors
    /// System calls; `EINVAL` for an empty file, and before Linux 5.14.
    pub fn read(file: impl AsFd) -> Result<Self> {
        let (mapping, len) = Self::map(&file)?;
        mapping.populate(0..len).at_fd("read into memory", &file)?;
        Ok(Self(mapping))
    }

    /// Maps the whole file, and reads nothing: only those pages take part that are in memory already.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn cached(file: impl AsFd) -> Result<Self> {
        let (mapping, _) = Self::map(&file)?;
        let resident = mapping.resident().at_fd("mincore", &file)?;
        let page = raw::page_size();
        for (n, _) in resident.iter().enumerate().filter(|(_, there)| **there) {
            mapping.populate(n * page..(n + 1) * page).at_fd("read into memory", &file)?;
        }
        Ok(Self(mapping))
    }

    fn map(file: &impl AsFd) -> Result<(raw::Mapping, usize)> {
        let len = usize::try_from(crate::meta::of_fd(file)?.size).unwrap_or(usize::MAX);
        Ok((raw::Mapping::new(file.as_fd(), len).at_fd("mmap", file)?, len))
    }
}

/// The bytes of memory that all these files take together. A page that several of them have, because they are one file
/// below, counts once: the sum of the mappings' proportional set sizes (proc_pid_smaps(5)).
///
/// # Errors
/// `/proc` cannot be read.
pub fn used(files: &[Mapped]) -> Result<u64> {
    const SMAPS: &str = "/proc/self/smaps";
    let text = fs::read_to_string(SMAPS).map_err(|err| error_from("read", Path::new(SMAPS), &err))?;
    let bytes = proportional(&text, &files.iter().map(|file| file.0.range()).collect::<Vec<_>>());
    // The kernel cuts the share of each mapping down to whole KiB.
    Ok(bytes.next_multiple_of(raw::page_size() as u64))
}

/// The sum of `Pss` of the areas in `ranges`, in bytes.
fn proportional(smaps: &str, ranges: &[Range<usize>]) -> u64 {
    let mut counts = false;
    let mut kib = 0;
    for line in smaps.lines() {
        if let Some(area) = area(line) {
            counts = ranges.iter().any(|range| range.start <= area.start && area.end <= range.end);
        } else if let Some(pss) = line.strip_prefix("Pss:").filter(|_| counts) {
            kib += pss.trim().trim_end_matches("kB").trim().parse::<u64>().unwrap_or(0);
        }
    }
    kib << 10
}

/// The addresses at the beginning of an area's first line, `START-END PERMISSIONS …`.
fn area(line: &str) -> Option<Range<usize>> {
    let (start, end) = line.split_once(' ')?.0.split_once('-')?;
    let address = |text| usize::from_str_radix(text, 16).ok();
    Some(address(start)?..address(end)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn areas_outside_do_not_count() {
        let smaps = "1000-3000 r--s 00000000 00:01 5 /a\nRss: 8 kB\nPss:   5 kB\nPss_Dirty: 1 kB\n\
                     3000-4000 r--s 00000000 00:01 6 /b\nPss: 4 kB\n8000-9000 rw-p 00000000 00:00 0\nPss: 9 kB\n";
        assert_eq!(proportional(smaps, std::slice::from_ref(&(0x1000..0x3000))), 5 << 10);
        assert_eq!(proportional(smaps, &[0x1000..0x3000, 0x3000..0x4000]), 9 << 10);
        assert_eq!(proportional(smaps, std::slice::from_ref(&(0x1000..0x2000))), 0);
    }

    #[test]
    fn one_file_twice_takes_its_memory_once() {
        let file = |content: &[u8]| {
            let mut file = tempfile::tempfile().unwrap();
            std::io::Write::write_all(&mut file, content).unwrap();
            file
        };
        let (one, other) = (file(&[1; 1 << 20]), file(&[2; 1 << 20]));
        let twice = [Mapped::read(&one).unwrap(), Mapped::read(&one).unwrap()];
        assert_eq!(used(&twice).unwrap(), 1 << 20);
        let both = [Mapped::read(&one).unwrap(), Mapped::read(&other).unwrap()];
        drop(twice);
        assert_eq!(used(&both).unwrap(), 2 << 20);
        assert_eq!(
            used(&[Mapped::cached(&other).unwrap()]).unwrap(),
            512 << 10,
            "half of a page that two map"
        );
    }

    #[test]
    fn an_empty_file_is_an_error() {
        assert_eq!(Mapped::read(tempfile::tempfile().unwrap()).unwrap_err().errno, crate::Errno::INVAL);
    }
}
