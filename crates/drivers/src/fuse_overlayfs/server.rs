//! The process behind a mount.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use sys::lock::{self, Mutual};
use sys::mount::{Branch, escape};
use sys::{OwnedFd, dir};

use crate::stacked::Tree;
use crate::{Error, Result};

/// The program that serves unions.
///
/// It is started as `program args… -o OPTIONS TARGET`, with the options of fuse-overlayfs(1), in the directory that the
/// layers' paths begin at. It returns, with 0, when the tree is mounted, and leaves a process behind that serves it and
/// holds none of its standard streams. Otherwise it says why on standard error.
///
/// As long as it serves a tree that can be written to, that process should hold a lock (flock(2)) on the work
/// directory: this is how an unmount knows that nothing of it works on the layer any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// The program.
    pub program: PathBuf,
    /// What comes before the options.
    pub args: Vec<OsString>,
}

impl Server {
    /// Mounts a tree.
    pub(super) fn mount(
        &self,
        tree: &Tree<'_>,
        target: &Path,
        user_namespace: bool,
        aufs: bool,
    ) -> Result<()> {
        let failed =
            |why: String| Error::Server { program: self.program.clone(), target: target.to_owned(), why };
        let mut command = Command::new(&self.program);
        command
            .args(&self.args)
            .arg("-o")
            .arg(options(tree, user_namespace, aufs))
            .arg(target)
            .current_dir(tree.path);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let output = command.output().map_err(|e| failed(e.to_string()))?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(failed(match said.trim() {
            "" => output.status.to_string(),
            said => said.to_owned(),
        }))
    }
}

/// What `-o` says.
fn options(tree: &Tree<'_>, user_namespace: bool, aufs: bool) -> OsString {
    let mut options = OsString::from("lowerdir=");
    for (n, lower) in tree.lowers.iter().enumerate() {
        if n > 0 {
            options.push(":");
        }
        options.push(escape(&lower.path));
    }
    let mut add = |key: &str, branch: &Branch| {
        options.push(key);
        options.push(escape(&branch.path));
    };
    match &tree.upper {
        Some((upper, work)) => {
            add(",upperdir=", upper);
            add(",workdir=", work);
        }
        None => options.push(",ro"),
    }
    options.push(",suid,dev");
    if aufs {
        options.push(",aufs_whiteouts=upper");
    }
    // The user's own programs are outside of his namespace, and `allow_other` is for those inside only.
    options.push(if user_namespace { ",userxattr,noallow_other" } else { ",allow_other" });
    options
}

/// Waits for the server of an unmounted tree to let go of the work directory. With no such lock there is nothing to
/// wait for. `false` after some seconds: then the mount lives on in another mount namespace.
pub(super) fn has_ended(work: &OwnedFd) -> Result<bool> {
    for pause in [1; 100].into_iter().chain([20; 500]) {
        if lock::try_lock(dir::reopen(work)?, Mutual::Exclusive)?.is_some() {
            return Ok(true);
        }
        sleep(Duration::from_millis(pause));
    }
    Ok(false)
}
