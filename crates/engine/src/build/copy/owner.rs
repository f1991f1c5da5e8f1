//! `--chown` and `USER`: names and numbers of users, as the image's own `/etc/passwd` and `/etc/group` have them.

use std::io::Read;
use std::path::Path;

use crate::copy::Tree;
use crate::{Error, Result};

/// A user and a group by number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::build) struct Owner {
    pub uid: u32,
    pub gid: u32,
}

/// Longer files of users are not read.
const MAX: u64 = 16 << 20;

/// What `user[:group]` means in this tree. A number alone is the group, too; a name alone has the group of its line.
///
/// # Errors
/// There is no such name.
pub(in crate::build) fn owner(tree: Option<&Tree>, spec: &str) -> Result<Owner> {
    let (user, group) = match spec.split_once(':') {
        Some((user, group)) => (user, Some(group).filter(|group| !group.is_empty())),
        None => (spec, None),
    };
    let missing = |kind: &str, name: &str| {
        let why = format!("can't find {kind} for {name}: no such {kind} in the image");
        Error::invalid(format!("unable to convert uid/gid chown string to host mapping: {why}"))
    };
    let (uid, primary) = match user.parse::<u32>() {
        Ok(uid) => (uid, None),
        Err(_) if user.is_empty() => (0, Some(0)),
        Err(_) => {
            let line = line(tree, "etc/passwd", user)?.ok_or_else(|| missing("user", user))?;
            let number = |at: usize| line.get(at).and_then(|field| field.parse().ok());
            (number(2).ok_or_else(|| missing("user", user))?, number(3))
        }
    };
    let gid = match group.map(str::parse::<u32>) {
        Some(Ok(gid)) => gid,
        Some(Err(_)) => {
            let name = group.unwrap_or_default();
            let line = line(tree, "etc/group", name)?.ok_or_else(|| missing("group", name))?;
            line.get(2).and_then(|field| field.parse().ok()).ok_or_else(|| missing("group", name))?
        }
        None => primary.unwrap_or(uid),
    };
    Ok(Owner { uid, gid })
}

/// The fields of the line that begins with this name.
fn line(tree: Option<&Tree>, path: &str, name: &str) -> Result<Option<Vec<String>>> {
    let Some(tree) = tree else { return Ok(None) };
    let Ok(place) = tree.find(Path::new(path), true)? else { return Ok(None) };
    let (dir, leaf) = tree.layers().root(place.found.layer).parent_nofollow(&place.path)?;
    let Ok(fd) = sys::dir::open_file(&dir, &leaf) else { return Ok(None) };
    let mut text = Vec::new();
    std::fs::File::from(fd).take(MAX).read_to_end(&mut text).map_err(Error::io("read", path))?;
    let text = String::from_utf8_lossy(&text);
    let fields = |line: &str| line.split(':').map(str::to_owned).collect::<Vec<_>>();
    Ok(text.lines().map(fields).find(|fields| fields.first().is_some_and(|first| first == name)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use changeset::Lowers;

    fn tree() -> (tempfile::TempDir, Tree) {
        let tmp = tempfile::tempdir().unwrap();
        std::fs::create_dir(tmp.path().join("etc")).unwrap();
        std::fs::write(tmp.path().join("etc/passwd"), "root:x:0:0::/root:/bin/sh\nweb:x:33:34::/:/bin/sh\n")
            .unwrap();
        std::fs::write(tmp.path().join("etc/group"), "root:x:0:\nstaff:x:50:\n").unwrap();
        let tree = Tree::new(Lowers::tree(sys::Root::open(tmp.path()).unwrap()));
        (tmp, tree)
    }

    #[test]
    fn names_are_the_images_and_numbers_need_no_file() {
        let (_tmp, tree) = tree();
        for (spec, uid, gid) in [
            ("web", 33, 34),
            ("web:staff", 33, 50),
            ("web:7", 33, 7),
            ("5", 5, 5),
            ("5:6", 5, 6),
            ("5:staff", 5, 50),
            (":staff", 0, 50),
        ] {
            assert_eq!(owner(Some(&tree), spec).unwrap(), Owner { uid, gid }, "{spec}");
        }
        assert_eq!(owner(None, "5:6").unwrap(), Owner { uid: 5, gid: 6 });
    }

    #[test]
    fn a_name_that_the_image_has_not_is_refused() {
        let (_tmp, tree) = tree();
        let error = owner(Some(&tree), "nobody").unwrap_err().to_string();
        assert!(error.contains("can't find user for nobody"), "{error}");
        assert!(owner(Some(&tree), "web:nogroup").is_err());
        assert!(owner(None, "web").is_err());
    }
}
