//! Mounts that have no place: a file system that is open in this process, and seen by nobody else.

use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{self as rm, FsMountFlags, FsOpenFlags, FsPickFlags, MountAttrFlags};

use super::attach;
use crate::OwnedFd;
use crate::error::{At, Result};

/// A file system to mount.
#[derive(Debug, Clone, Copy)]
pub struct FileSystem<'a> {
    /// Its kind, such as `ext4`.
    pub kind: &'a str,
    /// The device, or whatever else the kind is made of.
    pub source: &'a str,
    /// Options as for mount(8), separated by commas: those of every file system (`noatime`, `nodev`, …) and its own.
    pub options: &'a str,
}

/// A mount that is attached nowhere, and ends with this value and with what was opened in it.
#[derive(Debug)]
pub struct Detached(OwnedFd);

impl FileSystem<'_> {
    /// Mounts without a place. With `read_only` nothing can be written through this mount. The file system itself is
    /// mounted so that nothing writes to its device, unless it is mounted for writing elsewhere.
    ///
    /// # Errors
    /// The kernel's, of which many mean that it does not like an option.
    pub fn mount_detached(&self, read_only: bool) -> Result<Detached> {
        match self.mount_as(read_only, read_only) {
            // The device is mounted the other way: both share one file system, which can be either.
            Err(e) if e.errno == Errno::BUSY && read_only => self.mount_as(false, true),
            Err(e) if e.errno == Errno::BUSY => {
                self.make_writable()?;
                self.mount_as(false, false)
            }
            other => other,
        }
    }

    /// Makes a file system writable that is mounted as a whole for reading. Mounts that are read-only by themselves
    /// stay so.
    fn make_writable(&self) -> Result<()> {
        let source = Path::new(self.source);
        let mount = self.mount_as(true, true)?;
        let fs = rm::fspick(&mount.0, "", FsPickFlags::FSPICK_EMPTY_PATH | FsPickFlags::FSPICK_CLOEXEC)
            .at("reconfigure", source)?;
        rm::fsconfig_set_flag(&fs, "rw").at("reconfigure", source)?;
        rm::fsconfig_reconfigure(&fs).at("make writable", source)
    }

    fn mount_as(&self, whole_read_only: bool, read_only: bool) -> Result<Detached> {
        let (op, source) = ("mount", Path::new(self.source));
        let fs = rm::fsopen(self.kind, FsOpenFlags::FSOPEN_CLOEXEC).at(op, source)?;
        rm::fsconfig_set_string(&fs, "source", self.source).at(op, source)?;
        let mut attributes = MountAttrFlags::empty();
        for option in self.options.split(',').filter(|option| !option.is_empty()) {
            match (attribute(option), option.split_once('=')) {
                (Some(attribute), _) => attributes |= attribute,
                (None, Some((key, value))) => rm::fsconfig_set_string(&fs, key, value).at(op, source)?,
                (None, None) => rm::fsconfig_set_flag(&fs, option).at(op, source)?,
            }
        }
        if whole_read_only {
            rm::fsconfig_set_flag(&fs, "ro").at(op, source)?;
        }
        if read_only {
            attributes |= MountAttrFlags::MOUNT_ATTR_RDONLY;
        }
        rm::fsconfig_create(&fs).at(op, source)?;
        Ok(Detached(rm::fsmount(&fs, FsMountFlags::FSMOUNT_CLOEXEC, attributes).at(op, source)?))
    }
}

impl Detached {
    /// Opens the directory `path` in it. The mount lasts as long as that descriptor.
    pub fn open(&self, path: &Path) -> Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::openat(&self.0, path, flags, Mode::empty()).at_name("open", &self.0, path.as_os_str())
    }

    /// Hangs it on `target`, in the namespace of the calling thread, where it outlives this process.
    pub fn attach(self, target: &Path) -> Result<()> {
        attach(&self.0, "mount at", target)
    }
}

/// An option that is the mount's, not the file system's (mount(8)).
fn attribute(option: &str) -> Option<MountAttrFlags> {
    Some(match option {
        "nosuid" => MountAttrFlags::MOUNT_ATTR_NOSUID,
        "nodev" => MountAttrFlags::MOUNT_ATTR_NODEV,
        "noexec" => MountAttrFlags::MOUNT_ATTR_NOEXEC,
        "noatime" => MountAttrFlags::MOUNT_ATTR_NOATIME,
        "nodiratime" => MountAttrFlags::MOUNT_ATTR_NODIRATIME,
        "strictatime" => MountAttrFlags::MOUNT_ATTR_STRICTATIME,
        "defaults" | "relatime" | "suid" | "dev" | "exec" | "rw" | "atime" | "diratime" => {
            MountAttrFlags::empty()
        }
        _ => return None,
    })
}
