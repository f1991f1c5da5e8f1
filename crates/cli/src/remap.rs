//! `--userns-remap`: whose subordinate ids containers get (subuid(5)), with Docker's words.

use sys::idmap::{self, Account, IdMap};

use crate::output::failure::Failure;

/// The user that Docker makes for it.
const DEFAULT: &str = "default";
const DOCKREMAP: &str = "dockremap";

/// The ids of `USER`, `USER:GROUP`, by name or number, or of `default`. `None` for root, which is no other than itself.
///
/// # Errors
/// Nobody of that name, or nobody has given him ids.
pub fn ids(text: &str) -> Result<Option<IdMap>, Failure> {
    let (user_text, group_text) = match text.split_once(':') {
        Some((user, group)) if group.contains(':') || user.is_empty() || group.is_empty() => {
            return Err(refused(format_args!(
                "invalid user/group specification in --userns-remap: {text:?}"
            )));
        }
        Some((user, group)) => (user, Some(group)),
        None => (text, None),
    };
    let user_text = if text == DEFAULT { DOCKREMAP } else { user_text };
    let user = idmap::user(user_text).ok_or_else(|| no_user(user_text, text == DEFAULT))?;
    // As in Docker, a user without a group has that of his name.
    let group_text = group_text.unwrap_or(&user.name);
    let group = idmap::group(group_text).ok_or_else(|| match group_text.parse::<u32>() {
        Ok(gid) => refused(format_args!("gid {gid} has no entry in /etc/group")),
        Err(_) => refused(format_args!("error during gid lookup for {group_text:?}: no such group")),
    })?;
    if user.id == 0 {
        return Ok(None);
    }
    let (uids, gids) = IdMap::subordinate(&user, &group);
    let missing = |what: &str, file: &str, account: &Account| {
        let name = &account.name;
        refused(format_args!("can't create ID mappings: no {what} ranges found for {name:?} in {file}")).hint(
            format_args!("as root: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {name}"),
        )
    };
    let uids = uids.ok_or_else(|| missing("subuid", "/etc/subuid", &user))?;
    let gids = gids.ok_or_else(|| missing("subgid", "/etc/subgid", &group))?;
    Ok(IdMap::new(uids, gids))
}

fn no_user(text: &str, is_default: bool) -> Failure {
    if is_default {
        return refused(format_args!("there is no user {DOCKREMAP}, whose ids userns-remap=default means"))
            .hint(format_args!(
                "as root: useradd --system --user-group --shell /usr/sbin/nologin {DOCKREMAP} && usermod \
                 --add-subuids 100000-165535 --add-subgids 100000-165535 {DOCKREMAP}"
            ));
    }
    match text.parse::<u32>() {
        Ok(uid) => refused(format_args!("uid {uid} has no entry in /etc/passwd")),
        Err(_) => refused(format_args!("error during uid lookup for {text:?}: no such user")),
    }
}

fn refused(message: impl std::fmt::Display) -> Failure {
    Failure::refused(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_meant_is_refused_in_dockers_words() {
        for (text, expected) in [
            ("a:b:c", "Error: invalid user/group specification in --userns-remap: \"a:b:c\""),
            (":b", "Error: invalid user/group specification in --userns-remap: \":b\""),
            ("no-such-user-here", "Error: error during uid lookup for \"no-such-user-here\": no such user"),
            ("4294967290", "Error: uid 4294967290 has no entry in /etc/passwd"),
            ("root:no-such-group", "Error: error during gid lookup for \"no-such-group\": no such group"),
            ("0:4294967290", "Error: gid 4294967290 has no entry in /etc/group"),
        ] {
            assert_eq!(ids(text).unwrap_err().message, expected, "{text}");
        }
    }

    #[test]
    fn root_stays_root() {
        assert_eq!(ids("root").unwrap(), None);
        assert_eq!(ids("0:0").unwrap(), None);
    }
}
