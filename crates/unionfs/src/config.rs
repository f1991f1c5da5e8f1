//! What a union is made of, and how it is mounted: plain values, whatever they were read from.

use std::path::PathBuf;
use std::time::Duration;

/// What a union is made of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Config {
    /// The layers whose names merge, topmost first.
    pub lowers: Vec<PathBuf>,
    /// Layers below all others whose names do not show: they hold the data of files that a layer above redirects
    /// there (union-fs.md rule 78), topmost first.
    pub data_lowers: Vec<PathBuf>,
    /// What takes the changes; a union without it is read-only.
    pub upper: Option<Upper>,
    /// How it behaves.
    pub options: Options,
}

/// The writable layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upper {
    /// Holds what was changed.
    pub dir: PathBuf,
    /// A directory of the same file system, for things that are being built. What is in it is removed.
    pub work: PathBuf,
}

/// How a union behaves. The names are those of the kernel's overlay and of fuse-overlayfs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Whether marks are `user.overlay.*` (else `trusted.overlay.*`). `None`: by what this process may do.
    pub user_xattrs: Option<bool>,
    /// What becomes of a rename of a directory that lower layers have.
    pub redirect_dir: RedirectDir,
    /// Nothing is ever synced; the work directory keeps a mark of it as long as the upper may be incomplete.
    pub volatile: bool,
    /// Inode numbers when layers lie on several file systems.
    pub xino: Xino,
    /// `.wh.NAME` and `.wh..wh..opq` in lower layers are deletions.
    pub aufs_whiteouts: bool,
    /// Deletions of the upper layer are kept so, too, and no longer as the kernel's overlay keeps them: it is the
    /// writable branch of an AUFS. Only with [`Options::aufs_whiteouts`].
    pub aufs_upper: bool,
    /// The union has no extended attributes to show or set.
    pub no_xattrs: bool,
    /// How users of the layers show; empty: as they are.
    pub uid_map: Vec<IdRange>,
    /// How groups of the layers show; empty: as they are.
    pub gid_map: Vec<IdRange>,
    /// Whether everything shows as owned by one user and group.
    pub squash: Squash,
    /// Files without data of their own (`overlay.metacopy`) get it from the layer below; else they are errors.
    pub metacopy: bool,
    /// No access control lists.
    pub noacl: bool,
    /// Every directory shows one link.
    pub static_nlink: bool,
    /// The kernel reads and writes the layers' files itself, where it may.
    pub passthrough: bool,
    /// Lower files of fewer bytes are not passed through: a reader of those sees later writes by others, and small
    /// files are not faster by it.
    pub passthrough_from: u64,
    /// Threads that serve; 0: one a processor.
    pub threads: usize,
    /// How long the kernel may remember names and attributes. Nobody else changes the layers, so: long.
    pub timeout: Duration,
}

impl Options {
    /// The default of [`Options::timeout`].
    pub const A_DAY: Duration = Duration::from_secs(24 * 60 * 60);
}

impl Default for Options {
    fn default() -> Self {
        Self {
            user_xattrs: None,
            redirect_dir: RedirectDir::default(),
            volatile: false,
            xino: Xino::default(),
            aufs_whiteouts: true,
            aufs_upper: false,
            no_xattrs: false,
            uid_map: Vec::new(),
            gid_map: Vec::new(),
            squash: Squash::default(),
            metacopy: true,
            noacl: false,
            static_nlink: false,
            passthrough: true,
            passthrough_from: 128 * 1024,
            threads: 0,
            timeout: Self::A_DAY,
        }
    }
}

/// What becomes of a rename of a directory that lower layers have (the kernel's `overlayfs.rst`, "Renaming
/// directories").
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RedirectDir {
    /// `EXDEV`; redirects that layers hold are followed, as the kernel's `off` does unless its module is told not to.
    #[default]
    Off,
    /// `EXDEV`; redirects that layers hold are followed.
    Follow,
    /// `EXDEV`; a directory that a layer redirects is an error (`EPERM`), as in the kernel. So it always is with marks
    /// in `user.` attributes.
    NoFollow,
    /// The directory is copied up and remembers where it was; followed, too.
    On,
}

impl RedirectDir {
    /// Whether a renamed directory remembers where it was.
    pub fn makes(self) -> bool {
        self == Self::On
    }

    /// Whether directories of layers are looked for where they were.
    pub fn follows(self) -> bool {
        self != Self::NoFollow
    }
}

/// Inode numbers when layers lie on several file systems: the layer's number goes into the high bits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Xino {
    /// Never: numbers of two file systems may be equal.
    Off,
    /// Where the high bits are free.
    #[default]
    Auto,
    /// The same; to be told where it does not work.
    On,
}

/// A range of user or group IDs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdRange {
    /// The first ID as seen through the union.
    pub inside: u32,
    /// The first ID in the layers.
    pub outside: u32,
    /// How many.
    pub count: u32,
}

/// Whether everything shows as owned by one user and group. What is made keeps its maker's IDs in the layer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Squash {
    /// Owners show as they are.
    #[default]
    None,
    /// 0 and 0.
    Root,
    /// These; what is `None` shows as it is.
    To {
        /// The user.
        uid: Option<u32>,
        /// The group.
        gid: Option<u32>,
    },
}

/// How a union is mounted. The kernel checks permissions always (`default_permissions`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountAt {
    /// The first column of `/proc/mounts`.
    pub source: String,
    /// The file system's type there is `fuse.` and this.
    pub subtype: String,
    /// Other users than the one who mounts see it too.
    pub allow_other: bool,
    /// Set-user-ID and file capabilities count.
    pub suid: bool,
    /// Device nodes work.
    pub dev: bool,
    /// Programs can be run.
    pub exec: bool,
    /// Nothing can be changed through it.
    pub read_only: bool,
    /// Access times are not updated.
    pub noatime: bool,
    /// Options for the security module, such as `context="system_u:object_r:…"`, handed on as they are.
    pub context: Vec<String>,
}

impl Default for MountAt {
    fn default() -> Self {
        Self {
            source: "layercake".to_owned(),
            subtype: "layercake".to_owned(),
            allow_other: false,
            suid: true,
            dev: true,
            exec: true,
            read_only: false,
            noatime: false,
            context: Vec::new(),
        }
    }
}
