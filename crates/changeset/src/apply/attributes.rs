//! Owner, mode, times and extended attributes, in the order in which the kernel does not undo them: owner (drops
//! setuid and capabilities), attributes (an ACL changes the mode), mode, times.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use archive::tar::{Entry, Timestamp};
use sys::{AsFd, Errno, Meta, OwnedFd, Root, Time, meta, xattr};

use super::EntryError;
use crate::Owners;
use crate::error::{EntryFault, Result, as_path};
use crate::name;

/// The ACL that a directory hands on to what is made in it.
const DEFAULT_ACL: &str = "system.posix_acl_default";

type Xattr = (Vec<u8>, Vec<u8>);

/// What an inode gets.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub mtime: Time,
    pub xattrs: Vec<Xattr>,
}

impl Wanted {
    pub(super) fn of(entry: &Entry) -> Self {
        Self {
            mode: entry.mode & 0o7777,
            uid: entry.uid,
            gid: entry.gid,
            mtime: stamp(entry.mtime),
            xattrs: entry.xattrs.clone(),
        }
    }
}

/// An archive's time as the kernel's.
pub(super) fn stamp(time: Timestamp) -> Time {
    Time { secs: time.secs, nanos: time.nanos }
}

/// What a directory gets when nothing more is made in it.
#[derive(Debug)]
pub(super) struct Late {
    mtime: Time,
    /// The time that a lower layer's directory would have if it were new.
    pub as_new: Time,
    mode: Option<u32>,
    default_acl: Option<Vec<u8>>,
}

impl Late {
    pub(super) fn time(mtime: Time) -> Self {
        Self { mtime, as_new: mtime, mode: None, default_acl: None }
    }
}

/// Sets attributes as far as this process may, and keeps the account of what it could not.
#[derive(Debug)]
pub(super) struct Attributes {
    owners: Owners,
    strict: bool,
    uid: u32,
    gid: u32,
    umask: u32,
    pub unsupported: BTreeMap<String, u64>,
}

impl Attributes {
    pub(super) fn new(owners: Owners, strict: bool) -> Self {
        let (uid, gid) = (sys::process::euid(), sys::process::egid());
        Self { owners, strict, uid, gid, umask: sys::process::umask(), unsupported: BTreeMap::new() }
    }

    /// A new regular file, after its content. `group` is what the kernel gave it instead of ours.
    pub(super) fn file(
        &mut self,
        fd: &OwnedFd,
        wanted: &Wanted,
        group: Option<u32>,
    ) -> Result<(), EntryError> {
        self.chown(wanted, group, |uid, gid| meta::chown_fd(fd, uid, gid))?;
        self.xattrs(&wanted.xattrs, |key, value| xattr::set_fd(fd, key, value))?;
        // Setuid goes with a change of owner and, for ordinary users, with a write; a group that is not ours takes
        // setgid away at the creation.
        let special = wanted.mode & 0o6000 != 0;
        if special || wanted.mode & self.umask != 0 || !wanted.xattrs.is_empty() {
            meta::chmod_fd(fd, wanted.mode)?;
        }
        Ok(meta::set_times_fd(fd, wanted.mtime, wanted.mtime)?)
    }

    /// A new symbolic link, device or FIFO.
    pub(super) fn special(
        &mut self,
        parent: impl AsFd + Copy,
        name: &OsStr,
        wanted: &Wanted,
        group: Option<u32>,
        has_mode: bool,
    ) -> Result<(), EntryError> {
        self.chown(wanted, group, |uid, gid| meta::chown(parent, name, uid, gid))?;
        self.xattrs(&wanted.xattrs, |key, value| xattr::set(parent, name, key, value))?;
        if has_mode && (wanted.mode & (0o6000 | self.umask) != 0 || !wanted.xattrs.is_empty()) {
            meta::chmod(parent, name, wanted.mode)?;
        }
        Ok(meta::set_times(parent, name, wanted.mtime, wanted.mtime)?)
    }

    /// The mode to make a directory with: what is made in it comes before its own mode.
    pub(super) fn making_mode(&self, mode: u32) -> u32 {
        if self.uid == 0 { mode } else { mode | 0o700 }
    }

    /// A directory with an entry. One that was `there` before loses what it had.
    pub(super) fn dir(
        &mut self,
        fd: &OwnedFd,
        wanted: &Wanted,
        group: Option<u32>,
        there: bool,
    ) -> Result<Late, EntryError> {
        let mut late = Late::time(wanted.mtime);
        if there {
            self.strip(fd)?;
            // Not compared with what it has: a directory below a layer's is rare.
            match meta::chown_fd(fd, wanted.uid, wanted.gid) {
                Err(e) if self.squashes(&e) => {}
                other => other?,
            }
        } else {
            self.chown(wanted, group, |uid, gid| meta::chown_fd(fd, uid, gid))?;
        }
        let (default, now): (Vec<_>, Vec<_>) =
            wanted.xattrs.iter().cloned().partition(|(key, _)| key == DEFAULT_ACL.as_bytes());
        late.default_acl = default.into_iter().next().map(|(_, value)| value);
        self.xattrs(&now, |key, value| xattr::set_fd(fd, key, value))?;
        let mode = self.making_mode(wanted.mode);
        meta::chmod_fd(fd, mode)?;
        late.mode = (mode != wanted.mode).then_some(wanted.mode);
        Ok(late)
    }

    /// Whether a new directory would come out right by mkdir(2) alone.
    pub(super) fn is_plain(&self, wanted: &Wanted, group: Option<u32>) -> bool {
        group.is_none()
            && wanted.xattrs.is_empty()
            && (wanted.uid, wanted.gid) == (self.uid, self.gid)
            && wanted.mode & (0o6000 | self.umask) == 0
            && self.making_mode(wanted.mode) == wanted.mode
    }

    /// A directory that nobody described: 0755, ours.
    pub(super) fn plain_dir(&self, fd: &OwnedFd) -> sys::Result<()> {
        let now = meta::of_fd(fd)?;
        if (now.uid, now.gid) != (self.uid, self.gid) {
            meta::chown_fd(fd, self.uid, self.gid)?;
        }
        if now.mode != 0o755 {
            meta::chmod_fd(fd, 0o755)?;
        }
        Ok(())
    }

    /// Makes a lower layer's directory fit to be written in, and says what to give back to it at the end.
    pub(super) fn borrow_dir(&self, fd: &OwnedFd, now: &Meta, as_new: Time) -> sys::Result<Late> {
        let mut late = Late { as_new, ..Late::time(now.mtime) };
        late.default_acl = xattr::get_fd(fd, OsStr::new(DEFAULT_ACL))?;
        if late.default_acl.is_some() {
            xattr::remove_fd(fd, OsStr::new(DEFAULT_ACL))?;
        }
        let mode = self.making_mode(now.mode);
        if mode != now.mode {
            meta::chmod_fd(fd, mode)?;
            late.mode = Some(now.mode);
        }
        Ok(late)
    }

    /// Takes all attributes that a layer can set from a directory.
    pub(super) fn strip(&self, fd: &OwnedFd) -> sys::Result<()> {
        for key in xattr::list_fd(fd)? {
            if !xattr::is_overlay(&key) && key != "security.selinux" {
                xattr::remove_fd(fd, &key)?;
            }
        }
        Ok(())
    }

    /// Ends all directories, the deepest first.
    pub(super) fn finish_dirs(&mut self, root: &Root, late: &BTreeMap<Vec<u8>, Late>) -> Result<()> {
        let mut parent: Option<(&[u8], OwnedFd)> = None;
        // A directory sorts before all below it.
        for (path, late) in late.iter().rev() {
            if path.is_empty() || late.mode.is_some() || late.default_acl.is_some() {
                let fd = root.dir_nofollow(as_path(path))?;
                self.finish_dir(&fd, path, late)?;
                continue;
            }
            let (above, name) = name::split(path);
            if parent.as_ref().is_none_or(|(open, _)| *open != above) {
                parent = Some((above, root.dir_nofollow(as_path(above))?));
            }
            if let Some((_, fd)) = &parent {
                meta::set_times(fd, name, late.mtime, late.mtime)?;
            }
        }
        Ok(())
    }

    fn finish_dir(&mut self, fd: &OwnedFd, path: &[u8], late: &Late) -> Result<()> {
        if let Some(acl) = &late.default_acl {
            let acl = [(DEFAULT_ACL.as_bytes().to_vec(), acl.clone())];
            self.xattrs(&acl, |key, value| xattr::set_fd(fd, key, value)).map_err(|e| e.at(path))?;
        }
        if let Some(mode) = late.mode {
            meta::chmod_fd(fd, mode)?;
        }
        Ok(meta::set_times_fd(fd, late.mtime, late.mtime)?)
    }

    /// Gives the wanted owner to what was just made.
    fn chown(
        &self,
        wanted: &Wanted,
        group: Option<u32>,
        call: impl FnOnce(u32, u32) -> sys::Result<()>,
    ) -> sys::Result<()> {
        if (wanted.uid, wanted.gid) == (self.uid, group.unwrap_or(self.gid)) {
            return Ok(());
        }
        match call(wanted.uid, wanted.gid) {
            Err(e) if self.squashes(&e) => Ok(()),
            other => other,
        }
    }

    /// Whether this is the failure of an owner that need not be exact.
    pub(super) fn squashes(&self, error: &sys::Error) -> bool {
        self.owners == Owners::Squash && matches!(error.errno, Errno::INVAL | Errno::PERM)
    }

    fn xattrs(
        &mut self,
        xattrs: &[Xattr],
        mut set: impl FnMut(&OsStr, &[u8]) -> sys::Result<()>,
    ) -> Result<(), EntryError> {
        for (key, value) in xattrs {
            let key = OsStr::from_bytes(key);
            if xattr::is_overlay(key) {
                continue;
            }
            match set(key, value) {
                Err(e) if matches!(e.errno, Errno::OPNOTSUPP | Errno::PERM) => {
                    let key = key.to_string_lossy().into_owned();
                    if self.strict {
                        return Err(EntryFault::Xattr(key).into());
                    }
                    *self.unsupported.entry(key).or_default() += 1;
                }
                other => other?,
            }
        }
        Ok(())
    }
}
