//! Listing: the names of all parts of a directory, each once (union-fs.md rules 37 to 41).
//!
//! A listing belongs to the open directory and is made when it is read from its start, so that entries that come and go
//! meanwhile move nothing.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::hash::BuildHasherDefault;
use std::mem::MaybeUninit;
use std::ops::Range;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rustix::fs::{FileType, RawDir};

use crate::aufs;
use crate::backing::{self, At, Result, open_for_listing};
use crate::lookup::Found;
use crate::node::{LayerIndex, Node, Part, Stack};
use crate::table::Mix;
use crate::union::Union;

/// Room for one call of getdents64(2).
const BUFFER: usize = 64 * 1024;

/// The names of a directory, as they were when it was read.
#[derive(Debug, Default)]
pub struct Listing {
    names: Vec<u8>,
    entries: Vec<Entry>,
    /// The directory's version when it was read.
    pub version: u32,
}

#[derive(Debug)]
struct Entry {
    name: Range<u32>,
    kind: u8,
    layer: LayerIndex,
    ino: u64,
    /// The number may be another one: the name was copied up, or is a directory of several layers.
    unsure: bool,
}

/// One name.
#[derive(Debug, Clone, Copy)]
pub struct Name<'a> {
    /// The name.
    pub name: &'a [u8],
    /// Its type (`DT_*`).
    pub kind: u8,
    /// The topmost layer that has it.
    pub layer: LayerIndex,
    /// Its inode number, unless `unsure`.
    pub ino: u64,
    /// The number is to be looked for.
    pub unsure: bool,
}

impl Listing {
    /// How many names there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// One of them.
    pub fn get(&self, index: usize) -> Option<Name<'_>> {
        let entry = self.entries.get(index)?;
        let name = self.names.get(entry.name.start as usize..entry.name.end as usize)?;
        Some(Name { name, kind: entry.kind, layer: entry.layer, ino: entry.ino, unsure: entry.unsure })
    }

    fn push(&mut self, name: &[u8], kind: u8, layer: LayerIndex, ino: u64, unsure: bool) {
        let start = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        self.names.extend_from_slice(name);
        let end = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        self.entries.push(Entry { name: start..end, kind, layer, ino, unsure });
    }
}

/// Names that need not be looked at any more, by their own bytes.
type Names = HashSet<Vec<u8>, BuildHasherDefault<Mix>>;

impl Union {
    /// The names that show in a directory.
    pub fn list(&self, node: &Node) -> Result<Listing> {
        let impure = node.dir()?.impure.load(Ordering::Relaxed);
        let stack = node.stack()?;
        let mut listing = Listing { version: node.dir()?.version(), ..Listing::default() };
        self.scan(&stack, impure, |name, kind, layer, ino, unsure| {
            listing.push(name, kind, layer, ino, unsure);
            true
        })?;
        Ok(listing)
    }

    /// Whether anything shows in a directory.
    pub(crate) fn shows_anything(&self, stack: &Stack) -> Result<bool> {
        let mut any = false;
        self.scan(stack, false, |_, _, _, _, _| {
            any = true;
            false
        })?;
        Ok(any)
    }

    /// Hands over every name that shows until `each` has enough.
    fn scan(
        &self,
        stack: &Stack,
        impure: bool,
        mut each: impl FnMut(&[u8], u8, LayerIndex, u64, bool) -> bool,
    ) -> Result<()> {
        let merged = stack.parts.len() > 1;
        let mut seen = Names::default();
        for part in &stack.parts {
            let device = self.layer(part.layer)?.device;
            let top = self.is_upper(part.layer);
            let mut hidden = Vec::new();
            let mut enough = false;
            self.scan_part(part, |name, kind, ino| {
                if self.options.aufs_whiteouts && name.starts_with(b".wh.") {
                    hidden.extend(aufs::hidden(name).map(<[u8]>::to_vec));
                    return Ok(true);
                }
                if merged && seen.contains(name) {
                    return Ok(true);
                }
                let shows = !self.hides(part, name, kind)?;
                if merged {
                    seen.insert(name.to_vec());
                }
                if !shows {
                    return Ok(true);
                }
                // A directory of both shows the lower one's number, which is seen only later.
                let unsure = top && (impure || (merged && kind == DT_DIR));
                enough = !each(name, kind, part.layer, self.numbers.number(device, ino), unsure);
                Ok(!enough)
            })?;
            if enough {
                return Ok(());
            }
            seen.extend(hidden);
        }
        Ok(())
    }

    /// Whether an entry of a layer is a whiteout.
    fn hides(&self, part: &Part, name: &[u8], kind: u8) -> Result<bool> {
        let candidate = match kind {
            DT_CHR | DT_UNKNOWN => true,
            DT_REG => part.file_whiteouts,
            _ => false,
        };
        if !candidate {
            return Ok(false);
        }
        let name = OsStr::from_bytes(name);
        match At::child(&part.dir, name).stat() {
            Ok(stat) => self.is_whiteout(part, name, &stat),
            Err(rustix::io::Errno::NOENT) => Ok(true),
            Err(e) => Err(e),
        }
    }

    /// Hands over the entries of one layer's directory until `each` says that it has enough.
    fn scan_part(&self, part: &Part, mut each: impl FnMut(&[u8], u8, u64) -> Result<bool>) -> Result<()> {
        let dir = open_for_listing(part.dir.as_fd())?;
        let mut buffer = vec![MaybeUninit::<u8>::uninit(); BUFFER];
        let mut entries = RawDir::new(&dir, &mut buffer);
        while let Some(entry) = entries.next() {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name == b"." || name == b".." {
                continue;
            }
            let mut kind = entry_type(entry.file_type());
            if kind == DT_UNKNOWN {
                let stat = At::child(&part.dir, OsStr::from_bytes(name)).stat()?;
                kind = u8::try_from(backing::kind(&stat) >> 12).unwrap_or(DT_UNKNOWN);
            }
            if !each(name, kind, entry.ino())? {
                break;
            }
        }
        Ok(())
    }

    /// The inode number that stat shows of a name which was listed.
    pub fn listed_ino(&self, node: &Arc<Node>, name: Name<'_>) -> Result<u64> {
        if !name.unsure {
            return Ok(name.ino);
        }
        let stack = node.stack()?;
        let text = OsStr::from_bytes(name.name);
        match self.find(&stack, text)? {
            // Somebody removed it meanwhile.
            None => Ok(name.ino),
            Some(found) => self.found_ino(&stack, text, &found),
        }
    }

    /// The inode number that something found shows.
    fn found_ino(&self, parent: &Stack, name: &OsStr, found: &Found) -> Result<u64> {
        match found {
            Found::Dir(dir) => self.dir_ino(&dir.stack, &dir.stat),
            Found::Other(other) => {
                if let Some(node) = self.table.find(crate::lookup::key_of(&other.stat)) {
                    return Ok(node.ino);
                }
                let origin = match (self.in_upper(other), parent.part(other.layer)) {
                    (true, Some(part)) => {
                        let below = self.below_upper(parent);
                        crate::identity::origin_ino(self, At::child(&part.dir, name), below, name)
                    }
                    _ => None,
                };
                Ok(origin.unwrap_or_else(|| self.numbers.of(&other.stat)))
            }
        }
    }
}

/// Not known.
pub const DT_UNKNOWN: u8 = 0;
/// A character device.
pub const DT_CHR: u8 = 2;
/// A directory.
pub const DT_DIR: u8 = 4;
/// A regular file.
pub const DT_REG: u8 = 8;

fn entry_type(kind: FileType) -> u8 {
    match kind {
        FileType::Unknown => DT_UNKNOWN,
        known => u8::try_from(known.as_raw_mode() >> 12).unwrap_or(DT_UNKNOWN),
    }
}
