//! How the program was called.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use super::{Request, Subtype};
use crate::output::failure::Failure;

/// What the program's name, and the form of its arguments, make of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Face {
    /// `layercake`.
    Layercake,
    /// `fuse-overlayfs`, with the arguments of `layercake union`.
    FuseOverlayfs,
    /// A helper of mount(8).
    MountHelper,
}

impl Face {
    /// How this command line, with the program's name first, wants to be understood. `is_command` says whether a word
    /// is the name of a subcommand.
    pub fn of(args: &[OsString], is_command: impl Fn(&str) -> bool) -> Self {
        let name = args.first().and_then(|name| Path::new(name).file_name()?.to_str()).unwrap_or_default();
        match (name, args) {
            ("fuse-overlayfs", _) => Self::FuseOverlayfs,
            (name, _) if name.starts_with("mount.") => Self::MountHelper,
            (_, [_, source, _, option, _])
                if option == "-o"
                    && source.to_str().is_none_or(|s| !is_command(s) && !s.starts_with('-')) =>
            {
                Self::MountHelper
            }
            _ => Self::Layercake,
        }
    }
}

/// Exit codes of mount(8).
const WRONG_CALL: u8 = 1;
const NOT_MOUNTED: u8 = 32;

/// Mounts as a helper of mount(8): `SOURCE TARGET [-sfnv] [-N NAMESPACE] [-o OPTIONS] [-t TYPE]`, options anywhere. Ends
/// as mount(8) does: 0 when it is mounted, 1 for a wrong call, 32 if it cannot be mounted.
///
/// # Errors
/// Those of the union.
pub fn mount_helper(args: &[OsString]) -> Result<(), Failure> {
    let wrong = |why: &str| Failure::plain(format_args!("mount.fuse.layercake: {why}")).code(WRONG_CALL);
    let mut places = Vec::new();
    let mut options = Vec::new();
    let mut subtype = Subtype::LAYERCAKE;
    let mut fake = false;
    let mut args = args.iter().skip(1);
    while let Some(arg) = args.next() {
        match arg.to_str() {
            Some("-o") => options.push(args.next().ok_or_else(|| wrong("-o needs a list"))?.clone()),
            Some("-t") => {
                let kind =
                    args.next().and_then(|kind| kind.to_str()).ok_or_else(|| wrong("-t needs a type"))?;
                let name = kind.strip_prefix("fuse.").unwrap_or(kind);
                subtype = Subtype::find(name).ok_or_else(|| wrong(&format!("there is no type {kind}")))?;
            }
            Some(flags)
                if flags.len() > 1
                    && flags.strip_prefix('-').is_some_and(|f| f.chars().all(|f| "sfnv".contains(f))) =>
            {
                fake |= flags.contains('f');
            }
            Some(other) if other.starts_with('-') => {
                return Err(wrong(&format!("{other} is not understood")));
            }
            _ => places.push(arg),
        }
    }
    let [source, target] = places.as_slice() else { return Err(wrong("wants SOURCE TARGET -o OPTIONS")) };
    let source = Some((*source).clone()).filter(|source| !source.is_empty() && source != OsStr::new("none"));
    let request = Request { options, source, target: target.into(), subtype };
    if fake {
        return request.read().map(drop).map_err(|refused| request.failed(refused).code(NOT_MOUNTED));
    }
    request.start().map_err(|failure| failure.code(NOT_MOUNTED))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn face(line: &str) -> Face {
        let args: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        Face::of(&args, |word| word == "union")
    }

    #[test]
    fn a_name_is_a_face() {
        for line in [
            "fuse-overlayfs -o lowerdir=a m",
            "/usr/bin/fuse-overlayfs --version",
            "fuse-overlayfs s m -o rw",
        ] {
            assert_eq!(face(line), Face::FuseOverlayfs, "{line}");
        }
        for line in
            ["/sbin/mount.fuse.layercake s m -o rw", "mount.fuse3 x", "layercake none /mnt -o lowerdir=a"]
        {
            assert_eq!(face(line), Face::MountHelper, "{line}");
        }
        for line in
            ["layercake union /mnt -o lowerdir=a", "layercake", "x images -q a b", "layercake -D ps -o x"]
        {
            assert_eq!(face(line), Face::Layercake, "{line}");
        }
    }
}
