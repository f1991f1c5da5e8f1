//! How the directory of a layer tells what its layer deletes.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use sys::{AsFd, FileKind, Meta, dir, meta, tree, xattr};

use crate::name::{self, Marker};
use crate::{Whiteouts, XattrSpace};

/// Which marks of deletions count in the directory of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marks {
    /// Whose opaque attribute does. A character device 0:0 always does.
    pub space: XattrSpace,
    /// Whether the files `.wh.NAME` and `.wh..wh..opq` do too, as in archives. Names that begin with `.wh.` are then
    /// never files of the layer.
    pub files: bool,
}

impl From<XattrSpace> for Marks {
    /// As OverlayFS has it.
    fn from(space: XattrSpace) -> Self {
        Self { space, files: false }
    }
}

/// What one layer says of a name.
pub(crate) struct Said {
    /// What the layer itself has there.
    pub own: Option<Meta>,
    /// Whether it deletes what lower layers have there.
    pub deletes: bool,
}

/// What something in the directory of a layer is.
pub(crate) enum Role<'a> {
    /// A file of the layer.
    File,
    /// A file that deletes the lower layers' file of this name, unless the layer has one itself.
    Deletion(&'a OsStr),
    /// Another mark, or in the directory of one.
    Mark,
}

impl Marks {
    /// What the layer with the directory `dir` says of `name` in it. Whether a directory of that name is opaque is
    /// another question.
    pub(crate) fn look(&self, dir: impl AsFd, name: &OsStr) -> sys::Result<Said> {
        let own = meta::find(&dir, name)?;
        if own.as_ref().is_some_and(Meta::is_whiteout) {
            return Ok(Said { own: None, deletes: true });
        }
        Ok(Said { own, deletes: self.has_file_for(dir, name)? })
    }

    /// What stands at a path in the layer's directory.
    pub(crate) fn role<'a>(&self, path: &'a Path) -> Role<'a> {
        match name::marker(path.as_os_str().as_bytes()) {
            _ if !self.files => Role::File,
            Marker::None => Role::File,
            Marker::Whiteout(name) => Role::Deletion(name),
            _ => Role::Mark,
        }
    }

    /// Whether the directory `name` in `dir`, open as `fd`, hides what lower layers have in it.
    pub(crate) fn hides(&self, dir: impl AsFd, name: &OsStr, fd: impl AsFd) -> sys::Result<bool> {
        Ok(self.is_opaque(fd)? || self.has_file_for(dir, name)?)
    }

    /// Whether a directory has a mark in or on itself that it hides what lower layers have in it.
    pub(crate) fn is_opaque(&self, fd: impl AsFd) -> sys::Result<bool> {
        let attribute = xattr::get_fd(&fd, self.space.opaque())?;
        Ok(attribute.is_some_and(|value| value == b"y")
            || self.files && meta::find(fd, OsStr::from_bytes(name::OPAQUE))?.is_some())
    }

    fn has_file_for(&self, dir: impl AsFd, name: &OsStr) -> sys::Result<bool> {
        // Of a longer name nobody can make such a mark.
        if !self.files || !has_room(name) {
            return Ok(false);
        }
        // fuse-overlayfs puts the device that hides a name in the place of one mark.
        Ok(meta::find(dir, &file_for(name))?.is_some_and(|mark| !mark.is_whiteout()))
    }
}

/// The name of the file that deletes `name`.
fn file_for(name: &OsStr) -> OsString {
    let mut mark = OsString::from(OsStr::from_bytes(name::PREFIX));
    mark.push(name);
    mark
}

/// Whether [`file_for`] is a name that a file can have.
fn has_room(name: &OsStr) -> bool {
    name.len() + name::PREFIX.len() <= 255
}

impl Whiteouts {
    /// Removes `name`, and leaves the mark that deletes the lower layers'. Returns the name of the mark.
    pub(crate) fn delete(self, dir: impl AsFd, name: &OsStr) -> sys::Result<Option<OsString>> {
        tree::remove(&dir, name)?;
        match self {
            Self::Delete => Ok(None),
            Self::Files if has_room(name) => {
                let mark = file_for(name);
                put(dir, &mark)?;
                Ok(Some(mark))
            }
            Self::Overlay(_) | Self::Files => {
                dir::mknod(dir, name, FileKind::CharDevice, 0, 0, 0)?;
                Ok(Some(name.to_owned()))
            }
        }
    }

    /// Takes away the mark that [`delete`](Self::delete) left.
    pub(crate) fn undelete(self, dir: impl AsFd, name: &OsStr) -> sys::Result<()> {
        match self {
            Self::Delete => Ok(()),
            Self::Files if has_room(name) => dir::unlink(dir, &file_for(name)),
            Self::Overlay(_) | Self::Files => dir::unlink(dir, name),
        }
    }

    /// Marks the directory `fd` as one that hides what lower layers have in it. In a whole tree there is no such mark.
    pub(crate) fn make_opaque(self, fd: impl AsFd) -> sys::Result<()> {
        match self {
            Self::Delete => Ok(()),
            Self::Overlay(space) => xattr::set_fd(fd, space.opaque(), b"y"),
            Self::Files => put(fd, OsStr::from_bytes(name::OPAQUE)),
        }
    }
}

/// Makes a mark that is a file, unless it is there: a layer may delete a name twice.
fn put(dir: impl AsFd, mark: &OsStr) -> sys::Result<()> {
    match dir::create_file(dir, mark, 0o600) {
        Err(e) if !e.is_exists() => Err(e),
        _ => Ok(()),
    }
}
