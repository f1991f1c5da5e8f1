//! Credential helpers: the programs `docker-credential-NAME`, which keep secrets elsewhere, say in a key ring.
//!
//! A helper is called with `get`, `store` or `erase`, finds the server (or a JSON document) on its standard input and
//! answers on its standard output, with its errors too.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};
use std::{env, fs, io, thread};

use serde::{Deserialize, Serialize};

use super::{Error, Result};
use crate::{Credential, Secret};

/// What all helpers' names begin with.
const PREFIX: &str = "docker-credential-";

/// The user that stands for an identity token.
const TOKEN: &str = "<token>";

/// A helper's answer when it has nothing, which all helpers share.
const NOT_FOUND: &str = "credentials not found in native keychain";

/// Longest answer that is read.
const MAX_ANSWER: u64 = 1 << 20;

/// How long the rest of an answer may take when the helper has ended. A process that it left behind may hold its
/// output open for ever.
const GRACE: Duration = Duration::from_secs(1);

/// How a shell starts a helper. This process may have cleared its umask, and a helper's files are nobody else's.
const CAREFULLY: &str = r#"umask 077; exec "$0" "$@""#;

/// How credential helpers are run.
#[derive(Debug, Clone)]
pub struct Helpers {
    /// The directories in which to look for them, as in the variable `PATH`.
    pub path: OsString,
    /// How long one may take. It may ask its user something.
    pub timeout: Duration,
}

impl Default for Helpers {
    /// Two minutes, and nowhere to look.
    fn default() -> Self {
        Self { path: OsString::new(), timeout: Duration::from_secs(120) }
    }
}

/// What helpers read and write.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Document {
    #[serde(rename = "ServerURL", default)]
    server_url: String,
    username: String,
    secret: String,
}

/// The helper `name`.
pub(super) struct Helper<'a> {
    name: &'a str,
    helpers: &'a Helpers,
}

impl<'a> Helper<'a> {
    pub(super) fn new(name: &'a str, helpers: &'a Helpers) -> Self {
        Self { name, helpers }
    }

    /// The credential that the helper has for `server`.
    pub(super) fn get(&self, server: &str) -> Result<Option<Credential>> {
        let output = self.run("get", server, server)?;
        if !output.status.success() {
            if output.said().trim() == NOT_FOUND {
                return Ok(None);
            }
            return Err(self.failed("get", server, output.why()));
        }
        // What is wrong with the answer stays unsaid: it is a secret.
        let document: Document = serde_json::from_slice(&output.stdout).map_err(|_| {
            self.failed("get", server, "the answer is not the JSON of a credential".to_owned())
        })?;
        let secret = Secret::new(document.secret);
        Ok(Some(match document.username {
            user if user == TOKEN => Credential::IdentityToken(secret),
            user => Credential::Basic { user, password: secret },
        }))
    }

    /// Has the helper keep a credential.
    pub(super) fn store(&self, server: &str, credential: &Credential) -> Result<()> {
        let (username, secret) = match credential {
            Credential::Basic { user, password } => (user.as_str(), password),
            Credential::IdentityToken(token) => (TOKEN, token),
            Credential::RegistryToken(_) => {
                let why = "a helper cannot keep a registry token".to_owned();
                return Err(self.failed("store", server, why));
            }
        };
        let document = Document {
            server_url: server.to_owned(),
            username: username.to_owned(),
            secret: secret.reveal().to_owned(),
        };
        let text =
            serde_json::to_string(&document).map_err(|err| self.failed("store", server, err.to_string()))?;
        self.succeed("store", server, &text)
    }

    /// Has the helper forget a credential.
    pub(super) fn erase(&self, server: &str) -> Result<()> {
        self.succeed("erase", server, server)
    }

    fn succeed(&self, operation: &'static str, server: &str, input: &str) -> Result<()> {
        let output = self.run(operation, server, input)?;
        if output.status.success() { Ok(()) } else { Err(self.failed(operation, server, output.why())) }
    }

    /// Runs the helper to its end.
    fn run(&self, operation: &'static str, server: &str, input: &str) -> Result<Output> {
        let failed = |why: String| self.failed(operation, server, why);
        let program = self.program().ok_or_else(|| failed("there is no such program in PATH".to_owned()))?;
        let child = Command::new("/bin/sh")
            .args(["-c", CAREFULLY])
            .arg(program)
            .arg(operation)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|err| failed(format!("cannot be started: {err}")))?;
        match communicate(child, input.as_bytes().to_vec(), self.helpers.timeout) {
            Ok(Some(output)) => Ok(output),
            Ok(None) => Err(failed(format!("no answer within {} s", self.helpers.timeout.as_secs_f32()))),
            Err(err) => Err(failed(err.to_string())),
        }
    }

    /// Where the helper is. Its name comes from a file, and is one component of a path at most.
    fn program(&self) -> Option<PathBuf> {
        if self.name.is_empty() || self.name.contains(['/', '\0']) {
            return None;
        }
        env::split_paths(&self.helpers.path)
            .map(|dir| dir.join(format!("{PREFIX}{}", self.name)))
            .find(|path| fs::metadata(path).is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0))
    }

    fn failed(&self, operation: &'static str, server: &str, reason: String) -> Error {
        let program = format!("{PREFIX}{}", self.name);
        Error::Helper { program, operation, server: server.to_owned(), reason }
    }
}

/// What a helper left behind.
struct Output {
    status: ExitStatus,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

impl Output {
    /// Its standard output, where a failed helper says why.
    fn said(&self) -> String {
        String::from_utf8_lossy(&self.stdout).trim().to_owned()
    }

    /// Why it failed.
    fn why(&self) -> String {
        let complaint = String::from_utf8_lossy(&self.stderr).trim().to_owned();
        let texts: Vec<String> =
            [self.said(), complaint].into_iter().filter(|text| !text.is_empty()).collect();
        if texts.is_empty() { self.status.to_string() } else { texts.join("; ") }
    }
}

/// Gives a child its input and waits for its end and output; `None` if that took too long, and the child is dead.
fn communicate(mut child: Child, input: Vec<u8>, timeout: Duration) -> io::Result<Option<Output>> {
    if let Some(mut stdin) = child.stdin.take() {
        // A helper may end without reading; that it did is its own affair.
        thread::spawn(move || drop(stdin.write_all(&input)));
    }
    let stdout = child.stdout.take().map(read_aside);
    let stderr = child.stderr.take().map(read_aside);
    let deadline = Instant::now() + timeout;
    let Some(status) = wait(&mut child, deadline)? else {
        child.kill()?;
        child.wait()?;
        return Ok(None);
    };
    let collect = |from: Option<Receiver<Vec<u8>>>| {
        from.and_then(|from| from.recv_timeout(GRACE).ok()).unwrap_or_default()
    };
    Ok(Some(Output { status, stdout: collect(stdout), stderr: collect(stderr) }))
}

/// Reads a pipe to its end in a thread, so that no side waits for the other.
fn read_aside(pipe: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (done, result) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.take(MAX_ANSWER).read_to_end(&mut bytes);
        let _ = done.send(bytes);
    });
    result
}

/// Waits for the child's end until `deadline`.
fn wait(child: &mut Child, deadline: Instant) -> io::Result<Option<ExitStatus>> {
    let mut pause = Duration::from_micros(500);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(None);
        }
        thread::sleep(pause.min(left));
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}
