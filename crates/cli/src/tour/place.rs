//! Where a tour takes place: a directory of its own, with a store.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::image;
use crate::janitor::{self, Guarded};
use crate::output::failure::Failure;

/// A directory with the images' archive and a store, and the process that will remove it.
pub struct Place {
    guarded: Guarded,
    driver: Option<String>,
}

/// The drivers that there are words for.
const SHOWN: [&str; 3] = ["overlay2", "fuse-overlayfs", "vfs"];

/// Finds a place where containers can be mounted; else one where they cannot, for the driver `vfs`. `driver` is the
/// one that the user wants.
///
/// # Errors
/// There is none: the error is that of the first try. A driver that the tour does not show.
pub fn find(driver: Option<&str>) -> Result<Place, Failure> {
    if let Some(other) = driver.filter(|name| !SHOWN.contains(name)) {
        return Err(Failure::refused(format_args!(
            "the tour shows {}, not {other}: layercake --storage-driver {other} info says whether it works here, \
             layercake bench --drivers {other} what it does",
            SHOWN.join(", ")
        )));
    }
    let mut plain = None;
    let mut failure = None;
    for parent in candidates() {
        let tried = Place::make(&parent, driver)
            .and_then(|place| Ok((place.ask(&["info", "--format", "{{.Driver}}"])?, place)));
        match tried {
            Ok((found, place)) if driver.is_some() || found.trim() == "overlay2" => return Ok(place),
            Ok((_, place)) => _ = plain.get_or_insert(place),
            Err(err) => _ = failure.get_or_insert(err),
        }
    }
    plain.ok_or_else(|| failure.unwrap_or_else(|| Failure::refused("there is no directory for the tour")))
}

/// An overlay's upper directory cannot be on every file system: not on another overlay, as `/tmp` is in a container,
/// and for an ordinary user not on a tmpfs before Linux 6.6.
fn candidates() -> Vec<PathBuf> {
    let env = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let mut all = vec![env("TMPDIR").unwrap_or_else(|| "/tmp".into())];
    all.extend(env("XDG_RUNTIME_DIR"));
    all.extend(["/var/tmp".into(), "/dev/shm".into()]);
    all.extend(std::env::current_dir());
    all
}

impl Place {
    fn make(parent: &Path, driver: Option<&str>) -> Result<Self, Failure> {
        let guarded = Guarded::make(parent.join(janitor::name("tour")), &[])?;
        let place = Self { guarded, driver: driver.map(str::to_owned) };
        let demo = place.dir().join("demo.tar");
        let archive = image::archive().map_err(Failure::refused)?;
        fs::write(&demo, archive).map_err(|err| Failure::io("write", &demo, &err))?;
        // Makes the store, and does nothing else.
        place.ask(&["umount", "--all"])?;
        Ok(place)
    }

    /// The directory: of the images' archive `demo.tar`, and of `store`.
    pub fn dir(&self) -> &Path {
        self.guarded.dir()
    }

    /// The store.
    pub fn store(&self) -> PathBuf {
        self.dir().join(janitor::STORE)
    }

    /// Runs layercake on the store and returns what it prints, standard error included, as on a terminal.
    ///
    /// # Errors
    /// The command failed; the message is its own.
    pub fn ask<S: AsRef<str>>(&self, args: &[S]) -> Result<String, Failure> {
        let mut command = this_program();
        if let Some(driver) = &self.driver {
            command.args(["--storage-driver", driver]);
        }
        command.args(args.iter().map(AsRef::as_ref));
        self.output(command.env("LAYERCAKE_ROOT", self.store()))
    }

    /// Why containers cannot be mounted here, in the words of the command that tries.
    pub fn why_no_overlay(&self) -> String {
        let store = self.dir().join("attempt");
        let commands: [&[&str]; 3] = [
            &["load", "-q", "-i", "demo.tar"],
            &["create", "--name", "attempt", "demo/app:1.0"],
            &["mount", "attempt"],
        ];
        let failed = commands.iter().find_map(|args| {
            let mut command = this_program();
            command.args(["--storage-driver", "overlay2"]).args(*args).env("LAYERCAKE_ROOT", &store);
            self.output(&mut command).err()
        });
        failed.map_or_else(|| "no reason found".to_owned(), |failure| failure.message)
    }

    fn output(&self, command: &mut Command) -> Result<String, Failure> {
        let failed = |err: std::io::Error| Failure::io("run", Path::new("layercake"), &err);
        let (mut reader, writer) = std::io::pipe().map_err(failed)?;
        // For as long as the command runs, the janitor waits.
        command.stdin(self.guarded.alive().try_clone_to_owned().map_err(failed)?);
        command.stdout(writer.try_clone().map_err(failed)?).stderr(writer).current_dir(self.dir());
        let mut child = command.spawn().map_err(failed)?;
        // This process's ends of the pipe must go, or it never ends.
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).map_err(failed)?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let status = child.wait().map_err(failed)?;
        if status.success() { Ok(text) } else { Err(Failure::plain(text.trim_end())) }
    }

    /// Removes everything and returns when it is gone; or keeps everything.
    ///
    /// # Errors
    /// Something could not be removed.
    pub fn end(self, keep: bool) -> Result<(), Failure> {
        self.guarded.end(keep)
    }
}

fn this_program() -> Command {
    Command::new("/proc/self/exe")
}
