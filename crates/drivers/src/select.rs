//! Which driver serves a data root. The only place that knows all drivers.

use std::ffi::OsStr;
use std::path::PathBuf;

use sys::dir;

use crate::{Driver, Error, FuseOverlayfs, Overlay2, Result, Server, Vfs};

/// What a driver needs to know.
#[derive(Debug, Clone)]
pub struct Config {
    /// The data root. A driver keeps everything in a directory of its own name below it.
    pub root: PathBuf,
    /// Options as users give them, `key=value` each (moby.md §10.2).
    pub options: Vec<String>,
    /// The most layers that may lie below one. Docker opens up to [`Config::DOCKER_LOWERS`]; the kernel's OverlayFS
    /// takes 500.
    pub max_lowers: usize,
    /// We are root of a user namespace only: mounts use `userxattr`, and not every owner can be set.
    pub user_namespace: bool,
    /// The program that serves unions; `None` if there is none, so that `fuse-overlayfs` cannot mount.
    pub union_server: Option<Server>,
}

impl Config {
    /// Docker's limit of lowers (moby.md §8.2).
    pub const DOCKER_LOWERS: usize = 128;

    /// The usual configuration for a data root.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            options: Vec::new(),
            max_lowers: Self::DOCKER_LOWERS,
            user_namespace: false,
            union_server: None,
        }
    }

    /// The options, taken apart.
    pub(crate) fn options(&self) -> Result<Vec<DriverOption>> {
        self.options.iter().map(|text| DriverOption::parse(text)).collect()
    }
}

/// One option, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DriverOption {
    pub(crate) key: String,
    pub(crate) value: String,
}

impl DriverOption {
    fn parse(text: &str) -> Result<Self> {
        let (key, value) = text
            .split_once('=')
            .ok_or_else(|| Error::Option(format!("unable to parse key/value option: {text}")))?;
        Ok(Self { key: key.trim().to_owned(), value: value.trim().to_owned() })
    }

    /// The value as a size in steps of 1024.
    pub(crate) fn size(&self) -> Result<u64> {
        model::size::parse_binary(&self.value).map_err(|e| Error::Option(e.to_string()))
    }
}

/// A driver as it stands in the list.
struct Known {
    name: &'static str,
    /// Whether layers of it that are there decide for it. Not `vfs`: Docker never did so (moby.md §10.1).
    counts_as_prior: bool,
    open: fn(&Config) -> Result<Box<dyn Driver>>,
    /// Whether it works here; the reason if not.
    supported: fn(&Config) -> Result<(), String>,
}

/// All drivers, first choice first: Docker's order since 23.0.
const KNOWN: &[Known] = &[
    Known {
        name: "overlay2",
        counts_as_prior: true,
        open: |config| Ok(Box::new(Overlay2::open(config)?)),
        supported: Overlay2::supported,
    },
    Known {
        name: "fuse-overlayfs",
        counts_as_prior: true,
        open: |config| Ok(Box::new(FuseOverlayfs::open(config)?)),
        supported: FuseOverlayfs::supported,
    },
    Known {
        name: "vfs",
        counts_as_prior: false,
        open: |config| Ok(Box::new(Vfs::open(config)?)),
        supported: |_| Ok(()),
    },
];

/// Whether there is a driver of that name.
pub fn is_known(name: &str) -> bool {
    KNOWN.iter().any(|known| known.name == name)
}

/// Opens the driver of that name, whether it works on this machine or not.
///
/// # Errors
/// [`Error::UnknownDriver`]; [`Error::Option`] for an option that the driver does not take.
pub fn open(name: &str, config: &Config) -> Result<Box<dyn Driver>> {
    let known = KNOWN.iter().find(|known| known.name == name);
    (known.ok_or_else(|| Error::UnknownDriver(name.to_owned()))?.open)(config)
}

/// The drivers that have something in the data root already. An empty directory does not count.
pub fn prior_states(config: &Config) -> Result<Vec<&'static str>> {
    let mut found = Vec::new();
    for known in KNOWN.iter().filter(|known| known.counts_as_prior) {
        match dir::open(dir::open_path(&config.root)?, OsStr::new(known.name)) {
            Ok(home) if !dir::list(&home)?.is_empty() => found.push(known.name),
            Ok(_) => {}
            Err(e) if e.is_not_found() || e.errno == sys::Errno::NOTDIR => {}
            Err(e) => return Err(e.into()),
        }
    }
    Ok(found)
}

/// Opens the driver for a data root: the one that was asked for, else the one whose layers are there, else the first
/// that works on this machine (moby.md §10.1).
///
/// # Errors
/// [`Error::SeveralDrivers`] if the layers there are of several drivers; [`Error::NoDriver`]; those of [`open`].
pub fn select(name: Option<&str>, config: &Config) -> Result<Box<dyn Driver>> {
    if let Some(name) = name {
        return open(name, config);
    }
    match prior_states(config)?.as_slice() {
        [] => {}
        [one] => return open(one, config),
        several => {
            let root = config.root.display().to_string();
            return Err(Error::SeveralDrivers { root, found: several.to_vec() });
        }
    }
    let mut reasons = Vec::new();
    for known in KNOWN {
        match (known.supported)(config) {
            Ok(()) => return (known.open)(config),
            Err(reason) => reasons.push(format!("{}: {reason}", known.name)),
        }
    }
    Err(Error::NoDriver(reasons.join("; ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(dirs: &[&str]) -> (tempfile::TempDir, Config) {
        let tmp = tempfile::tempdir().unwrap();
        for dir in dirs {
            std::fs::create_dir_all(tmp.path().join(dir)).unwrap();
        }
        let config = Config::new(tmp.path());
        (tmp, config)
    }

    #[test]
    fn a_name_decides() {
        let (_tmp, config) = root(&["overlay2/x"]);
        assert_eq!(select(Some("vfs"), &config).unwrap().name(), "vfs");
        let error = select(Some("zfs"), &config).err().unwrap();
        assert_eq!(error.to_string(), "driver not supported: zfs");
    }

    /// moby.md §10.1, "verified cases".
    #[test]
    fn layers_decide_but_those_of_vfs_and_empty_directories_do_not() {
        let (_tmp, config) = root(&["overlay2/x", "vfs/dir/x"]);
        assert_eq!(prior_states(&config).unwrap(), ["overlay2"]);
        assert_eq!(select(None, &config).unwrap().name(), "overlay2");
        let (_tmp, config) = root(&["overlay2", "fuse-overlayfs/x"]);
        assert_eq!(select(None, &config).unwrap().name(), "fuse-overlayfs");
        let (_tmp, config) = root(&["overlay2/x", "fuse-overlayfs/x"]);
        let error = select(None, &config).err().unwrap().to_string();
        assert!(error.contains("several valid graphdrivers: overlay2, fuse-overlayfs;"), "{error}");
        let (_tmp, config) = root(&["overlay2", "vfs/dir/x"]);
        assert_eq!(prior_states(&config).unwrap(), Vec::<&str>::new());
    }

    #[test]
    fn opening_a_root_for_the_second_time_changes_nothing() {
        let (tmp, config) = root(&[]);
        for name in ["overlay2", "fuse-overlayfs", "vfs"] {
            open(name, &config).unwrap();
        }
        let before = std::fs::metadata(tmp.path()).unwrap().modified().unwrap();
        for name in ["overlay2", "fuse-overlayfs", "vfs"] {
            open(name, &config).unwrap();
        }
        assert_eq!(std::fs::metadata(tmp.path()).unwrap().modified().unwrap(), before);
    }

    #[test]
    fn options_have_docker_s_error_texts() {
        let (_tmp, mut config) = root(&[]);
        for (driver, option, text) in [
            ("overlay2", "nonsense", "unable to parse key/value option: nonsense"),
            ("overlay2", "dm.fs=xfs", "overlay2: unknown option dm.fs"),
            ("overlay2", "overlay2.size=1x", "invalid suffix: 'x'"),
            ("fuse-overlayfs", "overlay2.size=1", "fuse-overlayfs: unknown option overlay2.size"),
            ("vfs", "overlay2.size=1", "unknown option overlay2.size for vfs"),
            ("vfs", "size=1G", "Filesystem does not support, or has not enabled quotas"),
        ] {
            config.options = vec![option.to_owned()];
            assert_eq!(
                open(driver, &config).err().map(|e| e.to_string()).as_deref(),
                Some(text),
                "{driver} {option}"
            );
        }
        config.options = vec!["Overlay2.Size = 0".to_owned()];
        assert!(open("overlay2", &config).is_ok());
    }
}
