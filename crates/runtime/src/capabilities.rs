//! Capabilities (capabilities(7)): which parts of root's power a container's processes have.

use crate::error::{Error, Result};

/// All names in the order of their numbers, without `CAP_`.
const NAMES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// What Docker gives to a container that asks for nothing ("Runtime privilege and Linux capabilities" of its manual).
const DEFAULT: [&str; 14] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "FSETID",
    "FOWNER",
    "MKNOD",
    "NET_RAW",
    "SETGID",
    "SETUID",
    "SETFCAP",
    "SETPCAP",
    "NET_BIND_SERVICE",
    "SYS_CHROOT",
    "KILL",
    "AUDIT_WRITE",
];

/// The capabilities of a container, in the order of their numbers, as `CAP_CHOWN`: the default set, with what `add`
/// names and without what `drop` names. Names may be given without `CAP_` and in lower case; `ALL` stands for all. As
/// in Docker, what is added wins over `drop=ALL`, and what is dropped over `add=ALL`; of one name in both lists, the
/// drop wins. `own` is the set, one bit each, of who makes the container: `ALL` is no more than that.
///
/// # Errors
/// [`Error::Invalid`] for a name that the kernel does not know.
pub fn of_container(add: &[String], drop: &[String], own: u64) -> Result<Vec<String>> {
    let (add, drop) = (Wanted::read(add, "add")?, Wanted::read(drop, "drop")?);
    let given = NAMES.iter().enumerate().filter(|(number, name)| {
        let base = if add.all { own >> number & 1 == 1 } else { !drop.all && DEFAULT.contains(name) };
        (base || add.names.contains(name)) && !drop.names.contains(name)
    });
    Ok(given.map(|(_, name)| format!("CAP_{name}")).collect())
}

/// The capabilities of this set, one bit each: all that a container can have if it is the set of who makes it.
pub fn all(own: u64) -> Vec<String> {
    let own = NAMES.iter().enumerate().filter(|(number, _)| own >> number & 1 == 1);
    own.map(|(_, name)| format!("CAP_{name}")).collect()
}

struct Wanted {
    all: bool,
    names: Vec<&'static str>,
}

impl Wanted {
    fn read(words: &[String], list: &str) -> Result<Self> {
        let mut wanted = Self { all: false, names: Vec::new() };
        for word in words {
            let upper = word.to_ascii_uppercase();
            let bare = upper.strip_prefix("CAP_").unwrap_or(&upper);
            match NAMES.iter().find(|name| **name == bare) {
                _ if bare == "ALL" => wanted.all = true,
                Some(name) => wanted.names.push(name),
                None => {
                    return Err(Error::invalid(format!(
                        "invalid Cap{}: unknown capability: \"{word}\"",
                        title(list)
                    )));
                }
            }
        }
        Ok(wanted)
    }
}

fn title(list: &str) -> &'static str {
    if list == "add" { "Add" } else { "Drop" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(add: &[&str], drop: &[&str]) -> Vec<String> {
        let own = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
        of_container(&own(add), &own(drop), (1 << 41) - 1).unwrap()
    }

    #[test]
    fn nothing_asked_for_gives_dockers_fourteen() {
        let names = given(&[], &[]);
        assert_eq!(names.len(), 14);
        assert!(
            names.contains(&"CAP_AUDIT_WRITE".to_owned()) && !names.contains(&"CAP_SYS_ADMIN".to_owned())
        );
    }

    #[test]
    fn names_are_added_and_dropped() {
        assert_eq!(given(&["net_admin"], &["ALL"]), ["CAP_NET_ADMIN"]);
        assert_eq!(given(&["ALL"], &["CAP_CHOWN"]).len(), 40);
        assert_eq!(given(&[], &["mknod"]).len(), 13);
        assert_eq!(given(&["CHOWN"], &["ALL", "CHOWN"]), Vec::<String>::new());
        assert_eq!(given(&["ALL"], &["ALL"]).len(), 41);
    }

    #[test]
    fn nobody_gives_what_he_does_not_have() {
        let own = (1 << 41) - 1 - (1 << 24);
        assert!(!all(own).contains(&"CAP_SYS_RESOURCE".to_owned()));
        assert_eq!(of_container(&["ALL".into()], &[], own).unwrap().len(), 40);
    }

    #[test]
    fn an_unknown_name_is_named() {
        let refused = of_container(&["NET_ADMINS".into()], &[], 0).unwrap_err();
        assert_eq!(refused.to_string(), "invalid CapAdd: unknown capability: \"NET_ADMINS\"");
    }
}
