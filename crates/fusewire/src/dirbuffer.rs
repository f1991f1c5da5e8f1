//! [`DirBuffer`]: the answer to a directory listing, built in place.

use zerocopy::{FromBytes, IntoBytes};

use crate::encode;
use crate::proto::replies::{Dirent, EntryOut};
use crate::types::{Entry, NodeId};

const ENTRY: usize = size_of::<EntryOut>();
const DIRENT: usize = size_of::<Dirent>();

/// The entries of one READDIR or READDIRPLUS answer. A plus listing carries an [`Entry`] in front of each name; the
/// buffer knows which of the two the kernel asked for.
#[derive(Debug)]
pub struct DirBuffer<'b> {
    bytes: &'b mut [u8],
    len: usize,
    plus: bool,
}

impl<'b> DirBuffer<'b> {
    /// An empty listing of at most `bytes`.
    pub(crate) fn new(bytes: &'b mut [u8], plus: bool) -> Self {
        Self { bytes, len: 0, plus }
    }

    /// Adds an entry without attributes: `kind` is a `DT_*`, `next_offset` where a listing continues behind it.
    /// Answers false if it does not fit, and adds nothing.
    pub fn add(&mut self, ino: u64, next_offset: u64, kind: u32, name: &[u8]) -> bool {
        self.push(None, ino, next_offset, kind, name)
    }

    /// Adds an entry with what a look-up of it would answer. `None`, and always in a listing that is not plus: nothing
    /// but the name; the kernel looks it up when a user wants it. Answers false if it does not fit, and then the
    /// look-up does not count.
    pub fn add_plus(
        &mut self,
        entry: Option<&Entry>,
        ino: u64,
        next_offset: u64,
        kind: u32,
        name: &[u8],
    ) -> bool {
        self.push(entry, ino, next_offset, kind, name)
    }

    /// Whether an entry whose name has `name_len` bytes would fit.
    pub fn fits(&self, name_len: usize, plus: bool) -> bool {
        self.len + record_len(name_len, plus) <= self.bytes.len()
    }

    fn push(&mut self, entry: Option<&Entry>, ino: u64, off: u64, kind: u32, name: &[u8]) -> bool {
        let Ok(namelen) = u32::try_from(name.len()) else { return false };
        if !self.fits(name.len(), self.plus) {
            return false;
        }
        if self.plus {
            let entry = entry.map_or_else(EntryOut::default, encode::entry);
            self.put(entry.as_bytes());
        }
        self.put(Dirent { ino, off, namelen, kind }.as_bytes());
        self.put(name);
        self.put(&[0; 8][..padding(name.len())]);
        true
    }

    fn put(&mut self, bytes: &[u8]) {
        self.bytes[self.len..self.len + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }

    /// How many bytes the listing has.
    pub(crate) fn len(&self) -> usize {
        self.len
    }
}

/// The nodes that a plus listing has looked up, to be forgotten if nobody received it.
pub(crate) fn nodes(mut listing: &[u8]) -> impl Iterator<Item = NodeId> {
    std::iter::from_fn(move || {
        let (entry, rest) = EntryOut::read_from_prefix(listing).ok()?;
        let (dirent, _) = Dirent::read_from_prefix(rest).ok()?;
        let next = record_len(usize::try_from(dirent.namelen).ok()?, true);
        listing = listing.get(next..)?;
        Some(NodeId(entry.nodeid))
    })
    .filter(|node| *node != NodeId::NONE)
}

fn record_len(name_len: usize, plus: bool) -> usize {
    let head = if plus { ENTRY + DIRENT } else { DIRENT };
    head + name_len + padding(name_len)
}

/// What is missing to a multiple of eight; the structures in front of a name are multiples themselves.
fn padding(len: usize) -> usize {
    len.next_multiple_of(8) - len
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::types::Attributes;

    #[test]
    fn an_entry_that_does_not_fit_is_not_added() {
        let mut bytes = [0xff; 72];
        let mut out = DirBuffer::new(&mut bytes, false);
        assert!(out.add(1, 1, 4, b"eightlet"));
        assert!(out.fits(16, false) && !out.fits(17, false));
        assert!(!out.add(2, 2, 8, b"seventeen letters"));
        assert!(out.add(2, 2, 8, b"sixteen letters!"));
        assert_eq!(out.len(), 72);
    }

    #[test]
    fn names_are_padded_with_zeros() {
        let mut bytes = [0xff; 40];
        assert!(DirBuffer::new(&mut bytes, false).add(1, 2, 8, b"abc"));
        assert_eq!(&bytes[24..40], b"abc\0\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff");
    }

    #[test]
    fn nodes_of_a_plus_listing_are_found_again() {
        let mut bytes = [0; 1024];
        let mut out = DirBuffer::new(&mut bytes, true);
        let ttl = Duration::ZERO;
        let entry =
            |n| Entry { node: NodeId(n), attributes: Attributes::default(), entry_ttl: ttl, attr_ttl: ttl };
        assert!(out.add_plus(Some(&entry(7)), 1, 1, 8, b"a"));
        assert!(out.add_plus(None, 2, 2, 8, b"longer name"));
        assert!(out.add_plus(Some(&entry(9)), 3, 3, 8, b"exactly8"));
        let len = out.len();
        assert_eq!(nodes(&bytes[..len]).map(|n| n.0).collect::<Vec<_>>(), [7, 9]);
    }
}
