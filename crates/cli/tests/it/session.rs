//! Replays a transcript.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;
use testkit::archive::Builder;
use testkit::image::{self, Image};
use testkit::registry::Server;

/// A directory to work in, with archives to load and an empty store.
pub struct Session {
    dir: TempDir,
    registry: Option<Server>,
}

/// A command with what it shall print.
struct Step<'a> {
    command: &'a str,
    expected: Vec<&'a str>,
}

impl Session {
    /// A directory with these files:
    ///
    /// | file | content |
    /// | --- | --- |
    /// | `base.tar` | the image `base:1`: one layer with `etc/conf`, `bin/sh`, `tmp` |
    /// | `app.tar` | the images `base:1` and `team/app:2`, which has a layer more, with `app/run` |
    /// | `other.tar` | another image of the name `base:1` |
    /// | `unnamed.tar` | an image without a name |
    /// | `rootfs.tar` | files: `hello`, `dir/link` |
    /// | `junk` | no archive |
    pub fn new() -> Self {
        let session = Self { dir: tempfile::tempdir().unwrap(), registry: None };
        fs::create_dir(session.home()).unwrap();
        let lower = Builder::new()
            .dir("etc")
            .file("etc/conf", "old\n")
            .dir("tmp")
            .dir("bin")
            .file("bin/sh", "#!/sh\n")
            .build();
        let upper = Builder::new().dir("app").file("app/run", "run!\n").build();
        let base = Image::new().layer(lower.clone()).tag("base:1");
        let app = Image::new().layer(lower.clone()).layer(upper).tag("team/app:2");
        let other = Image::new().layer(Builder::new().file("other", "other\n").build());
        let rootfs =
            Builder::new().file("hello", "hello\n").dir("dir").symlink("dir/link", "../hello").build();
        session.file("app.tar", image::archive(&[base.clone(), app]));
        session.file("base.tar", base.archive());
        session.file("other.tar", other.clone().tag("base:1").archive());
        session.file("unnamed.tar", other.archive());
        session.file("rootfs.tar", rootfs);
        session.file("junk", "junk");
        // A store with nothing in it: a named one that is not there is an error for commands that only look.
        session.run("layercake image prune -f");
        session
    }

    /// The same beside a registry, whose address is in the variable `REGISTRY`.
    pub fn beside(registry: Server) -> Self {
        let mut session = Self::new();
        session.registry = Some(registry);
        session
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.dir.path().join(name), content).unwrap();
    }

    /// Runs every command of the transcript and compares.
    ///
    /// # Panics
    /// Something was printed that the transcript does not have, or the other way round. The message is the transcript as
    /// it was.
    #[track_caller]
    pub fn replay(&self, transcript: &str) {
        let mut actual = String::new();
        let mut first_difference = None;
        for (number, step) in steps(transcript).iter().enumerate() {
            let printed = self.run(step.command);
            let same = printed.len() == step.expected.len()
                && step.expected.iter().zip(&printed).all(|(pattern, line)| matches(pattern, line));
            if !same && first_difference.is_none() {
                first_difference = Some((number + 1, step.command.to_owned()));
            }
            actual += &format!("$ {}\n", step.command);
            actual.extend(printed.iter().map(|line| format!("{line}\n")));
        }
        if let Some((number, command)) = first_difference {
            panic!("command {number} printed something else: {command}\n\n{actual}");
        }
    }

    /// The lines that a command prints.
    fn run(&self, command: &str) -> Vec<String> {
        lines(&self.command(command).output().unwrap())
    }

    /// Runs a command whose standard output nobody reads.
    pub fn run_without_reader(&self, command: &str) -> Output {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        self.command(command)
            .stdout(writer)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
            .wait_with_output()
            .unwrap()
    }

    fn command(&self, command: &str) -> Command {
        let binary = Path::new(env!("CARGO_BIN_EXE_layercake"));
        let path = std::env::join_paths(
            binary
                .parent()
                .map(Path::to_owned)
                .into_iter()
                .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
        );
        let mut shell = Command::new("sh");
        shell
            .args(["-c", command])
            .current_dir(self.dir.path())
            .env("PATH", path.unwrap())
            .env("LAYERCAKE_ROOT", self.root())
            .env("TZ", "UTC")
            .env("HOME", self.home())
            .stdin(Stdio::null());
        for name in ["DOCKER_CONFIG", "DOCKER_AUTH_CONFIG", "REGISTRY_AUTH_FILE", "XDG_CONFIG_HOME"] {
            shell.env_remove(name);
        }
        if let Some(registry) = &self.registry {
            shell.env("REGISTRY", registry.address());
        }
        shell
    }

    /// A home with nothing in it.
    fn home(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    fn root(&self) -> PathBuf {
        self.dir.path().join("root")
    }
}

impl Drop for Session {
    /// Nothing of the directory may stay mounted, whatever failed.
    fn drop(&mut self) {
        self.run("layercake umount --all");
        for mount in sys::mount::table(self.dir.path()).unwrap_or_default().iter().rev() {
            let _ = sys::mount::detach(&mount.target);
        }
    }
}

fn steps(transcript: &str) -> Vec<Step<'_>> {
    let mut steps: Vec<Step<'_>> = Vec::new();
    for line in transcript.lines() {
        match (line.strip_prefix("$ "), steps.last_mut()) {
            (Some(command), _) => steps.push(Step { command, expected: Vec::new() }),
            (None, _) if line.starts_with("# ") => {}
            (None, Some(step)) => step.expected.push(line),
            (None, None) => {}
        }
    }
    // Empty lines between two commands are for readers; the ones that a command prints are written as `[empty]`.
    for step in &mut steps {
        step.expected.retain(|line| !line.is_empty());
    }
    steps
}

fn lines(output: &Output) -> Vec<String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let shown = |line: &str| if line.is_empty() { "[empty]".to_owned() } else { line.to_owned() };
    let mut lines: Vec<String> = text(&output.stdout).lines().map(shown).collect();
    lines.extend(text(&output.stderr).lines().map(|line| format!("[stderr] {line}").trim_end().to_owned()));
    match output.status.code() {
        Some(0) => {}
        Some(code) => lines.push(format!("[exit {code}]")),
        None => lines.push(format!("[{}]", output.status)),
    }
    lines
}

/// Whether `line` is what `pattern` says, where `[..]` is anything.
fn matches(pattern: &str, line: &str) -> bool {
    let mut parts = pattern.split("[..]");
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = line.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}
