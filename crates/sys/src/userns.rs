//! A user namespace for those who are not root.
//!
//! An ordinary user may mount nothing. In a user namespace of his own he is user 0, and in the mount namespace that
//! belongs to it he may mount overlays (Linux 5.11, with `userxattr`). Such a namespace ends with its last process,
//! and the mounts with it; so the first command on a store leaves a *holder* behind, a process that does nothing but
//! keep the namespace, and every later command joins it ([`enter`]). The holder ends by itself when nothing is
//! mounted below the store any more and no command is inside ([`hold`]).
//!
//! From outside, the user reaches the mounts through the holder: [`Membership::outside_path`].
//!
//! What each part may do is user_namespaces(7) and ptrace(2), "Ptrace access mode checking".

mod holder;
mod idmap;
mod join;
mod record;

use std::fmt;
use std::path::Path;

use crate::error::{Result, error_from};
use crate::process;

pub use holder::hold;
pub(crate) use idmap::subordinate as subordinate_ids;
pub use join::{Holding, Membership, enter, keep};

/// What this process may do, as far as its user decides it. A container's limits (capabilities, seccomp) are not in
/// here: only trying tells those.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Privilege {
    /// User 0 of the machine.
    Root,
    /// User 0 of a user namespace: no device nodes, and overlays keep their marks in `user.overlay.*`.
    UserNamespace {
        /// How many ids it can give to files.
        ids: Ids,
    },
    /// An ordinary user.
    None,
}

/// How many user and group ids a user namespace has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ids {
    /// More than one of each; chown(2) to an id outside the map still fails with `EINVAL`.
    Many,
    /// Only id 0, the user himself: every file is his.
    One,
}

/// Finds out what this process may do.
pub fn privilege() -> Result<Privilege> {
    if process::euid() != 0 {
        return Ok(Privilege::None);
    }
    if in_initial_namespace()? {
        return Ok(Privilege::Root);
    }
    let many = count_ids("/proc/self/uid_map")? > 1 && count_ids("/proc/self/gid_map")? > 1;
    Ok(Privilege::UserNamespace { ids: if many { Ids::Many } else { Ids::One } })
}

/// The machine's first user namespace has an inode number of its own (`PROC_USER_INIT_INO`, linux/proc_ns.h). The
/// map of ids does not tell it apart: a container can have the identity map too.
fn in_initial_namespace() -> Result<bool> {
    use std::os::unix::fs::MetadataExt;
    const INITIAL: u64 = 0xEFFF_FFFD;
    let path = Path::new("/proc/self/ns/user");
    let meta = std::fs::metadata(path).map_err(|e| error_from("stat", path, &e))?;
    Ok(meta.ino() == INITIAL)
}

/// Adds up a map: lines of inside, outside, count.
fn count_ids(map: &str) -> Result<u64> {
    let text = read(Path::new(map))?;
    let count = |line: &str| line.split_whitespace().nth(2).and_then(|n| n.parse::<u64>().ok());
    Ok(text.lines().filter_map(count).sum())
}

/// A setting of the machine that keeps ordinary users from making user namespaces, and how it is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Obstacle {
    /// `user.max_user_namespaces` is 0.
    NoneAllowed,
    /// `kernel.unprivileged_userns_clone` is 0 (Debian's kernels).
    OnlyRoot,
    /// `kernel.apparmor_restrict_unprivileged_userns` is 1 (Ubuntu since 23.10): without a profile of its own, a
    /// program gets a namespace in which it may do nothing.
    AppArmor,
}

impl Obstacle {
    /// Looks for a setting that explains why a user namespace was refused.
    pub fn find() -> Option<Self> {
        let is = |path: &str, value: &str| read(Path::new(path)).is_ok_and(|text| text.trim() == value);
        if is("/proc/sys/user/max_user_namespaces", "0") {
            Some(Self::NoneAllowed)
        } else if is("/proc/sys/kernel/unprivileged_userns_clone", "0") {
            Some(Self::OnlyRoot)
        } else if is("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1") {
            Some(Self::AppArmor)
        } else {
            None
        }
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoneAllowed => {
                "user namespaces are switched off on this machine; \
                 as root: sysctl -w user.max_user_namespaces=10000"
            }
            Self::OnlyRoot => {
                "this machine allows user namespaces to root only; \
                 as root: sysctl -w kernel.unprivileged_userns_clone=1"
            }
            Self::AppArmor => {
                "AppArmor restricts user namespaces on this machine; as root, give this program a profile with \
                 the rule \"userns,\" or: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"
            }
        })
    }
}

/// Reads a small text file of `/proc` or `/etc`.
fn read(path: &Path) -> Result<String> {
    std::fs::read(path)
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .map_err(|e| error_from("read", path, &e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_user_decides_the_privilege() {
        let privilege = privilege().unwrap();
        match process::euid() {
            0 => assert_ne!(privilege, Privilege::None),
            _ => assert_eq!(privilege, Privilege::None),
        }
    }

    #[test]
    fn every_obstacle_says_what_to_do() {
        for obstacle in [Obstacle::NoneAllowed, Obstacle::OnlyRoot, Obstacle::AppArmor] {
            assert!(obstacle.to_string().contains("sysctl -w "), "{obstacle}");
        }
    }
}
