//! The table of nodes: by the number that the kernel uses, and by what they are in the layers.
//!
//! A node lives while the kernel knows it or another node has it for a parent. The kernel counts what it was told
//! (union-fs.md §1.2, "Forget"); both maps of a node change under the lock of its key, so that a look-up and a
//! forgetting of the same inode cannot miss each other.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use rustix::io::Errno;

use crate::backing::Result;
use crate::node::{Key, Node, lock};

/// The number of the root.
pub const ROOT: u64 = 1;

/// How many locks share the work.
const SHARDS: usize = 64;

/// All nodes.
#[derive(Debug)]
pub struct Table {
    next: AtomicU64,
    nodes: Vec<Mutex<Map<u64, Arc<Node>>>>,
    keys: Vec<Mutex<Map<Key, u64>>>,
}

type Map<K, V> = HashMap<K, V, BuildHasherDefault<Mix>>;

impl Table {
    /// A table without nodes; the first that is made is the root.
    pub fn new() -> Self {
        Self {
            next: AtomicU64::new(ROOT),
            nodes: (0..SHARDS).map(|_| Mutex::default()).collect(),
            keys: (0..SHARDS).map(|_| Mutex::default()).collect(),
        }
    }

    /// The node of a number.
    ///
    /// # Errors
    /// `ESTALE`: the kernel forgot it.
    pub fn get(&self, id: u64) -> Result<Arc<Node>> {
        lock(self.nodes_of(id)).get(&id).cloned().ok_or(Errno::STALE)
    }

    /// The node of an inode, if it has one.
    pub fn find(&self, key: Key) -> Option<Arc<Node>> {
        let id = *self.keys_of(key).get(&key)?;
        self.get(id).ok()
    }

    /// The node of an inode of a file type, made if there is none, and told to the kernel `lookups` times. Whether it was
    /// there.
    pub fn find_or_make(
        &self,
        key: Key,
        kind: u32,
        lookups: u64,
        make: impl FnOnce(u64) -> Result<Node>,
    ) -> Result<(Arc<Node>, bool)> {
        let mut keys = self.keys_of(key);
        let known = keys.get(&key).and_then(|id| self.get(*id).ok());
        // A node of another type is that of an inode which went unseen: its number came back.
        if let Some(node) = known.filter(|node| node.kind() == kind) {
            node.lookups.fetch_add(lookups, Ordering::Relaxed);
            return Ok((node, true));
        }
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let node = Arc::new(make(id)?);
        node.lookups.fetch_add(lookups, Ordering::Relaxed);
        keys.insert(key, id);
        lock(self.nodes_of(id)).insert(id, Arc::clone(&node));
        Ok((node, false))
    }

    /// From now on this node is another inode (it was copied up). Nodes that stood for that one are found no more.
    pub fn rekey(&self, node: &Node, key: Key) {
        self.unkey(node);
        *node.key() = key;
        self.keys_of(key).insert(key, node.id);
    }

    /// From now on no look-up finds this node: its inode is gone, or shall get a new node. It lives on while the
    /// kernel knows it.
    pub fn unkey(&self, node: &Node) {
        let key = *node.key();
        let mut keys = self.keys_of(key);
        if keys.get(&key) == Some(&node.id) {
            keys.remove(&key);
        }
    }

    /// The kernel forgot a node so many times. It goes if that was all, and with it parents that only it kept.
    pub fn forget(&self, id: u64, lookups: u64) {
        let Ok(node) = self.get(id) else { return };
        node.lookups.fetch_sub(lookups, Ordering::AcqRel);
        self.reap(node);
    }

    fn reap(&self, mut node: Arc<Node>) {
        while node.id != ROOT {
            {
                let key = *node.key();
                let mut keys = self.keys_of(key);
                if node.lookups.load(Ordering::Acquire) != 0 || node.children.load(Ordering::Acquire) != 0 {
                    return;
                }
                if lock(self.nodes_of(node.id)).remove(&node.id).is_none() {
                    return;
                }
                if keys.get(&key) == Some(&node.id) {
                    keys.remove(&key);
                }
            }
            // Nobody can reach it but those who hold it already (an open file).
            let Some(parent) = node.place().parent.clone() else { return };
            parent.children.fetch_sub(1, Ordering::AcqRel);
            node = parent;
        }
    }

    /// How many nodes there are.
    pub fn len(&self) -> usize {
        self.nodes.iter().map(|shard| lock(shard).len()).sum()
    }

    /// Gives back the memory of maps that were large.
    pub fn shrink(&self) {
        for shard in &self.nodes {
            let mut shard = lock(shard);
            if shard.len() < shard.capacity() / 4 {
                shard.shrink_to_fit();
            }
        }
        for shard in &self.keys {
            let mut shard = lock(shard);
            if shard.len() < shard.capacity() / 4 {
                shard.shrink_to_fit();
            }
        }
    }

    fn nodes_of(&self, id: u64) -> &Mutex<Map<u64, Arc<Node>>> {
        // Inside the bounds, whatever the number.
        &self.nodes[id as usize % SHARDS]
    }

    fn keys_of(&self, (device, ino): Key) -> MutexGuard<'_, Map<Key, u64>> {
        lock(&self.keys[(device.wrapping_mul(31).wrapping_add(ino)) as usize % SHARDS])
    }
}

/// A hasher for numbers that the kernel or a file system gave out: spreads them, and is not meant to resist anybody.
#[derive(Debug, Default)]
pub struct Mix(u64);

impl Hasher for Mix {
    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 29)
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, n: u64) {
        self.0 = (self.0.rotate_left(23) ^ n).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::{Body, Dir, Place, Stack};

    fn make(table: &Table, key: Key, parent: Option<&Arc<Node>>) -> Arc<Node> {
        let place = Place {
            parent: parent.cloned(),
            name: "x".into(),
            layer: 0,
            held: None,
            data: None,
            gone: false,
            adrift: false,
            counted: false,
        };
        let body = Body::Dir(Dir::new(Stack::default()));
        table
            .find_or_make(key, crate::backing::DIR, 1, |id| Ok(Node::new(id, key.1, key, place, body)))
            .unwrap()
            .0
    }

    #[test]
    fn a_parent_lives_as_long_as_its_children() {
        let table = Table::new();
        let root = make(&table, (1, 1), None);
        let dir = make(&table, (1, 2), Some(&root));
        let child = make(&table, (1, 3), Some(&dir));
        let (dir_id, child_id) = (dir.id, child.id);
        drop((dir, child));
        table.forget(dir_id, 1);
        assert_eq!(table.len(), 3, "the child keeps it");
        table.forget(child_id, 1);
        assert_eq!(table.len(), 1, "both went");
        assert!(table.find((1, 2)).is_none() && table.get(child_id).is_err());
    }

    #[test]
    fn one_inode_has_one_node_until_it_is_unkeyed() {
        let table = Table::new();
        let root = make(&table, (1, 1), None);
        let a = make(&table, (1, 2), Some(&root));
        assert_eq!(make(&table, (1, 2), Some(&root)).id, a.id);
        table.forget(a.id, 1);
        assert!(table.get(a.id).is_ok(), "told twice, forgotten once");
        table.unkey(&a);
        let b = make(&table, (1, 2), Some(&root));
        assert_ne!(a.id, b.id);
        table.forget(a.id, 1);
        assert_eq!(table.find((1, 2)).unwrap().id, b.id, "the old node's end leaves the new one alone");
    }
}
