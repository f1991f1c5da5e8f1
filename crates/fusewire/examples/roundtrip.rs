//! What one question to a server costs: mounts a file system of two files, asks for attributes that the kernel may not
//! remember, and opens and closes, from one caller and from several, without a pause and with one.
//!
//! `cargo run --release -p layercake-fusewire --example roundtrip [THREADS]`

use std::ffi::OsStr;
use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

use fusewire::mount::{self, MountOptions};
use fusewire::{
    Attributes, Caller, Entry, Errno, Features, FileSystem, Handle, NodeId, Open, OpenFlags, Opened, Result,
    Session,
};

/// The kernel asks for its attributes every time.
const ASKED: NodeId = NodeId(2);
/// It remembers those of this one, so that opening it is one question.
const KEPT: NodeId = NodeId(3);

struct TwoFiles;

fn attributes(node: NodeId) -> (Attributes, Duration) {
    let mode = if node == NodeId::ROOT { 0o040_755 } else { 0o100_644 };
    let ttl = if node == ASKED { Duration::ZERO } else { Duration::from_secs(3600) };
    (Attributes { ino: node.0, mode, nlink: 1, ..Attributes::default() }, ttl)
}

impl FileSystem for TwoFiles {
    fn lookup(&self, _: &Caller, _: NodeId, name: &OsStr) -> Result<Entry> {
        let node = match name.to_str() {
            Some("asked") => ASKED,
            Some("kept") => KEPT,
            _ => return Err(Errno::NOENT),
        };
        let (attributes, attr_ttl) = attributes(node);
        Ok(Entry { node, attributes, entry_ttl: Duration::from_secs(3600), attr_ttl })
    }

    fn getattr(&self, _: &Caller, node: NodeId, _: Option<Handle>) -> Result<(Attributes, Duration)> {
        Ok(attributes(node))
    }

    fn open(&self, _: &Caller, _: NodeId, _: &Open) -> Result<Opened> {
        Ok(Opened { handle: Handle(0), flags: OpenFlags::NOFLUSH, backing: None })
    }
}

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let threads = std::env::args().nth(1).map_or(Ok(0), |n| n.parse())?;
    let dir = tempfile::tempdir()?;
    let device = mount::mount(dir.path(), &MountOptions::default())?;
    let session = Session::new(device, Features::default());
    std::thread::scope(|scope| {
        let server = scope.spawn(|| session.serve(&TwoFiles, threads));
        let result = measure(dir.path());
        let unmounted = mount::unmount(dir.path(), true);
        server.join().map_err(|_| "the server panicked")??;
        unmounted?;
        result
    })
}

fn measure(dir: &Path) -> std::result::Result<(), Box<dyn std::error::Error>> {
    let cpu = || rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let none = Duration::ZERO;
    for (what, callers, count, pause, open) in [
        ("fstat", 1, 40_000, none, false),
        ("fstat, two callers", 2, 20_000, none, false),
        ("fstat, four callers", 4, 10_000, none, false),
        ("fstat every 100 µs", 1, 2_000, Duration::from_micros(100), false),
        ("fstat every ms", 1, 300, Duration::from_millis(1), false),
        ("open and close", 1, 20_000, none, true),
        ("open and close, two callers", 2, 10_000, none, true),
    ] {
        let (begin, cpu_begin) = (Instant::now(), cpu());
        std::thread::scope(|scope| {
            let call = || -> std::io::Result<Duration> {
                let asked = File::open(dir.join("asked"))?;
                let kept = dir.join("kept");
                let mut spent = Duration::ZERO;
                for _ in 0..count {
                    std::thread::sleep(pause);
                    let begin = Instant::now();
                    let _ = if open { File::open(&kept)?.metadata()? } else { asked.metadata()? };
                    spent += begin.elapsed();
                }
                Ok(spent / count)
            };
            let callers: Vec<_> = (0..callers).map(|_| scope.spawn(call)).collect();
            for caller in callers {
                let each = caller.join().map_err(|_| "a caller panicked")??;
                print!("{:6.1} ", each.as_secs_f64() * 1e6);
            }
            Ok::<(), Box<dyn std::error::Error>>(())
        })?;
        let cpu_end = cpu();
        let busy =
            (cpu_end.tv_sec - cpu_begin.tv_sec) as f64 + (cpu_end.tv_nsec - cpu_begin.tv_nsec) as f64 / 1e9;
        println!("µs each: {what}; {:.0} % of a processor", busy / begin.elapsed().as_secs_f64() * 100.0);
    }
    Ok(())
}
