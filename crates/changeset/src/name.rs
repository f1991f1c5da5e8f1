//! Names in a layer: cleaning, and the `.wh.` markers (layer.md, "Whiteouts"; moby.md §11.1).

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// What the names of all markers begin with.
pub(crate) const PREFIX: &[u8] = b".wh.";
/// Name of the marker that makes its directory opaque.
pub(crate) const OPAQUE: &[u8] = b".wh..wh..opq";
/// What the names of AUFS's own files begin with.
const AUFS: &[u8] = b".wh..wh.";

/// A path without `.`, `..`, double and outer slashes, relative to the layer's root; `""` is the root. `..` is taken
/// by the letter, as Docker's `filepath.Clean` does, and stops at the root.
pub(crate) fn clean(path: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(path.len());
    for part in path.split(|b| *b == b'/') {
        match part {
            b"" | b"." => {}
            b".." => out.truncate(out.iter().rposition(|b| *b == b'/').unwrap_or(0)),
            part => push(&mut out, part),
        }
    }
    out
}

/// Whether `..` leads above the layer's root on the way.
pub(crate) fn escapes(path: &[u8]) -> bool {
    let mut depth = 0_usize;
    for part in path.split(|b| *b == b'/') {
        match part {
            b"" | b"." => {}
            b".." if depth == 0 => return true,
            b".." => depth -= 1,
            _ => depth += 1,
        }
    }
    false
}

/// Appends a component to a cleaned path.
pub(crate) fn push(path: &mut Vec<u8>, part: &[u8]) {
    if !path.is_empty() {
        path.push(b'/');
    }
    path.extend_from_slice(part);
}

/// `parent/part` for cleaned paths.
pub(crate) fn join(parent: &[u8], part: &[u8]) -> Vec<u8> {
    let mut path = Vec::with_capacity(parent.len() + 1 + part.len());
    path.extend_from_slice(parent);
    push(&mut path, part);
    path
}

/// The parent and the last component of a cleaned path that is not the root.
pub(crate) fn split(path: &[u8]) -> (&[u8], &OsStr) {
    match path.iter().rposition(|b| *b == b'/') {
        Some(slash) => (&path[..slash], OsStr::from_bytes(&path[slash + 1..])),
        None => (b"", OsStr::from_bytes(path)),
    }
}

/// The root, then each longer beginning of a cleaned path, without the path itself.
pub(crate) fn ancestors(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    let root = (!path.is_empty()).then_some(&path[..0]);
    root.into_iter().chain(path.iter().enumerate().filter(|(_, b)| **b == b'/').map(|(at, _)| &path[..at]))
}

/// What a path says by its `.wh.` names.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Marker<'a> {
    /// It has none.
    None,
    /// `.wh..wh..opq`: the directory hides the lower ones.
    Opaque,
    /// `.wh.<name>`: the lower layers' `<name>` is gone.
    Whiteout(&'a OsStr),
    /// Something of AUFS, without meaning.
    Aufs,
    /// A name that no layer can have.
    Reserved,
}

/// Reads the markers of a cleaned path.
pub(crate) fn marker(path: &[u8]) -> Marker<'_> {
    let (parent, name) = split(path);
    if let Some(reserved) = parent.split(|b| *b == b'/').find(|part| part.starts_with(PREFIX)) {
        return if reserved.starts_with(AUFS) && reserved != OPAQUE {
            Marker::Aufs
        } else {
            Marker::Reserved
        };
    }
    match name.as_bytes() {
        OPAQUE => Marker::Opaque,
        name if name.starts_with(AUFS) => Marker::Aufs,
        name => match name.strip_prefix(PREFIX) {
            Some(b"" | b"." | b"..") => Marker::Reserved,
            Some(name) => Marker::Whiteout(OsStr::from_bytes(name)),
            None => Marker::None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cleaned_by_the_letter() {
        for (path, cleaned, escape) in [
            ("a/b", "a/b", false),
            ("./a//b/", "a/b", false),
            ("/etc/passwd", "etc/passwd", false),
            ("../x", "x", true),
            ("/../x", "x", true),
            ("a/../../x", "x", true),
            ("a/b/../../x", "x", false),
            ("./", "", false),
            ("a/..", "", false),
            ("", "", false),
        ] {
            assert_eq!(clean(path.as_bytes()), cleaned.as_bytes(), "{path}");
            assert_eq!(escapes(path.as_bytes()), escape, "{path}");
        }
    }

    #[test]
    fn ancestors_begin_at_the_root() {
        let all: Vec<_> = ancestors(b"a/bc/d").collect();
        assert_eq!(all, [&b""[..], b"a", b"a/bc"]);
        assert_eq!(ancestors(b"").count(), 0);
    }

    #[test]
    fn markers() {
        let gone = |name: &'static str| Marker::Whiteout(OsStr::new(name));
        for (path, expected) in [
            ("d/x", Marker::None),
            (".whx", Marker::None),
            ("d/.wh.x", gone("x")),
            (".wh..hidden", gone(".hidden")),
            (".wh....", gone("...")),
            ("d/.wh..wh..opq", Marker::Opaque),
            (".wh..wh.aufs", Marker::Aufs),
            (".wh..wh.plnk/1.2", Marker::Aufs),
            ("d/.wh..wh.x", Marker::Aufs),
            (".wh.", Marker::Reserved),
            ("d/.wh..", Marker::Reserved),
            (".wh...", Marker::Reserved),
            (".wh.x/y", Marker::Reserved),
            (".wh..wh..opq/y", Marker::Reserved),
        ] {
            assert_eq!(marker(path.as_bytes()), expected, "{path}");
        }
    }
}
