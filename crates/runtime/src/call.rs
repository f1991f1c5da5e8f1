//! Calls of the runtime's program: the command line that crun, runc and youki have in common.

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::process::{self, Command};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use sys::AsFd;
use sys::identity;

use crate::bundle::Bundle;
use crate::console::Console;
use crate::error::{Error, Result};
use crate::host::Host;
use crate::spec::{Process, Spec, to_json};
use crate::{ExitCode, Runtime};

/// What a process reads and where it writes.
#[derive(Debug)]
pub struct Stdio {
    /// Its standard input.
    pub stdin: process::Stdio,
    /// Its standard output.
    pub stdout: process::Stdio,
    /// Its standard error.
    pub stderr: process::Stdio,
}

impl Stdio {
    /// Those of this process.
    pub fn inherit() -> Self {
        let same = process::Stdio::inherit;
        Self { stdin: same(), stdout: same(), stderr: same() }
    }

    /// Nothing to read, and nobody who listens.
    pub fn null() -> Self {
        let none = process::Stdio::null;
        Self { stdin: none(), stdout: none(), stderr: none() }
    }
}

/// A process that was started in the background.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Launched {
    /// Its process ID here.
    pub pid: u32,
}

/// Files in the bundle's directory.
const STATE: &str = "runtime";
const LOG: &str = "runtime.log";
const PID: &str = "pid";
const PROCESS: &str = "process.json";

/// How long a runtime takes from its complaint to its end.
const LAST_WORDS: Duration = Duration::from_millis(50);

impl Runtime {
    /// Runs a container in the foreground until it ends, and deletes it. It gets this process's signals from its
    /// terminal, if it has one.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::NotRunnable`], [`Error::Failed`]: nothing ran.
    pub fn run(&self, id: &str, bundle: &Bundle, stdio: Stdio) -> Result<ExitCode> {
        let mut call = Call::new(self, bundle, "create", LOG);
        call.command.args(["run", "--bundle", "."]).arg(id);
        let ended = call.run(stdio)?;
        call.outcome(ended, &program_of(bundle))
    }

    /// Starts a container and returns when its process runs. That process becomes a child of this one if this is a
    /// subreaper. With `console`, its terminal is sent there, and `stdio` is not used.
    ///
    /// # Errors
    /// As [`Runtime::run`].
    pub fn launch(
        &self,
        id: &str,
        bundle: &Bundle,
        stdio: Stdio,
        console: Option<&Console>,
    ) -> Result<Launched> {
        let mut call = Call::new(self, bundle, "create", LOG);
        call.command.args(["run", "--detach", "--bundle", ".", "--pid-file", PID]);
        if let Some(console) = console {
            call.command.arg("--console-socket").arg(self.console_path(console, bundle));
        }
        call.command.arg(id);
        let ended = call.run(stdio)?;
        call.success(ended, &program_of(bundle))?;
        call.pid(PID)
    }

    /// Runs a further process in a running container, in the foreground. With `stderr`, what it writes to its standard
    /// error comes there, and not what the runtime says if it cannot be run: that is the error.
    ///
    /// # Errors
    /// As [`Runtime::run`].
    pub fn exec(
        &self,
        id: &str,
        bundle: &Bundle,
        exec: &Exec<'_>,
        stdio: Stdio,
        stderr: Option<&mut dyn Write>,
    ) -> Result<ExitCode> {
        let names = Names::new();
        let mut call = Call::new(self, bundle, "exec", &names.log);
        bundle.put(&names.process, &exec.document()?)?;
        call.command.args(["exec", "--process", &names.process]).arg(id);
        let ended = match stderr {
            Some(stderr) => call.run_relayed(stdio, stderr),
            None => call.run(stdio),
        };
        bundle.take(&names.process)?;
        call.outcome(ended?, exec.program())
    }

    /// Starts a further process in a running container, in the background, as [`Runtime::launch`] does.
    ///
    /// # Errors
    /// As [`Runtime::run`].
    pub fn launch_exec(
        &self,
        id: &str,
        bundle: &Bundle,
        exec: &Exec<'_>,
        stdio: Stdio,
        console: Option<&Console>,
    ) -> Result<Launched> {
        let names = Names::new();
        let mut call = Call::new(self, bundle, "exec", &names.log);
        bundle.put(&names.process, &exec.document()?)?;
        call.command.args(["exec", "--detach", "--pid-file", &names.pid, "--process", &names.process]);
        if let Some(console) = console {
            call.command.arg("--console-socket").arg(self.console_path(console, bundle));
        }
        call.command.arg(id);
        let ended = call.run(stdio);
        bundle.take(&names.process)?;
        call.success(ended?, exec.program())?;
        call.pid(&names.pid)
    }

    /// Removes what the runtime keeps of a container, and its control group, and kills it if it still runs. One that
    /// the runtime does not know is no error.
    ///
    /// # Errors
    /// [`Error::Failed`].
    pub fn delete(&self, id: &str, bundle: &Bundle) -> Result<()> {
        if !bundle.dir().join(STATE).join(id).exists() {
            return Ok(());
        }
        let mut call = Call::new(self, bundle, "delete", LOG);
        call.command.args(["delete", "--force"]).arg(id);
        let ended = call.run(Stdio::null())?;
        call.success(ended, "")
    }
}

/// A process to be run in a running container.
#[derive(Debug, Clone, Copy)]
pub struct Exec<'a> {
    /// The process.
    pub process: &'a Process,
    /// The container: its privileges are those of the process.
    pub container: &'a Spec,
    /// The machine.
    pub host: &'a Host,
}

impl Exec<'_> {
    fn document(&self) -> Result<Vec<u8>> {
        let caps = crate::spec::capabilities_of(self.container, self.host)?;
        to_json(PROCESS, &self.process.document(&caps, self.host)?)
    }

    fn program(&self) -> &str {
        self.process.args.first().map_or("", String::as_str)
    }
}

/// Names of the files of one `exec`: several may be under way.
struct Names {
    process: String,
    pid: String,
    log: String,
}

impl Names {
    fn new() -> Self {
        let number = u64::from_le_bytes(sys::process::random());
        let name = |what: &str| format!("exec-{number:016x}.{what}");
        Self { process: name("json"), pid: name("pid"), log: name("log") }
    }
}

/// One call. The runtime works in the bundle's directory, so that the paths it is given are short: those of sockets
/// have to be.
struct Call<'a> {
    runtime: &'a Runtime,
    bundle: &'a Bundle,
    op: &'static str,
    log: String,
    command: Command,
}

impl<'a> Call<'a> {
    fn new(runtime: &'a Runtime, bundle: &'a Bundle, op: &'static str, log: &str) -> Self {
        let mut command = Command::new(runtime.program());
        command.current_dir(bundle.dir()).args(["--root", STATE, "--log", log, "--log-format", "json"]);
        command.args(runtime.cgroup_arguments());
        Self { runtime, bundle, op, log: log.to_owned(), command }
    }

    fn run(&mut self, stdio: Stdio) -> Result<process::ExitStatus> {
        self.command.stdin(stdio.stdin).stdout(stdio.stdout).stderr(stdio.stderr);
        let program = self.runtime.program();
        let mut child = spawn(&mut self.command, self.runtime)?;
        // The command keeps its ends of pipes, and whoever reads them would wait for us.
        self.command
            .stdin(process::Stdio::null())
            .stdout(process::Stdio::null())
            .stderr(process::Stdio::null());
        child.wait().map_err(Error::io("wait for", program))
    }

    /// As [`run`](Self::run), with the standard error of the process passed on to `out`. What a runtime that fails writes
    /// there stands in its log, too: that is left out.
    fn run_relayed(&mut self, stdio: Stdio, out: &mut dyn Write) -> Result<process::ExitStatus> {
        let program = self.runtime.program();
        self.command.stdin(stdio.stdin).stdout(stdio.stdout).stderr(process::Stdio::piped());
        let mut child = spawn(&mut self.command, self.runtime)?;
        let runtime = identity::Identity::of(child.id())?.open();
        let mut pipe = child.stderr.take();
        let mut first = true;
        while let (Some(from), Some(runtime)) = (&mut pipe, &runtime) {
            let mut fds = [
                PollFd::from_borrowed_fd(from.as_fd(), PollFlags::IN),
                PollFd::from_borrowed_fd(runtime.as_fd(), PollFlags::IN),
            ];
            match poll(&mut fds, None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(e) => return Err(Error::errno("wait for", program)(e)),
            }
            let readable = !fds[0].revents().is_empty();
            // A process in the background may keep the pipe open; nobody waits for it.
            if !readable && !fds[1].revents().is_empty() {
                break;
            }
            let mut buffer = [0; 32 << 10];
            if readable {
                match from.read(&mut buffer).map_err(Error::io("read from", program))? {
                    0 => pipe = None,
                    _ if first && self.has_failed(runtime)? => {}
                    // If nobody listens, it is lost.
                    read => drop(out.write_all(&buffer[..read])),
                }
                first = false;
            }
        }
        child.wait().map_err(Error::io("wait for", program))
    }

    /// Whether what was just written is the runtime's: it says why in its log, too, and ends.
    fn has_failed(&self, runtime: &identity::Process) -> Result<bool> {
        let has_complained =
            || -> Result<bool> { Ok(self.complaint_in(&self.bundle.read(&self.log)?).is_some()) };
        // Which of the two it writes first is not said; how long it then takes to end depends on the machine.
        Ok(has_complained()? || (runtime.wait(Some(LAST_WORDS)) && has_complained()?))
    }

    /// What a call in the foreground ended with: the runtime's error, or the exit code of the process.
    fn outcome(&self, ended: process::ExitStatus, program: &str) -> Result<ExitCode> {
        match self.complaint()? {
            Some(message) if !ended.success() => Err(self.failed(message, program)),
            _ => Ok(ended.into()),
        }
    }

    fn success(&self, ended: process::ExitStatus, program: &str) -> Result<()> {
        let complaint = self.complaint()?;
        match ended.success() {
            true => Ok(()),
            false => Err(self.failed(complaint.unwrap_or_else(|| ended.to_string()), program)),
        }
    }

    fn pid(&self, name: &str) -> Result<Launched> {
        let text = self.bundle.take(name)?;
        let pid = String::from_utf8_lossy(&text).trim().parse();
        let pid = pid.map_err(|_| self.failed("it did not say which process it started".to_owned(), ""))?;
        Ok(Launched { pid })
    }

    /// The last error in the runtime's log.
    fn complaint(&self) -> Result<Option<String>> {
        Ok(self.complaint_in(&self.bundle.take(&self.log)?))
    }

    fn complaint_in(&self, log: &[u8]) -> Option<String> {
        log.split(|byte| *byte == b'\n').rev().find_map(complaint_of)
    }

    fn failed(&self, message: String, program: &str) -> Error {
        let op = self.op;
        match reason(&message, program) {
            Some(Reason::NotFound(why)) => Error::NotFound { op, program: program.to_owned(), why },
            Some(Reason::NotRunnable(why)) => Error::NotRunnable { op, program: program.to_owned(), why },
            None => Error::Failed { op, runtime: self.runtime.name().to_owned(), message },
        }
    }
}

/// What a line of a runtime's log says if it is an error: crun and runc have `msg`, youki `message`, with a backtrace
/// below it.
fn complaint_of(line: &[u8]) -> Option<String> {
    let entry: serde_json::Value = serde_json::from_slice(line).ok()?;
    let text = |key: &str| entry.get(key).and_then(|value| value.as_str());
    let level = text("level")?.to_lowercase();
    let message = text("msg").or_else(|| text("message"))?;
    matches!(level.as_str(), "error" | "fatal").then(|| message.lines().next().unwrap_or_default().to_owned())
}

/// Starts the program from a thread of its own, which ends: only that one gets other mounts, and takes the signals that
/// a monitor reads, for youki hands on to the container what it finds blocked.
fn spawn(command: &mut Command, runtime: &Runtime) -> Result<process::Child> {
    let failed = || Error::io("start", runtime.program());
    let start = || {
        sys::signals::unblock();
        if let Some(hidden) = runtime.hidden_cgroups() {
            sys::mount::hide(&hidden)?;
        }
        command.spawn().map_err(failed())
    };
    let panicked = || failed()(std::io::Error::other("a thread panicked"));
    std::thread::scope(|scope| scope.spawn(start).join()).unwrap_or_else(|_| Err(panicked()))
}

#[derive(Debug, PartialEq)]
enum Reason {
    NotFound(&'static str),
    NotRunnable(&'static str),
}

/// Why the program could not be run, if that is what the runtime's message is about: the two cases for which Docker has
/// exit codes. Every runtime says it in other words.
fn reason(message: &str, program: &str) -> Option<Reason> {
    let lower = message.to_lowercase();
    let about_program = !program.is_empty() && message.contains(program) || lower.contains("executable");
    let mentions = |words: &str| lower.contains(words);
    if !about_program && !mentions("exec format error") {
        return None;
    }
    if mentions("not found in $path") {
        Some(Reason::NotFound("executable file not found in $PATH"))
    } else if mentions("no such file or directory") || mentions("not found") {
        Some(Reason::NotFound("no such file or directory"))
    } else if mentions("is a directory") {
        Some(Reason::NotRunnable("is a directory"))
    } else if mentions("permission denied")
        || mentions("not permitted")
        || mentions("not executable")
        || mentions("correct permissions")
    {
        Some(Reason::NotRunnable("permission denied"))
    } else if mentions("exec format error") {
        Some(Reason::NotRunnable("exec format error"))
    } else {
        None
    }
}

/// The program of a bundle's process, for messages.
fn program_of(bundle: &Bundle) -> String {
    let read = || -> Option<String> {
        let dir = sys::dir::open_path(bundle.dir()).ok()?;
        let bytes = sys::atomic::find(&dir, OsStr::new("config.json")).ok()??;
        let document: serde_json::Value = serde_json::from_slice(&bytes).ok()?;
        Some(document.pointer("/process/args/0")?.as_str()?.to_owned())
    };
    read().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_runtime_s_log_is_read() {
        for (line, message) in [
            (r#"{"msg":"no such cgroup","level":"error","time":"…"}"#, Some("no such cgroup")),
            (
                r#"{"timestamp":"…","level":"ERROR","message":"it failed\n\nStack backtrace:\n 0: x","target":"youki"}"#,
                Some("it failed"),
            ),
            (r#"{"timestamp":"…","level":"WARN","message":"careful","target":"youki"}"#, None),
            ("panicked", None),
        ] {
            assert_eq!(complaint_of(line.as_bytes()).as_deref(), message, "{line}");
        }
    }

    #[test]
    fn the_runtimes_ways_to_say_that_a_program_is_missing() {
        let path = Reason::NotFound("executable file not found in $PATH");
        let file = Reason::NotFound("no such file or directory");
        for (message, program, reason_meant) in [
            ("executable file `nope` not found in $PATH: No such file or directory", "nope", path),
            ("open executable: No such file or directory", "/nope", file),
            (
                "runc run failed: unable to start container process: exec: \"/nope\": stat /nope: no such file or directory",
                "/nope",
                Reason::NotFound("no such file or directory"),
            ),
            ("open executable: Permission denied", "/etc/passwd", Reason::NotRunnable("permission denied")),
            (
                "exec: \"/etc\": is a directory: permission denied",
                "/etc",
                Reason::NotRunnable("is a directory"),
            ),
        ] {
            assert_eq!(reason(message, program), Some(reason_meant), "{message}");
        }
        assert_eq!(reason("cannot set memory limit: no such file or directory", "sh"), None);
    }
}
