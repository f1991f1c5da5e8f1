//! The server's memory after many files came and went.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use super::super::table::{Goal, Line};
use super::files::{stat_all, touch};
use super::{Place, Scene, Turn, verify};
use crate::Result;

const DIRECTORIES: usize = 1000;
const FILES: usize = 1000;

const MIB: f64 = 1048576.0;

/// How long the server may work off what the kernel has sent it to forget.
const REST: Duration = Duration::from_secs(1);

pub const LOOKED_UP: Scene = Scene {
    lines: &[Line::new("server's memory after 1,000,000 files were forgotten", Goal::Bytes(64.0 * MIB))],
    layers,
    play: looked_up,
    peers: false,
};

fn layers(dir: &Path, _: &Place) -> Result<Option<Vec<PathBuf>>> {
    for directory in 0..DIRECTORIES {
        let path = dir.join(format!("{directory:03}"));
        fs::create_dir_all(&path)?;
        for file in 0..FILES {
            touch(&path.join(format!("{file:03}")))?;
        }
    }
    Ok(Some(vec![dir.to_path_buf()]))
}

fn looked_up(turn: &Turn<'_>) -> Result<Vec<f64>> {
    let mounted = turn.mount()?;
    let found = stat_all(turn.open()?)?.files;
    verify(found == DIRECTORIES * FILES, || format!("{found} files"))?;
    mounted.forget()?;
    thread::sleep(REST);
    let memory = mounted.server_memory()?;
    mounted.unmount()?;
    Ok(vec![memory])
}
