//! Who `user[:group]` is in a container's tree, as its `/etc/passwd` and `/etc/group` say.

use std::path::Path;

use sys::Root;

use crate::error::{Error, Result};
use crate::spec::User;

/// A user that was looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// In numbers.
    pub user: User,
    /// The home directory; `/` if nobody says.
    pub home: String,
}

/// More than that no such file has.
const LARGEST: u64 = 16 << 20;

/// Looks up `user[:group]`, each a name or a number, in the tree at `rootfs`; an empty text means user 0. `groups` are
/// further groups, names or numbers. A number needs no entry, a name does.
///
/// # Errors
/// [`Error::User`] in Docker's words.
pub fn look_up(rootfs: &Path, text: &str, groups: &[String]) -> Result<Found> {
    let root = Root::open(rootfs)?;
    look_up_in(&read(&root, "etc/passwd")?, &read(&root, "etc/group")?, text, groups)
}

fn read(root: &Root, path: &str) -> Result<String> {
    use std::io::Read;
    let file = match root.file(Path::new(path)) {
        Err(e) if e.is_not_found() => return Ok(String::new()),
        other => std::fs::File::from(other?),
    };
    let mut bytes = Vec::new();
    file.take(LARGEST).read_to_end(&mut bytes).map_err(Error::io("read", path))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn look_up_in(passwd: &str, group: &str, text: &str, groups: &[String]) -> Result<Found> {
    let (name, group_name) = match text.split_once(':') {
        Some((name, group)) => (name, Some(group).filter(|group| !group.is_empty())),
        None => (text, None),
    };
    let name = if name.is_empty() { "0" } else { name };
    let people: Vec<_> = passwd.lines().filter_map(Person::parse).collect();
    let number = name.parse::<u32>().ok();
    // As in Docker, a name that is a number too is looked for as a name first.
    let person = people
        .iter()
        .find(|person| person.name == name)
        .or_else(|| people.iter().find(|person| Some(person.uid) == number));
    let uid = match (person, number) {
        (Some(person), _) => person.uid,
        (None, Some(uid)) if i32::try_from(uid).is_ok() => uid,
        (None, Some(_)) => return Err(Error::User("uids and gids must be in range 0-2147483647".into())),
        (None, None) => {
            return Err(Error::User(format!(
                "unable to find user {name}: no matching entries in passwd file"
            )));
        }
    };
    let teams: Vec<_> = group.lines().filter_map(Team::parse).collect();
    let mut user = User { uid, gid: person.map_or(0, |person| person.gid), groups: Vec::new() };
    match group_name {
        Some(wanted) => user.gid = gid_of(&teams, wanted)?,
        // The groups that the user is listed in; not asked for if a group was named.
        None => {
            let listed = |team: &&Team<'_>| person.is_some_and(|person| team.members.contains(&person.name));
            user.groups = teams.iter().filter(listed).map(|team| team.gid).collect();
        }
    }
    for wanted in groups {
        user.groups.push(gid_of(&teams, wanted)?);
    }
    let mut seen = std::collections::BTreeSet::new();
    user.groups.retain(|gid| seen.insert(*gid));
    let home = person.map(|person| person.home).filter(|home| !home.is_empty()).unwrap_or("/").to_owned();
    Ok(Found { user, home })
}

fn gid_of(teams: &[Team<'_>], wanted: &str) -> Result<u32> {
    if let Some(team) = teams.iter().find(|team| team.name == wanted) {
        return Ok(team.gid);
    }
    match wanted.parse::<u32>() {
        Ok(gid) if i32::try_from(gid).is_ok() => Ok(gid),
        Ok(_) => Err(Error::User("uids and gids must be in range 0-2147483647".into())),
        Err(_) => {
            Err(Error::User(format!("unable to find group {wanted}: no matching entries in group file")))
        }
    }
}

struct Person<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
}

impl<'a> Person<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let fields: Vec<_> = line.split(':').collect();
        Some(Self {
            name: fields.first()?,
            uid: fields.get(2)?.parse().ok()?,
            gid: fields.get(3)?.parse().ok()?,
            home: fields.get(5).copied().unwrap_or_default(),
        })
    }
}

struct Team<'a> {
    name: &'a str,
    gid: u32,
    members: Vec<&'a str>,
}

impl<'a> Team<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let fields: Vec<_> = line.split(':').collect();
        let members = fields.get(3).map(|members| members.split(',').collect()).unwrap_or_default();
        Some(Self { name: fields.first()?, gid: fields.get(2)?.parse().ok()?, members })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nada:x:1000:1000:Ada:/home/ada:/bin/sh\n# no entry\n7:x:70:71::/seven:\n";
    const GROUP: &str = "root:x:0:\naudio:x:29:ada,bob\nada:x:1000:\nvideo:x:44:ada\n";

    fn found(text: &str) -> (u32, u32, Vec<u32>, String) {
        let found = look_up_in(PASSWD, GROUP, text, &[]).unwrap();
        (found.user.uid, found.user.gid, found.user.groups, found.home)
    }

    #[test]
    fn users_are_found_by_name_and_number() {
        assert_eq!(found(""), (0, 0, vec![], "/root".into()));
        assert_eq!(found("ada"), (1000, 1000, vec![29, 44], "/home/ada".into()));
        assert_eq!(found("1000"), (1000, 1000, vec![29, 44], "/home/ada".into()));
        assert_eq!(found("7"), (70, 71, vec![], "/seven".into()));
        assert_eq!(found("12345"), (12345, 0, vec![], "/".into()));
    }

    #[test]
    fn a_group_that_is_named_counts_alone() {
        assert_eq!(found("ada:video"), (1000, 44, vec![], "/home/ada".into()));
        assert_eq!(found("5:6"), (5, 6, vec![], "/".into()));
        assert_eq!(found(":audio"), (0, 29, vec![], "/root".into()));
        let more = look_up_in(PASSWD, GROUP, "ada", &["audio".into(), "900".into()]).unwrap();
        assert_eq!(more.user.groups, [29, 44, 900]);
    }

    #[test]
    fn who_is_not_there_is_named() {
        let refused = |text: &str| look_up_in(PASSWD, GROUP, text, &[]).unwrap_err().to_string();
        assert_eq!(refused("eve"), "unable to find user eve: no matching entries in passwd file");
        assert_eq!(refused("ada:x"), "unable to find group x: no matching entries in group file");
        assert_eq!(refused("4294967295"), "uids and gids must be in range 0-2147483647");
    }

    #[test]
    fn a_tree_cannot_lead_outside() {
        let tree = tempfile::tempdir().unwrap();
        std::fs::create_dir(tree.path().join("etc")).unwrap();
        std::os::unix::fs::symlink("/proc/self/environ", tree.path().join("etc/passwd")).unwrap();
        let found = look_up(tree.path(), "5", &[]);
        assert!(found.is_err() || found.unwrap().home == "/");
    }
}
