//! Against the `tar` crate: archives that both accept have the same entries.
//!
//! Differences that are meant, all of them Go's rules, and therefore left out of the comparison:
//! - links, devices, directories and FIFOs have no payload here, whatever size they claim;
//! - sparse files: the crate knows GNU's old format only;
//! - PAX: the crate ignores malformed records, and applies a path even when a GNU long name is there;
//! - blocks: the crate goes on after a lone zero block, and does not mind a cut-off payload that nobody reads;
//! - star's prefix field, and prefixes that Go before 1.8 wrote into GNU headers.
#![no_main]

use archive::tar::{Kind, Limits, Reader};
use libfuzzer_sys::fuzz_target;

#[derive(PartialEq, Debug)]
struct Seen {
    path: Vec<u8>,
    link: Vec<u8>,
    size: u64,
}

fn ours(archive: &[u8]) -> Option<Vec<Seen>> {
    let mut reader = Reader::new(archive, Limits::default());
    let mut list = Vec::new();
    while let Some(member) = reader.next_member().ok()? {
        let entry = member.entry;
        if entry.sparse.is_some() || !entry.pax.is_empty() || entry.kind == Kind::GlobalHeader {
            return None;
        }
        list.push(Seen { path: entry.path, link: entry.link, size: entry.size });
    }
    Some(list)
}

fn theirs(archive: &[u8]) -> Option<Vec<Seen>> {
    let mut list = Vec::new();
    for entry in tar::Archive::new(archive).entries().ok()? {
        let mut entry = entry.ok()?;
        let kind = entry.header().entry_type();
        let plain = kind.is_file() || kind.is_contiguous();
        if entry.size() != 0 && !plain {
            return None;
        }
        if entry.pax_extensions().ok()?.is_some_and(|mut list| list.next().is_some()) {
            return None;
        }
        let path = entry.path_bytes().into_owned();
        let link = entry.link_name_bytes().map(|link| link.into_owned()).unwrap_or_default();
        list.push(Seen { path, link, size: entry.size() });
    }
    Some(list)
}

/// Whether the archive has blocks that the two are known to judge differently.
fn is_special(archive: &[u8]) -> bool {
    let zero = |block: &[u8]| block.iter().all(|&b| b == 0);
    let mut blocks = archive.chunks(512);
    let lone_zero = blocks.by_ref().any(zero) && !blocks.all(zero);
    lone_zero
        || archive.len() % 512 != 0
        || archive.chunks(512).any(|block| &block[508..] == b"tar\0" || block[257..].starts_with(b"ustar "))
}

fuzz_target!(|archive: &[u8]| {
    if is_special(archive) {
        return;
    }
    if let (Some(ours), Some(theirs)) = (ours(archive), theirs(archive)) {
        assert_eq!(ours, theirs);
    }
});
