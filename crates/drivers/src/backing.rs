//! The file system that a data root is on: its name as `docker info` writes it (moby.md §10.3), and whether its
//! directories tell the kinds of their entries.

use std::ffi::OsString;
use std::path::Path;

use sys::process::{XFS_MAGIC, fs_info, xfs_has_ftype};
use sys::{OwnedFd, dir};

use crate::{Prerequisite, Result, Unmet};

/// `f_type` of statfs(2) (kernel `include/uapi/linux/magic.h`) and Docker's word for it.
const NAMES: &[(u64, &str)] = &[
    (0x6175_6673, "aufs"),
    (0x9123_683e, "btrfs"),
    (0x2805_3d45, "cramfs"),
    (0xf15f, "ecryptfs"),
    (0xef53, "extfs"),
    (0xf2f5_2010, "f2fs"),
    (0x6573_5546, "fuse"),
    (0x4750_4653, "gpfs"),
    (0x3153_464a, "jfs"),
    (0x6969, "nfs"),
    (0x794c_7630, "overlayfs"),
    (0x7c7c_6673, "prl_fs"),
    (0x8584_58f6, "ramfs"),
    (0x5265_4973, "reiserfs"),
    (0xff53_4d42, "smb"),
    (0x7371_7368, "squashfs"),
    (0x0102_1994, "tmpfs"),
    (0x5846_5342, "xfs"),
    (0x2fc1_2fc1, "zfs"),
];

/// The name of the file system that `path` is on, `<unknown>` if Docker has none for it.
///
/// # Errors
/// System calls.
pub fn name(path: &Path) -> Result<&'static str> {
    let magic = fs_info(path)?.magic;
    Ok(NAMES.iter().find(|(m, _)| *m == magic).map_or("<unknown>", |(_, name)| name))
}

/// Whether directories of this file system tell the kinds of their entries, which OverlayFS needs. Asks an XFS, and
/// tries out any other with a directory that it makes in `dir` and removes.
pub(crate) fn tells_kinds(dir: &OwnedFd, path: &Path) -> Result<bool> {
    if fs_info(path)?.magic == XFS_MAGIC {
        return Ok(xfs_has_ftype(dir)?);
    }
    let name = OsString::from(format!(".layercake-{:016x}", u64::from_le_bytes(sys::process::random())));
    dir::mkdir(dir, &name, 0o700)?;
    let listed = dir::list(dir);
    dir::rmdir(dir, &name)?;
    Ok(listed?.iter().any(|entry| entry.name == name && entry.kind.is_some()))
}

/// Refuses a file system whose directories do not tell the kinds of their entries, as far as can be seen in a
/// microsecond: an XFS without them.
pub(crate) fn require_ftype(dir: &OwnedFd, path: &Path) -> Result<Result<(), Unmet>> {
    if fs_info(path)?.magic == XFS_MAGIC && !xfs_has_ftype(dir)? {
        return Ok(Err(no_kinds("xfs")));
    }
    Ok(Ok(()))
}

/// What to say of a file system named `name` whose directories do not tell the kinds of their entries.
pub(crate) fn no_kinds(name: &str) -> Unmet {
    let (found, remedy) = match name {
        "xfs" => ("xfs with ftype=0", "make the file system anew with 'mkfs.xfs -n ftype=1'"),
        "extfs" => {
            ("extfs without filetype", "turn that on with 'tune2fs -O filetype' and 'e2fsck -f', unmounted")
        }
        other => (other, "use xfs or ext4"),
    };
    Unmet::new(
        Prerequisite::DirectoryTypes,
        found,
        format!(
            "{remedy}, put the data root on another file system (--root), or choose --storage-driver vfs"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_file_system_tells_kinds_and_the_trial_leaves_nothing() {
        let here = tempfile::tempdir().unwrap();
        let fd = dir::open_path(here.path()).unwrap();
        assert!(tells_kinds(&fd, here.path()).unwrap());
        assert_eq!(std::fs::read_dir(here.path()).unwrap().count(), 0);
        assert!(require_ftype(&fd, here.path()).unwrap().is_ok());
    }

    #[test]
    fn the_hint_fits_the_file_system() {
        assert!(no_kinds("xfs").to_string().contains("mkfs.xfs -n ftype=1"));
        assert!(no_kinds("extfs").to_string().contains("tune2fs -O filetype"));
        assert!(no_kinds("jfs").to_string().contains("found: jfs; use xfs or ext4"));
    }
}
