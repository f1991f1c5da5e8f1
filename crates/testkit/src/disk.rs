//! A directory in memory: read from a disk, changed, and written to another place.

use std::collections::{BTreeMap, HashMap};
use std::ffi::{OsStr, OsString};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use sys::{AsFd, FileKind, OwnedFd, Time, dir, file, meta, xattr};

/// What an inode is called here. It stays the same whatever happens to the names.
pub type Id = usize;
/// A place for a name: a directory, and the name in it.
pub type Place = (Id, OsString);

/// The top of the directory.
pub const ROOT: Id = 0;

/// Files and directories with everything that a crash can be asked about: content, names, links, owners, modes, times,
/// attributes. A copy shares the content.
#[derive(Debug, Clone, Default)]
pub struct Disk {
    pub(crate) nodes: Vec<Node>,
}

/// One inode.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub what: What,
    pub mode: u32,
    pub owner: Option<(u32, u32)>,
    pub times: Option<(Time, Time)>,
    pub xattrs: BTreeMap<OsString, Box<[u8]>>,
}

#[derive(Debug, Clone)]
pub(crate) enum What {
    File(Arc<Vec<u8>>),
    Dir(BTreeMap<OsString, Id>),
    Symlink(OsString),
    Special { kind: FileKind, major: u32, minor: u32 },
}

impl Node {
    pub fn new(what: What, mode: u32) -> Self {
        Self { what, mode, owner: None, times: None, xattrs: BTreeMap::new() }
    }
}

impl Disk {
    /// Reads the directory at `root`. Answers also with the number of each inode in it.
    pub fn read(root: &Path) -> (Self, HashMap<u64, Id>) {
        let (mut disk, mut inodes) = (Self::default(), HashMap::new());
        let fd = dir::open_path(root).unwrap();
        let top = disk.add(Node::new(What::Dir(BTreeMap::new()), 0));
        disk.read_attributes(top, &meta::of_fd(&fd).unwrap());
        disk.read_dir(&fd, top, &mut inodes);
        (disk, inodes)
    }

    fn read_dir(&mut self, fd: &OwnedFd, here: Id, inodes: &mut HashMap<u64, Id>) {
        for entry in dir::list_sorted(fd).unwrap() {
            let name = &entry.name;
            let meta = meta::of(fd, name).unwrap();
            if let Some(known) = inodes.get(&meta.ino).copied() {
                self.name((here, name.clone()), Some(known));
                continue;
            }
            let what = match meta.kind {
                FileKind::File => {
                    let mut content = vec![0; usize::try_from(meta.size).unwrap()];
                    file::read_at(dir::open_file(fd, name).unwrap(), &mut content, 0).unwrap();
                    What::File(Arc::new(content))
                }
                FileKind::Dir => What::Dir(BTreeMap::new()),
                FileKind::Symlink => What::Symlink(dir::read_link(fd, name).unwrap()),
                kind => What::Special { kind, major: meta.rdev.0, minor: meta.rdev.1 },
            };
            let id = self.add(Node::new(what, 0));
            self.read_attributes(id, &meta);
            for key in xattr::list(fd, name).unwrap() {
                let value = xattr::get(fd, name, &key).unwrap().unwrap_or_default();
                self.nodes[id].xattrs.insert(key, value.into());
            }
            inodes.insert(meta.ino, id);
            self.name((here, name.clone()), Some(id));
            if meta.kind == FileKind::Dir {
                self.read_dir(&dir::open(fd, name).unwrap(), id, inodes);
            }
        }
    }

    fn read_attributes(&mut self, id: Id, meta: &sys::Meta) {
        let node = &mut self.nodes[id];
        (node.mode, node.owner, node.times) =
            (meta.mode, Some((meta.uid, meta.gid)), Some((meta.atime, meta.mtime)));
    }

    /// Adds an inode without a name.
    pub(crate) fn add(&mut self, node: Node) -> Id {
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    /// Lets a name lead to an inode, or to nothing.
    pub(crate) fn name(&mut self, (dir, name): Place, to: Option<Id>) {
        let What::Dir(names) = &mut self.nodes[dir].what else { panic!("{name:?} in what is no directory") };
        match to {
            Some(id) => drop(names.insert(name, id)),
            None => drop(names.remove(&name)),
        }
    }

    pub(crate) fn content(&mut self, id: Id) -> &mut Vec<u8> {
        match &mut self.nodes[id].what {
            What::File(content) => Arc::make_mut(content),
            other => panic!("content of {other:?}"),
        }
    }

    /// The inode at a path below the top; links are not followed.
    pub fn find(&self, path: &Path) -> Option<Id> {
        let mut at = ROOT;
        for component in path.components() {
            let Component::Normal(name) = component else { return None };
            let What::Dir(names) = &self.nodes[at].what else { return None };
            at = *names.get(name)?;
        }
        Some(at)
    }

    /// The place of a path, whose directory must be there.
    pub fn place(&self, path: &Path) -> Option<Place> {
        Some((self.find(path.parent()?)?, path.file_name()?.to_owned()))
    }

    /// A number that two of these share if nobody can tell them apart by names, contents and modes.
    pub fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.hash_node(ROOT, &mut hasher);
        hasher.finish()
    }

    fn hash_node(&self, id: Id, hasher: &mut DefaultHasher) {
        let node = &self.nodes[id];
        (node.mode, &node.owner, &node.xattrs).hash(hasher);
        match &node.what {
            What::File(content) => content.hash(hasher),
            What::Dir(names) => {
                for (name, child) in names {
                    name.hash(hasher);
                    self.hash_node(*child, hasher);
                }
                "end".hash(hasher);
            }
            What::Symlink(target) => target.hash(hasher),
            What::Special { kind, major, minor } => (kind, major, minor).hash(hasher),
        }
    }

    /// Writes it all into the empty directory `to`. Inodes without a name are lost.
    pub fn write_to(&self, to: &Path) {
        let mut writer = Writer { disk: self, root: to, links: HashMap::new() };
        let fd = dir::open_path(to).unwrap();
        writer.dir(ROOT, &fd, Path::new(""));
        meta::chmod_fd(&fd, self.nodes[ROOT].mode).unwrap();
    }
}

struct Writer<'a> {
    disk: &'a Disk,
    root: &'a Path,
    /// Where the first name of an inode is.
    links: HashMap<Id, PathBuf>,
}

impl Writer<'_> {
    fn dir(&mut self, id: Id, fd: &OwnedFd, path: &Path) {
        let What::Dir(names) = &self.disk.nodes[id].what else { panic!("no directory") };
        for (name, child) in names {
            let path = path.join(name);
            match self.links.get(child) {
                Some(first) => std::fs::hard_link(self.root.join(first), self.root.join(&path)).unwrap(),
                None => self.make(*child, fd, name, &path),
            }
        }
    }

    fn make(&mut self, id: Id, parent: &OwnedFd, name: &OsStr, path: &Path) {
        let node = &self.disk.nodes[id];
        match &node.what {
            What::File(content) => {
                let fd = dir::create_file(parent, name, 0o600).unwrap();
                file::write_all(&fd, content).unwrap();
                attributes(node, &fd);
            }
            What::Dir(_) => {
                dir::mkdir(parent, name, 0o700).unwrap();
                let fd = dir::open(parent, name).unwrap();
                self.dir(id, &fd, path);
                attributes(node, &fd);
            }
            What::Symlink(target) => dir::symlink(parent, name, target).unwrap(),
            What::Special { kind, major, minor } => {
                dir::mknod(parent, name, *kind, 0o600, *major, *minor).unwrap();
                meta::chmod(parent, name, node.mode).unwrap();
            }
        }
        if matches!(node.what, What::Symlink(_) | What::Special { .. }) {
            special_attributes(node, parent, name);
        }
        self.links.insert(id, path.to_owned());
    }
}

/// Of a file or directory. The owner comes first: a change of owner takes setuid and capabilities away.
fn attributes(node: &Node, fd: impl AsFd) {
    if let Some((uid, gid)) = node.owner {
        meta::chown_fd(&fd, uid, gid).unwrap();
    }
    for (key, value) in &node.xattrs {
        xattr::set_fd(&fd, key, value).unwrap();
    }
    meta::chmod_fd(&fd, node.mode).unwrap();
    if let Some((atime, mtime)) = node.times {
        meta::set_times_fd(&fd, atime, mtime).unwrap();
    }
}

fn special_attributes(node: &Node, parent: &OwnedFd, name: &OsStr) {
    if let Some((uid, gid)) = node.owner {
        meta::chown(parent, name, uid, gid).unwrap();
    }
    for (key, value) in &node.xattrs {
        xattr::set(parent, name, key, value).unwrap();
    }
    if let Some((atime, mtime)) = node.times {
        meta::set_times(parent, name, atime, mtime).unwrap();
    }
}

/// A path as the log has it, below `root`; `None` for one elsewhere, or of a file that has lost its name.
pub(crate) fn below<'a>(path: &'a Path, root: &Path) -> Option<&'a Path> {
    let path = path.strip_prefix(root).ok()?;
    (!path.as_os_str().as_bytes().ends_with(b" (deleted)")).then_some(path)
}
