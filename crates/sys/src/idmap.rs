//! Ids of containers, and the ids of the host that stand for them on the disk (user_namespaces(7), subuid(5)).
//!
//! A container whose user 0 is the host's user 100000 has its files on the disk with that owner. We work with what
//! images say, in which that owner is 0: a [`Shift`] shows a directory so, by a mount of its own that the kernel
//! translates ids in (`MOUNT_ATTR_IDMAP` of mount_setattr(2), Linux 5.12).

use std::ffi::{CStr, CString};
use std::path::Path;
use std::sync::Arc;

use rustix::mount as rm;

use crate::error::{At, Error, Result, error_from};
use crate::{AsFd, OwnedFd, raw, userns};

/// What user and group 0 of the host are shown as, so that their directories stay passable. No image has this id.
pub const HOST_ROOT: u32 = u32::MAX - 1;

/// Ids that follow each other inside and outside of containers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// The first one, as containers see it.
    pub inside: u32,
    /// The first one, as the host sees it.
    pub outside: u32,
    /// How many.
    pub count: u32,
}

impl Range {
    /// The id outside for one inside.
    fn outside_of(&self, inside: u32) -> Option<u32> {
        let at = inside.checked_sub(self.inside).filter(|at| *at < self.count)?;
        self.outside.checked_add(at)
    }
}

/// The ids of containers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdMap {
    uids: Vec<Range>,
    gids: Vec<Range>,
}

impl IdMap {
    /// All subordinate ids of a user and of a group in the order of their numbers, as containers'
    /// ids from 0 on. `None` in place of what `/etc/subuid` or `/etc/subgid` has nothing of.
    pub fn subordinate(user: &Account, group: &Account) -> (Option<Vec<Range>>, Option<Vec<Range>>) {
        let find = |file: &str, account: &Account| {
            let mut found = userns::subordinate_ids(Path::new(file), &account.name, account.id);
            found.sort_unstable();
            let mut inside = 0_u32;
            let mut ranges = Vec::new();
            for (outside, count) in found {
                let count = count.min(HOST_ROOT - inside);
                ranges.push(Range { inside, outside, count });
                inside += count;
            }
            (!ranges.is_empty()).then_some(ranges)
        };
        (find("/etc/subuid", user), find("/etc/subgid", group))
    }

    /// The map of these ranges; `None` if it has no user or group 0.
    pub fn new(uids: Vec<Range>, gids: Vec<Range>) -> Option<Self> {
        let map = Self { uids, gids };
        (map.uid(0).is_some() && map.gid(0).is_some()).then_some(map)
    }

    /// The users.
    pub fn uids(&self) -> &[Range] {
        &self.uids
    }

    /// The groups.
    pub fn gids(&self) -> &[Range] {
        &self.gids
    }

    /// The host's id of a container's user.
    pub fn uid(&self, inside: u32) -> Option<u32> {
        self.uids.iter().find_map(|range| range.outside_of(inside))
    }

    /// The host's id of a container's group.
    pub fn gid(&self, inside: u32) -> Option<u32> {
        self.gids.iter().find_map(|range| range.outside_of(inside))
    }

    /// The host's ids of the containers' user and group 0.
    pub fn root(&self) -> (u32, u32) {
        (self.uid(0).unwrap_or(0), self.gid(0).unwrap_or(0))
    }
}

/// A user or a group of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its name.
    pub name: String,
    /// Its id.
    pub id: u32,
}

/// The user of this name or, if the text is a number, of this id, as the machine's name service knows him.
pub fn user(text: &str) -> Option<Account> {
    account(text, raw::find_user)
}

/// The group of this name or id.
pub fn group(text: &str) -> Option<Account> {
    account(text, raw::find_group)
}

fn account(
    text: &str,
    find: impl Fn(std::result::Result<u32, &CStr>) -> Option<raw::Known>,
) -> Option<Account> {
    let name = CString::new(text).ok()?;
    let found = find(text.parse().map_err(|_| name.as_c_str()))?;
    Some(Account { name: found.name, id: found.id })
}

/// Shows directories with the ids of containers.
#[derive(Debug, Clone)]
pub struct Shift {
    map: IdMap,
    namespace: Arc<OwnedFd>,
}

impl Shift {
    /// A shift by this map.
    ///
    /// # Errors
    /// This process may not map these ids: it is not root of the machine.
    pub fn new(map: IdMap) -> Result<Self> {
        let maps = [("uid_map", lines(&map.uids)), ("gid_map", lines(&map.gids))];
        let child = raw::UserNamespace::new().at("make a user namespace", Path::new("/proc/self"))?;
        for (file, text) in &maps {
            let path = format!("/proc/{}/{file}", child.pid());
            std::fs::write(&path, text).map_err(|e| error_from("write", Path::new(&path), &e))?;
        }
        let path = format!("/proc/{}/ns/user", child.pid());
        let namespace = std::fs::File::open(&path).map_err(|e| error_from("open", Path::new(&path), &e))?;
        Ok(Self { map, namespace: Arc::new(namespace.into()) })
    }

    /// The map.
    pub fn map(&self) -> &IdMap {
        &self.map
    }

    /// The directory `path` with the ids of containers: what the disk says is the containers' user 0's shows as user
    /// 0's, and what is made through the descriptor as user 0 becomes his. User and group 0 of the host show as
    /// [`HOST_ROOT`]. What is mounted below does not show. The mount is attached nowhere and goes with the descriptor,
    /// an `O_PATH` one.
    ///
    /// # Errors
    /// `EINVAL`: the file system does not translate ids, or the kernel is older than 5.12.
    pub fn show(&self, path: &Path) -> Result<OwnedFd> {
        const IDMAP: u64 = 0x10_0000;
        let flags = rm::OpenTreeFlags::OPEN_TREE_CLONE | rm::OpenTreeFlags::OPEN_TREE_CLOEXEC;
        let tree = rm::open_tree(rustix::fs::CWD, path, flags).at("clone the mount of", path)?;
        raw::set_mount_attributes(tree.as_fd(), IDMAP, 0, Some(self.namespace.as_fd()))
            .map_err(|errno| Error::new("translate the owners of", path, errno))?;
        Ok(tree)
    }
}

/// The map for the kernel, which translates from inside to outside what is to be shown the other way round.
fn lines(ranges: &[Range]) -> String {
    let mut text: String =
        ranges.iter().map(|range| format!("{} {} {}\n", range.outside, range.inside, range.count)).collect();
    if ranges.iter().all(|range| range.outside != 0) {
        text += &format!("0 {HOST_ROOT} 1\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_follow_each_other() {
        let ranges = vec![
            Range { inside: 0, outside: 100_000, count: 10 },
            Range { inside: 10, outside: 300_000, count: 5 },
        ];
        let map = IdMap::new(ranges.clone(), ranges.clone()).unwrap();
        assert_eq!((map.uid(0), map.uid(9), map.gid(10)), (Some(100_000), Some(100_009), Some(300_000)));
        assert_eq!((map.uid(15), map.root()), (None, (100_000, 100_000)));
        assert_eq!(lines(&ranges), "100000 0 10\n300000 10 5\n0 4294967294 1\n");
        assert_eq!(IdMap::new(Vec::new(), ranges), None);
    }

    /// On a file system that translates ids: not every one of a machine's does, so on one that all kernels' do.
    #[test]
    fn files_show_with_the_ids_of_containers() {
        use crate::{dir, meta};
        use std::ffi::OsStr;
        if crate::process::euid() != 0 {
            return println!("skipped: files_show_with_the_ids_of_containers: needs root");
        }
        let tmp = tempfile::tempdir().unwrap();
        let range = vec![Range { inside: 0, outside: 100_000, count: 1000 }];
        let Ok(shift) = Shift::new(IdMap::new(range.clone(), range).unwrap()) else {
            return println!("skipped: files_show_with_the_ids_of_containers: no user namespaces");
        };
        let shown = match shift.show(tmp.path()) {
            Err(e) => return println!("skipped: files_show_with_the_ids_of_containers: {e}"),
            Ok(shown) => shown,
        };
        let plain = dir::open_path(tmp.path()).unwrap();
        let name = OsStr::new("file");
        // The directory is the host's root's, and can be worked in all the same.
        assert_eq!(meta::of_fd(&shown).unwrap().uid, HOST_ROOT);
        drop(dir::create_file(&shown, name, 0o600).unwrap());
        let owner = |dir: &OwnedFd| {
            let meta = meta::of(dir, name).unwrap();
            (meta.uid, meta.gid)
        };
        assert_eq!((owner(&plain), owner(&shown)), ((100_000, 100_000), (0, 0)));
        meta::chown(&shown, name, 7, 999).unwrap();
        assert_eq!((owner(&plain), owner(&shown)), ((100_007, 100_999), (7, 999)));
        assert_eq!(meta::chown(&shown, name, 1000, 0).unwrap_err().errno, crate::Errno::OVERFLOW);
        dir::link(&shown, name, &shown, OsStr::new("link")).unwrap();
    }
}
