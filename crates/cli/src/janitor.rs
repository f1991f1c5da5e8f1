//! Directories that are removed however the process ends that works in them: a Ctrl-C and SIGKILL end it, the end of the
//! terminal too, and containers are mounted below.
//!
//! The process starts this program once more as `__janitor` (hidden) with a pipe for standard input. The janitor makes
//! the directory, waits for the end of the pipe, and removes the directory with its mounts. If anything is written into
//! the pipe, it removes nothing.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use crate::bench;
use crate::context::Context;
use crate::output::failure::Failure;
use crate::output::stdout;
use crate::rootless;

/// The name of the hidden command.
pub const NAME: &str = "__janitor";

/// The store, or the directory of stores, in the directory.
pub const STORE: &str = "store";

/// Clean up after a command
#[derive(Debug, clap::Args)]
pub struct Args {
    dir: PathBuf,
    /// There are stores of drivers, and containers may run.
    #[arg(long)]
    bench: bool,
}

/// A directory of this process, and the process that will remove it.
pub struct Guarded {
    dir: PathBuf,
    janitor: Child,
    alive: ChildStdin,
}

impl Guarded {
    /// Makes the directory (0700). `args` are those of the hidden command, before the directory.
    ///
    /// # Errors
    /// The janitor's: it cannot be made.
    pub fn make(dir: PathBuf, args: &[&str]) -> Result<Self, Failure> {
        let mut command = Command::new("/proc/self/exe");
        command.arg(NAME).args(args).arg(&dir).current_dir("/");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let spawned = command.spawn().and_then(|mut janitor| {
            let (alive, mut line) = (janitor.stdin.take(), String::new());
            janitor.stdout.take().map_or(Ok(0), |out| BufReader::new(out).read_line(&mut line))?;
            Ok((janitor, alive, line))
        });
        let (mut janitor, alive, line) =
            spawned.map_err(|err| Failure::io("start", Path::new("layercake"), &err))?;
        match alive.filter(|_| !line.is_empty()) {
            Some(alive) => Ok(Self { dir, janitor, alive }),
            None => Err(Failure::plain(wait(&mut janitor).trim_end())),
        }
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// As long as somebody has this, the janitor waits.
    pub fn alive(&self) -> BorrowedFd<'_> {
        self.alive.as_fd()
    }

    /// Removes everything and returns when it is gone; or keeps everything.
    ///
    /// # Errors
    /// Something could not be removed.
    pub fn end(mut self, keep: bool) -> Result<(), Failure> {
        if keep {
            self.alive.write_all(b"keep\n").map_err(|err| Failure::io("write", Path::new("pipe"), &err))?;
        }
        drop(self.alive);
        let said = wait(&mut self.janitor);
        if said.is_empty() { Ok(()) } else { Err(Failure::plain(said.trim_end())) }
    }
}

/// Waits for the end of the janitor, and returns what it complained of.
fn wait(janitor: &mut Child) -> String {
    let mut said = String::new();
    let _ = janitor.stderr.take().map(|mut err| err.read_to_string(&mut said));
    let _ = janitor.wait();
    said
}

/// A name for such a directory: `layercake-WHAT-`, and something that nobody else has.
pub fn name(what: &str) -> String {
    let tag: String = sys::process::random::<4>().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("layercake-{what}-{tag}")
}

/// Makes the directory, waits, and removes it with its mounts.
///
/// # Errors
/// It cannot be made, or not be removed.
pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    // First of all: from now on a Ctrl-C or the end of the terminal is for the other process only.
    let _ = rustix::process::setsid();
    let (parent, name) =
        args.dir.parent().zip(args.dir.file_name()).ok_or_else(|| refused("no directory"))?;
    let parent = sys::dir::open_path(parent).map_err(refused)?;
    sys::dir::mkdir(&parent, name, 0o700).map_err(refused)?;
    stdout::print("ready\n")?;
    let mut said = Vec::new();
    // An input that cannot be read has ended.
    let _ = std::io::stdin().lock().read_to_end(&mut said);
    if said.is_empty() { remove(args, context, &parent, name) } else { Ok(()) }
}

/// An ordinary user's mounts are in the namespace of his store, and the kernel leaves directories behind that only that
/// namespace's user 0 may open.
fn remove(args: &Args, context: &Context, parent: &sys::OwnedFd, name: &OsStr) -> Result<(), Failure> {
    // Without a namespace, there are no mounts either.
    let session = rootless::enter(&rootless::Options { root: args.dir.join(STORE), create: false });
    let cleared = if args.bench { bench::clear(&args.dir.join(STORE), context) } else { Ok(()) };
    let mounts = sys::mount::table(&args.dir).map_err(refused)?;
    for mount in mounts.iter().rev() {
        sys::mount::detach(&mount.target).map_err(refused)?;
    }
    let removed = sys::tree::remove(parent, name);
    drop(session);
    removed.map_err(refused).and(cleared)
}

fn refused(err: impl std::fmt::Display) -> Failure {
    Failure::refused(err)
}
