//! Containers with a terminal.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Stdio};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

use crate::world::{World, everywhere};

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
        let line: OwnedFd = OpenOptions::new().read(true).write(true).open(name).unwrap().into();
        let size = Winsize { ws_row: 33, ws_col: 101, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&line, size).unwrap();
        Self { keyboard: ours.into(), screen: String::new(), line }
    }

    fn run(&self, world: &World, args: &[&str]) -> Child {
        let end = || Stdio::from(self.line.as_fd().try_clone_to_owned().unwrap());
        world.command(args).stdin(end()).stdout(end()).stderr(end()).spawn().unwrap()
    }

    /// Reads the screen until `text` stands there, and forgets all up to that.
    #[track_caller]
    fn wait_for(&mut self, text: &str) {
        let patience = Timespec { tv_sec: 60, tv_nsec: 0 };
        let mut bytes = [0; 4096];
        loop {
            if let Some(at) = self.screen.find(text) {
                self.screen.drain(..at + text.len());
                return;
            }
            let ready = poll(&mut [PollFd::new(&self.keyboard, PollFlags::IN)], Some(&patience)).unwrap();
            assert!(ready > 0, "no {text:?} on the screen: {:?}", self.screen);
            let read = self.keyboard.read(&mut bytes).unwrap();
            self.screen += &String::from_utf8_lossy(&bytes[..read]);
        }
    }

    fn types(&mut self, text: &str) {
        self.keyboard.write_all(text.as_bytes()).unwrap();
    }

    fn is_usual(&self) -> bool {
        tcgetattr(&self.line).unwrap().local_modes.contains(LocalModes::ECHO | LocalModes::ICANON)
    }
}

#[test]
fn a_terminal_is_the_containers_until_the_user_lets_go() {
    everywhere("a_terminal_is_the_containers_until_the_user_lets_go", |world| {
        let mut terminal = Terminal::new();
        let run = ["run", "-it", "--name", "c1", "--runtime", world.runtime, "busybox", "sh"];
        let mut command = terminal.run(world, &run);
        terminal.wait_for("# ");
        assert!(!terminal.is_usual(), "every key is the container's");
        terminal.types("echo size $(stty size) term $TERM\n");
        terminal.wait_for("size 33 101 term xterm");
        terminal.types("\x10\x11");
        assert_eq!(command.wait().unwrap().code(), Some(0));
        assert!(terminal.is_usual(), "the terminal is the user's again");
        assert_eq!(world.ok(&["ps", "--format", "{{.Names}}"]), "c1");

        let mut command = terminal.run(world, &["attach", "c1"]);
        terminal.types("echo again and $((40 + 2))\n");
        terminal.wait_for("again and 42");
        let mut exec = terminal.run(world, &["exec", "c1", "sh", "-c", "exit 9"]);
        assert_eq!(exec.wait().unwrap().code(), Some(9));
        terminal.types("exit 5\n");
        assert_eq!(command.wait().unwrap().code(), Some(5));
        assert!(terminal.is_usual());
        assert!(world.ok(&["logs", "c1"]).contains("again and 42"));
        world.assert_clean();
    });
}

#[test]
fn exec_has_a_terminal_of_its_own() {
    everywhere("exec_has_a_terminal_of_its_own", |world| {
        world.background("c1", &[]);
        let mut terminal = Terminal::new();
        let mut command = terminal.run(world, &["exec", "-it", "c1", "sh"]);
        terminal.wait_for("# ");
        terminal.types("test -t 0 && echo on a $((40 + 2)) terminal; exit 6\n");
        terminal.wait_for("on a 42 terminal");
        assert_eq!(command.wait().unwrap().code(), Some(6));
        assert!(terminal.is_usual());
        let refused = world.run(&["exec", "-it", "c1", "sh"]);
        assert_eq!(String::from_utf8_lossy(&refused.stderr), "the input device is not a TTY\n");
        world.ok(&["rm", "-f", "c1"]);
    });
}

#[test]
fn signals_reach_the_container() {
    everywhere("signals_reach_the_container", |world| {
        let script = "trap 'echo got it; exit 4' INT; echo ready; while true; do sleep 0.02; done";
        let args = ["run", "--rm", "--runtime", world.runtime, "busybox", "sh", "-c", script];
        let mut command = world.command(&args).stdout(Stdio::piped()).spawn().unwrap();
        let mut out = command.stdout.take().unwrap();
        let mut said = [0; 6];
        out.read_exact(&mut said).unwrap();
        assert_eq!(&said, b"ready\n");
        // Without root, this is the process of setpriv, which has become the command.
        sys::identity::Identity::of(command.id()).unwrap().open().unwrap().signal(2).unwrap();
        let mut rest = String::new();
        out.read_to_string(&mut rest).unwrap();
        assert_eq!((command.wait().unwrap().code(), rest.as_str()), (Some(4), "got it\n"));
        world.assert_clean();
    });
}
