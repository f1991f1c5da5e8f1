//! Open directories, and how their names are handed to the kernel.

use std::sync::{Arc, Mutex};

use fusewire::{Caller, DirBuffer, Handle, OpenFlags, Opened};

use crate::backing::Result;
use crate::handles::Handles;
use crate::node::{Node, lock};
use crate::readdir::{DT_DIR, Listing};

use super::Served;

/// The directories that are open. Each has a listing of its own from when it was read first.
#[derive(Default)]
pub struct Directories {
    open: Handles<Mutex<Option<Arc<Listing>>>>,
}

impl Directories {
    /// Opens one. The kernel may keep its names until it changes it itself: nobody else does.
    pub fn open(&self, _: &Arc<Node>) -> Opened {
        let handle = Handle(self.open.insert(Mutex::default()));
        Opened { handle, flags: OpenFlags::CACHE_DIR | OpenFlags::KEEP_CACHE, backing: None }
    }

    /// Closes one.
    pub fn release(&self, handle: Handle) {
        self.open.remove(handle.0);
    }
}

impl Served {
    /// Hands over names from a position on: 0 and 1 are `.` and `..`.
    pub(super) fn read_directory(
        &self,
        caller: &Caller,
        node: &Arc<Node>,
        handle: Handle,
        offset: u64,
        plus: bool,
        out: &mut DirBuffer<'_>,
    ) -> Result<()> {
        let dir = node.dir()?;
        let open = self.directories.open.get(handle.0)?;
        let listing = {
            let mut kept = lock(&open);
            match &*kept {
                Some(listing) if offset > 0 => Arc::clone(listing),
                // From the start: what has come and gone since shows (rule 38).
                _ => Arc::clone(kept.insert(Arc::new(self.union.list(node)?))),
            }
        };
        let with_attributes = plus && self.walkers.wants_attributes(caller.pid, dir);
        let mut next = usize::try_from(offset).unwrap_or(usize::MAX);
        for (position, name) in [&b"."[..], b".."].into_iter().enumerate().skip(next) {
            let ino = if position == 0 { node.ino } else { parent_ino(node) };
            if !out.add_plus(None, ino, position as u64 + 1, u32::from(DT_DIR), name) {
                return Ok(());
            }
            next = position + 1;
        }
        while let Some(name) = listing.get(next - 2) {
            let (after, kind) = (next as u64 + 1, u32::from(name.kind));
            if !out.fits(name.name.len(), plus) {
                break;
            }
            let found = match with_attributes {
                // One that went meanwhile is handed over without attributes.
                true => self.union.lookup_listed(node, name, listing.version).ok().flatten(),
                false => None,
            };
            match found {
                Some(found) => {
                    let entry = self.entry(&found)?;
                    if !out.add_plus(Some(&entry), entry.attributes.ino, after, kind, name.name) {
                        self.union.forget(entry.node.0, 1);
                        break;
                    }
                }
                None => {
                    let ino = self.union.listed_ino(node, name)?;
                    if !out.add_plus(None, ino, after, kind, name.name) {
                        break;
                    }
                }
            }
            next += 1;
        }
        Ok(())
    }
}

fn parent_ino(node: &Node) -> u64 {
    node.place().parent.as_ref().map_or(node.ino, |parent| parent.ino)
}
