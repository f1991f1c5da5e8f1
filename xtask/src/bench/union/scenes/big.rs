//! Files of 1 GiB.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::{AtFlags, OFlags, SeekFrom, ftruncate, seek, statat};

use super::super::super::exec::run;
use super::super::table::{Goal, Line};
use super::files::{open, read_all, write_all};
use super::{Place, Scene, Turn, timed, verify};
use crate::Result;

const GIB: u64 = 1 << 30;
const MIB: usize = 1 << 20;

/// The big file of the lower layer.
const BIG: &str = "big";

pub const READ_AND_WRITE: Scene = Scene {
    lines: &[
        Line::new("read 1 GiB, first", Goal::None),
        Line { work: "read 1 GiB again", goals: [Goal::Kernel(1.1), Goal::Kernel(1.8)] },
        Line { work: "write 1 GiB", goals: [Goal::Kernel(1.1), Goal::Kernel(1.8)] },
    ],
    layers: data,
    play: read_and_write,
    peers: true,
};

pub const SMALL_BLOCKS: Scene = Scene {
    lines: &[Line {
        work: "write 256 MiB in blocks of 4 KiB",
        goals: [Goal::Kernel(1.1), Goal::Kernel(1.6)],
    }],
    layers: none,
    play: |turn| Ok(vec![write(turn, 4096, GIB / 4)?]),
    peers: true,
};

pub const HOLE: Scene = Scene {
    lines: &[Line::new("copy-up of a 1 GiB hole", Goal::Seconds(0.002))],
    layers: hole,
    play: copy_up_hole,
    peers: true,
};

pub const REPLACE: Scene = Scene {
    lines: &[Line::new("O_TRUNC of 1 GiB", Goal::Seconds(0.0003))],
    layers: data,
    play: replace,
    peers: true,
};

pub const SHRINK: Scene = Scene {
    lines: &[Line::new("truncate of 1 GiB to 4 KiB", Goal::Seconds(0.0003))],
    layers: data,
    play: shrink,
    peers: true,
};

fn none(dir: &Path, _: &Place) -> Result<Option<Vec<PathBuf>>> {
    fs::create_dir_all(dir)?;
    Ok(Some(vec![dir.to_path_buf()]))
}

fn data(dir: &Path, place: &Place) -> Result<Option<Vec<PathBuf>>> {
    let lowers = none(dir, place)?;
    write_all(File::create(dir.join(BIG))?, MIB, GIB)?;
    Ok(lowers)
}

/// A hole with one byte in the middle.
fn hole(dir: &Path, place: &Place) -> Result<Option<Vec<PathBuf>>> {
    let lowers = none(dir, place)?;
    let file = File::create(dir.join(BIG))?;
    ftruncate(&file, GIB)?;
    seek(&file, SeekFrom::Start(GIB / 2))?;
    write_all(&file, 1, 1)?;
    Ok(lowers)
}

fn read_and_write(turn: &Turn<'_>) -> Result<Vec<f64>> {
    let mounted = turn.mount()?;
    let root = turn.open()?;
    let mut times = Vec::new();
    for _ in 0..2 {
        let file = open(&root, Path::new(BIG), OFlags::RDONLY)?;
        let (time, size) = timed(|| read_all(&file, 128 * 1024))?;
        verify(size == GIB, || format!("{size} bytes read"))?;
        times.push(time);
    }
    drop(root);
    mounted.unmount()?;
    times.push(write(turn, MIB, GIB)?);
    Ok(times)
}

/// Writes a new file on a fresh mount.
fn write(turn: &Turn<'_>, block: usize, size: u64) -> Result<f64> {
    let mounted = turn.mount()?;
    let root = turn.open()?;
    let (time, ()) = timed(|| {
        let file = open(&root, Path::new("new"), OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL)?;
        write_all(&file, block, size)
    })?;
    drop(root);
    mounted.unmount()?;
    let written = fs::metadata(turn.upper().join("new"))?.len();
    verify(written == size, || format!("{written} bytes written"))?;
    Ok(time)
}

/// Runs `change` on a fresh mount where only the name of the file is known, and returns its time. Afterwards the upper
/// file has `size` bytes, and the lower one its own.
fn change(turn: &Turn<'_>, size: u64, change: impl FnOnce(&File) -> Result<f64>) -> Result<Vec<f64>> {
    let mounted = turn.mount()?;
    let root = turn.open()?;
    statat(&root, BIG, AtFlags::empty())?;
    let time = change(&root)?;
    drop(root);
    mounted.unmount()?;
    let now = fs::metadata(turn.upper().join(BIG))?.len();
    verify(now == size, || format!("{now} bytes instead of {size}"))?;
    let lower = fs::metadata(turn.lowers[0].join(BIG))?.len();
    verify(lower == GIB, || "the lower layer was changed".into())?;
    Ok(vec![time])
}

fn copy_up_hole(turn: &Turn<'_>) -> Result<Vec<f64>> {
    change(turn, GIB, |root| Ok(timed(|| open(root, Path::new(BIG), OFlags::RDWR))?.0))
}

fn replace(turn: &Turn<'_>) -> Result<Vec<f64>> {
    change(turn, 0, |root| Ok(timed(|| open(root, Path::new(BIG), OFlags::WRONLY | OFlags::TRUNC))?.0))
}

/// `truncate(2)` by name. Rust's library and `truncate(1)` open the file and call `ftruncate`, which is another thing;
/// Python has the call, and measures it itself.
fn shrink(turn: &Turn<'_>) -> Result<Vec<f64>> {
    const CALL: &str = "import os, sys, time; start = time.perf_counter(); os.truncate(sys.argv[1], 4096); \
                        print(time.perf_counter() - start)";
    change(turn, 4096, |_| {
        let printed = run(Command::new("python3").args(["-c", CALL]).arg(turn.merged().join(BIG)))?;
        Ok(printed.trim().parse()?)
    })
}
