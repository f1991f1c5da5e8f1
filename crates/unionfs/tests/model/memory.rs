//! The model: a tree in memory. It reads the layers once, from the lowest up, and is an ordinary file system from then
//! on; all it keeps of the layers is which directories came from them.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use rustix::io::Errno;

use crate::listing::{self, Entry, Tree, digest};
use crate::operations::{Act, At, How, Op, Outcome, Set};

type Id = usize;
type Result<T> = std::result::Result<T, Errno>;

#[derive(Debug, Clone)]
enum What {
    Dir {
        names: BTreeMap<String, Id>,
        /// Whether a layer below the upper has it.
        below: bool,
    },
    File(Vec<u8>),
    Link(String),
    Fifo,
}

#[derive(Debug, Clone)]
struct Inode {
    what: What,
    mode: u32,
    uid: u32,
    gid: u32,
    links: u64,
    /// It has several names in a layer.
    shared: bool,
    /// Such a one lost a name. Ours does not copy it to the upper layer for that, so the count may be the layer's still;
    /// as it is in the kernel's overlay without `index=on`.
    vague: bool,
    xattrs: BTreeMap<String, Vec<u8>>,
    mtime: Option<(i64, i64)>,
}

/// A tree in memory, and the files of it that are held open.
#[derive(Debug, Clone)]
pub struct Memory {
    /// The first is the root. None ever goes.
    inodes: Vec<Inode>,
    held: [Option<(Id, bool)>; 2],
    redirect: bool,
    /// Whether a layer has a file with several names.
    pub links_below: bool,
}

impl Memory {
    /// An empty tree; whether directories of layers can be renamed.
    pub fn new(redirect: bool) -> Self {
        let root = Inode {
            what: What::Dir { names: BTreeMap::new(), below: true },
            mode: 0o755,
            uid: 0,
            gid: 0,
            links: 2,
            shared: false,
            vague: false,
            xattrs: BTreeMap::new(),
            mtime: None,
        };
        Self { inodes: vec![root], held: [None, None], redirect, links_below: false }
    }

    /// Puts a layer on top.
    pub fn add_layer(&mut self, layer: &Path) {
        self.merge(0, layer, &mut HashMap::new());
    }

    fn merge(&mut self, dir: Id, path: &Path, known: &mut HashMap<u64, Id>) {
        for entry in fs::read_dir(path).unwrap() {
            let entry = entry.unwrap();
            let (name, path) = (entry.file_name().into_string().unwrap(), entry.path());
            let meta = fs::symlink_metadata(&path).unwrap();
            if meta.file_type().is_char_device() {
                self.names(dir).remove(&name);
                continue;
            }
            let mut xattrs = listing::xattrs(&path);
            let opaque = xattrs.remove("trusted.overlay.opaque").is_some();
            let below = self.child(dir, &name).filter(|id| self.is_dir(*id) && meta.is_dir() && !opaque);
            let what = match meta.file_type() {
                kind if kind.is_dir() => {
                    let names = below.map(|id| self.names(id).clone()).unwrap_or_default();
                    What::Dir { names, below: true }
                }
                kind if kind.is_file() => What::File(fs::read(&path).unwrap()),
                kind if kind.is_symlink() => What::Link(fs::read_link(&path).unwrap().display().to_string()),
                _ => What::Fifo,
            };
            let id = match known.get(&meta.ino()) {
                Some(id) => *id,
                None => {
                    let (mode, uid, gid) = (meta.mode() & 0o7777, meta.uid(), meta.gid());
                    let mtime = Some((meta.mtime(), meta.mtime_nsec()));
                    let (links, shared) = (meta.nlink(), meta.nlink() > 1 && !meta.is_dir());
                    let vague = false;
                    self.inodes.push(Inode { what, mode, uid, gid, links, shared, vague, xattrs, mtime });
                    self.inodes.len() - 1
                }
            };
            if meta.is_dir() {
                self.merge(id, &path, known);
            } else {
                self.links_below |= meta.nlink() > 1;
                known.insert(meta.ino(), id);
            }
            self.names(dir).insert(name, id);
        }
    }

    /// Whether a path is there.
    pub fn has(&self, at: &At) -> bool {
        self.find(at).is_ok()
    }

    /// What it shows.
    pub fn tree(&self) -> Tree {
        let mut all = Tree::new();
        self.list_into(0, "", &mut all);
        all
    }

    fn list_into(&self, dir: Id, path: &str, all: &mut Tree) {
        let What::Dir { names, .. } = &self.inodes[dir].what else { return };
        for (name, id) in names {
            let (path, inode) = (format!("{path}/{name}"), &self.inodes[*id]);
            let content = match &inode.what {
                What::File(content) => digest(content),
                What::Link(target) => target.clone(),
                What::Dir { .. } | What::Fifo => String::new(),
            };
            let shows =
                listing::shows(inode.kind(), inode.mode, inode.uid, inode.gid, &content, &inode.xattrs);
            let links = (!self.is_dir(*id) && !inode.vague).then_some(inode.links);
            all.insert(path.clone(), Entry { shows, links, mtime: inode.mtime, ino: None });
            self.list_into(*id, &path, all);
        }
    }

    /// Does it.
    pub fn run(&mut self, op: &Op) -> Outcome {
        match op {
            Op::Create(at, mode) => {
                self.make(at, What::File(Vec::new()), *mode)?;
            }
            Op::Overwrite(at, text) => {
                let id = match self.find(at) {
                    Err(Errno::NOENT) => self.make(at, What::File(Vec::new()), 0o640)?,
                    found => found?,
                };
                *self.content(id)? = text.as_bytes().to_vec();
            }
            Op::Write(at, to, text) => {
                let id = self.find(at)?;
                write(self.content(id)?, *to, text);
            }
            Op::Append(at, text) => {
                let id = self.find(at)?;
                self.content(id)?.extend(text.as_bytes());
            }
            Op::Truncate(at, len) => {
                let id = self.find(at)?;
                self.content(id)?.resize(usize::try_from(*len).unwrap(), 0);
            }
            Op::Mkdir(at, mode) => {
                // mkdir(2) takes no set-group-ID bit.
                self.make(at, What::Dir { names: BTreeMap::new(), below: false }, mode & 0o1777)?;
            }
            Op::Symlink(at, to) => {
                self.make(at, What::Link((*to).to_owned()), 0o777)?;
            }
            Op::Fifo(at, mode) => {
                self.make(at, What::Fifo, *mode)?;
            }
            Op::Rmdir(at) => {
                let (dir, id) = (self.parent(at)?, self.find(at)?);
                let What::Dir { names, .. } = &self.inodes[id].what else { return Err(Errno::NOTDIR) };
                if !names.is_empty() {
                    return Err(Errno::NOTEMPTY);
                }
                self.remove(dir, at.split().1);
            }
            Op::Unlink(at) => {
                let (dir, id) = (self.parent(at)?, self.find(at)?);
                if self.is_dir(id) {
                    return Err(Errno::ISDIR);
                }
                self.remove(dir, at.split().1);
            }
            Op::Rename(from, to, how) => self.rename(from, to, *how)?,
            Op::Link(from, to) => {
                self.parent(from)?;
                self.parent(to)?;
                let id = self.find(from)?;
                self.link(id, to)?;
            }
            Op::Chmod(at, mode) => {
                let inode = self.inode(at)?;
                if matches!(inode.what, What::Link(_)) {
                    return Err(Errno::OPNOTSUPP);
                }
                inode.mode = *mode;
            }
            Op::Chown(at, uid, gid) => {
                let inode = self.inode(at)?;
                (inode.uid, inode.gid) = (*uid, *gid);
                if !matches!(inode.what, What::Dir { .. }) {
                    inode.mode &= !0o4000;
                    if inode.mode & 0o010 != 0 {
                        inode.mode &= !0o2000;
                    }
                }
            }
            Op::Times(at, seconds, nanos) => self.inode(at)?.mtime = Some((*seconds, (*nanos).into())),
            Op::SetXattr(at, key, value, set) => {
                let inode = self.inode(at)?;
                inode.may_have(key)?;
                match (set, inode.xattrs.contains_key(*key)) {
                    (Set::New, true) => return Err(Errno::EXIST),
                    (Set::Known, false) => return Err(Errno::NODATA),
                    _ => {}
                }
                inode.xattrs.insert((*key).to_owned(), value.as_bytes().to_vec());
            }
            Op::RemoveXattr(at, key) => {
                let inode = self.inode(at)?;
                inode.may_have(key)?;
                inode.xattrs.remove(*key).ok_or(Errno::NODATA)?;
            }
            Op::List(at) => {
                let dir = self.parent(at)?;
                let names = self.names(dir).clone();
                let lines = names.iter().map(|(name, id)| format!("{name}: {}", self.inodes[*id].kind()));
                return Ok(lines.collect::<Vec<_>>().join(", "));
            }
            Op::Hold(slot, at, for_writing) => {
                self.held[*slot] = None;
                let id = self.find(at)?;
                match &self.inodes[id].what {
                    What::File(_) => self.held[*slot] = Some((id, *for_writing)),
                    What::Link(_) => return Err(Errno::LOOP),
                    What::Dir { .. } if *for_writing => return Err(Errno::ISDIR),
                    What::Dir { .. } | What::Fifo => return Err(Errno::INVAL),
                }
            }
            Op::Held(slot, act) => return self.act(*slot, act),
        }
        Ok(String::new())
    }

    /// Closes a file that is held open.
    pub fn release(&mut self, slot: usize) {
        self.held[slot] = None;
    }

    fn act(&mut self, slot: usize, act: &Act) -> Outcome {
        let (id, for_writing) = self.held[slot].ok_or(Errno::BADFD)?;
        match act {
            Act::Write(_) if !for_writing => return Err(Errno::BADF),
            Act::Write(text) => write(self.content(id)?, 2, text),
            Act::Truncate(_) if !for_writing => return Err(Errno::INVAL),
            Act::Truncate(len) => self.content(id)?.resize(usize::try_from(*len).unwrap(), 0),
            Act::Chmod(mode) => self.inodes[id].mode = *mode,
            Act::Read => {
                let What::File(content) = &self.inodes[id].what else { return Err(Errno::INVAL) };
                return Ok(digest(content));
            }
            Act::Stat => {
                let inode = &self.inodes[id];
                let What::File(content) = &inode.what else { return Err(Errno::INVAL) };
                let mode = 0o100_000 | inode.mode;
                return Ok(format!("{mode:o} {} bytes", content.len()));
            }
            Act::Link(to) => self.link(id, to)?,
        }
        Ok(String::new())
    }

    fn rename(&mut self, from: &At, to: &At, how: How) -> Result<()> {
        let (dir, new_dir) = (self.parent(from)?, self.parent(to)?);
        let (name, new_name) = (from.split().1, to.split().1);
        let id = self.child(dir, name).ok_or(Errno::NOENT)?;
        let target = self.child(new_dir, new_name);
        match (how, target) {
            (How::NoReplace, Some(_)) => return Err(Errno::EXIST),
            (How::Exchange, None) => return Err(Errno::NOENT),
            _ => {}
        }
        if to.0.len() > from.0.len() && to.0.starts_with(&from.0) {
            return Err(Errno::INVAL);
        }
        if from.0.len() > to.0.len() && from.0.starts_with(&to.0) {
            return Err(if how == How::Exchange { Errno::INVAL } else { Errno::NOTEMPTY });
        }
        if target == Some(id) {
            return Ok(());
        }
        let exchange = how == How::Exchange;
        if let (Some(target), false) = (target, exchange) {
            match (self.is_dir(id), self.is_dir(target)) {
                (true, false) => return Err(Errno::NOTDIR),
                (false, true) => return Err(Errno::ISDIR),
                _ => {}
            }
        }
        self.may_move(id)?;
        match target {
            Some(target) if exchange => {
                self.may_move(target)?;
                self.names(dir).insert(name.to_owned(), target);
            }
            Some(target) => {
                if self.is_dir(target) && !self.names(target).is_empty() {
                    return Err(Errno::NOTEMPTY);
                }
                self.lose(target);
                self.names(dir).remove(name);
            }
            None => {
                self.names(dir).remove(name);
            }
        }
        self.names(new_dir).insert(new_name.to_owned(), id);
        (self.inodes[dir].mtime, self.inodes[new_dir].mtime) = (None, None);
        Ok(())
    }

    /// A directory of a lower layer is on another device, as far as renaming goes.
    fn may_move(&self, id: Id) -> Result<()> {
        match self.inodes[id].what {
            What::Dir { below: true, .. } if !self.redirect => Err(Errno::XDEV),
            _ => Ok(()),
        }
    }

    fn link(&mut self, id: Id, to: &At) -> Result<()> {
        let (dir, name) = (self.parent(to)?, to.split().1);
        if self.child(dir, name).is_some() {
            return Err(Errno::EXIST);
        }
        if self.is_dir(id) {
            return Err(Errno::PERM);
        }
        // What has no name any more gets none.
        if self.inodes[id].links == 0 {
            return Err(Errno::NOENT);
        }
        self.inodes[id].links += 1;
        self.names(dir).insert(name.to_owned(), id);
        self.inodes[dir].mtime = None;
        Ok(())
    }

    fn make(&mut self, at: &At, what: What, mode: u32) -> Result<Id> {
        let (dir, name) = (self.parent(at)?, at.split().1);
        if self.child(dir, name).is_some() {
            return Err(Errno::EXIST);
        }
        let inherits = self.inodes[dir].mode & 0o2000 != 0;
        let gid = if inherits { self.inodes[dir].gid } else { 0 };
        let mode = if inherits && matches!(what, What::Dir { .. }) { mode | 0o2000 } else { mode };
        let xattrs = BTreeMap::new();
        let inode =
            Inode { what, mode, uid: 0, gid, links: 1, shared: false, vague: false, xattrs, mtime: None };
        self.inodes.push(inode);
        let id = self.inodes.len() - 1;
        self.names(dir).insert(name.to_owned(), id);
        self.inodes[dir].mtime = None;
        Ok(id)
    }

    fn remove(&mut self, dir: Id, name: &str) {
        let id = self.names(dir).remove(name).unwrap();
        self.lose(id);
        self.inodes[dir].mtime = None;
    }

    /// An inode loses a name.
    fn lose(&mut self, id: Id) {
        let inode = &mut self.inodes[id];
        inode.vague |= inode.shared;
        inode.links -= 1;
    }

    /// The content of a regular file that is about to change.
    fn content(&mut self, id: Id) -> Result<&mut Vec<u8>> {
        let inode = &mut self.inodes[id];
        match &mut inode.what {
            What::File(content) => {
                inode.mtime = None;
                Ok(content)
            }
            What::Dir { .. } => Err(Errno::ISDIR),
            What::Link(_) => Err(Errno::LOOP),
            // Nobody reads it.
            What::Fifo => Err(Errno::NXIO),
        }
    }

    fn is_dir(&self, id: Id) -> bool {
        matches!(self.inodes[id].what, What::Dir { .. })
    }

    /// The names of what is known to be a directory.
    fn names(&mut self, dir: Id) -> &mut BTreeMap<String, Id> {
        match &mut self.inodes[dir].what {
            What::Dir { names, .. } => names,
            _ => panic!("no directory"),
        }
    }

    fn child(&self, dir: Id, name: &str) -> Option<Id> {
        match &self.inodes[dir].what {
            What::Dir { names, .. } => names.get(name).copied(),
            _ => None,
        }
    }

    fn parent(&self, at: &At) -> Result<Id> {
        at.split().0.iter().try_fold(0, |dir, name| {
            let id = self.child(dir, name).ok_or(Errno::NOENT)?;
            match self.inodes[id].what {
                What::Dir { .. } => Ok(id),
                What::Link(_) => Err(Errno::LOOP),
                _ => Err(Errno::NOTDIR),
            }
        })
    }

    fn find(&self, at: &At) -> Result<Id> {
        self.child(self.parent(at)?, at.split().1).ok_or(Errno::NOENT)
    }

    fn inode(&mut self, at: &At) -> Result<&mut Inode> {
        let id = self.find(at)?;
        Ok(&mut self.inodes[id])
    }
}

impl Inode {
    fn kind(&self) -> &'static str {
        match self.what {
            What::Dir { .. } => "directory",
            What::File(_) => "file",
            What::Link(_) => "link",
            What::Fifo => "fifo",
        }
    }

    fn may_have(&self, key: &str) -> Result<()> {
        match self.what {
            What::Link(_) | What::Fifo if key.starts_with("user.") => Err(Errno::PERM),
            _ => Ok(()),
        }
    }
}

fn write(content: &mut Vec<u8>, to: u64, text: &str) {
    let (start, text) = (usize::try_from(to).unwrap(), text.as_bytes());
    content.resize(content.len().max(start + text.len()), 0);
    content[start..start + text.len()].copy_from_slice(text);
}
