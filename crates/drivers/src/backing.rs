//! The names of file systems, as `docker info` writes them (moby.md §10.3).

use std::path::Path;

use crate::Result;

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
pub(crate) fn name(path: &Path) -> Result<&'static str> {
    let magic = sys::process::fs_info(path)?.magic;
    Ok(NAMES.iter().find(|(m, _)| *m == magic).map_or("<unknown>", |(_, name)| name))
}
