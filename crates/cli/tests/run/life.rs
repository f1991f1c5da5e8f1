//! From start to end.

use std::io::{BufRead, BufReader};
use std::sync::mpsc;
use std::time::Duration;

use crate::world::everywhere;

#[test]
fn streams_and_exit_codes_are_the_containers() {
    everywhere("streams_and_exit_codes_are_the_containers", |world| {
        let run = |words: &[&str]| world.container(&[&["--rm", "busybox"], words].concat());
        let said = run(&["sh", "-c", "echo out; echo err >&2; exit 7"]);
        assert_eq!(said, (7, "out\n".to_owned(), "err\n".to_owned()));
        assert_eq!(
            run(&["sh", "-c", "kill -9 $$"]).0,
            0,
            "the first process of a namespace ignores its own signals"
        );
        let missing = run(&["nope"]);
        assert_eq!(missing.0, 127, "{missing:?}");
        let why = "Error: OCI runtime create failed: exec: \"nope\": executable file not found in $PATH\n";
        assert_eq!(missing.2, why);
        for (program, code) in [("/bin/nope", 127), ("/etc/passwd", 126), ("/etc", 126)] {
            let refused = run(&[program]);
            assert_eq!(refused.0, code, "{program}: {refused:?}");
        }
        assert_eq!(world.container(&["--rm", "--network", "bridge", "busybox", "true"]).0, 125);
        assert_eq!(world.container(&["--rm", "nosuch:1", "true"]).0, 125);
        assert_eq!(world.ok(&["ps", "-aq"]), "", "--rm leaves nothing");
        world.assert_clean();
    });
}

#[test]
fn input_reaches_the_container_and_ends() {
    everywhere("input_reaches_the_container_and_ends", |world| {
        let text: String = (0..50_000).map(|number| format!("{number}\n")).collect();
        let (code, out, err) = world.container_with_input(&["--rm", "-i", "busybox", "cat"], &text);
        assert_eq!((code, err.as_str()), (0, ""));
        assert!(out == text, "{} of {} bytes came back", out.len(), text.len());
        let without = world.container_with_input(&["--rm", "busybox", "wc", "-c"], "");
        assert_eq!((without.0, without.1.trim()), (0, "0"), "without -i there is no input");
    });
}

#[test]
fn a_container_goes_on_and_is_stopped() {
    everywhere("a_container_goes_on_and_is_stopped", |world| {
        let id = world.background("c1", &[]);
        assert_eq!(
            world.ok(&["ps", "--no-trunc", "--format", "{{.ID}} {{.State}}"]),
            format!("{id} running")
        );
        assert_ne!(world.inspect("c1", "{{.State.Pid}}"), "0");
        assert_eq!(world.ok(&["start", "c1"]), "c1", "starting what runs is no error");
        let refused = world.run(&["rm", "c1"]);
        assert!(!refused.status.success());
        assert!(!world.run(&["umount", "c1"]).status.success(), "its tree is in use");

        let exec = |args: &[&str]| {
            let output = world.run(&[&["exec"], args].concat());
            let text = |bytes| String::from_utf8(bytes).unwrap();
            (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
        };
        let said = exec(&["-e", "A=b", "-w", "/tmp", "c1", "sh", "-c", "echo $A $(pwd); echo e >&2; exit 5"]);
        assert_eq!(said, (5, "b /tmp\n".to_owned(), "e\n".to_owned()));
        let why = "Error: OCI runtime exec failed: exec: \"nope\": executable file not found in $PATH\n";
        assert_eq!(exec(&["c1", "nope"]), (127, String::new(), why.to_owned()));
        assert!(
            world.ok(&["top", "c1"]).contains("sleep 0.02") || world.ok(&["top", "c1"]).contains("sh -c")
        );
        let pids: u32 = world.ok(&["stats", "--no-stream", "--format", "{{.PIDs}}", "c1"]).parse().unwrap();
        assert!(pids > 0);

        assert_eq!(world.ok(&["stop", "c1"]), "c1");
        assert_eq!(world.ok(&["wait", "c1"]), "3");
        assert_eq!(world.inspect("c1", "{{.State.Status}} {{.State.ExitCode}} {{.State.Pid}}"), "exited 3 0");
        assert_eq!(world.ok(&["logs", "c1"]), "ready\nbye");
        assert_eq!(exec(&["c1", "true"]).0, 1, "nothing runs in a stopped container");
        world.assert_clean();

        assert_eq!(world.ok(&["restart", "c1"]), "c1");
        assert_eq!(world.ok(&["rm", "-f", "c1"]), "c1");
        assert_eq!(world.ok(&["ps", "-aq"]), "");
        world.assert_clean();
    });
}

#[test]
fn what_was_written_is_logged_with_times_and_rotated() {
    everywhere("what_was_written_is_logged_with_times_and_rotated", |world| {
        let options = ["--log-opt", "max-size=1k", "--log-opt", "max-file=2", "--name", "c1"];
        let words = ["busybox", "sh", "-c", "seq 1 200"];
        let ran = world.container(&[&options[..], &words].concat());
        assert_eq!((ran.0, ran.1.lines().count()), (0, 200), "what is attached gets everything");
        let logs = |args: &[&str]| {
            let output = world.run(&[&["logs"], args, &["c1"]].concat());
            (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
        };
        assert_eq!(logs(&["--tail", "2"]).0, "199\n200\n");
        assert_eq!(logs(&["--since", "1h", "--tail", "1"]).0, "200\n");
        assert_eq!(logs(&["--until", "1h"]), (String::new(), String::new()));
        let dated = logs(&["-t", "--tail", "1"]).0;
        assert!(
            dated.ends_with("Z 200\n") && dated.len() == "2026-11-22T00:00:00.000000000Z 200\n".len(),
            "{dated}"
        );
        let path = world.inspect("c1", "{{.LogPath}}");
        assert!(
            std::fs::exists(format!("{path}.1")).unwrap() && !std::fs::exists(format!("{path}.2")).unwrap()
        );
        world.container(&["--name", "c2", "--log-driver", "none", "busybox", "true"]);
        assert!(!world.run(&["logs", "c2"]).status.success());
    });
}

#[test]
fn several_commands_at_once_agree() {
    everywhere("several_commands_at_once_agree", |world| {
        world.background("c1", &[]);
        let mut waiting = world.command(&["wait", "c1"]);
        let waiting = waiting.stdout(std::process::Stdio::piped()).spawn().unwrap();
        let mut following = world.command(&["logs", "-f", "c1"]);
        let following = following.stdout(std::process::Stdio::piped()).spawn().unwrap();
        let mut attached = world.command(&["attach", "--no-stdin", "c1"]);
        let mut attached = attached.stdout(std::process::Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(attached.stdout.take().unwrap()).lines();
        let (sender, seen) = mpsc::channel();
        std::thread::spawn(move || lines.for_each(|line| sender.send(line.unwrap()).unwrap()));
        // Only what it shows tells that it is attached.
        let mut written = 0;
        while seen.recv_timeout(Duration::from_millis(200)).is_err() {
            world.ok(&["exec", "c1", "sh", "-c", "echo both > /proc/1/fd/1"]);
            written += 1;
        }
        world.ok(&["stop", "c1"]);
        assert_eq!(waiting.wait_with_output().unwrap().stdout, b"3\n");
        let followed = String::from_utf8(following.wait_with_output().unwrap().stdout).unwrap();
        assert_eq!(followed, format!("ready\n{}bye\n", "both\n".repeat(written)));
        let attached = attached.wait().unwrap();
        assert_eq!(seen.iter().last().as_deref(), Some("bye"));
        assert_eq!(attached.code(), Some(3));
    });
}
