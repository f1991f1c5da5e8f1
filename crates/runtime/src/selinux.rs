//! Labels of SELinux: what a container's processes may do, and what its files are to others.
//!
//! A distribution's policy says which labels containers get. Each container gets a pair of categories of its own, so
//! that it can reach its own files and not those of another container; `--security-opt label=…` changes parts.

use std::fs;
use std::path::Path;

/// Where policies for containers keep their labels, before the one of the policy that is in force.
const SHARED: &str = "usr/share/containers/selinux/contexts";
/// How many categories there are (`c0` to `c1023`).
const CATEGORIES: u16 = 1024;

/// The labels of a container; both are empty where there are none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Labels {
    /// Of its processes.
    pub process: String,
    /// Of its files: the context of its mounts.
    pub mount: String,
}

/// What the policy of a machine says about containers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    process: Context,
    file: Context,
    privileged_file: String,
}

/// `user:role:type[:level]`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Context {
    user: String,
    role: String,
    kind: String,
    level: Option<String>,
}

impl Context {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(4, ':').map(str::to_owned);
        let (user, role, kind) = (parts.next()?, parts.next()?, parts.next()?);
        Some(Self { user, role, kind, level: parts.next() })
    }

    fn text(&self) -> String {
        let Self { user, role, kind, level } = self;
        match level {
            Some(level) => format!("{user}:{role}:{kind}:{level}"),
            None => format!("{user}:{role}:{kind}"),
        }
    }
}

/// Whether the kernel labels by SELinux, with a policy loaded.
pub fn is_enabled() -> bool {
    let own = fs::read_to_string("/proc/self/attr/current").unwrap_or_default();
    let own = own.trim_end_matches(['\0', '\n']);
    // Before a policy is loaded, everything is called so. Of AppArmor, the file has a name without colons.
    Path::new("/sys/fs/selinux/enforce").exists() && own != "kernel" && own.contains(':')
}

impl Policy {
    /// The policy of the machine whose root directory is `root`; `None` if it says nothing about containers.
    pub fn of_machine(root: &Path) -> Option<Self> {
        let config = fs::read_to_string(root.join("etc/selinux/config")).unwrap_or_default();
        let name = config.lines().find_map(|line| line.trim().strip_prefix("SELINUXTYPE="));
        let name = name.map(str::trim).filter(|name| !name.is_empty() && !name.contains('/'));
        let own = root.join("etc/selinux").join(name.unwrap_or("targeted")).join("contexts/lxc_contexts");
        [root.join(SHARED), own].iter().find_map(|path| Self::parse(&fs::read_to_string(path).ok()?))
    }

    /// Lines `process = "CONTEXT"` and `file = "CONTEXT"` among others and comments.
    fn parse(text: &str) -> Option<Self> {
        let value = |wanted: &str| {
            text.lines().find_map(|line| {
                let (key, value) = line.split_once('=')?;
                (key.trim() == wanted).then(|| value.trim().trim_matches('"'))
            })
        };
        let (process, file) = (Context::parse(value("process")?)?, Context::parse(value("file")?)?);
        // As it is for containers, but with a level that every container may reach.
        let level = process.level.as_ref().map(|_| "s0".to_owned());
        let privileged_file = Context { level, ..file.clone() }.text();
        Some(Self { process, file, privileged_file })
    }

    /// The labels of a container with these options (`disable`, `user:`, `role:`, `type:`, `level:`, `filetype:`).
    /// `random` is for the categories; another value gives others.
    ///
    /// # Errors
    /// Docker's words for an option that there is not.
    pub fn labels(&self, options: &[&str], random: u32) -> Result<Labels, String> {
        let (mut process, mut file) = (self.process.clone(), self.file.clone());
        if process.level.is_some() {
            let level = Some(level(random));
            (process.level, file.level) = (level.clone(), level);
        }
        for option in options {
            if *option == "disable" {
                return Ok(Labels { process: String::new(), mount: self.privileged_file.clone() });
            }
            let (key, value) = option.split_once(':').ok_or_else(|| {
                format!(
                    "Bad label option {option:?}, valid options 'disable' or \n'user, role, level, type, filetype' \
                     followed by ':' and a value"
                )
            })?;
            let value = value.to_owned();
            match key {
                "user" => (process.user, file.user) = (value.clone(), value),
                "role" => process.role = value,
                "type" => process.kind = value,
                "filetype" => file.kind = value,
                "level" => (process.level, file.level) = (Some(value.clone()), Some(value)),
                other => {
                    return Err(format!(
                        "Bad label option {other:?}, valid options 'disable, user, role, level, type, filetype'"
                    ));
                }
            }
        }
        Ok(Labels { process: process.text(), mount: file.text() })
    }
}

/// A level with two different categories, the smaller one first.
fn level(random: u32) -> String {
    let [a, b, c, d] = random.to_le_bytes();
    let first = u16::from_le_bytes([a, b]) % CATEGORIES;
    // One of the 1023 others.
    let second = (first + 1 + u16::from_le_bytes([c, d]) % (CATEGORIES - 1)) % CATEGORIES;
    format!("s0:c{},c{}", first.min(second), first.max(second))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FEDORA: &str = "process = \"system_u:system_r:container_t:s0\"\ncontent = \"system_u:object_r:virt_var_lib_t:s0\"\n\
        file = \"system_u:object_r:container_file_t:s0\"\nro_file=\"system_u:object_r:container_ro_file_t:s0\"\n";

    fn labels(options: &[&str]) -> Result<(String, String), String> {
        let labels = Policy::parse(FEDORA).unwrap().labels(options, 0x0002_0001)?;
        Ok((labels.process, labels.mount))
    }

    #[test]
    fn both_labels_have_one_pair_of_categories() {
        let (process, mount) = labels(&[]).unwrap();
        assert_eq!(process, "system_u:system_r:container_t:s0:c1,c4");
        assert_eq!(mount, "system_u:object_r:container_file_t:s0:c1,c4");
    }

    #[test]
    fn categories_differ_and_stand_in_order() {
        for random in [0, u32::MAX, 0xffff_0000, 0x03ff_03ff, 0x1234_5678, 0x03fe_0001] {
            let level = level(random);
            let (first, second) = level.strip_prefix("s0:c").unwrap().split_once(",c").unwrap();
            let (first, second): (u16, u16) = (first.parse().unwrap(), second.parse().unwrap());
            assert!(first < second && second < CATEGORIES, "{random:x}: {level}");
        }
    }

    #[test]
    fn options_change_their_part() {
        let changed = |option| labels(&[option]).unwrap();
        let (process, mount) = changed("type:spc_t");
        assert_eq!((&*process, &*mount), ("system_u:system_r:spc_t:s0:c1,c4", &*labels(&[]).unwrap().1));
        let (process, mount) = changed("level:s0:c100,c200");
        assert!(process.ends_with("container_t:s0:c100,c200") && mount.ends_with("file_t:s0:c100,c200"));
        let (process, mount) = changed("user:u");
        assert!(process.starts_with("u:system_r:") && mount.starts_with("u:object_r:"));
        assert!(changed("role:r").0.starts_with("system_u:r:container_t:"));
        let (process, mount) = changed("filetype:svirt_file_t");
        assert!(process.contains(":container_t:") && mount.contains(":svirt_file_t:"));
    }

    #[test]
    fn without_confinement_files_stay_reachable() {
        let (process, mount) = labels(&["disable"]).unwrap();
        assert_eq!((&*process, &*mount), ("", "system_u:object_r:container_file_t:s0"));
    }

    #[test]
    fn bad_options_have_docker_s_words() {
        assert!(
            labels(&["nonsense"])
                .unwrap_err()
                .starts_with("Bad label option \"nonsense\", valid options 'disable' or")
        );
        let text = labels(&["colour:red"]).unwrap_err();
        assert_eq!(
            text,
            "Bad label option \"colour\", valid options 'disable, user, role, level, type, filetype'"
        );
    }

    #[test]
    fn the_policy_in_force_is_read_after_the_one_for_containers() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        assert_eq!(Policy::of_machine(root.path()), None);
        write("etc/selinux/config", "# a comment\nSELINUX=enforcing\nSELINUXTYPE=default\n");
        write("etc/selinux/default/contexts/lxc_contexts", "process = \"a:b:c\"\nfile = \"d:e:f\"\n");
        let plain = Policy::of_machine(root.path()).unwrap().labels(&[], 7).unwrap();
        assert_eq!(plain, Labels { process: "a:b:c".to_owned(), mount: "d:e:f".to_owned() });
        write(SHARED, FEDORA);
        assert_eq!(Policy::of_machine(root.path()), Policy::parse(FEDORA));
        assert_eq!(Policy::parse("process = \"nonsense\"\nfile = \"d:e:f\""), None);
    }
}
