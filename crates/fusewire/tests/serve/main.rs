//! A file system in memory behind a real mount, asked by the kernel on behalf of ordinary calls.
//!
//! Needs `/dev/fuse`, and to be root or in a user namespace; what a machine lacks is skipped out loud.

#![allow(clippy::unwrap_used)] // in helpers of tests, outside of #[test] functions

mod files;
mod memory;
mod mounting;
mod notify;
mod passthrough;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use fusewire::mount::{self, MountOptions};
use fusewire::{DeviceBackings, Features, NodeId, Notifier, Session};
use memory::Memory;

/// A mount that is served by threads of this process, until it is dropped.
struct Mounted {
    fs: Arc<Memory>,
    notifier: Notifier,
    backings: DeviceBackings,
    server: Option<JoinHandle<std::io::Result<()>>>,
    target: PathBuf,
    _dir: tempfile::TempDir,
}

impl Mounted {
    fn path(&self, name: &str) -> PathBuf {
        self.target.join(name)
    }

    /// The number of a file whose number is also its inode's.
    fn node(&self, name: &str) -> NodeId {
        NodeId(std::os::unix::fs::MetadataExt::ino(&self.path(name).symlink_metadata().unwrap()))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        mount::unmount(&self.target, true).unwrap();
        if let Some(server) = self.server.take() {
            server.join().unwrap().unwrap();
            // A mount that nobody used may be gone before it has begun.
            let started = u64::from(self.fs.negotiated.get().is_some());
            assert_eq!(self.fs.destroyed.load(std::sync::atomic::Ordering::SeqCst), started);
        }
    }
}

/// Mounts and serves; `None` where that cannot be done.
fn serve(features: Features) -> Option<Mounted> {
    serve_by(2, features)
}

fn serve_by(threads: usize, features: Features) -> Option<Mounted> {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("mount");
    std::fs::create_dir(&target).unwrap();
    serve_at(target, dir, threads, features)
}

fn serve_at(target: PathBuf, dir: tempfile::TempDir, threads: usize, features: Features) -> Option<Mounted> {
    let device = match mount_at(&target) {
        Ok(device) => device,
        Err(e) => {
            eprintln!("SKIPPED: {e}");
            return None;
        }
    };
    let session = Session::new(device, features);
    let fs = Arc::new(Memory::new());
    let (notifier, backings) = (session.notifier(), session.backings());
    let served = Arc::clone(&fs);
    let server = std::thread::spawn(move || session.serve(&*served, threads));
    Some(Mounted { fs, notifier, backings, server: Some(server), target, _dir: dir })
}

fn mount_at(target: &Path) -> Result<rustix::fd::OwnedFd, mount::Error> {
    mount::mount(target, &MountOptions { subtype: "memory".into(), ..MountOptions::default() })
}
