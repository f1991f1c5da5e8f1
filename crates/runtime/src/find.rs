//! Which OCI runtime is used.

use std::path::{Path, PathBuf};

use crate::bundle::Bundle;
use crate::console::Console;
use crate::error::{Error, Result};
use crate::host::{CGROUP_ROOT, Cgroups};

/// An OCI runtime that is installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Runtime {
    name: String,
    program: PathBuf,
}

/// The runtimes that are known to work, the fastest first.
const KNOWN: [&str; 3] = ["crun", "runc", "youki"];

/// Where they are looked for.
const PLACES: [&str; 6] = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// Docker's name for runc, whoever is the default.
const SHIM_OF_RUNC: &str = "io.containerd.runc.v2";

impl Runtime {
    /// The runtime of this name or at this absolute path; without either the first that is installed of crun, runc and
    /// youki.
    ///
    /// # Errors
    /// [`Error::NoRuntime`], [`Error::UnknownRuntime`].
    pub fn find(name: Option<&str>) -> Result<Self> {
        match name {
            None => KNOWN.iter().find_map(|name| Self::installed(name)).ok_or(Error::NoRuntime),
            Some(SHIM_OF_RUNC) => Self::installed("runc").ok_or_else(|| Error::UnknownRuntime("runc".into())),
            Some(path) if path.starts_with('/') => Self::at(Path::new(path)),
            Some(name) => Self::installed(name).ok_or_else(|| Error::UnknownRuntime(name.to_owned())),
        }
    }

    /// The runtime whose program is at `path`.
    ///
    /// # Errors
    /// [`Error::UnknownRuntime`].
    pub fn at(path: &Path) -> Result<Self> {
        let unknown = || Error::UnknownRuntime(path.display().to_string());
        let name = path.file_name().and_then(|name| name.to_str()).ok_or_else(unknown)?;
        if !is_program(path) {
            return Err(unknown());
        }
        Ok(Self { name: name.to_owned(), program: path.to_owned() })
    }

    /// Its name: `crun`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its program.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// What it has to be told about control groups.
    pub(crate) fn cgroup_arguments(&self) -> &'static [&'static str] {
        let none = self.name == "crun" && Cgroups::of_machine() == Cgroups::None;
        if none { &["--cgroup-manager=disabled"] } else { &[] }
    }

    /// How it is told of a socket in the bundle's directory, where it works: by a name, which is short, as paths of sockets
    /// have to be. youki leads to it from a directory of its own, by a link, which may be long.
    pub(crate) fn console_path(&self, console: &Console, bundle: &Bundle) -> PathBuf {
        if self.name == "youki" { bundle.dir().join(console.name()) } else { console.name().into() }
    }

    /// The tree of v2 beside those of v1, if it has to be hidden from this runtime: crun refuses to work where that has
    /// controllers, too, although it would use those of v1 only.
    pub(crate) fn hidden_cgroups(&self) -> Option<PathBuf> {
        if self.name != "crun" || Cgroups::of_machine() != Cgroups::Hybrid {
            return None;
        }
        let tree = Path::new(CGROUP_ROOT).join("unified");
        let controllers = std::fs::read_to_string(tree.join("cgroup.controllers"));
        controllers.is_ok_and(|controllers| !controllers.trim().is_empty()).then_some(tree)
    }

    fn installed(name: &str) -> Option<Self> {
        if name.contains('/') || name.is_empty() {
            return None;
        }
        let program = PLACES.iter().map(|place| Path::new(place).join(name)).find(|path| is_program(path))?;
        Some(Self { name: name.to_owned(), program })
    }
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runtime_is_found_by_path_and_not_by_half_a_path() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("myrun");
        std::fs::write(&path, "").unwrap();
        let named = path.to_str().unwrap();
        assert!(matches!(Runtime::find(Some(named)), Err(Error::UnknownRuntime(name)) if name == named));
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        let found = Runtime::find(Some(named)).unwrap();
        assert_eq!((found.name(), found.program()), ("myrun", path.as_path()));
        for bad in ["bin/crun", "../crun", "", "no-such-runtime"] {
            assert!(matches!(Runtime::find(Some(bad)), Err(Error::UnknownRuntime(_))), "{bad}");
        }
    }
}
