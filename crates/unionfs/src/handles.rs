//! What the kernel has open, by number.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use rustix::io::Errno;

use crate::backing::Result;
use crate::node::lock;
use crate::table::Mix;

const SHARDS: usize = 16;

type Shard<T> = Mutex<HashMap<u64, Arc<T>, BuildHasherDefault<Mix>>>;

/// Open things. One lives on while a request uses it, though it is closed meanwhile: the kernel may release a file on
/// another thread while the last answer about it is still under way.
#[derive(Debug)]
pub struct Handles<T> {
    next: AtomicU64,
    open: Vec<Shard<T>>,
}

impl<T> Default for Handles<T> {
    fn default() -> Self {
        // 0 is what a kernel sends that never opened anything.
        Self { next: AtomicU64::new(1), open: (0..SHARDS).map(|_| Mutex::default()).collect() }
    }
}

impl<T> Handles<T> {
    /// Gives something a number.
    pub fn insert(&self, open: T) -> u64 {
        let handle = self.next.fetch_add(1, Ordering::Relaxed);
        lock(self.shard(handle)).insert(handle, Arc::new(open));
        handle
    }

    /// What has a number.
    ///
    /// # Errors
    /// `EBADF`: nothing has.
    pub fn get(&self, handle: u64) -> Result<Arc<T>> {
        lock(self.shard(handle)).get(&handle).cloned().ok_or(Errno::BADF)
    }

    /// Takes a number back.
    pub fn remove(&self, handle: u64) -> Option<Arc<T>> {
        lock(self.shard(handle)).remove(&handle)
    }

    fn shard(&self, handle: u64) -> &Shard<T> {
        &self.open[handle as usize % SHARDS]
    }
}
