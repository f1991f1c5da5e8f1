//! Look-up: which layers have a name, and what it is in the union (union-fs.md rules 1 to 12, 33, 78).
//!
//! From the top layer down, the first thing that is no directory is the answer, and directories of one name merge. A
//! whiteout ends the search; so does an opaque directory, after itself.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rustix::fs::{Mode, OFlags, ResolveFlags, Statx};
use rustix::io::Errno;

use crate::backing::{self, At, Result};
use crate::identity;
use crate::names::{MANY, Names};
use crate::node::{Body, Dir, Key, LayerIndex, Node, Other, Part, Place, Stack};
use crate::readdir::Name;
use crate::union::Union;

/// What the attributes of a file without data may take on the disk.
const ATTRIBUTE_BLOCKS: u64 = 8192;

/// The longest name that Linux has.
const NAME_MAX: usize = 255;

/// What a name is in the union.
#[derive(Debug)]
pub enum Found {
    /// A directory.
    Dir(FoundDir),
    /// Anything else.
    Other(FoundOther),
}

/// A directory, of one layer or merged.
#[derive(Debug)]
pub struct FoundDir {
    /// Its parts.
    pub stack: Stack,
    /// The attributes of the topmost.
    pub stat: Statx,
    /// Whether the topmost is marked as holding things that were copied up.
    pub impure: bool,
}

/// A file, symbolic link, device, FIFO or socket.
#[derive(Debug)]
pub struct FoundOther {
    /// The layer that has it.
    pub layer: LayerIndex,
    /// Its attributes.
    pub stat: Statx,
    /// The file below that has its data (`metacopy`).
    pub data: Option<Arc<OwnedFd>>,
    /// Its file in the upper layer's index, if it is a file of a lower layer with several names that was copied up
    /// under another one.
    pub indexed: Option<OwnedFd>,
}

/// Whether an inode may carry a mark of where it was copied up from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// It may.
    Marked,
    /// It was made just now.
    None,
}

/// What one layer has under a name.
enum Step {
    Absent,
    Whiteout,
    Dir(Statx),
    Other(Statx),
}

impl Union {
    /// What a name in a directory is; `None` if it is nothing.
    pub(crate) fn find(&self, parent: &Stack, name: &OsStr) -> Result<Option<Found>> {
        if name.len() > NAME_MAX {
            return Err(Errno::NAMETOOLONG);
        }
        self.merge(parent.parts.clone(), name.to_owned())
    }

    /// Whether any of these directories, all of lower layers, shows the name.
    pub(crate) fn shows(&self, parts: &[Part], name: &OsStr) -> Result<bool> {
        for part in parts {
            match self.step(part, name, false)? {
                Step::Absent => {}
                Step::Whiteout => return Ok(false),
                Step::Dir(_) | Step::Other(_) => return Ok(true),
            }
        }
        Ok(false)
    }

    /// What `name` is in `bases`, which are the directories to look in, topmost first.
    fn merge(&self, mut bases: Vec<Part>, mut name: OsString) -> Result<Option<Found>> {
        let mut found: Option<FoundDir> = None;
        let many = bases.len() >= MANY;
        let mut next = 0;
        while let Some(base) = bases.get(next) {
            next += 1;
            let last = next == bases.len();
            if found.is_none() {
                match self.step(base, &name, last)? {
                    Step::Absent => continue,
                    Step::Whiteout => break,
                    Step::Other(stat) => {
                        let other = self.found_other(base, &bases[next..], &name, stat)?;
                        return Ok(Some(Found::Other(other)));
                    }
                    Step::Dir(stat) => {
                        found = Some(FoundDir { stack: Stack::default(), stat, impure: false });
                    }
                }
            }
            let Some(merged) = &mut found else { continue };
            if base.lacks(&name) {
                if !last && self.aufs_hides(base, &name)? {
                    break;
                }
                continue;
            }
            let dir = match backing::open_dir(base.dir.as_fd(), &name) {
                Ok(dir) => dir,
                Err(Errno::NOENT) if !last && self.aufs_hides(base, &name)? => break,
                Err(Errno::NOENT) => continue,
                // A file or a whiteout in between ends it (rule 2).
                Err(Errno::NOTDIR | Errno::LOOP) => break,
                Err(e) => return Err(e),
            };
            let marks = self.marks.of_dir(&dir)?;
            let layer = base.layer;
            let mut part = Part::new(layer, Arc::new(dir), marks);
            if many && !self.is_upper(layer) {
                part.names = Names::read(&part.dir).map(Arc::new);
            }
            let mut opaque = marks.opaque || (!last && self.aufs_ends(base, &name, &part)?);
            // Even from the last one: a redirect can lead to where none of these directories is.
            let follow = marks.redirected && !opaque;
            if follow && !self.options.redirect_dir.follows() {
                return Err(Errno::PERM);
            }
            let redirect = if follow { At::itself(&part.dir).xattr_vec(&self.marks.redirect)? } else { None };
            merged.impure |= marks.impure && self.is_upper(layer);
            merged.stack.parts.push(part);
            if let Some(target) = redirect {
                match self.follow(layer, &bases[next..], &target) {
                    Some((others, last)) => (bases, name, next) = (others, last, 0),
                    None => opaque = true,
                }
            }
            if opaque {
                break;
            }
        }
        Ok(found.filter(|dir| !dir.stack.parts.is_empty()).map(Found::Dir))
    }

    /// What one layer has under a name; nothing shows from below the `last` one, so what hides it need not be looked
    /// for.
    fn step(&self, base: &Part, name: &OsStr, last: bool) -> Result<Step> {
        let looked = if base.lacks(name) { Err(Errno::NOENT) } else { At::child(&base.dir, name).stat() };
        let stat = match looked {
            Ok(stat) => stat,
            Err(Errno::NOENT | Errno::NOTDIR) => {
                let whiteout = !last && self.aufs_hides(base, name)?;
                return Ok(if whiteout { Step::Whiteout } else { Step::Absent });
            }
            Err(e) => return Err(e),
        };
        if self.is_whiteout(base, name, &stat)? {
            return Ok(Step::Whiteout);
        }
        Ok(if backing::kind(&stat) == backing::DIR { Step::Dir(stat) } else { Step::Other(stat) })
    }

    /// Whether an inode of a layer is a whiteout (union-fs.md rules 8 and 9).
    pub(crate) fn is_whiteout(&self, base: &Part, name: &OsStr, stat: &Statx) -> Result<bool> {
        if backing::kind(stat) == backing::CHAR {
            return Ok(stat.stx_rdev_major == 0 && stat.stx_rdev_minor == 0);
        }
        if !base.file_whiteouts || backing::kind(stat) != backing::FILE || stat.stx_size != 0 {
            return Ok(false);
        }
        At::child(&base.dir, name).has_xattr(&self.marks.whiteout)
    }

    /// The directories and the name under which a redirected directory goes on below its layer (rule 33); nothing if
    /// the redirect is none that a kernel makes.
    fn follow(&self, layer: LayerIndex, rest: &[Part], target: &[u8]) -> Option<(Vec<Part>, OsString)> {
        let Some(path) = target.strip_prefix(b"/") else {
            let plain = !target.is_empty() && !target.contains(&b'/') && target != b"." && target != b"..";
            return plain.then(|| (rest.to_vec(), OsString::from_vec(target.to_vec())));
        };
        let (dir, name) = match path.iter().rposition(|b| *b == b'/') {
            Some(slash) => (&path[..slash], &path[slash + 1..]),
            None => (&b"."[..], path),
        };
        let mut parts = Vec::new();
        for (index, layer) in self.lowers_below(layer) {
            if let Ok(dir) = open_below(&layer.root, OsStr::from_bytes(dir)) {
                let marks = self.marks.of_dir(&dir).unwrap_or_default();
                parts.push(Part::new(index, Arc::new(dir), marks));
            }
        }
        (!name.is_empty()).then(|| (parts, OsString::from_vec(name.to_vec())))
    }

    /// A thing that is no directory: with its data, if that is elsewhere, and its copy, if it has one.
    fn found_other(&self, base: &Part, below: &[Part], name: &OsStr, stat: Statx) -> Result<FoundOther> {
        let mut found = FoundOther { layer: base.layer, stat, data: None, indexed: None };
        if backing::kind(&stat) != backing::FILE {
            return Ok(found);
        }
        if !self.is_upper(base.layer) && stat.stx_nlink > 1 && self.has_upper() {
            found.indexed = self.index_find(At::child(&base.dir, name))?;
            if let Some(copy) = &found.indexed {
                (found.layer, found.stat) = (0, At::itself(copy).stat()?);
            }
        }
        // A file with all its blocks has its data; but an attribute may take blocks, too.
        let blocks = stat.stx_blocks * 512;
        let may_lack = blocks < stat.stx_size || blocks <= ATTRIBUTE_BLOCKS;
        if stat.stx_size > 0 && may_lack {
            found.data = self.data_below(base, below, name)?;
        }
        Ok(found)
    }

    /// The file that has the data of one that was copied up without (`metacopy`, rules 29 and 78). Layers for data only
    /// are asked whatever the option says: they are there for nothing else.
    fn data_below(&self, base: &Part, below: &[Part], name: &OsStr) -> Result<Option<Arc<OwnedFd>>> {
        let at = At::child(&base.dir, name);
        if !at.has_xattr(&self.marks.metacopy)? {
            return Ok(None);
        }
        let redirect = at.xattr_vec(&self.marks.redirect)?;
        let absolute =
            redirect.as_deref().and_then(|target| target.strip_prefix(b"/")).map(OsStr::from_bytes);
        let mut candidates = Vec::new();
        if self.options.metacopy {
            match (absolute, &redirect) {
                (Some(path), _) => {
                    let lowers = self.lowers_below(base.layer);
                    candidates.extend(lowers.map(|(_, layer)| open_below(&layer.root, path)));
                }
                (None, renamed) => {
                    let name = renamed.as_ref().map_or(name, |name| OsStr::from_bytes(name));
                    candidates.extend(below.iter().map(|part| At::child(&part.dir, name).pin()));
                }
            }
        } else if absolute.is_none() || self.data_layers.is_empty() {
            return Err(Errno::PERM);
        }
        if let Some(path) = absolute {
            candidates.extend(self.data_layers.iter().map(|layer| open_below(&layer.root, path)));
        }
        for file in candidates.into_iter().flatten() {
            let at = At::itself(&file);
            let regular = at.stat().is_ok_and(|stat| backing::kind(&stat) == backing::FILE);
            if regular && !at.has_xattr(&self.marks.metacopy)? {
                return Ok(Some(Arc::new(file)));
            }
        }
        // As the kernel: a file whose data is missing is an error, not an empty file.
        Err(Errno::IO)
    }

    /// The node of what was found, made if need be and told to the kernel `lookups` times.
    pub(crate) fn node_of(
        &self,
        parent: &Arc<Node>,
        name: &OsStr,
        found: Found,
        origin: Origin,
        lookups: u64,
    ) -> Result<(Arc<Node>, Statx)> {
        let mut place = Place {
            parent: Some(Arc::clone(parent)),
            name: name.to_owned(),
            layer: 0,
            held: None,
            data: None,
            gone: false,
            adrift: false,
            counted: false,
        };
        match found {
            Found::Dir(FoundDir { stack, stat, impure }) => {
                let key = key_of(&stat);
                let (node, known) = self.table.find_or_make(key, backing::DIR, lookups, |id| {
                    let ino = match origin {
                        Origin::Marked => self.dir_ino(&stack, &stat)?,
                        Origin::None => self.numbers.of(&stat),
                    };
                    let dir = Dir::new(stack);
                    dir.impure.store(impure, Ordering::Relaxed);
                    Ok(Node::new(id, ino, key, place, Body::Dir(dir)))
                })?;
                if known {
                    moved(&node, parent, name);
                }
                Ok((node, stat))
            }
            Found::Other(FoundOther { layer, stat, data, indexed }) => {
                let key = key_of(&stat);
                place.layer = layer;
                place.data = data;
                place.held = indexed.map(Arc::new);
                if place.held.is_none() && self.is_upper(layer) && stat.stx_nlink > 1 {
                    let dir = parent.stack()?;
                    let part = dir.part(layer).ok_or(Errno::STALE)?;
                    place.counted = self.is_counted(At::child(&part.dir, name))?;
                }
                // One that is in the index only cannot be found by this name in its layer.
                let named = place.held.is_none();
                place.counted |= !named;
                let (node, known) = self.table.find_or_make(key, backing::kind(&stat), lookups, |id| {
                    let ino = match origin {
                        Origin::Marked => self.other_ino(&place, &stat)?,
                        Origin::None => self.numbers.of(&stat),
                    };
                    let other = Other {
                        kind: backing::kind(&stat),
                        size: stat.stx_size,
                        passing: Default::default(),
                    };
                    Ok(Node::new(id, ino, key, place, Body::Other(other)))
                })?;
                if known && named && (node.place().held.is_none() || node.place().adrift) {
                    moved(&node, parent, name);
                }
                Ok((node, stat))
            }
        }
    }

    /// Looks a name up for the kernel, which remembers the answer. `None`: there is no such name.
    pub fn lookup(&self, parent: &Arc<Node>, name: &OsStr) -> Result<Option<(Arc<Node>, Statx)>> {
        if self.is_reserved(name) {
            return Ok(None);
        }
        let dir = parent.dir()?;
        loop {
            let version = dir.version();
            let Some(found) = self.find(&dir.stack(), name)? else { return Ok(None) };
            let lower = matches!(&found, Found::Other(other) if !self.is_upper(other.layer));
            let (node, stat) = self.node_of(parent, name, found, Origin::Marked, 1)?;
            if !lower || dir.is_still(version) {
                return Ok(Some((node, stat)));
            }
            // It may have been copied up after the upper layer was found not to have it: then this is no node of it.
            self.forget(node.id, 1);
        }
    }

    /// Looks up a name that was listed in a layer when the directory had this version, and is no directory: if nothing
    /// changed since, no other layer need be asked.
    pub fn lookup_listed(
        &self,
        parent: &Arc<Node>,
        name: Name<'_>,
        version: u32,
    ) -> Result<Option<(Arc<Node>, Statx)>> {
        let text = OsStr::from_bytes(name.name);
        let (dir, kind) = (parent.dir()?, u32::from(name.kind) << 12);
        let stack = dir.stack();
        let place = stack.parts.iter().position(|part| part.layer == name.layer);
        if let (Some(at), false) = (place, matches!(kind, 0 | backing::DIR)) {
            let part = &stack.parts[at];
            let stat = At::child(&part.dir, text).stat();
            if let Ok(stat) = stat
                && backing::kind(&stat) == kind
                && !self.is_whiteout(part, text, &stat)?
            {
                let other = self.found_other(part, &stack.parts[at + 1..], text, stat)?;
                let found = self.node_of(parent, text, Found::Other(other), Origin::Marked, 1)?;
                if dir.is_still(version) {
                    return Ok(Some(found));
                }
                self.forget(found.0.id, 1);
            }
        }
        self.lookup(parent, text)
    }

    /// The inode number of a directory: that of its topmost lower part, which copying up does not change.
    pub(crate) fn dir_ino(&self, stack: &Stack, stat: &Statx) -> Result<u64> {
        let lower = stack.parts.iter().find(|part| !self.is_upper(part.layer));
        match lower {
            Some(part) if stack.parts.first().is_some_and(|top| self.is_upper(top.layer)) => {
                Ok(self.numbers.of(&At::itself(&part.dir).stat()?))
            }
            Some(_) => Ok(self.numbers.of(stat)),
            None => {
                let top = stack.parts.first().ok_or(Errno::STALE)?;
                let origin = identity::origin_ino(self, At::itself(&top.dir), &[], OsStr::new(""));
                Ok(origin.unwrap_or_else(|| self.numbers.of(stat)))
            }
        }
    }

    /// The inode number of anything else: that of the file which it was copied up from, if it was.
    fn other_ino(&self, place: &Place, stat: &Statx) -> Result<u64> {
        // What was copied up lies in directories that are marked for it (rule 31), or is found through the index.
        let parent = place.parent.as_ref().ok_or(Errno::STALE)?.dir()?;
        let copied = place.counted || parent.impure.load(Ordering::Relaxed);
        let origin = match self.is_upper(place.layer) && copied {
            true => {
                let stack = parent.stack();
                let below = self.below_upper(&stack);
                place.with(|at| Ok(identity::origin_ino(self, at, below, &place.name)))?
            }
            false => None,
        };
        Ok(origin.unwrap_or_else(|| self.numbers.of(stat)))
    }
}

/// The identity of an inode.
pub(crate) fn key_of(stat: &Statx) -> Key {
    (backing::device(stat), stat.stx_ino)
}

/// A node was met under a name that may be new to it (a hard link).
fn moved(node: &Node, parent: &Arc<Node>, name: &OsStr) {
    let same = {
        let place = node.place();
        place.parent.as_ref().is_some_and(|old| old.id == parent.id) && place.name == name
    };
    if !same {
        node.move_to(parent, name.to_owned());
    }
    let mut place = node.place();
    if std::mem::take(&mut place.adrift) {
        place.held = None;
    }
}

/// Opens (`O_PATH`) a path below a layer's root; no link on the way is followed.
fn open_below(root: &OwnedFd, path: &OsStr) -> Result<OwnedFd> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat2(root, path, flags, Mode::empty(), resolve)
}
