//! What is typed at a terminal.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command, Stdio};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, tcgetattr};

use crate::registry;

/// A terminal with a command on it.
struct Terminal {
    keyboard: File,
    screen: String,
    line: OwnedFd,
}

impl Terminal {
    fn new() -> Self {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&ours).unwrap();
        unlockpt(&ours).unwrap();
        let name = ptsname(&ours, Vec::new()).unwrap().into_string().unwrap();
        let line = OpenOptions::new().read(true).write(true).open(name).unwrap().into();
        Self { keyboard: ours.into(), screen: String::new(), line }
    }

    fn run(&self, args: &[&str], home: &std::path::Path) -> Child {
        let end = || Stdio::from(self.line.as_fd().try_clone_to_owned().unwrap());
        // Tests that run in the background of a shell have Ctrl-C ignored.
        Command::new("env")
            .args(["--default-signal=INT", env!("CARGO_BIN_EXE_layercake")])
            .args(args)
            .env("HOME", home)
            .env("LAYERCAKE_ROOT", home.join("root"))
            .env_remove("DOCKER_CONFIG")
            .stdin(end())
            .stdout(end())
            .stderr(end())
            .spawn()
            .unwrap()
    }

    /// Reads the screen until `text` stands there.
    #[track_caller]
    fn wait_for(&mut self, text: &str) {
        let patience = Timespec { tv_sec: 60, tv_nsec: 0 };
        let mut bytes = [0; 4096];
        while !self.screen.contains(text) {
            let ready = poll(&mut [PollFd::new(&self.keyboard, PollFlags::IN)], Some(&patience)).unwrap();
            assert!(ready > 0, "no {text:?} on the screen: {:?}", self.screen);
            let read = self.keyboard.read(&mut bytes).unwrap();
            self.screen += &String::from_utf8_lossy(&bytes[..read]);
        }
    }

    fn echoes(&self) -> bool {
        tcgetattr(&self.line).unwrap().local_modes.contains(LocalModes::ECHO)
    }

    /// Waits until the terminal shows what is typed, or does not.
    fn wait_for_echo(&self, echo: bool) {
        while self.echoes() != echo {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
    }

    fn types(&mut self, text: &str) {
        self.keyboard.write_all(text.as_bytes()).unwrap();
    }
}

#[test]
fn a_password_does_not_show_while_it_is_typed() {
    let (server, home, mut terminal) = (registry::locked(), tempfile::tempdir().unwrap(), Terminal::new());
    let mut command = terminal.run(&["login", &server.address()], home.path());
    terminal.wait_for("Username: ");
    terminal.types("user\n");
    terminal.wait_for("Password: ");
    terminal.wait_for_echo(false);
    terminal.types("wrong\x15secrex\x7ft\n");
    terminal.wait_for("Login Succeeded");
    assert!(command.wait().unwrap().success());
    assert!(terminal.screen.contains("user") && !terminal.screen.contains("secre"), "{}", terminal.screen);
    assert!(terminal.echoes());
}

#[test]
fn ctrl_c_ends_the_question_and_the_terminal_shows_again() {
    use std::os::unix::process::ExitStatusExt;
    let (server, home, mut terminal) = (registry::locked(), tempfile::tempdir().unwrap(), Terminal::new());
    let mut command = terminal.run(&["login", "-u", "user", &server.address()], home.path());
    terminal.wait_for("Password: ");
    terminal.wait_for_echo(false);
    terminal.types("sec\x03");
    assert_eq!(command.wait().unwrap().signal(), Some(2));
    assert!(terminal.echoes());
    assert!(server.requests().is_empty());
}

#[test]
fn a_stored_user_is_proposed() {
    let (server, home, mut terminal) = (registry::locked(), tempfile::tempdir().unwrap(), Terminal::new());
    let file = home.path().join("auth.json");
    let address = server.address();
    // `user:old`.
    std::fs::write(&file, format!(r#"{{"auths": {{"{address}": {{"auth": "dXNlcjpvbGQ="}}}}}}"#)).unwrap();
    let mut command = terminal.run(&["login", "--authfile", file.to_str().unwrap(), &address], home.path());
    terminal.wait_for("Username (user): ");
    terminal.types("\n");
    terminal.wait_for("Password: ");
    terminal.wait_for_echo(false);
    terminal.types("secret\n");
    terminal.wait_for("Login Succeeded");
    assert!(command.wait().unwrap().success());
    let text = std::fs::read_to_string(file).unwrap();
    // `user:secret`.
    assert!(text.contains("dXNlcjpzZWNyZXQ="), "{text}");
}
