//! Who looks at what he lists? A listing with attributes (READDIRPLUS) saves a look-up for every entry to those who stat
//! them, and costs a stat of every entry for nothing to those who only read names (union-fs.md §3.2: a factor of three to
//! ten either way). So a thread gets names only, until it is seen looking up a file that it was listed; from then on it
//! gets attributes too.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::node::Dir;

/// Threads are remembered in as many places; one that shares its place with another may be forgotten.
const PLACES: usize = 64;

/// The threads that look at what they list.
pub struct Walkers {
    looking: [AtomicU32; PLACES],
}

impl Default for Walkers {
    fn default() -> Self {
        Self { looking: [const { AtomicU32::new(0) }; PLACES] }
    }
}

impl Walkers {
    /// Whether a thread wants attributes with the names of a directory; if not, it is remembered that it has read
    /// them without.
    pub fn wants_attributes(&self, thread: u32, dir: &Dir) -> bool {
        let wants = self.place(thread).load(Ordering::Relaxed) == thread;
        if !wants {
            dir.listed_by.store(thread, Ordering::Relaxed);
        }
        wants
    }

    /// A thread looked up something that is no directory.
    pub fn looked_up(&self, thread: u32, dir: &Dir) {
        if dir.listed_by.load(Ordering::Relaxed) == thread {
            self.place(thread).store(thread, Ordering::Relaxed);
        }
    }

    fn place(&self, thread: u32) -> &AtomicU32 {
        &self.looking[thread as usize % PLACES]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::Stack;

    #[test]
    fn a_thread_that_stats_what_it_lists_gets_attributes() {
        let (walkers, dir) = (Walkers::default(), Dir::new(Stack::default()));
        assert!(!walkers.wants_attributes(7, &dir));
        walkers.looked_up(8, &dir);
        assert!(!walkers.wants_attributes(8, &Dir::new(Stack::default())), "it listed nothing");
        walkers.looked_up(7, &dir);
        assert!(walkers.wants_attributes(7, &Dir::new(Stack::default())));
    }
}
