//! Owners as the union shows them and as the layers have them (union-fs.md rule 82: fuse-overlayfs's `uidmapping`,
//! `gidmapping` and `squash_to_*`).

use crate::config::{IdRange, Options, Squash};

/// The owner that shows for one that no range has (`/proc/sys/fs/overflowuid`).
const NOBODY: u32 = 65534;

/// How owners are translated.
#[derive(Debug)]
pub struct Ids {
    users: Vec<IdRange>,
    groups: Vec<IdRange>,
    squash: Squash,
}

impl Ids {
    /// As the options say.
    pub fn new(options: &Options) -> Self {
        Self { users: options.uid_map.clone(), groups: options.gid_map.clone(), squash: options.squash }
    }

    /// The owner and the group that show for those of a layer's file.
    pub fn shown(&self, uid: u32, gid: u32) -> (u32, u32) {
        let (squashed_uid, squashed_gid) = match self.squash {
            Squash::None => (None, None),
            Squash::Root => (Some(0), Some(0)),
            Squash::To { uid, gid } => (uid, gid),
        };
        (
            squashed_uid.unwrap_or_else(|| inside(&self.users, uid)),
            squashed_gid.unwrap_or_else(|| inside(&self.groups, gid)),
        )
    }

    /// The owner and the group in the layers of what these make. A maker whom no range has is nobody there, and no
    /// error: Podman, as a user outside of a container's ranges, makes files in it before it starts.
    pub fn of_new(&self, uid: u32, gid: u32) -> (u32, u32) {
        (self.user(uid).unwrap_or(NOBODY), self.group(gid).unwrap_or(NOBODY))
    }

    /// The user in the layers for one who is to own something; `None` for one whom no range has.
    pub fn user(&self, uid: u32) -> Option<u32> {
        outside(&self.users, uid)
    }

    /// The group, likewise.
    pub fn group(&self, gid: u32) -> Option<u32> {
        outside(&self.groups, gid)
    }
}

fn inside(map: &[IdRange], id: u32) -> u32 {
    if map.is_empty() {
        return id;
    }
    let range = map.iter().find(|range| id.checked_sub(range.outside).is_some_and(|n| n < range.count));
    range.map_or(NOBODY, |range| range.inside + (id - range.outside))
}

fn outside(map: &[IdRange], id: u32) -> Option<u32> {
    if map.is_empty() {
        return Some(id);
    }
    let range = map.iter().find(|range| id.checked_sub(range.inside).is_some_and(|n| n < range.count))?;
    Some(range.outside + (id - range.inside))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(squash: Squash) -> Ids {
        let uid_map = vec![
            IdRange { inside: 0, outside: 1000, count: 1 },
            IdRange { inside: 1, outside: 100_000, count: 65536 },
        ];
        Ids::new(&Options { uid_map, squash, ..Options::default() })
    }

    #[test]
    fn a_map_is_used_both_ways() {
        let ids = ids(Squash::None);
        assert_eq!(ids.shown(1000, 7), (0, 7));
        assert_eq!(ids.shown(100_004, 7), (5, 7));
        assert_eq!(ids.shown(5, 7), (NOBODY, 7), "outside all ranges");
        assert_eq!((ids.user(0), ids.user(5), ids.user(65537)), (Some(1000), Some(100_004), None));
        assert_eq!(ids.group(5), Some(5), "no map");
        assert_eq!((ids.of_new(0, 7), ids.of_new(65537, 7)), ((1000, 7), (NOBODY, 7)));
    }

    #[test]
    fn squashing_shows_one_owner_and_keeps_who_makes() {
        assert_eq!(ids(Squash::Root).shown(100_004, 7), (0, 0));
        assert_eq!(ids(Squash::To { uid: Some(9), gid: None }).shown(100_004, 7), (9, 7));
        assert_eq!(ids(Squash::Root).user(5), Some(100_004));
    }
}
