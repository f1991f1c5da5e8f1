//! Open directories, and how their names are handed to the kernel.

use std::sync::{Arc, Mutex};

use fusewire::{Caller, DirBuffer, Handle, OpenFlags, Opened};

use crate::backing::Result;
use crate::handles::Handles;
use crate::node::{Node, lock};
use crate::readdir::{DT_DIR, Listing};

use super::Served;
use super::ahead::{Ahead, PIECE};

/// The directories that are open. Each has a listing of its own from when it was read first.
#[derive(Default)]
pub struct Directories {
    pub(super) open: Handles<Mutex<Reading>>,
}

/// How far somebody has read an open directory.
#[derive(Default)]
pub(super) struct Reading {
    pub(super) listing: Option<Arc<Listing>>,
    pub(super) ahead: Ahead,
}

impl Directories {
    /// Opens one. The kernel may keep its names until it changes it itself: nobody else does.
    pub fn open(&self, _: &Arc<Node>) -> Opened {
        let handle = Handle(self.open.insert(Mutex::default()));
        Opened { handle, flags: OpenFlags::CACHE_DIR | OpenFlags::KEEP_CACHE, backing: None }
    }
}

impl Served {
    /// Closes a directory.
    pub(super) fn close_directory(&self, handle: Handle) {
        if let Some(open) = self.directories.open.remove(handle.0) {
            lock(&open).ahead.close(&self.union);
        }
    }

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
        let mut reading = lock(&open);
        let Reading { listing: kept, ahead } = &mut *reading;
        let listing = match kept {
            Some(listing) if offset > 0 => Arc::clone(listing),
            // From the start: what has come and gone since shows (rule 38).
            _ => Arc::clone(kept.insert(Arc::new(self.union.list(node)?))),
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
        let mut left = if with_attributes { PIECE } else { usize::MAX };
        while let Some(name) = listing.get(next - 2) {
            let (after, kind) = (next as u64 + 1, u32::from(name.kind));
            if left == 0 || !out.fits(name.name.len(), plus) {
                break;
            }
            let found = match with_attributes {
                true => self.look_up_listed(node, &listing, next - 2, ahead),
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
            (next, left) = (next + 1, left - 1);
        }
        ahead.wanted = with_attributes.then_some(next - 2);
        Ok(())
    }
}

fn parent_ino(node: &Node) -> u64 {
    node.place().parent.as_ref().map_or(node.ino, |parent| parent.ino)
}
