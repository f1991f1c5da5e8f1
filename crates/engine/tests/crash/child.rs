//! Other processes: copies of this test's binary, which run a function of it.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

/// The variable that tells a copy of this binary what it is for.
const JOB: &str = "LAYERCAKE_CRASH_JOB";

/// A copy of this binary at work.
pub struct Process {
    child: Child,
    output: BufReader<ChildStdout>,
}

/// Starts a copy that runs the ignored test `name` with these words to work on.
pub fn start(name: &str, job: &[&str]) -> Process {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", name, "--ignored", "--nocapture"]).env(JOB, job.join("\n"));
    start_command(command)
}

/// As [`start`], with a limit on the length of files, in bytes, that shows as an error and not as a signal.
pub fn start_with_file_limit(name: &str, job: &[&str], bytes: u64) -> Process {
    let mut command = Command::new("bash");
    // bash counts in KiB.
    let script = format!("trap '' XFSZ; ulimit -f {} && exec \"$@\"", bytes / 1024);
    command.args(["-c", &script, "bash"]).arg(std::env::current_exe().unwrap());
    command.args(["--exact", name, "--ignored", "--nocapture"]).env(JOB, job.join("\n"));
    start_command(command)
}

/// Held by whoever starts a process. Until it executes its program, that has all locks on files that we have.
static STARTING: RwLock<()> = RwLock::new(());

/// Does something while no other test starts a process: what gives up its locks then has given them up.
pub fn alone<T>(act: impl FnOnce() -> T) -> T {
    let _nobody = STARTING.read().unwrap_or_else(PoisonError::into_inner);
    act()
}

/// Runs a program to its end.
pub fn run(program: &str, args: &[&str]) -> std::io::Result<Output> {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    spawn(&mut command)?.wait_with_output()
}

fn spawn(command: &mut Command) -> std::io::Result<Child> {
    let _alone = STARTING.write().unwrap_or_else(PoisonError::into_inner);
    let child = command.spawn();
    // The kernel closes the new program's copies of our files while it starts, one after the other.
    std::thread::sleep(Duration::from_millis(2));
    child
}

fn start_command(mut command: Command) -> Process {
    let mut child = spawn(command.stdout(Stdio::piped()).stderr(Stdio::null())).unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    Process { child, output }
}

impl Process {
    /// Waits until the other side has said `word`; answers with all lines before it, or `None` if it ended first.
    pub fn wait_for(&mut self, word: &str) -> Option<Vec<String>> {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if self.output.read_line(&mut line).unwrap() == 0 {
                return None;
            }
            match line.trim_end().strip_prefix("say ") {
                Some(said) if said == word => return Some(lines),
                Some(said) => lines.push(said.to_owned()),
                // What the test harness prints.
                None => {}
            }
        }
    }

    /// Kills it as `kill -9` does, and answers with what it has said since.
    pub fn kill(mut self) -> Vec<String> {
        self.child.kill().unwrap();
        self.rest()
    }

    /// Waits for its end; answers with what it has said since.
    pub fn join(mut self) -> Vec<String> {
        self.rest()
    }

    fn rest(&mut self) -> Vec<String> {
        let lines: Vec<String> = (&mut self.output).lines().map_while(Result::ok).collect();
        self.child.wait().unwrap();
        lines.iter().filter_map(|line| line.strip_prefix("say ").map(str::to_owned)).collect()
    }
}

/// In the copy: its job. `None` where somebody has just asked for all ignored tests.
pub fn job() -> Option<Vec<String>> {
    let job = std::env::var(JOB).ok()?;
    sys::process::clear_umask();
    Some(job.split('\n').map(str::to_owned).collect())
}

/// In the copy: says something to the process that has started it.
pub fn say(text: &str) {
    let line = format!("\nsay {}\n", text.replace('\n', " "));
    let mut out = std::io::stdout().lock();
    out.write_all(line.as_bytes()).and_then(|()| out.flush()).unwrap();
}
