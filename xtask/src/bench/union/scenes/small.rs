//! 10,000 files of 4 KiB in ten directories.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use super::super::table::{Goal, Line};
use super::super::unions::Mounted;
use super::files::{list_all, read_each, unlink_each, write_each};
use super::{Place, Scene, Turn, timed, verify};
use crate::Result;

const DIRECTORIES: usize = 10;
const FILES: usize = 1000;
const SIZE: usize = 4096;

pub const READ: Scene = Scene {
    lines: &[Line::new("open, read, close 10,000 small files, warm", Goal::Kernel(4.0))],
    layers: full,
    play: |turn| read(turn, turn.mount()?),
    peers: true,
};

pub const READ_ONLY: Scene = Scene {
    lines: &[Line::new("open, read, close 10,000 small files, read-only union", Goal::Kernel(1.0))],
    layers: full,
    play: |turn| read(turn, turn.mount_read_only()?),
    peers: true,
};

pub const CREATE: Scene = Scene {
    lines: &[
        Line { work: "create and write 10,000 small files", goals: [Goal::Kernel(4.5), Goal::Kernel(5.5)] },
        Line::new("unlink 10,000 files", Goal::Kernel(5.0)),
    ],
    layers: empty,
    play: create_and_unlink,
    peers: true,
};

pub const COPY_UP: Scene = Scene {
    lines: &[Line::new("copy-up of 10,000 small files", Goal::Kernel(3.0))],
    layers: full,
    play: copy_up,
    peers: true,
};

/// The directories, in both of two layers, without files.
fn empty(dir: &Path, _: &Place) -> Result<Option<Vec<PathBuf>>> {
    let lowers = vec![dir.join("1"), dir.join("2")];
    for lower in &lowers {
        for directory in 0..DIRECTORIES {
            fs::create_dir_all(lower.join(directory.to_string()))?;
        }
    }
    Ok(Some(lowers))
}

/// The directories with their files, half of them in each layer.
fn full(dir: &Path, place: &Place) -> Result<Option<Vec<PathBuf>>> {
    let lowers = empty(dir, place)?;
    for lower in lowers.iter().flatten() {
        for (n, path) in paths().iter().enumerate() {
            if lower.ends_with((1 + n % 2).to_string()) {
                fs::write(lower.join(path), [b'a'; SIZE])?;
            }
        }
    }
    Ok(lowers)
}

fn paths() -> Vec<PathBuf> {
    (0..DIRECTORIES)
        .flat_map(|directory| (0..FILES).map(move |file| format!("{directory}/file-{file:04}").into()))
        .collect()
}

/// Reads all files twice; the second time counts.
fn read(turn: &Turn<'_>, mounted: Mounted) -> Result<Vec<f64>> {
    let (paths, root) = (paths(), turn.open()?);
    let mut buffer = [0; SIZE];
    read_each(&root, &paths, &mut buffer)?;
    let (time, ()) = timed(|| read_each(&root, &paths, &mut buffer))?;
    verify(buffer == [b'a'; SIZE], || "wrong content".into())?;
    drop(root);
    mounted.unmount()?;
    Ok(vec![time])
}

fn create_and_unlink(turn: &Turn<'_>) -> Result<Vec<f64>> {
    let mounted = turn.mount()?;
    let (paths, root) = (paths(), turn.open()?);
    let (create, ()) = timed(|| write_each(&root, &paths, OFlags::CREATE | OFlags::EXCL, &[b'b'; SIZE]))?;
    verify(fs::read(turn.upper().join(&paths[0]))? == [b'b'; SIZE], || "wrong content".into())?;
    let (unlink, ()) = timed(|| unlink_each(&root, &paths))?;
    drop(root);
    let left = list_all(turn.open()?)?.files;
    verify(left == 0, || format!("{left} files left"))?;
    mounted.unmount()?;
    Ok(vec![create, unlink])
}

/// Appends to every file of the lower layers.
fn copy_up(turn: &Turn<'_>) -> Result<Vec<f64>> {
    let mounted = turn.mount()?;
    let (paths, root) = (paths(), turn.open()?);
    let (time, ()) = timed(|| write_each(&root, &paths, OFlags::APPEND, b"more"))?;
    drop(root);
    mounted.unmount()?;
    let upper = turn.upper();
    for path in &paths {
        let size = fs::metadata(upper.join(path)).map_err(|e| format!("{}: {e}", path.display()))?.len();
        verify(size == SIZE as u64 + 4, || format!("{}: {size} bytes", path.display()))?;
    }
    let lower = fs::metadata(turn.lowers[0].join(&paths[0]))?.len();
    verify(lower == SIZE as u64, || "a lower layer was changed".into())?;
    Ok(vec![time])
}
