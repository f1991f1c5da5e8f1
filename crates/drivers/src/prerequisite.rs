//! What drivers need of the machine, and words for what is missing.

use std::fmt;
use std::path::Path;

use sys::Errno;

/// One thing that a driver needs.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Prerequisite {
    /// A kernel of this version or a later one.
    Kernel(u32, u32),
    /// A part of the kernel that can be a module: its name.
    Module(&'static str),
    /// A file system whose directories tell the kinds of their entries.
    DirectoryTypes,
    /// A data root on one of these file systems, in Docker's words for them.
    FileSystem(&'static [&'static str]),
    /// The right to mount this type of file system.
    Mounts(&'static str),
    /// A user namespace that may do it, where we are not the machine's root.
    UserNamespace,
    /// The machine's root user.
    Root,
    /// A program on the search path.
    Program(&'static str),
    /// A device node.
    Device(&'static str),
    /// Something else, in words that go on after "needs".
    Other(&'static str),
}

impl fmt::Display for Prerequisite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kernel(major, minor) => write!(f, "Linux {major}.{minor} or later"),
            Self::Module(name) => write!(f, "{name} in the kernel"),
            Self::DirectoryTypes => {
                f.write_str("a file system whose directories tell the kinds of their entries (d_type)")
            }
            Self::FileSystem(names) => write!(f, "a data root on {}", names.join(" or ")),
            Self::Mounts(name) => write!(f, "the right to mount {name}"),
            Self::UserNamespace => f.write_str("a user namespace in which it can be mounted"),
            Self::Root => f.write_str("root"),
            Self::Program(name) => write!(f, "the program {name}"),
            Self::Device(path) => write!(f, "the device {path}"),
            Self::Other(words) => f.write_str(words),
        }
    }
}

/// A prerequisite that is not met: what is needed, what was found instead, what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unmet {
    /// What is needed.
    pub what: Prerequisite,
    /// What there is instead, such as `xfs with ftype=0`.
    pub found: String,
    /// What the user can do, as a request such as `load it with modprobe overlay`.
    pub remedy: String,
}

impl Unmet {
    /// A prerequisite that is not met.
    pub fn new(what: Prerequisite, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { what, found: found.into(), remedy: remedy.into() }
    }
}

impl fmt::Display for Unmet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "it needs {}; found: {}; {}", self.what, self.found, self.remedy)
    }
}

/// Requires a kernel of version `major.minor` or later. `release` is what uname(2) says ([`sys::process::kernel_release`]);
/// one that begins with no version is let pass.
pub(crate) fn require_kernel(release: &str, major: u32, minor: u32) -> Result<(), Unmet> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map_while(|part| part.parse::<u32>().ok());
    match (numbers.next(), numbers.next()) {
        (Some(has_major), Some(has_minor)) if (has_major, has_minor) < (major, minor) => Err(Unmet::new(
            Prerequisite::Kernel(major, minor),
            release,
            "boot a later kernel, or choose another --storage-driver",
        )),
        _ => Ok(()),
    }
}

/// The file systems that Docker's pages name for a driver's data root, in Docker's words for them; none if any will do.
/// Others are not refused for that: whether the driver works is tried out.
pub fn backing_file_systems(driver: &str) -> &'static [&'static str] {
    match driver {
        "overlay2" | "overlay" | "aufs" => &["xfs", "extfs"],
        "btrfs" => &["btrfs"],
        "zfs" => &["zfs"],
        _ => &[],
    }
}

/// Requires a data root on one of the file systems `names`.
pub(crate) fn require_file_system(root: &Path, names: &'static [&'static str]) -> Result<(), Unmet> {
    let what = Prerequisite::FileSystem(names);
    let remedy =
        format!("put the data root on {} (--root), or choose another --storage-driver", names.join(" or "));
    match crate::backing::name(root) {
        Ok(name) if names.contains(&name) => Ok(()),
        Ok(name) => Err(Unmet::new(what, name, remedy)),
        Err(e) => Err(Unmet::new(what, e.to_string(), remedy)),
    }
}

/// What it means that a file system of type `name` could not be mounted on trial.
pub(crate) fn unmountable(name: &'static str, error: &sys::Error, user_namespace: bool) -> Unmet {
    match error.errno {
        Errno::NODEV => Unmet::new(
            Prerequisite::Module(name),
            "/proc/filesystems does not list it",
            format!("load it with 'modprobe {name}'"),
        ),
        Errno::PERM | Errno::ACCESS if user_namespace => Unmet::new(
            Prerequisite::UserNamespace,
            format!("Linux {}: {error}", sys::process::kernel_release()),
            "use a kernel of 5.11 or later, run as root, or choose --storage-driver fuse-overlayfs",
        ),
        Errno::PERM | Errno::ACCESS => Unmet::new(
            Prerequisite::Mounts(name),
            error.to_string(),
            "run as root with CAP_SYS_ADMIN, or choose --storage-driver vfs",
        ),
        _ => Unmet::new(
            Prerequisite::Mounts(name),
            error.to_string(),
            "put the data root on another file system (--root), or choose another --storage-driver",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_are_compared_by_version_not_by_text() {
        for (release, fits) in [
            ("4.0.0", true),
            ("4.18.0-553.el8", true),
            ("10.2", true),
            ("3.19.8", false),
            ("3.10.0-514.el7.x86_64", false),
            ("6.18.44-fc", true),
            ("unknown", true),
        ] {
            assert_eq!(require_kernel(release, 4, 0).is_ok(), fits, "{release}");
        }
        assert!(require_kernel("4.18.0", 4, 18).is_ok());
        assert!(require_kernel("4.9.337", 4, 18).is_err());
        assert_eq!(
            require_kernel("3.10.0-327", 4, 0).unwrap_err().to_string(),
            "it needs Linux 4.0 or later; found: 3.10.0-327; boot a later kernel, or choose another --storage-driver"
        );
    }

    #[test]
    fn a_refused_mount_is_told_by_its_cause() {
        let error = |errno| sys::Error::new("mount overlay at", "/x", errno);
        let what = |errno, user| unmountable("overlay", &error(errno), user).what;
        assert_eq!(what(Errno::NODEV, false), Prerequisite::Module("overlay"));
        assert_eq!(what(Errno::PERM, true), Prerequisite::UserNamespace);
        assert_eq!(what(Errno::PERM, false), Prerequisite::Mounts("overlay"));
        assert_eq!(what(Errno::INVAL, false), Prerequisite::Mounts("overlay"));
        let text = unmountable("overlay", &error(Errno::NODEV), false).to_string();
        assert!(text.contains("modprobe overlay"), "{text}");
    }

    /// "Supported backing filesystems" of Docker's page on choosing a driver.
    #[test]
    fn the_pages_name_these_file_systems() {
        for (driver, names) in [
            ("overlay2", &["xfs", "extfs"][..]),
            ("overlay", &["xfs", "extfs"]),
            ("aufs", &["xfs", "extfs"]),
            ("btrfs", &["btrfs"]),
            ("zfs", &["zfs"]),
            ("vfs", &[]),
        ] {
            assert_eq!(backing_file_systems(driver), names, "{driver}");
        }
    }

    #[test]
    fn file_systems_are_compared_by_docker_s_names() {
        let here = tempfile::tempdir().unwrap();
        let unmet = require_file_system(here.path(), &["zfs"]).unwrap_err();
        assert_eq!(unmet.what, Prerequisite::FileSystem(&["zfs"]));
        assert_eq!(unmet.found, crate::backing::name(here.path()).unwrap());
        assert!(unmet.to_string().starts_with("it needs a data root on zfs; found: "), "{unmet}");
        let gone = require_file_system(&here.path().join("gone"), &["zfs"]).unwrap_err();
        assert!(gone.found.contains("no such file"), "{gone}");
    }
}
