//! What people do: unpack a root file system, ask for the status of a repository, compile.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::super::super::exec::run;
use super::super::super::{ground, images};
use super::super::table::{Goal, Line};
use super::files::{list_all, write_all};
use super::{Place, Scene, Turn, timed, verify};
use crate::Result;

/// Files of the repository, and of each of its directories.
const TRACKED: (usize, usize) = (40_000, 40);

/// Source files that are compiled.
const SOURCES: usize = 40;

pub const UNPACK: Scene = Scene {
    lines: &[Line::new("unpack a root file system of 1.4 GB", Goal::Peers)],
    layers: archive,
    play: unpack,
    peers: true,
};

pub const STATUS: Scene = Scene {
    lines: &[
        Line::new("git status of 40,000 files, first", Goal::Peers),
        Line::new("git status of 40,000 files, again", Goal::Peers),
    ],
    layers: repository,
    play: status,
    peers: true,
};

pub const COMPILE: Scene = Scene {
    lines: &[Line::new("compile 40 files of C, compiler and headers in the union", Goal::Peers)],
    layers: compiler,
    play: compile,
    peers: true,
};

/// One layer with the image's root file system: all of its layers applied. Device nodes are left out, which an ordinary
/// user could not make.
fn root_file_system(dir: &Path, place: &Place) -> Result<Option<PathBuf>> {
    let image = place.images.join("buildpack.docker.tar");
    if !image.exists() {
        return Ok(None);
    }
    let (root, parts) = (dir.join("root"), dir.join("parts"));
    fs::create_dir_all(&root)?;
    for layer in images::layers(&image, &parts)? {
        run(Command::new("tar").args(["--exclude", "dev/*", "-xf"]).arg(&layer).arg("-C").arg(&root))?;
        // GNU tar knows no whiteouts: they are files, and applied after their layer.
        let find = "find . -name '.wh.*' | while read -r mark; do \
                    name=${mark##*/.wh.}; rm -rf \"$mark\" \"${mark%/*}/$name\"; done";
        run(Command::new("sh").args(["-c", find]).current_dir(&root))?;
    }
    ground::remove(&parts)?;
    Ok(Some(root))
}

/// The archive that [`unpack`] unpacks, beside an empty layer.
fn archive(dir: &Path, place: &Place) -> Result<Option<Vec<PathBuf>>> {
    let Some(root) = root_file_system(dir, place)? else { return Ok(None) };
    run(Command::new("tar").arg("-cf").arg(dir.join("root.tar")).arg("-C").arg(&root).arg("."))?;
    ground::remove(&root)?;
    fs::create_dir(&root)?;
    Ok(Some(vec![root]))
}

fn unpack(turn: &Turn<'_>) -> Result<Vec<f64>> {
    let archive = turn.lowers[0].with_file_name("root.tar");
    let mounted = turn.mount()?;
    let (time, _) = timed(|| run(Command::new("tar").arg("-xf").arg(&archive).arg("-C").arg(turn.merged())))?;
    let found = list_all(turn.open()?)?;
    let listed = run(Command::new("tar").arg("-tf").arg(&archive))?.lines().count();
    // The archive has the root too.
    verify(found.files + found.directories + 1 == listed, || format!("{found:?} of {listed} entries"))?;
    mounted.unmount()?;
    Ok(vec![time])
}

/// Git, without this machine's settings. The file times in the repository's index are those of another file system
/// there, as they are when a repository comes with an image.
fn git(repository: &Path) -> Command {
    let mut git = Command::new("git");
    git.arg("-C").arg(repository).args(["-c", "safe.directory=*", "-c", "gc.auto=0"]).envs([
        ("GIT_CONFIG_GLOBAL", "/dev/null"),
        ("GIT_CONFIG_SYSTEM", "/dev/null"),
        ("GIT_AUTHOR_NAME", "bench"),
        ("GIT_AUTHOR_EMAIL", "bench@localhost"),
        ("GIT_COMMITTER_NAME", "bench"),
        ("GIT_COMMITTER_EMAIL", "bench@localhost"),
    ]);
    git
}

fn repository(dir: &Path, _: &Place) -> Result<Option<Vec<PathBuf>>> {
    let (files, each) = TRACKED;
    for n in 0..files {
        let directory = dir.join(format!("{:02}/{:03}", n / each % 50, n / each));
        if n % each == 0 {
            fs::create_dir_all(&directory)?;
        }
        fs::write(directory.join(format!("file-{n}.txt")), format!("content of file {n}\n"))?;
    }
    run(git(dir).args(["init", "--quiet"]))?;
    run(git(dir).args(["add", "."]))?;
    run(git(dir).args(["commit", "--quiet", "--message", "all"]))?;
    Ok(Some(vec![dir.to_path_buf()]))
}

fn status(turn: &Turn<'_>) -> Result<Vec<f64>> {
    let mounted = turn.mount()?;
    let mut times = Vec::new();
    for _ in 0..2 {
        let (time, changes) = timed(|| run(git(&turn.merged()).args(["status", "--porcelain"])))?;
        let n = changes.lines().count();
        verify(n == 0, || {
            format!("git status shows {n} changes: {}", changes.lines().next().unwrap_or_default())
        })?;
        times.push(time);
    }
    mounted.unmount()?;
    Ok(times)
}

/// The root file system, which has GCC and headers, and in a layer above it what is to be compiled.
fn compiler(dir: &Path, place: &Place) -> Result<Option<Vec<PathBuf>>> {
    let Some(root) = root_file_system(dir, place)? else { return Ok(None) };
    let sources = dir.join("sources");
    fs::create_dir_all(sources.join("src"))?;
    let mut objects = String::new();
    for n in 0..SOURCES {
        let text = format!(
            "#include <stdio.h>\n#include <glib.h>\n#include <openssl/ssl.h>\n#include <libxml/parser.h>\n\
             int f{n}(void) {{ return printf(\"{n}\"); }}\n"
        );
        fs::write(sources.join(format!("src/f{n}.c")), text)?;
        let _ = write!(objects, " f{n}.o");
    }
    let include =
        "-I/usr/include/glib-2.0 -I/usr/lib/x86_64-linux-gnu/glib-2.0/include -I/usr/include/libxml2";
    let makefile = format!("CFLAGS = {include}\nlib.a:{objects}\n\tar cr $@ $^\n");
    fs::write(sources.join("src/Makefile"), makefile)?;
    // What the compiler wants of a machine; a device could not be made by an ordinary user.
    fs::create_dir(sources.join("dev"))?;
    write_all(fs::File::create(sources.join("dev/null"))?, 1, 1)?;
    Ok(Some(vec![sources, root]))
}

fn compile(turn: &Turn<'_>) -> Result<Vec<f64>> {
    let mounted = turn.mount()?;
    let (time, _) = timed(|| {
        run(Command::new("chroot")
            .arg(turn.merged())
            .args(["make", "-s", "-j2", "-C", "/src"])
            .env("PATH", "/usr/sbin:/usr/bin"))
    })?;
    mounted.unmount()?;
    let library = turn.upper().join("src/lib.a");
    let size = fs::metadata(&library).map_err(|e| format!("{}: {e}", library.display()))?.len();
    verify(size > 0, || "an empty library".into())?;
    Ok(vec![time])
}
