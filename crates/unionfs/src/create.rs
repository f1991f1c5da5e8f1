//! New things: files, directories, links, devices (union-fs.md rules 13 to 17, 56, 63 to 65).
//!
//! They are made in the upper directory itself, so that it gives them its group and its default access control list;
//! over a whiteout they are made aside and take its place in one step.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use rustix::fs::{self as rfs, AtFlags, FileType, Gid, Mode, OFlags, RenameFlags, Statx, Uid, XattrFlags};
use rustix::io::Errno;

use crate::backing::{self, At, Result, magic};
use crate::copy_up::{Data, link_nameless};
use crate::lookup::{Found, FoundDir, FoundOther, Origin, key_of};
use crate::marks::DirMarks;
use crate::node::{Body, Node, Other, Part, Place, Stack};
use crate::union::Union;

/// Something new.
#[derive(Debug, Clone, Copy)]
pub struct New<'a> {
    /// The directory that gets it.
    pub parent: &'a Arc<Node>,
    /// Its name there; nothing for a file without one.
    pub name: &'a OsStr,
    /// Permission bits as they were asked for.
    pub mode: u32,
    /// The bits that its maker does not give, if there is no default access control list.
    pub umask: u32,
    /// Its maker, as the union shows him.
    pub uid: u32,
    /// His group.
    pub gid: u32,
}

/// What is to be made.
#[derive(Debug, Clone, Copy)]
enum What<'a> {
    File,
    Dir,
    Link(&'a OsStr),
    Node(FileType, u32, u32),
}

/// Who a new thing belongs to.
struct Owner {
    uid: u32,
    /// The directory gives its group already.
    gid: Option<u32>,
}

impl Union {
    /// Makes a directory.
    pub fn mkdir(&self, new: &New<'_>) -> Result<(Arc<Node>, Statx)> {
        self.make(new, What::Dir).map(|(node, stat, _)| (node, stat))
    }

    /// Makes a symbolic link.
    pub fn symlink(&self, new: &New<'_>, target: &OsStr) -> Result<(Arc<Node>, Statx)> {
        self.make(new, What::Link(target)).map(|(node, stat, _)| (node, stat))
    }

    /// Makes a FIFO, a socket, a device or an empty file. `kind` is the file type (`S_IFMT`).
    ///
    /// # Errors
    /// `EPERM`: the device would be a whiteout (rule 17).
    pub fn mknod(&self, new: &New<'_>, kind: u32, device: (u32, u32)) -> Result<(Arc<Node>, Statx)> {
        if kind == backing::CHAR && device == (0, 0) {
            return Err(Errno::PERM);
        }
        let what = match kind {
            backing::FILE => What::File,
            _ => What::Node(FileType::from_raw_mode(kind), device.0, device.1),
        };
        self.make(new, what).map(|(node, stat, _)| (node, stat))
    }

    /// Makes a regular file and opens it for reading and writing.
    ///
    /// # Errors
    /// `EEXIST`: there is such a name.
    pub fn create(&self, new: &New<'_>) -> Result<(Arc<Node>, Statx, OwnedFd)> {
        let (node, stat, file) = self.make(new, What::File)?;
        Ok((node, stat, file.ok_or(Errno::IO)?))
    }

    /// Makes a file without a name, which can be given one later.
    pub fn tmpfile(&self, new: &New<'_>) -> Result<(Arc<Node>, Statx, OwnedFd)> {
        let dir = self.upper_dir(new.parent)?;
        let mode = self.mode_in(&dir, new)?;
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        let file = rfs::openat(&dir, ".", flags, Mode::from_raw_mode(mode & 0o7777))?;
        let at = At::itself(&file);
        let owner = self.owner_in(&dir, new)?;
        let stat = own(at, &owner, mode, at.stat()?)?;
        let place = Place {
            parent: Some(Arc::clone(new.parent)),
            name: new.name.to_owned(),
            layer: 0,
            held: Some(Arc::new(at.pin()?)),
            data: None,
            gone: true,
            adrift: false,
            counted: false,
        };
        let (key, ino) = (key_of(&stat), self.numbers.of(&stat));
        let other = Other { kind: backing::FILE, size: 0, passing: Default::default() };
        let node = self
            .table
            .find_or_make(key, backing::kind(&stat), 1, |id| {
                Ok(Node::new(id, ino, key, place, Body::Other(other)))
            })?
            .0;
        Ok((node, stat, file))
    }

    /// Gives an inode one more name.
    pub fn link(&self, node: &Arc<Node>, parent: &Arc<Node>, name: &OsStr) -> Result<Statx> {
        self.check_name(name)?;
        self.copy_up(node, Data::All)?;
        let dir = self.upper_dir(parent)?;
        let _changing = parent.dir()?.changing();
        let work = self.work()?;
        let inode = node.with(|at| at.pin())?;
        match link_nameless(&inode, &dir, name) {
            Err(Errno::EXIST) if self.is_hidden(&dir, name)? => {
                let temp = work.name();
                link_nameless(&inode, &work.dir, &temp)?;
                rfs::renameat(&work.dir, &temp, &dir, name).inspect_err(|_| work.discard(&temp))?;
            }
            other => other?,
        }
        self.unhide(&dir, name)?;
        let stat = At::child(&dir, name).stat()?;
        let was_gone = {
            let mut place = node.place();
            let was_gone = place.gone;
            if was_gone {
                (place.gone, place.held) = (false, None);
            }
            was_gone
        };
        if was_gone {
            node.move_to(parent, name.to_owned());
            self.table.rekey(node, key_of(&stat));
        }
        if node.ino != self.numbers.of(&stat) {
            self.mark_impure(parent, &dir)?;
        }
        node.lookups.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Ok(stat)
    }

    fn make(&self, new: &New<'_>, what: What<'_>) -> Result<(Arc<Node>, Statx, Option<OwnedFd>)> {
        self.check_name(new.name)?;
        let dir = self.upper_dir(new.parent)?;
        let mode = self.mode_in(&dir, new)?;
        let owner = self.owner_in(&dir, new)?;
        let _changing = new.parent.dir()?.changing();
        let stack = new.parent.stack()?;
        let below = self.below_upper(&stack);
        // A directory that was not there must not show what lower layers have under its name (rules 14 and 15).
        let opaque = matches!(what, What::Dir) && self.shows(below, new.name)?;
        let made = if opaque { Err(Errno::EXIST) } else { build(what, &dir, new.name, mode) };
        let (file, stat) = match made {
            Ok(file) => {
                let at = file.as_ref().map_or(At::child(&dir, new.name), At::itself);
                let stat = at.stat().and_then(|stat| own(at, &owner, mode, stat)).inspect_err(|_| {
                    let flags = if matches!(what, What::Dir) { AtFlags::REMOVEDIR } else { AtFlags::empty() };
                    let _ = rfs::unlinkat(&dir, new.name, flags);
                })?;
                (file, stat)
            }
            Err(Errno::EXIST) if opaque || self.is_hidden(&dir, new.name)? => {
                self.build_over_whiteout(&dir, new, what, mode, &owner)?
            }
            Err(e) => return Err(e),
        };
        if !below.is_empty() {
            self.unhide(&dir, new.name)?;
        }
        let found = match what {
            What::Dir => {
                let dir = Arc::new(backing::open_dir(std::os::fd::AsFd::as_fd(&dir), new.name)?);
                let part = Part::new(0, dir, DirMarks::default());
                Found::Dir(FoundDir { stack: Stack { parts: vec![part] }, stat, impure: false })
            }
            _ => Found::Other(FoundOther { layer: 0, stat, data: None, indexed: None }),
        };
        let (node, stat) = self.node_of(new.parent, new.name, found, Origin::None, 1)?;
        Ok((node, stat, file))
    }

    /// Makes something in the work directory and puts it in the place of a whiteout, or of nothing.
    fn build_over_whiteout(
        &self,
        dir: &OwnedFd,
        new: &New<'_>,
        what: What<'_>,
        mode: u32,
        owner: &Owner,
    ) -> Result<(Option<OwnedFd>, Statx)> {
        let work = self.work()?;
        let nursery = work.name();
        let child = OsStr::new("new");
        let build = || -> Result<(Option<OwnedFd>, Statx)> {
            let place = like(&work.dir, &nursery, dir)?;
            let file = build(what, &place, child, mode)?;
            let at = file.as_ref().map_or(At::child(&place, child), At::itself);
            let stat = own(at, owner, mode, at.stat()?)?;
            if matches!(what, What::Dir) {
                self.make_opaque(at)?;
                match rfs::renameat_with(&place, child, dir, new.name, RenameFlags::EXCHANGE) {
                    Err(Errno::NOENT) => rfs::renameat(&place, child, dir, new.name)?,
                    other => other?,
                }
            } else {
                rfs::renameat(&place, child, dir, new.name)?;
            }
            Ok((file, stat))
        };
        let built = build();
        work.discard(&nursery);
        built
    }

    /// Refuses names that are too long or the union's own.
    pub(crate) fn check_name(&self, name: &OsStr) -> Result<()> {
        match name.len() {
            256.. => Err(Errno::NAMETOOLONG),
            _ if self.is_reserved(name) => Err(Errno::PERM),
            _ => Ok(()),
        }
    }

    /// Whether what the upper directory has under a name is a whiteout.
    pub(crate) fn is_hidden(&self, dir: &OwnedFd, name: &OsStr) -> Result<bool> {
        match At::child(dir, name).stat() {
            Ok(stat) => {
                let (kind, at) = (backing::kind(&stat), At::child(dir, name));
                Ok(match kind {
                    backing::CHAR => stat.stx_rdev_major == 0 && stat.stx_rdev_minor == 0,
                    backing::FILE if stat.stx_size == 0 => at.has_xattr(&self.marks.whiteout)?,
                    _ => false,
                })
            }
            Err(Errno::NOENT) => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// The permission bits that something new gets: a default access control list takes the umask's place (rule 65).
    fn mode_in(&self, dir: &OwnedFd, new: &New<'_>) -> Result<u32> {
        if new.mode & new.umask == 0 {
            return Ok(new.mode);
        }
        let list = At::itself(dir).has_xattr(c"system.posix_acl_default")?;
        Ok(if list { new.mode } else { new.mode & !new.umask })
    }

    fn owner_in(&self, dir: &OwnedFd, new: &New<'_>) -> Result<Owner> {
        let (uid, gid) = self.ids.of_new(new.uid, new.gid);
        let of_dir = u32::from(At::itself(dir).stat()?.stx_mode) & 0o2000 != 0;
        Ok(Owner { uid, gid: (!of_dir).then_some(gid) })
    }
}

/// Makes something. A regular file is open for reading and writing afterwards.
fn build(what: What<'_>, dir: &OwnedFd, name: &OsStr, mode: u32) -> Result<Option<OwnedFd>> {
    let bits = Mode::from_raw_mode(mode & 0o7777);
    match what {
        What::File => {
            let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            return rfs::openat(dir, name, flags, bits).map(Some);
        }
        What::Dir => rfs::mkdirat(dir, name, bits)?,
        What::Link(target) => rfs::symlinkat(target, dir, name)?,
        What::Node(kind, major, minor) => rfs::mknodat(dir, name, kind, bits, rfs::makedev(major, minor))?,
    }
    Ok(None)
}

/// Gives something new to its maker, which takes set-user-ID away: that comes back.
fn own(at: At<'_>, owner: &Owner, mode: u32, stat: Statx) -> Result<Statx> {
    let gid = owner.gid.unwrap_or(stat.stx_gid);
    if (stat.stx_uid, stat.stx_gid) == (owner.uid, gid) {
        return Ok(stat);
    }
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::EMPTY_PATH;
    rfs::chownat(at.dir, at.name, Some(Uid::from_raw(owner.uid)), Some(Gid::from_raw(gid)), flags)?;
    if mode & 0o6000 != 0 && backing::kind(&stat) != backing::LINK {
        let inode = at.pin()?;
        rfs::chmod(magic(&inode), Mode::from_raw_mode(u32::from(stat.stx_mode) & 0o7777))?;
    }
    at.stat()
}

/// Makes a directory in which new things get what they would get in `model`: its group and its default list.
fn like(work: &OwnedFd, name: &OsStr, model: &OwnedFd) -> Result<OwnedFd> {
    rfs::mkdirat(work, name, Mode::RWXU)?;
    let dir = backing::open_dir(std::os::fd::AsFd::as_fd(work), name)?;
    let stat = At::itself(model).stat()?;
    if u32::from(stat.stx_mode) & 0o2000 != 0 {
        rfs::chownat(&dir, "", None, Some(Gid::from_raw(stat.stx_gid)), AtFlags::EMPTY_PATH)?;
        rfs::chmod(magic(&dir), Mode::from_raw_mode(0o2700))?;
    }
    let key = OsStr::from_bytes(b"system.posix_acl_default");
    if let Ok(Some(list)) = At::itself(model).xattr_vec(c"system.posix_acl_default") {
        rfs::setxattr(magic(&dir), key, &list, XattrFlags::empty())?;
    }
    Ok(dir)
}
