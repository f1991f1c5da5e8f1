//! Against the `tar` crate: archives that both accept have the same entries.
//!
//! Differences that are meant, all of them Go's rules, and therefore left out of the comparison:
//! - links, devices, directories and FIFOs have no payload here, whatever size they claim;
//! - sparse files: the crate knows GNU's old format only;
//! - PAX: the crate ignores malformed records, and applies a path even when a GNU long name is there;
//! - GNU long names: the crate keeps what follows a NUL, and takes empty ones;
//! - blocks: the crate goes on after a lone zero block, and does not mind a cut-off payload that nobody reads;
//! - prefixes: star's, those in headers with an unusual version, and those that Go before 1.8 wrote into GNU headers.
#![no_main]

mod seal;

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
        if entry.sparse.is_some() || entry.kind == Kind::GlobalHeader {
            return None;
        }
        list.push(Seen { path: entry.path, link: entry.link, size: entry.size });
    }
    Some(list)
}

fn up_to_nul(name: &[u8]) -> Vec<u8> {
    name.split(|&b| b == 0).next().unwrap_or_default().to_vec()
}

fn theirs(archive: &[u8]) -> Option<Vec<Seen>> {
    let mut list = Vec::new();
    for entry in tar::Archive::new(archive).entries().ok()? {
        let entry = entry.ok()?;
        let kind = entry.header().entry_type();
        let plain = kind.is_file() || kind.is_contiguous();
        if entry.size() != 0 && !plain {
            return None;
        }
        let path = up_to_nul(&entry.path_bytes());
        let link = up_to_nul(&entry.link_name_bytes().unwrap_or_default());
        if path.is_empty() || link.is_empty() && entry.link_name_bytes().is_some() {
            return None;
        }
        list.push(Seen { path, link, size: entry.size() });
    }
    Some(list)
}

/// Whether the archive has blocks that the two are known to judge differently.
fn is_special(archive: &[u8]) -> bool {
    let zero = |block: &[u8]| block.iter().all(|&b| b == 0);
    let mut blocks = archive.chunks(512);
    let lone_zero = blocks.by_ref().any(zero) && !blocks.all(zero);
    let has = |flags: &[u8]| archive.chunks_exact(512).any(|block| flags.contains(&block[156]));
    let star = |block: &[u8]| &block[508..] == b"tar\0";
    let other_version = |block: &[u8]| block[257..].starts_with(b"ustar\0") && &block[263..265] != b"00";
    let old_go = |block: &[u8]| block[257..].starts_with(b"ustar ") && block[345] != 0;
    lone_zero
        || archive.len() % 512 != 0
        || has(b"xg") && has(b"LK")
        || archive.chunks_exact(512).any(|block| star(block) || other_version(block) || old_go(block))
}

fuzz_target!(|bytes: &[u8]| {
    let archive = &seal::seal(bytes)[..];
    if is_special(archive) {
        return;
    }
    if let (Some(ours), Some(theirs)) = (ours(archive), theirs(archive)) {
        assert_eq!(ours, theirs);
    }
});
