//! A union that is mounted: by us or by the kernel.

use std::ffi::CString;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use unionfs::{Config, MountAt, Options, RedirectDir, Union, Upper};

/// Whose union it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    Ours,
    Kernel,
}

/// How both mount.
#[derive(Debug, Clone, Copy)]
pub struct How {
    pub redirect: bool,
    pub passthrough: bool,
}

/// Unmounted when it is dropped.
#[derive(Debug)]
pub struct Mounted {
    target: PathBuf,
    server: Option<JoinHandle<Result<(), unionfs::Error>>>,
}

impl Mounted {
    /// Mounts layers, topmost first, with the directory that holds `upper` and `work` or for reading only.
    pub fn new(by: By, target: &Path, lowers: &[PathBuf], upper: Option<&Path>, options: How) -> Self {
        let server = match by {
            By::Ours => {
                let redirect_dir = if options.redirect { RedirectDir::On } else { RedirectDir::Off };
                let config = Config {
                    lowers: lowers.to_vec(),
                    upper: upper.map(|dir| Upper { dir: dir.join("upper"), work: dir.join("work") }),
                    options: Options { redirect_dir, passthrough: options.passthrough, ..Options::default() },
                    ..Config::default()
                };
                let server = Union::open(&config).unwrap().mount(target, &MountAt::default()).unwrap();
                Some(std::thread::spawn(move || server.run()))
            }
            By::Kernel => {
                let paths: Vec<_> = lowers.iter().map(|path| path.display().to_string()).collect();
                let mut text = format!("lowerdir={},metacopy=off", paths.join(":"));
                if let Some(dir) = upper {
                    let redirect = if options.redirect { "on" } else { "off" };
                    let dir = dir.display();
                    // Links are kept, as ours keeps them.
                    text +=
                        &format!(",upperdir={dir}/upper,workdir={dir}/work,index=on,redirect_dir={redirect}");
                }
                let text = CString::new(text).unwrap();
                mount("overlay", target, "overlay", MountFlags::empty(), text.as_c_str()).unwrap();
                None
            }
        };
        Self { target: target.to_owned(), server }
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let flags = if std::thread::panicking() { UnmountFlags::DETACH } else { UnmountFlags::empty() };
        let unmounted = unmount(&self.target, flags);
        if std::thread::panicking() {
            return;
        }
        unmounted.expect("unmounting");
        if let Some(server) = self.server.take() {
            server.join().expect("the server panicked").expect("the server failed");
        }
    }
}
