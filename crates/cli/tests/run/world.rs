//! A store with one image, a runtime, and somebody who works with them.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;
use testkit::archive::Builder;
use testkit::machine;

/// Of Debian's package busybox-static.
const BUSYBOX: &str = "/bin/busybox";

/// An ordinary user without a name, a home, or ranges of ids.
const SOMEBODY: u32 = 12346;

/// What the containers of the tests run.
const APPLETS: [&str; 18] = [
    "sh", "cat", "echo", "id", "kill", "ls", "mount", "pwd", "sleep", "true", "touch", "wc", "seq", "grep",
    "stty", "test", "chown", "mkdir",
];

/// A store, and how it is worked with.
pub struct World {
    dir: TempDir,
    /// The runtime's name.
    pub runtime: &'static str,
    /// Whether an ordinary user works here.
    pub rootless: bool,
    /// Options of the program itself in every command.
    pub globals: &'static [&'static str],
}

/// Does a test in every world that this machine has.
pub fn everywhere(name: &str, test: impl Fn(&World)) {
    in_worlds(name, &[(false, &[]), (true, &[])], test);
}

/// Does a test with every runtime, for each of these: whether an ordinary user works there, and the options of the
/// program itself.
pub fn in_worlds(name: &str, kinds: &[(bool, &'static [&'static str])], test: impl Fn(&World)) {
    if !machine::require_root(name) {
        return;
    }
    if !fs::exists(BUSYBOX).unwrap_or_default() {
        return machine::skip(name, "needs busybox-static");
    }
    for runtime in ["crun", "runc", "youki"] {
        let places = ["/usr/bin", "/usr/sbin", "/usr/local/bin"];
        let installed = places.iter().any(|place| PathBuf::from(place).join(runtime).exists());
        if !installed {
            machine::skip(name, &format!("{runtime} is not installed"));
            continue;
        }
        for (rootless, globals) in kinds.iter().copied() {
            if rootless && runtime == "youki" {
                machine::skip(name, "youki without root needs a control group of the user's");
                continue;
            }
            let world = World::new(runtime, rootless, globals);
            if rootless && !world.somebody("unshare").args(["--user", "true"]).status().unwrap().success() {
                machine::skip(name, "ordinary users get no user namespace here");
                continue;
            }
            println!("{name}: {runtime}{}", if rootless { ", without root" } else { "" });
            world.ok(&["import", "tree.tar", "busybox:latest"]);
            test(&world);
        }
    }
}

impl World {
    fn new(runtime: &'static str, rootless: bool, globals: &'static [&'static str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let home = dir.path().join("home");
        fs::create_dir(&home).unwrap();
        let mut tree = Builder::new();
        for directory in ["bin", "dev", "etc", "proc", "sys", "tmp"] {
            tree = tree.dir(directory);
        }
        tree = tree
            .file_with("bin/busybox", fs::read(BUSYBOX).unwrap(), |entry| entry.mode = 0o755)
            .file("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nada:x:7:8::/home/ada:/bin/sh\n")
            .file("etc/group", "root:x:0:\nada:x:8:\nmore:x:9:ada\n");
        for applet in APPLETS {
            tree = tree.symlink(format!("bin/{applet}"), "busybox");
        }
        fs::write(home.join("tree.tar"), tree.build()).unwrap();
        // By another process: a child that another test starts just now must not have the program open for writing.
        let program = dir.path().join("layercake");
        let copied = Command::new("cp").arg(env!("CARGO_BIN_EXE_layercake")).arg(program).status();
        assert!(copied.unwrap().success());
        if rootless {
            chown(&home, Some(SOMEBODY), Some(SOMEBODY)).unwrap();
        }
        Self { dir, runtime, rootless, globals }
    }

    fn somebody(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("setpriv");
        command.args([format!("--reuid={SOMEBODY}"), format!("--regid={SOMEBODY}")]).arg("--clear-groups");
        command.arg(program.as_ref());
        command
    }

    /// Where the store is.
    pub fn root(&self) -> PathBuf {
        self.dir.path().join("home/store")
    }

    /// The command `layercake` with these arguments.
    pub fn command(&self, args: &[&str]) -> Command {
        let program = self.dir.path().join("layercake");
        let mut command = if self.rootless { self.somebody(&program) } else { Command::new(&program) };
        let home = self.dir.path().join("home");
        command
            .args(self.globals)
            .args(args)
            .current_dir(&home)
            .env("HOME", &home)
            .env("LAYERCAKE_ROOT", self.root());
        command.stdin(Stdio::null());
        command
    }

    /// Runs the command.
    pub fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Runs the command, which has to succeed, and returns what it printed, without the last newline.
    pub fn ok(&self, args: &[&str]) -> String {
        let output = self.run(args);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {args:?}: {} {errors}", self.runtime, output.status);
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }

    /// `run --runtime … ARGS`: exit code, standard output, standard error.
    pub fn container(&self, args: &[&str]) -> (i32, String, String) {
        parts(self.run(&[&["run", "--runtime", self.runtime], args].concat()))
    }

    /// The same with an input.
    pub fn container_with_input(&self, args: &[&str], input: &str) -> (i32, String, String) {
        let mut command = self.command(&[&["run", "--runtime", self.runtime], args].concat());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        parts(child.wait_with_output().unwrap())
    }

    /// A container in the background that ends when it is asked to, and says so.
    pub fn background(&self, name: &str, more: &[&str]) -> String {
        let script = "trap 'echo bye; exit 3' TERM; echo ready; while true; do sleep 0.02; done";
        let args = [
            &["run", "-d", "--name", name, "--runtime", self.runtime],
            more,
            &["busybox", "sh", "-c", script],
        ];
        let id = self.ok(&args.concat());
        // Once it has written, its trap is set.
        let mut logs = self.command(&["logs", "-f", name]);
        let mut logs = logs.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(logs.stdout.take().unwrap()), &mut line)
            .unwrap();
        assert_eq!(line, "ready\n");
        logs.kill().unwrap();
        logs.wait().unwrap();
        id
    }

    /// A field of a container.
    pub fn inspect(&self, name: &str, format: &str) -> String {
        self.ok(&["inspect", "--type", "container", "-f", format, name])
    }

    /// Nothing is left of containers that ran: no mount, no directory.
    pub fn assert_clean(&self) {
        let running = self.root().join("layercake/running");
        let left: Vec<_> =
            fs::read_dir(running).into_iter().flatten().flatten().map(|e| e.file_name()).collect();
        assert!(left.is_empty(), "{left:?}");
        assert_eq!(self.ok(&["mount"]), "", "{}: something is mounted", self.runtime);
    }
}

impl Drop for World {
    /// Containers of a test that failed must not go on.
    fn drop(&mut self) {
        let listed = self.run(&["ps", "-aq"]).stdout;
        let listed = String::from_utf8_lossy(&listed);
        let ids: Vec<&str> = listed.split_whitespace().collect();
        if !ids.is_empty() {
            self.run(&[&["rm", "-f"], &ids[..]].concat());
        }
    }
}

fn parts(output: Output) -> (i32, String, String) {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}
