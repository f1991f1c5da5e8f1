//! Where a case's data root lies.

use std::any::Any;
use std::path::Path;
use std::process::Command;

use crate::Config;

/// A place for one case.
pub struct Ground {
    /// Says where the data root is, and what options the driver gets.
    pub config: Config,
    /// What is to be there as long as the case runs, and is given back when this is dropped, after everything below the
    /// data root has been unmounted.
    pub keep: Box<dyn Any + Sync>,
}

/// A temporary directory, on whatever file system such directories are.
pub fn directory() -> Result<Ground, String> {
    let root = tempfile::tempdir().map_err(|e| e.to_string())?;
    Ok(Ground { config: Config::new(root.path()), keep: Box::new(root) })
}

/// A btrfs of 1 GiB, empty, in a file behind a loop device. The file takes what is written.
pub fn btrfs() -> Result<Ground, String> {
    volume(&["mkfs.btrfs", "--quiet"], "loop")
}

/// An ext4 of 1 GiB that limits projects.
pub fn ext4_with_quotas() -> Result<Ground, String> {
    volume(&["mkfs.ext4", "-q", "-F", "-O", "project,quota"], "loop,prjquota")
}

/// An xfs of 1 GiB that limits projects.
pub fn xfs_with_quotas() -> Result<Ground, String> {
    volume(&["mkfs.xfs", "-q"], "loop,pquota")
}

/// An xfs of 1 GiB whose directories do not tell the kinds of their entries: one of the format before version 5, which
/// some kernels no longer mount.
pub fn xfs_without_ftype() -> Result<Ground, String> {
    volume(&["mkfs.xfs", "-q", "-m", "crc=0", "-n", "ftype=0"], "loop")
}

/// An empty file system of 1 GiB, made by `make` in a sparse file and mounted with the options `options`.
fn volume(make: &[&str], options: &str) -> Result<Ground, String> {
    let tmp = tempfile::tempdir().map_err(|e| e.to_string())?;
    let (image, top) = (tmp.path().join("image"), tmp.path().join("mounted"));
    let file = std::fs::File::create(&image).map_err(|e| e.to_string())?;
    file.set_len(1 << 30).map_err(|e| e.to_string())?;
    std::fs::create_dir(&top).map_err(|e| e.to_string())?;
    let (program, flags) = make.split_first().ok_or("nothing makes the file system")?;
    let flags: Vec<&Path> = flags.iter().map(Path::new).chain([image.as_path()]).collect();
    command(program, &flags)?;
    command("mount", &["-o".as_ref(), options.as_ref(), image.as_ref(), top.as_ref()])?;
    let keep = Box::new(Mounted { tmp });
    // Not the top itself: below the data root, nothing is mounted but by the driver.
    let root = top.join("root");
    std::fs::create_dir(&root).map_err(|e| e.to_string())?;
    Ok(Ground { config: Config::new(root), keep })
}

/// A temporary directory, and a small pool of files in it, with ext4 on the devices.
pub fn thin_ext4() -> Result<Ground, String> {
    thin(&["dm.fs=ext4", "dm.basesize=128M"])
}

/// As [`thin_ext4`], with xfs.
pub fn thin_xfs() -> Result<Ground, String> {
    thin(&["dm.fs=xfs", "dm.basesize=320M"])
}

fn thin(options: &[&str]) -> Result<Ground, String> {
    let pools = sys::dm::Control::open().and_then(|control| control.targets());
    match pools {
        Ok(kinds) if kinds.iter().any(|kind| kind == "thin-pool") => {}
        other => return Err(lacks(format!("no thin pools: {other:?}"))),
    }
    let mut ground = directory()?;
    ground.config.options = ["dm.loopdatasize=2G", "dm.loopmetadatasize=16M"]
        .iter()
        .chain(options)
        .map(|&option| option.to_owned())
        .collect();
    Ok(ground)
}

/// A pool of ZFS on a loop device, its dataset mounted.
pub fn zfs() -> Result<Ground, String> {
    if let Err(e) = std::fs::metadata("/dev/zfs") {
        return Err(format!("no ZFS: /dev/zfs: {e}"));
    }
    let tmp = tempfile::tempdir().map_err(|e| e.to_string())?;
    let (image, top) = (tmp.path().join("image"), tmp.path().join("pool"));
    let file = std::fs::File::options().read(true).write(true).create_new(true).open(&image);
    let file = file.map_err(|e| e.to_string())?;
    file.set_len(1 << 30).map_err(|e| e.to_string())?;
    let device = sys::block::Loop::attach(&file).map_err(|e| e.to_string())?;
    let name = format!("lc{:016x}", u64::from_le_bytes(sys::process::random()));
    let made = ["create", "-f", "-O", "compression=off", "-m"].map(Path::new);
    command("zpool", &[&made[..], &[top.as_path(), name.as_ref(), device.path.as_path()]].concat())
        .map_err(lacks)?;
    let root = top.join("root");
    std::fs::create_dir(&root).map_err(|e| e.to_string())?;
    Ok(Ground {
        config: Config::new(root),
        keep: Box::new(Pool { name, _device: device, _mounted: Mounted { tmp } }),
    })
}

/// A pool of ZFS, which goes before the file that it is in.
struct Pool {
    name: String,
    _device: sys::block::Loop,
    _mounted: Mounted,
}

impl Drop for Pool {
    fn drop(&mut self) {
        for mount in sys::mount::table(self._mounted.tmp.path()).unwrap_or_default().iter().rev() {
            let _ = sys::mount::detach(&mount.target);
        }
        // What is on its way out is waited for.
        for _ in 0..50 {
            if command("zpool", &["destroy", "-f", &self.name].map(Path::new)).is_ok() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
    }
}

/// What is missing is said; in the virtual machine nothing may be missing.
fn lacks(what: String) -> String {
    assert!(std::env::var_os("LAYERCAKE_VM").is_none(), "{what}");
    what
}

/// Runs a program of the machine, which must succeed.
fn command(program: &str, args: &[&Path]) -> Result<(), String> {
    let output = Command::new(program).args(args).output().map_err(|e| format!("{program}: {e}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{program}: {}", String::from_utf8_lossy(&output.stderr).trim()))
}

/// A file system that is mounted in a temporary directory. The loop device goes with the mount.
struct Mounted {
    tmp: tempfile::TempDir,
}

impl Drop for Mounted {
    fn drop(&mut self) {
        for mount in sys::mount::table(self.tmp.path()).unwrap_or_default().iter().rev() {
            let _ = sys::mount::detach(&mount.target);
        }
    }
}
