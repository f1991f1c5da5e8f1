//! The host's side of `cp`. What the user names here is trusted as far as links go: it is the user's own path.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use changeset::Lowers;
use sys::Root;

use super::Source;
use super::paths::Spelled;
use crate::{Error, Result};

/// As many links as Docker follows to find a destination.
const MAX_LINKS: usize = 10;

/// A path of the host, absolute.
pub(super) fn spelled(path: &Path) -> Result<Spelled> {
    let here = std::env::current_dir().map_err(Error::io("find", "the working directory"))?;
    Ok(Spelled::new(&here, path))
}

/// Refuses what cannot become a destination, before anything else is done.
pub(super) fn validate(path: &Spelled) -> Result<()> {
    let (parent, shown) = (path.path.parent().unwrap_or(Path::new("/")), path.shown());
    if let Err(e) = fs::metadata(parent)
        && e.kind() == ErrorKind::NotFound
    {
        return Err(Error::invalid(format!(
            "invalid output path: directory {:?} does not exist",
            show(parent)
        )));
    }
    match fs::metadata(&path.path) {
        Ok(meta) if meta.file_type().is_char_device() || meta.file_type().is_block_device() => {
            Err(Error::invalid(format!(
                "invalid output path: {shown:?} must be a directory or a regular file: got a device"
            )))
        }
        Ok(meta) if path.asserts_directory() && !meta.is_dir() => not_a_directory("stat", &shown),
        Err(e) if e.kind() == ErrorKind::NotADirectory => not_a_directory("stat", &shown),
        _ => Ok(()),
    }
}

/// Where a copy really goes when `path` is a link, and whether a directory (`Some(true)`), something else or nothing
/// is there.
pub(super) fn destination(path: &Spelled) -> Result<(Spelled, Option<bool>)> {
    let mut to = path.clone();
    for _ in 0..=MAX_LINKS {
        match fs::symlink_metadata(&to.path) {
            Ok(meta) if meta.is_symlink() => {
                let target = fs::read_link(&to.path).map_err(Error::io("read link", &to.path))?;
                let parent = to.path.parent().unwrap_or(Path::new("/"));
                to.path = super::paths::clean(&parent.join(target));
            }
            Ok(meta) => return Ok((to, Some(meta.is_dir()))),
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok((to, None)),
            Err(e) => return Err(Error::io("stat", &to.path)(e)),
        }
    }
    Err(Error::invalid(format!("too many symlinks in {}", path.shown())))
}

/// Finds what is to be copied from the host. A link that `path` ends in is copied itself, unless it is to be followed
/// or a slash or `/.` comes after it.
pub(super) fn source(path: &Path, follow: bool) -> Result<Source> {
    let spelled = spelled(path)?;
    let lstat = |path: &Path| {
        let path = path.to_owned();
        move |e: std::io::Error| match e.kind() {
            ErrorKind::NotFound => {
                Error::invalid(format!("lstat {}: no such file or directory", path.display()))
            }
            ErrorKind::NotADirectory => Error::invalid(format!("lstat {}: not a directory", path.display())),
            _ => Error::io("lstat", &path)(e),
        }
    };
    let real = if follow || spelled.asserts_directory() {
        let target = destination(&spelled)?.0.path;
        fs::canonicalize(&spelled.path).map_err(lstat(&target))?
    } else {
        match (spelled.path.parent(), spelled.path.file_name()) {
            (Some(parent), Some(name)) => fs::canonicalize(parent).map_err(lstat(&spelled.path))?.join(name),
            _ => spelled.path.clone(),
        }
    };
    let is_dir = fs::symlink_metadata(&real).map_err(lstat(&real))?.is_dir();
    if spelled.asserts_directory() && !is_dir {
        return Err(Error::invalid("not a directory"));
    }
    let name = spelled.name();
    Ok(match (is_dir, real.parent(), real.file_name()) {
        (false, Some(parent), Some(leaf)) => {
            Source { tree: Lowers::tree(Root::open(parent)?), path: leaf.into(), is_dir, name }
        }
        _ => Source { tree: Lowers::tree(Root::open(&real)?), path: Default::default(), is_dir, name },
    })
}

fn show(path: &Path) -> String {
    path.display().to_string()
}

fn not_a_directory(op: &str, shown: &str) -> Result<()> {
    Err(Error::invalid(format!("{op} {shown}: not a directory")))
}
