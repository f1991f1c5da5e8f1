//! Reading ahead: a listing with attributes goes to the kernel in pieces, and while it is busy with one, which takes
//! about as long as looking it up did, the next is looked up.
//!
//! What was looked up ahead may be handed out only as long as nothing changed: the kernel believes that attributes are
//! not older than its request for them. So whatever changes a file counts in [`Changes`] before it answers.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use fusewire::Handle;
use rustix::fs::Statx;

use crate::node::{Node, lock};
use crate::readdir::Listing;
use crate::union::Union;

use super::Served;
use super::listing::Reading;

/// Names in a piece: enough that the round trips do not count, few enough that the first piece is soon ready.
pub(super) const PIECE: usize = 32;

/// How often something was changed through this mount.
#[derive(Default)]
pub(super) struct Changes(AtomicU64);

impl Changes {
    /// Passes on the result of something that may have changed a file.
    pub(super) fn note<T>(&self, result: T) -> T {
        self.0.fetch_add(1, Ordering::Release);
        result
    }

    fn so_far(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

/// The names of a directory that were looked up before the kernel asked.
#[derive(Default)]
pub(super) struct Ahead {
    /// The position of the name that comes next, if it is worth looking up what follows.
    pub(super) wanted: Option<usize>,
    /// The position of the first of `found`.
    from: usize,
    /// The count of changes before the first look-up.
    changes: u64,
    found: VecDeque<Option<(Arc<Node>, Statx)>>,
    closed: bool,
}

impl Ahead {
    /// Takes the look-up of a name, if it was made.
    fn take(&mut self, position: usize) -> Option<Option<(Arc<Node>, Statx)>> {
        if self.from != position {
            return None;
        }
        let found = self.found.pop_front()?;
        self.from += 1;
        Some(found)
    }

    /// Forgets what was not asked for.
    fn discard(&mut self, union: &Union) {
        for (node, _) in self.found.drain(..).flatten() {
            union.forget(node.id, 1);
        }
    }

    /// The directory is closed: what a thread still looks up for it would be forgotten by nobody.
    pub(super) fn close(&mut self, union: &Union) {
        self.closed = true;
        self.discard(union);
    }
}

impl Served {
    /// Looks up a listed name, or takes the look-up that was made ahead. One that went meanwhile is handed over without
    /// attributes: `None`.
    pub(super) fn look_up_listed(
        &self,
        node: &Arc<Node>,
        listing: &Listing,
        position: usize,
        ahead: &mut Ahead,
    ) -> Option<(Arc<Node>, Statx)> {
        if ahead.changes != self.changes.so_far() || ahead.from != position {
            ahead.discard(&self.union);
        }
        match ahead.take(position) {
            // Somebody may write past the server.
            Some(Some(found)) if self.attr_ttl(&found.0).is_zero() => self.union.forget(found.0.id, 1),
            Some(found) => return found,
            None => {}
        }
        self.union.lookup_listed(node, listing.get(position)?, listing.version).ok().flatten()
    }

    /// Looks up the next piece of a directory.
    pub(super) fn read_ahead(&self, node: &Arc<Node>, handle: Handle) {
        let Ok(open) = self.directories.open.get(handle.0) else { return };
        let mut reading = lock(&open);
        let Reading { listing: Some(listing), ahead } = &mut *reading else { return };
        let Some(from) = ahead.wanted.take().filter(|_| !ahead.closed) else { return };
        ahead.discard(&self.union);
        (ahead.from, ahead.changes) = (from, self.changes.so_far());
        for name in (from..from + PIECE).map_while(|position| listing.get(position)) {
            let found = self.union.lookup_listed(node, name, listing.version);
            ahead.found.push_back(found.ok().flatten());
        }
    }
}
