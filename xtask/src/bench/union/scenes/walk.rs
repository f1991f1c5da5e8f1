//! Walks over 50,000 files in 520 directories; half of the directories are merged from two layers.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use super::super::table::{Goal, Line};
use super::files::{Found, list_all, stat_all, touch};
use super::{Place, Scene, Turn, timed, verify};
use crate::Result;

/// Directories at the root, directories in each of them, and files in each of those.
const SHAPE: [usize; 3] = [20, 25, 100];

pub const STAT: Scene = Scene {
    lines: &[
        Line::new("stat of 50,000 files, first", Goal::Kernel(1.3)),
        Line::new("stat of 50,000 files, again", Goal::Kernel(1.1)),
    ],
    layers,
    play: |turn| walk(turn, |root| stat_all(root)),
    peers: true,
};

pub const FIND: Scene = Scene {
    lines: &[
        Line::new("find over 50,000 files, first", Goal::Kernel(4.0)),
        Line::new("find over 50,000 files, again", Goal::Kernel(1.2)),
    ],
    layers,
    play: |turn| walk(turn, |root| list_all(root)),
    peers: true,
};

fn layers(dir: &Path, _: &Place) -> Result<Option<Vec<PathBuf>>> {
    let lowers = vec![dir.join("1"), dir.join("2")];
    let [outer, inner, files] = SHAPE;
    for first in 0..outer {
        for second in 0..inner {
            // One half is in both layers, each with half of the files; the other half in one layer, in turn.
            let own: &[usize] = if first < outer / 2 { &[0, 1] } else { &[first % 2] };
            for layer in own {
                fs::create_dir_all(lowers[*layer].join(format!("{first:02}/{second:02}")))?;
            }
            for file in 0..files {
                let layer = &lowers[own[file % own.len()]];
                touch(&layer.join(format!("{first:02}/{second:02}/file-{file:03}")))?;
            }
        }
    }
    Ok(Some(lowers))
}

/// Walks twice over a fresh mount.
fn walk(turn: &Turn<'_>, walk: impl Fn(&File) -> Result<Found>) -> Result<Vec<f64>> {
    let [outer, inner, files] = SHAPE;
    let expected = Found { files: outer * inner * files, directories: outer + outer * inner };
    let mounted = turn.mount()?;
    let mut times = Vec::new();
    for _ in 0..2 {
        let root = turn.open()?;
        let (time, found) = timed(|| walk(&root))?;
        verify(found == expected, || format!("{found:?} instead of {expected:?}"))?;
        times.push(time);
    }
    mounted.unmount()?;
    Ok(times)
}
