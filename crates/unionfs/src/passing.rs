//! Which way the reads and writes of an open file go: through the kernel's cache of this mount and the server, or past
//! the server to the layer's file (passthrough). An inode can have one way at a time, and one file to go to (Linux
//! 6.18, union-fs.md §3.3).

/// The opens of one inode.
#[derive(Debug, Default)]
pub struct Passing {
    /// Opens through the cache.
    pub cached: u32,
    /// Opens past the server.
    pub passed: u32,
    /// Those of them that may write: then the kernel does not tell of every change of size and times.
    pub writers: u32,
    /// The file that is gone to.
    pub file: Option<PassedFile>,
    /// What the kernel has cached of the content may be old: it changed past the cache.
    pub stale_pages: bool,
}

/// A file that the kernel was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PassedFile {
    /// The number that the kernel gave it.
    pub id: u32,
    /// Whether it is in the upper layer.
    pub upper: bool,
}

/// The way of one open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Through the cache.
    Cached,
    /// Past the server.
    Passed,
    /// Neither: a lower file is read past the server, and is to be written. Whoever wants that has to look the name up
    /// again and will find a new node, for the copy.
    Anew,
}

impl Passing {
    /// The way of one more open, given that the content is in the upper layer or not, and whether passing would be
    /// wanted if nobody had it open.
    pub fn way(&self, upper: bool, wanted: bool) -> Way {
        match self.file {
            Some(file) if self.passed > 0 && file.upper == upper => Way::Passed,
            Some(_) if self.passed > 0 => Way::Anew,
            _ if self.cached > 0 || !wanted => Way::Cached,
            _ => Way::Passed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inode_has_one_way_at_a_time() {
        let mut passing = Passing::default();
        assert_eq!((passing.way(true, true), passing.way(true, false)), (Way::Passed, Way::Cached));
        passing.cached = 1;
        assert_eq!(passing.way(true, true), Way::Cached, "someone reads through the cache");
        passing = Passing { passed: 1, file: Some(PassedFile { id: 1, upper: false }), ..Passing::default() };
        assert_eq!(passing.way(false, false), Way::Passed, "a small file that is passed stays so");
        assert_eq!(passing.way(true, true), Way::Anew, "copied up under its readers");
    }
}
