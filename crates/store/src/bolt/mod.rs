//! Files of the key-value store bolt, in which Docker keeps what it knows of volumes, and BuildKit of its cache.
//!
//! A file is a row of pages (bolt's `page.go`, `bucket.go`). Two meta pages at its start say which page is the root of
//! the tree; the newer one with a right check sum counts. A tree has branch pages, whose entries lead to other pages,
//! and leaf pages, whose entries are keys and values. A value can be a tree of its own: a bucket, small ones within
//! the value. All numbers are little-endian here; bolt writes those of the machine.
//!
//! Reading here, writing in `write`.

mod write;

use std::collections::{BTreeMap, HashSet};

pub(crate) use write::{empty, replace_bucket};

const MAGIC: u32 = 0xED0C_DAED;
const VERSION: u32 = 2;
const PAGE_HEADER: usize = 16;
/// Bytes of an entry's fixed part, in branch and leaf pages alike.
const ENTRY: usize = 16;
/// Bytes of a bucket's fixed part: the number of its root page and a counter.
const BUCKET: usize = 16;
const BRANCH: u16 = 0x01;
const LEAF: u16 = 0x02;
const META: u16 = 0x04;
const FREE_LIST: u16 = 0x10;
const IS_BUCKET: u32 = 0x01;
/// Deeper than any tree or nest of buckets that there is.
const MAX_DEPTH: usize = 64;

/// The pairs of one bucket.
pub(crate) type Pairs = BTreeMap<Vec<u8>, Vec<u8>>;

/// All keys and all values of a file, whatever bucket they are in. `None` if it is no bolt file, or a damaged one.
pub fn strings(file: &[u8]) -> Option<HashSet<&[u8]>> {
    let meta = newest(file)?;
    let mut reader = Reader::new(file, &meta);
    let mut found = HashSet::new();
    let root = reader.tree(meta.root, 0)?;
    reader.strings(&root, 0, &mut found)?;
    Some(found)
}

/// The pairs of the bucket `name` at the top, none if there is no such bucket. `None` if it is no bolt file, or a
/// damaged one.
pub(crate) fn bucket(file: &[u8], name: &[u8]) -> Option<Pairs> {
    let meta = newest(file)?;
    let mut reader = Reader::new(file, &meta);
    let root = reader.tree(meta.root, 0)?;
    match root.iter().find(|entry| entry.is_bucket && entry.key == name) {
        None => Some(Pairs::new()),
        Some(entry) => {
            let pairs = reader.bucket(entry.value, 1)?.into_iter();
            Some(pairs.map(|entry| (entry.key.to_vec(), entry.value.to_vec())).collect())
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Meta {
    page_size: usize,
    /// The root page of the tree.
    root: u64,
    /// The page that lists the pages that nobody uses; none if it is no page's number.
    free_list: u64,
    /// The first page that was never used.
    end: u64,
    transaction: u64,
}

/// The meta page that counts. The page size is the machine's, and stands in the first one: the second one is at a place
/// that it tells.
fn newest(file: &[u8]) -> Option<Meta> {
    let sizes = [meta(file, 0).map(|meta| meta.page_size), Some(4096), Some(16384), Some(65536)];
    let (first, second) = (meta(file, 0), sizes.into_iter().flatten().find_map(|size| meta(file, size)));
    [first, second].into_iter().flatten().max_by_key(|meta| meta.transaction)
}

/// The meta page at an offset, if there is a sound one.
fn meta(file: &[u8], offset: usize) -> Option<Meta> {
    let page = file.get(offset..)?;
    let body = page.get(PAGE_HEADER..PAGE_HEADER + 64)?;
    let sound = u16_at(page, 8)? == META
        && u32_at(body, 0)? == MAGIC
        && u32_at(body, 4)? == VERSION
        && u64_at(body, 56)? == fnv1a(&body[..56]);
    let page_size = usize::try_from(u32_at(body, 8)?).ok().filter(|size| (512..=1 << 20).contains(size))?;
    sound.then_some(Meta {
        page_size,
        root: u64_at(body, 16)?,
        free_list: u64_at(body, 32)?,
        end: u64_at(body, 40)?,
        transaction: u64_at(body, 48)?,
    })
}

/// A pair of a tree, or a bucket in it.
#[derive(Debug, Clone, Copy)]
struct Entry<'a> {
    is_bucket: bool,
    key: &'a [u8],
    value: &'a [u8],
}

struct Reader<'a> {
    file: &'a [u8],
    page_size: usize,
    /// Pages that may still be read: no page of a sound file is read twice.
    budget: usize,
    /// The pages that were read, those included that go on behind their first.
    pages: HashSet<u64>,
}

impl<'a> Reader<'a> {
    fn new(file: &'a [u8], meta: &Meta) -> Self {
        let page_size = meta.page_size;
        Self { file, page_size, budget: file.len() / page_size, pages: HashSet::new() }
    }

    /// The entries of the tree whose root is this page, in order.
    fn tree(&mut self, root: u64, depth: usize) -> Option<Vec<Entry<'a>>> {
        let mut found = Vec::new();
        self.page(root, depth, &mut found)?;
        Some(found)
    }

    fn page(&mut self, id: u64, depth: usize, found: &mut Vec<Entry<'a>>) -> Option<()> {
        self.budget = self.budget.checked_sub(1)?;
        let page = self.take(id)?;
        self.entries(page, depth, found)
    }

    /// The bytes from a page on, which counts as read.
    fn take(&mut self, id: u64) -> Option<&'a [u8]> {
        let start = usize::try_from(id).ok()?.checked_mul(self.page_size)?;
        let page = self.file.get(start..)?;
        let behind = u64::from(u32_at(page, 12)?);
        let pages = u64::try_from(self.file.len() / self.page_size).ok()?;
        if id.checked_add(behind)? >= pages {
            return None;
        }
        self.pages.extend(id..=id + behind);
        Some(page)
    }

    /// Reads a page whose bytes begin here; they may go on for several page sizes.
    fn entries(&mut self, page: &'a [u8], depth: usize, found: &mut Vec<Entry<'a>>) -> Option<()> {
        if depth > MAX_DEPTH {
            return None;
        }
        let (kind, count) = (u16_at(page, 8)?, usize::from(u16_at(page, 10)?));
        for entry in (0..count).map(|n| PAGE_HEADER + n * ENTRY) {
            let entry = page.get(entry..)?;
            match kind {
                BRANCH => self.page(u64_at(entry, 8)?, depth + 1, found)?,
                LEAF => {
                    let [flags, at, key, value] =
                        [u32_at(entry, 0)?, u32_at(entry, 4)?, u32_at(entry, 8)?, u32_at(entry, 12)?];
                    let rest = entry.get(usize::try_from(at).ok()?..)?;
                    let (key, rest) = rest.split_at_checked(usize::try_from(key).ok()?)?;
                    let value = rest.get(..usize::try_from(value).ok()?)?;
                    found.push(Entry { is_bucket: flags & IS_BUCKET != 0, key, value });
                }
                _ => return None,
            }
        }
        Some(())
    }

    /// The entries of a bucket: the number of its root page and a counter; number 0 stands for a page that follows
    /// right here.
    fn bucket(&mut self, value: &'a [u8], depth: usize) -> Option<Vec<Entry<'a>>> {
        match u64_at(value, 0)? {
            0 => {
                let mut found = Vec::new();
                self.entries(value.get(BUCKET..)?, depth, &mut found)?;
                Some(found)
            }
            root => self.tree(root, depth),
        }
    }

    fn strings(&mut self, entries: &[Entry<'a>], depth: usize, found: &mut HashSet<&'a [u8]>) -> Option<()> {
        if depth > MAX_DEPTH {
            return None;
        }
        for entry in entries {
            found.insert(entry.key);
            if entry.is_bucket {
                let inner = self.bucket(entry.value, depth + 1)?;
                self.strings(&inner, depth + 1, found)?;
            } else {
                found.insert(entry.value);
            }
        }
        Some(())
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn fnv1a(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of two meta pages, a free list that is not looked at, and a leaf with one key and one small bucket.
    fn sample() -> Vec<u8> {
        const SIZE: usize = 4096;
        let mut file = vec![0u8; 4 * SIZE];
        for (page, transaction, root) in [(0usize, 7u64, 3u64), (1, 6, 2)] {
            let at = page * SIZE;
            file[at + 8..at + 10].copy_from_slice(&META.to_le_bytes());
            let mut body = Vec::new();
            body.extend(MAGIC.to_le_bytes());
            body.extend(VERSION.to_le_bytes());
            body.extend(4096u32.to_le_bytes());
            body.extend(0u32.to_le_bytes());
            for number in [root, 0, 2, 4, transaction] {
                body.extend(number.to_le_bytes());
            }
            body.extend(fnv1a(&body).to_le_bytes());
            file[at + PAGE_HEADER..at + PAGE_HEADER + 64].copy_from_slice(&body);
        }
        let inner = [vec![0; 16], leaf(&[(0, b"chainid", b"sha256:aa")])].concat();
        let leaf = leaf(&[(0, b"key", b"value"), (IS_BUCKET, b"bucket", &inner)]);
        file[3 * SIZE..3 * SIZE + leaf.len()].copy_from_slice(&leaf);
        file
    }

    fn leaf(entries: &[(u32, &[u8], &[u8])]) -> Vec<u8> {
        let mut page = vec![0; PAGE_HEADER];
        page[8..10].copy_from_slice(&LEAF.to_le_bytes());
        page[10..12].copy_from_slice(&(entries.len() as u16).to_le_bytes());
        let mut data = Vec::new();
        for (n, (flags, key, value)) in entries.iter().enumerate() {
            let at = (entries.len() - n) * ENTRY + data.len();
            for number in [*flags, at as u32, key.len() as u32, value.len() as u32] {
                page.extend(number.to_le_bytes());
            }
            data.extend([*key, *value].concat());
        }
        page.extend(data);
        page
    }

    #[test]
    fn keys_and_values_of_all_buckets_are_found() {
        let file = sample();
        let found = strings(&file).unwrap();
        for text in ["key", "value", "bucket", "chainid", "sha256:aa"] {
            assert!(found.contains(text.as_bytes()), "{text}");
        }
        assert_eq!(found.len(), 5);
    }

    #[test]
    fn a_damaged_file_is_none_and_never_a_panic() {
        let file = sample();
        assert!(strings(b"").is_none());
        assert!(strings(&file[..3 * 4096]).is_none());
        // The root of the newer meta page leads to itself.
        let mut ring = file.clone();
        ring[3 * 4096 + 8..3 * 4096 + 10].copy_from_slice(&BRANCH.to_le_bytes());
        ring[3 * 4096 + PAGE_HEADER + 8..3 * 4096 + PAGE_HEADER + 16].copy_from_slice(&3u64.to_le_bytes());
        assert!(strings(&ring).is_none());
        for at in (0..file.len()).step_by(7) {
            let mut bad = file.clone();
            bad[at] ^= 0xff;
            let _ = strings(&bad);
        }
    }

    #[test]
    fn the_older_meta_page_serves_when_the_newer_is_torn() {
        let mut file = sample();
        file[PAGE_HEADER + 48] ^= 1;
        // Its root is page 2, which is all zeros and therefore no tree page; zero entries are read from it.
        assert!(strings(&file).unwrap().is_empty());
    }
}
