//! An upper directory laid over the tree below it: one whole tree, as the overlay shows it.

use changeset::XattrSpace;
use sys::{FileKind, Meta, OwnedFd, Root, dir, meta, tree, xattr};

use crate::whole::copy::Level;

/// Makes `to`, a tree of its own directories, what an overlay of `upper` on it shows. Files are linked, not copied; the
/// overlay's own attributes are taken off them, for in a whole tree they say nothing.
pub(super) fn lay_over(upper: &Root, to: &Root, marks: XattrSpace) -> sys::Result<()> {
    let mut levels = vec![Level::new(dir::reopen(upper)?, dir::reopen(to)?)?];
    while let Some(level) = levels.last_mut() {
        let Some(entry) = level.rest.pop() else {
            be_like(&level.from, &level.meta, &level.to)?;
            levels.pop();
            continue;
        };
        let (from, to, name) = (&level.from, &level.to, entry.name.as_os_str());
        let meta = meta::of(from, name)?;
        if meta.is_whiteout() {
            tree::remove(to, name)?;
        } else if meta.kind == FileKind::Dir {
            let source = dir::open(from, name)?;
            let opaque = xattr::get_fd(&source, marks.opaque())?.is_some_and(|value| value == b"y");
            let is_dir = meta::find(to, name)?.is_some_and(|there| there.kind == FileKind::Dir);
            if opaque || !is_dir {
                tree::remove(to, name)?;
            }
            let next = Level::new(source, dir::ensure(to, name, 0o700)?)?;
            levels.push(next);
        } else {
            tree::remove(to, name)?;
            dir::link(from, name, to, name)?;
            for key in xattr::list(to, name)?.iter().filter(|key| xattr::is_overlay(key)) {
                xattr::remove(to, name, key)?;
            }
        }
    }
    Ok(())
}

/// Gives a directory the attributes of another one, and no others.
fn be_like(from: &OwnedFd, wanted: &Meta, to: &OwnedFd) -> sys::Result<()> {
    meta::chown_fd(to, wanted.uid, wanted.gid)?;
    let keys: Vec<_> = xattr::list_fd(from)?.into_iter().filter(|key| !xattr::is_overlay(key)).collect();
    for key in xattr::list_fd(to)?.iter().filter(|key| !keys.contains(key)) {
        xattr::remove_fd(to, key)?;
    }
    for key in &keys {
        if let Some(value) = xattr::get_fd(from, key)? {
            xattr::set_fd(to, key, &value)?;
        }
    }
    meta::chmod_fd(to, wanted.mode)?;
    meta::set_times_fd(to, wanted.atime, wanted.mtime)
}
