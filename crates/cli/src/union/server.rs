//! The process that serves a union: this one in the foreground, or a new one that stays behind.
//!
//! A process with threads cannot fork and go on, and one that has mounted has threads. So the command starts the program
//! anew, and waits for one line on a pipe: the union is mounted. Another pipe brings the error if it cannot be.

use std::ffi::{OsStr, OsString};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use sys::daemon::{self, Termination};
use unionfs::{Error, Server, Union};

use super::{Request, Subtype};
use crate::output::failure::Failure;
use crate::output::stdout;

/// The hidden first argument of a server. Subtype, target, source (perhaps empty) and lists of options follow.
const SERVE: &str = "serve-union";
/// What a server says when the union is mounted.
const READY: &str = "ready\n";

/// Serves a union if this process was started for that, and says how it ended; `None` for a command. Call it first in
/// `main`.
pub fn serve_if_asked() -> Option<ExitCode> {
    let args: Vec<OsString> = std::env::args_os().skip(1).collect();
    let [mode, subtype, target, source, options @ ..] = args.as_slice() else { return None };
    if mode != SERVE {
        return None;
    }
    daemon::detach();
    let request = Request {
        options: options.to_vec(),
        source: Some(source.clone()).filter(|source| !source.is_empty()),
        target: target.into(),
        subtype: subtype.to_str().and_then(Subtype::find).unwrap_or(Subtype::LAYERCAKE),
    };
    let served = request.serve_after(|| {
        stdout::print(READY)?;
        daemon::let_go().map_err(Failure::refused)
    });
    Some(match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            stdout::complain(&failure);
            ExitCode::from(&failure)
        }
    })
}

impl Request {
    /// Mounts the union and leaves a process behind that serves it.
    ///
    /// # Errors
    /// What keeps it from being mounted.
    pub fn start(&self) -> Result<(), Failure> {
        // Told here, a mistake in the options needs no process.
        self.read().map_err(|refused| self.failed(refused))?;
        let mut command = Command::new(super::this_program());
        command.args([OsStr::new(SERVE), OsStr::new(self.subtype.0), self.target.as_os_str()]);
        command.arg(self.source.as_deref().unwrap_or_default()).args(&self.options);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut server = command.spawn().map_err(|e| self.failed(e))?;
        let (mut said, mut complained) = (String::new(), String::new());
        // What cannot be read was not said.
        if let Some(out) = server.stdout.take() {
            let _ = BufReader::new(out).read_line(&mut said);
        }
        if said == READY {
            return Ok(());
        }
        if let Some(mut err) = server.stderr.take() {
            let _ = err.read_to_string(&mut complained);
        }
        let status = server.wait().map_err(|e| self.failed(e))?;
        Err(match complained.trim() {
            "" => self.failed(format_args!("its server ended with {status}")),
            complained => Failure::plain(complained),
        })
    }

    /// Mounts the union and serves it until it is unmounted, or a signal asks for the end.
    ///
    /// # Errors
    /// What keeps it from being mounted; what ended it otherwise.
    pub fn serve(&self) -> Result<(), Failure> {
        self.serve_after(|| Ok(()))
    }

    fn serve_after(&self, mounted: impl FnOnce() -> Result<(), Failure>) -> Result<(), Failure> {
        let signals = Termination::catch().map_err(|e| self.failed(e))?;
        // Where it will be after a change of the working directory.
        let target = std::path::absolute(&self.target).map_err(|e| self.failed(e))?;
        let server = self.mount()?;
        mounted()?;
        let unmount = std::thread::Builder::new().name("signals".to_owned());
        unmount.spawn(move || end_on_signal(&signals, &target)).map_err(|e| self.failed(e))?;
        server.run().map_err(|e| self.failed(e))
    }

    fn mount(&self) -> Result<Server, Failure> {
        let (config, at) = self.read().map_err(|refused| self.failed(refused))?;
        let mut waits = [Duration::from_millis(20); 150].into_iter();
        let union = loop {
            match Union::open(&config) {
                // The server of a mount that was just given up may still be at its last steps.
                Err(Error::Busy(path)) => match waits.next() {
                    Some(wait) => std::thread::sleep(wait),
                    None => break Err(Error::Busy(path)),
                },
                other => break other,
            }
        };
        union.and_then(|union| union.mount(&self.target, &at)).map_err(|e| self.failed(e))
    }
}

/// Unmounts when a signal asks for the end; the server ends when nobody uses the union any more.
fn end_on_signal(signals: &Termination, target: &Path) {
    while signals.wait().is_ok() {
        if let Err(e) = unionfs::unmount(target) {
            stdout::complain(e);
        }
    }
}
