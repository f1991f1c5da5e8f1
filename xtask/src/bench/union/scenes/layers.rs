//! Many layers.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, statat};
use rustix::io::Errno;

use super::super::table::{Goal, Line};
use super::files::touch;
use super::{Place, Scene, Turn, timed, verify};
use crate::Result;

/// As many layers as Docker's overlay2 driver stacks, less the upper one.
const DEEP: usize = 127;

/// Near to what the kernel's overlay takes.
const MANY: usize = 400;

/// A path that exists in every layer.
const DIRECTORY: &str = "a/b/c/d/e";

pub const MISS: Scene = Scene {
    lines: &[Line::new("a miss five merged directories down, 127 layers", Goal::Seconds(0.002))],
    layers: |dir, _| stack(dir, DEEP, DIRECTORY),
    play: miss,
    peers: true,
};

pub const MOUNT: Scene = Scene {
    lines: &[Line::new("mount with 400 layers and first stat", Goal::Seconds(0.025))],
    layers: |dir: &Path, _: &Place| stack(dir, MANY, ""),
    play: mount,
    peers: true,
};

/// Layers with the directory and a file of their own in it.
fn stack(dir: &Path, layers: usize, directory: &str) -> Result<Option<Vec<PathBuf>>> {
    let mut lowers = Vec::new();
    for n in 0..layers {
        let lower = dir.join(n.to_string());
        fs::create_dir_all(lower.join(directory))?;
        touch(&lower.join(directory).join(format!("file-{n}")))?;
        lowers.push(lower);
    }
    Ok(Some(lowers))
}

fn miss(turn: &Turn<'_>) -> Result<Vec<f64>> {
    let mounted = turn.mount()?;
    let root = turn.open()?;
    let missing = Path::new(DIRECTORY).join("missing");
    let (time, error) = timed(|| Ok(statat(&root, &missing, AtFlags::empty()).err()))?;
    verify(error == Some(Errno::NOENT), || format!("{error:?} instead of a miss"))?;
    let lowest = Path::new(DIRECTORY).join(format!("file-{}", DEEP - 1));
    statat(&root, &lowest, AtFlags::empty()).map_err(|e| format!("{}: {e}", lowest.display()))?;
    drop(root);
    mounted.unmount()?;
    Ok(vec![time])
}

/// From the start of the program until a file of the lowest layer is seen.
fn mount(turn: &Turn<'_>) -> Result<Vec<f64>> {
    let lowest = turn.merged().join(format!("file-{}", MANY - 1));
    let (time, mounted) = timed(|| {
        let mounted = turn.mount()?;
        fs::symlink_metadata(&lowest).map_err(|e| format!("{}: {e}", lowest.display()))?;
        Ok(mounted)
    })?;
    mounted.unmount()?;
    Ok(vec![time])
}
