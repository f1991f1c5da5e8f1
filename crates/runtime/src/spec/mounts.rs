//! Mounts of a container.

use std::path::{Path, PathBuf};

use oci_spec::runtime as oci;

use super::{Network, Spec};
use crate::host::{Cgroups, Host};

/// A mount in a container, as the OCI runtime specification has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Where, an absolute path in the container; it is made if it is not there.
    pub destination: PathBuf,
    /// `bind`, or a kind of file system.
    pub kind: String,
    /// What: a path on the host for `bind`, else a word.
    pub source: PathBuf,
    /// Options: those of mount(8), and `rbind`, `rprivate`, `tmpcopyup` and their like.
    pub options: Vec<String>,
}

impl Mount {
    /// A directory or file of the host, with all that is mounted below it.
    pub fn bind(source: impl Into<PathBuf>, destination: impl Into<PathBuf>, read_only: bool) -> Self {
        let access = if read_only { "ro" } else { "rw" };
        let options = ["rbind", "rprivate", access].map(str::to_owned).into();
        Self { destination: destination.into(), kind: "bind".to_owned(), source: source.into(), options }
    }

    /// Memory that goes with the container. `options` are mount(8)'s, such as `size=64m`.
    pub fn tmpfs(destination: impl Into<PathBuf>, options: impl IntoIterator<Item = String>) -> Self {
        let usual = ["noexec", "nosuid", "nodev", "rprivate"].map(str::to_owned);
        Self {
            destination: destination.into(),
            kind: "tmpfs".to_owned(),
            source: "tmpfs".into(),
            options: usual.into_iter().chain(options).collect(),
        }
    }

    fn of_kernel(destination: &str, kind: &str, options: &[&str]) -> Self {
        Self {
            destination: destination.into(),
            kind: kind.to_owned(),
            source: kind.into(),
            options: options.iter().map(|&option| option.to_owned()).collect(),
        }
    }

    pub(super) fn document(&self) -> oci::Mount {
        let mut mount = oci::Mount::default();
        mount
            .set_destination(self.destination.clone())
            .set_typ(Some(self.kind.clone()))
            .set_source(Some(self.source.clone()))
            .set_options(Some(self.options.clone()));
        mount
    }
}

/// All mounts of a container in the order in which they are made: what is mounted below another one comes later.
pub(super) fn all(spec: &Spec, host: &Host) -> Vec<Mount> {
    let mut mounts = usual(spec, host);
    mounts.retain(|usual| !spec.mounts.iter().any(|own| own.destination == usual.destination));
    // A container that is given another /dev or /sys shall not have it hidden by what belongs below the usual one.
    let replaced = |path: &str| spec.mounts.iter().any(|own| own.destination == Path::new(path));
    for whole in ["/dev", "/sys"] {
        if replaced(whole) {
            mounts.retain(|mount| !mount.destination.starts_with(whole));
        }
    }
    mounts.extend(spec.mounts.iter().cloned());
    mounts.sort_by_key(|mount| mount.destination.components().count());
    mounts
}

/// What every container has.
fn usual(spec: &Spec, host: &Host) -> Vec<Mount> {
    let bind = |path: &str, access: &str| Mount {
        destination: path.into(),
        kind: "bind".to_owned(),
        source: path.into(),
        options: ["rbind", "rprivate", "nosuid", "noexec", "nodev", access].map(str::to_owned).into(),
    };
    let quiet = ["nosuid", "noexec", "nodev"];
    let mut mounts = Vec::new();
    // The host's processes are shown by the host's proc: a user namespace cannot mount another one.
    mounts.push(match spec.shared.pid && host.user_namespace {
        true => bind("/proc", "rw"),
        false => Mount::of_kernel("/proc", "proc", &quiet),
    });
    let dev = ["nosuid", "strictatime", "mode=755", "size=65536k"];
    mounts.push(Mount::of_kernel("/dev", "tmpfs", &dev));
    let mut pts = vec!["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"];
    if !host.one_id {
        pts.push("gid=5");
    }
    mounts.push(Mount::of_kernel("/dev/pts", "devpts", &pts));
    let access = if spec.privileged { "rw" } else { "ro" };
    // A sysfs belongs to a network. That of the host is not the user's, so he gets the one that is mounted.
    let bound_sys = host.user_namespace && spec.network == Network::Host;
    mounts.push(match bound_sys {
        true => bind("/sys", access),
        false => Mount::of_kernel("/sys", "sysfs", &[&quiet[..], &[access]].concat()),
    });
    let cgroups = match host.cgroups {
        Cgroups::None => false,
        Cgroups::V2 => !bound_sys,
        Cgroups::V1 | Cgroups::Hybrid => !host.user_namespace,
    };
    if cgroups {
        mounts.push(Mount::of_kernel(
            "/sys/fs/cgroup",
            "cgroup",
            &[&quiet[..], &["relatime", access]].concat(),
        ));
    }
    if spec.shared.ipc {
        mounts.extend(
            [bind("/dev/mqueue", "rw"), bind("/dev/shm", "rw")].into_iter().filter(|m| m.source.exists()),
        );
    } else {
        mounts.push(Mount::of_kernel("/dev/mqueue", "mqueue", &quiet));
        let size = format!("size={}", spec.shm_size);
        mounts.push(Mount::of_kernel("/dev/shm", "tmpfs", &[&quiet[..], &["mode=1777", &size]].concat()));
    }
    mounts
}
