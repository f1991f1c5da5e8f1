//! Writes a bolt file, as bolt itself does: new pages go where nobody looks, and only when they are durable does a meta
//! page lead to them. So a power cut leaves the old tree or the new one.

use std::collections::HashSet;

use sys::OwnedFd;

use super::{
    BRANCH, BUCKET, ENTRY, Entry, FREE_LIST, IS_BUCKET, LEAF, MAGIC, META, Meta, PAGE_HEADER, Pairs, Reader,
    VERSION, fnv1a, newest, u64_at,
};
use crate::error::Result;

/// The page size of new files, which is that of most machines.
const PAGE_SIZE: usize = 4096;

/// A file without any bucket.
pub(crate) fn empty() -> Vec<u8> {
    let meta = Meta { page_size: PAGE_SIZE, root: 3, free_list: 2, end: 4, transaction: 0 };
    let next = Meta { transaction: 1, ..meta };
    let pages =
        [meta_page(0, &meta, 0), meta_page(1, &next, 0), page(2, FREE_LIST, 0, &[]), page(3, LEAF, 0, &[])];
    pages.into_iter().flat_map(|page| padded(page, PAGE_SIZE)).collect()
}

/// Replaces what is in the bucket `name` at the top by `pairs`; everything else in the file stays. Durable when this
/// returns. `file` is its content, and nobody else changes it meanwhile. `Ok(None)` if it is no sound bolt file.
///
/// # Errors
/// System calls; the file is as it was then.
pub(crate) fn replace_bucket(fd: &OwnedFd, file: &[u8], name: &[u8], pairs: &Pairs) -> Result<Option<()>> {
    let Some(change) = plan(file, name, pairs) else { return Ok(None) };
    for (offset, bytes) in &change.pages {
        sys::file::write_at(fd, bytes, *offset)?;
    }
    sys::file::sync(fd)?;
    sys::file::write_at(fd, &change.meta.1, change.meta.0)?;
    sys::file::sync(fd)?;
    Ok(Some(()))
}

/// Bytes, and where in the file they go.
type Piece = (u64, Vec<u8>);

struct Change {
    pages: Vec<Piece>,
    meta: Piece,
}

fn plan(file: &[u8], name: &[u8], pairs: &Pairs) -> Option<Change> {
    let old = newest(file)?;
    let mut reader = Reader::new(file, &old);
    let top = reader.tree(old.root, 0)?;
    let (sequence, others) = survey(&mut reader, &top, name)?;
    // What the present tree uses stays until the new one counts.
    if old.free_list < old.end {
        reader.take(old.free_list)?;
    }
    let mut room = Room::new(&old, &reader.pages);

    let entries: Vec<Entry<'_>> =
        pairs.iter().map(|(key, value)| Entry { is_bucket: false, key, value }).collect();
    let root = tree(&mut room, &entries)?;
    let header: Vec<u8> = [root.to_le_bytes(), sequence.to_le_bytes()].concat();
    let mut top: Vec<Entry<'_>> = top.into_iter().filter(|entry| entry.key != name).collect();
    let at = top.partition_point(|entry| entry.key < name);
    top.insert(at, Entry { is_bucket: true, key: name, value: &header });
    let root = tree(&mut room, &top)?;

    let new_pages = room.used.clone();
    let (free_list, bytes) = free_list(&mut room, |id| !others.contains(&id) && !new_pages.contains(&id))?;
    room.pages.push((free_list, bytes));
    let new = Meta { root, free_list, end: room.end, transaction: old.transaction + 1, ..old };
    let slot = new.transaction % 2;
    let size = old.page_size as u64;
    Some(Change {
        pages: room.pages.into_iter().map(|(id, bytes)| (id * size, bytes)).collect(),
        meta: (slot * size, meta_page(slot, &new, top_sequence(file, &old)?)),
    })
}

/// The counter of the bucket that is replaced, and the pages of all other buckets.
fn survey<'a>(reader: &mut Reader<'a>, top: &[Entry<'a>], name: &[u8]) -> Option<(u64, HashSet<u64>)> {
    let (mut sequence, mut others) = (0, HashSet::new());
    for entry in top.iter().filter(|entry| entry.is_bucket) {
        let before = reader.pages.clone();
        let inner = reader.bucket(entry.value, 1)?;
        reader.strings(&inner, 1, &mut HashSet::new())?;
        if entry.key == name {
            sequence = u64_at(entry.value, 8)?;
        } else {
            others.extend(reader.pages.difference(&before));
        }
    }
    Some((sequence, others))
}

/// The counter of the tree itself, which stands in the meta page.
fn top_sequence(file: &[u8], meta: &Meta) -> Option<u64> {
    let slot = usize::try_from(meta.transaction % 2).ok()?;
    u64_at(file, slot * meta.page_size + PAGE_HEADER + 24)
}

/// Pages that may be written to.
struct Room {
    page_size: usize,
    free: Vec<u64>,
    end: u64,
    /// Pages that were given away.
    used: HashSet<u64>,
    pages: Vec<(u64, Vec<u8>)>,
}

impl Room {
    fn new(meta: &Meta, used: &HashSet<u64>) -> Self {
        // The lowest one is the last, and taken first.
        let free = (2..meta.end).rev().filter(|id| !used.contains(id)).collect();
        Self { page_size: meta.page_size, free, end: meta.end, used: HashSet::new(), pages: Vec::new() }
    }

    /// Gives so many pages in a row, several of them at the end of the file.
    fn take(&mut self, count: u64) -> u64 {
        let id = match if count == 1 { self.free.pop() } else { None } {
            Some(id) => id,
            None => {
                self.end += count;
                self.end - count
            }
        };
        self.used.extend(id..id + count);
        id
    }

    /// Puts a page of these entries somewhere; returns its number.
    fn put(&mut self, kind: u16, count: usize, body: &[u8]) -> Option<u64> {
        let pages = (PAGE_HEADER + body.len()).div_ceil(self.page_size);
        let id = self.take(pages as u64);
        let bytes = page_of(id, kind, u16::try_from(count).ok()?, u32::try_from(pages - 1).ok()?, body);
        self.pages.push((id, padded(bytes, pages * self.page_size)));
        Some(id)
    }
}

/// Writes a tree of these entries, which are sorted by key; returns its root page.
fn tree(room: &mut Room, entries: &[Entry<'_>]) -> Option<u64> {
    let leaf = |entry: &Entry<'_>| ENTRY + entry.key.len() + entry.value.len();
    let mut level: Vec<(&[u8], u64)> = Vec::new();
    for entries in chunks(room.page_size, entries, leaf) {
        let pairs: Vec<([u8; 4], [&[u8]; 2])> = entries
            .iter()
            .map(|entry| {
                ((if entry.is_bucket { IS_BUCKET } else { 0 }).to_le_bytes(), [entry.key, entry.value])
            })
            .collect();
        let id = room.put(LEAF, entries.len(), &leaf_body(&pairs)?)?;
        level.push((entries.first().map_or(&[][..], |entry| entry.key), id));
    }
    while level.len() > 1 {
        let branch = |child: &(&[u8], u64)| ENTRY + child.0.len();
        let mut above = Vec::new();
        for children in chunks(room.page_size, &level, branch) {
            let id = room.put(BRANCH, children.len(), &branch_body(children)?)?;
            above.push((children.first()?.0, id));
        }
        level = above;
    }
    level.first().map(|(_, id)| *id)
}

/// Splits `items` so that each part fits a page, but has at least two items; no items are one part without any.
fn chunks<T>(page_size: usize, items: &[T], size: impl Fn(&T) -> usize) -> Vec<&[T]> {
    let (mut parts, mut start, mut filled) = (Vec::new(), 0, PAGE_HEADER);
    for (n, item) in items.iter().enumerate() {
        if filled + size(item) > page_size && n - start >= 2 {
            parts.push(&items[start..n]);
            (start, filled) = (n, PAGE_HEADER);
        }
        filled += size(item);
    }
    parts.push(&items[start..]);
    parts
}

/// The entries of a leaf page: all fixed parts, then all keys and values. Positions count from the entry itself.
fn leaf_body(entries: &[([u8; 4], [&[u8]; 2])]) -> Option<Vec<u8>> {
    let (mut fixed, mut data) = (Vec::new(), Vec::new());
    for (n, (flags, [key, value])) in entries.iter().enumerate() {
        let at = (entries.len() - n) * ENTRY + data.len();
        fixed.extend(flags);
        for number in [at, key.len(), value.len()] {
            fixed.extend(u32::try_from(number).ok()?.to_le_bytes());
        }
        data.extend_from_slice(key);
        data.extend_from_slice(value);
    }
    fixed.extend(data);
    Some(fixed)
}

fn branch_body(children: &[(&[u8], u64)]) -> Option<Vec<u8>> {
    let (mut fixed, mut data) = (Vec::new(), Vec::new());
    for (n, (key, id)) in children.iter().enumerate() {
        let at = (children.len() - n) * ENTRY + data.len();
        for number in [at, key.len()] {
            fixed.extend(u32::try_from(number).ok()?.to_le_bytes());
        }
        fixed.extend(id.to_le_bytes());
        data.extend_from_slice(key);
    }
    fixed.extend(data);
    Some(fixed)
}

/// The list of the pages that nobody uses once the new tree counts. A count that does not fit its field stands in front.
fn free_list(room: &mut Room, is_free: impl Fn(u64) -> bool) -> Option<(u64, Vec<u8>)> {
    const MANY: usize = 0xffff;
    // At most so many, and one more for the count.
    let most = usize::try_from(room.end).ok()? + 1;
    let pages = (PAGE_HEADER + 8 * most).div_ceil(room.page_size);
    let id = room.take(pages as u64);
    let own = id..id + pages as u64;
    let mut free: Vec<u64> = (2..room.end).filter(|page| is_free(*page) && !own.contains(page)).collect();
    let count = free.len();
    if count >= MANY {
        free.insert(0, count as u64);
    }
    let body: Vec<u8> = free.iter().flat_map(|id| id.to_le_bytes()).collect();
    let count = u16::try_from(count.min(MANY)).ok()?;
    let bytes = page_of(id, FREE_LIST, count, u32::try_from(pages - 1).ok()?, &body);
    Some((id, padded(bytes, pages * room.page_size)))
}

fn page(id: u64, kind: u16, count: u16, body: &[u8]) -> Vec<u8> {
    page_of(id, kind, count, 0, body)
}

/// A page; `behind` are the pages that it goes on in.
fn page_of(id: u64, kind: u16, count: u16, behind: u32, body: &[u8]) -> Vec<u8> {
    let mut page = Vec::with_capacity(PAGE_HEADER + body.len());
    page.extend(id.to_le_bytes());
    page.extend(kind.to_le_bytes());
    page.extend(count.to_le_bytes());
    page.extend(behind.to_le_bytes());
    page.extend(body);
    page
}

fn meta_page(id: u64, meta: &Meta, sequence: u64) -> Vec<u8> {
    let mut body = Vec::new();
    // The fourth number is for flags, of which there are none.
    for number in [MAGIC, VERSION, meta.page_size as u32, 0] {
        body.extend(number.to_le_bytes());
    }
    for number in [meta.root, sequence, meta.free_list, meta.end, meta.transaction] {
        body.extend(number.to_le_bytes());
    }
    body.extend(fnv1a(&body).to_le_bytes());
    page(id, META, 0, &body)
}

fn padded(mut bytes: Vec<u8>, len: usize) -> Vec<u8> {
    bytes.resize(len.max(bytes.len()), 0);
    bytes
}

const _: () = assert!(BUCKET == 2 * size_of::<u64>());

#[cfg(test)]
mod tests {
    use super::super::{bucket, strings};
    use super::*;

    /// The file after the change, or after as much of it as comes before the meta page.
    fn apply(file: &[u8], name: &[u8], pairs: &Pairs, whole: bool) -> Vec<u8> {
        let change = plan(file, name, pairs).unwrap();
        let mut file = file.to_vec();
        let meta = whole.then_some(change.meta);
        for (offset, bytes) in change.pages.into_iter().chain(meta) {
            let at = usize::try_from(offset).unwrap();
            file.resize(file.len().max(at + bytes.len()), 0);
            file[at..at + bytes.len()].copy_from_slice(&bytes);
        }
        file
    }

    fn pairs(count: usize, len: usize) -> Pairs {
        (0..count).map(|n| (format!("key-{n:05}").into_bytes(), vec![b'v'; len + n % 7])).collect()
    }

    #[test]
    fn what_was_written_is_read() {
        let mut file = empty();
        assert_eq!(bucket(&file, b"volumes").unwrap(), Pairs::new());
        for (count, len) in [(1, 3), (0, 0), (40, 100), (3000, 200), (2, 100_000), (5, 0)] {
            let wanted = pairs(count, len);
            file = apply(&file, b"volumes", &wanted, true);
            assert_eq!(bucket(&file, b"volumes").unwrap(), wanted, "{count} pairs of {len}");
            assert!(strings(&file).is_some());
        }
    }

    #[test]
    fn other_buckets_stay() {
        let (first, second) = (pairs(300, 50), pairs(500, 20));
        let mut file = apply(&empty(), b"other", &first, true);
        for _ in 0..5 {
            file = apply(&file, b"volumes", &second, true);
        }
        file = apply(&file, b"another", &pairs(1, 1), true);
        assert_eq!(bucket(&file, b"other").unwrap(), first);
        assert_eq!(bucket(&file, b"volumes").unwrap(), second);
    }

    #[test]
    fn without_the_meta_page_nothing_has_changed() {
        let mut file = empty();
        for count in [10, 2000, 3, 900] {
            let before = bucket(&file, b"volumes").unwrap();
            let torn = apply(&file, b"volumes", &pairs(count, 30), false);
            assert_eq!(bucket(&torn, b"volumes").unwrap(), before);
            file = apply(&torn, b"volumes", &pairs(count, 30), true);
            assert_eq!(bucket(&file, b"volumes").unwrap(), pairs(count, 30));
        }
    }

    #[test]
    fn pages_are_used_again() {
        let mut file = empty();
        for _ in 0..100 {
            file = apply(&file, b"volumes", &pairs(100, 50), true);
        }
        let one = apply(&empty(), b"volumes", &pairs(100, 50), true);
        assert!(file.len() <= 3 * one.len(), "{} bytes for {}", file.len(), one.len());
    }

    #[test]
    fn what_is_no_bolt_file_stays_as_it_is() {
        assert!(plan(b"not a database", b"volumes", &Pairs::new()).is_none());
        assert!(plan(&[], b"volumes", &Pairs::new()).is_none());
    }
}
