//! `RUN`: a process in the tree as it is, whose changes become a layer.

mod mounts;
mod stubs;

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Stdio as Pipe;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use dockerfile::Invocation;
use model::Digest;
use runtime::{Bundle, Host, Mount, Network, Process, Runtime, Spec, Stdio};
use store::Work;

use super::key::Key;
use super::options::{BuildNetwork, BuildOptions};
use super::vertices::Vertex;
use crate::run::DEFAULT_PATH;
use crate::{Engine, Error, Result};

pub(super) use mounts::{Mounted, Planned, Tree, secret_id};
use stubs::Stubs;

/// What BuildKit calls the machine that a step sees.
const HOSTNAME: &str = "buildkitsandbox";
/// The names that it knows.
const HOSTS: &[u8] = b"127.0.0.1\tlocalhost buildkitsandbox\n::1\tlocalhost ip6-localhost ip6-loopback\n";
const RESOLVER: &str = "/etc/resolv.conf";
/// Where a here-document with a `#!` of its own lies.
const PIPES: &str = "/dev/pipes";
/// The file beside a bundle that says how its container can be ended: its name, and the runtime.
const STEP: &str = "step";
/// How often a step that runs is looked after.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// A process, with all variables replaced.
#[derive(Debug, Clone)]
pub(super) struct Command {
    /// What is run, as progress and history show it.
    pub words: Vec<String>,
    /// A file for [`PIPES`], which is what is run.
    pub script: Option<(String, String)>,
    /// `NAME=value`: what the image and the stage's `ARG`s set.
    pub env: Vec<String>,
    /// What the process sees besides, and the key does not.
    pub proxies: Vec<(String, String)>,
    pub cwd: String,
    pub user: String,
    pub network: BuildNetwork,
}

/// Who looks on while a process runs.
pub(super) struct Watch<'a> {
    /// Where its output is shown.
    pub vertex: Vertex<'a>,
    /// Whether it shall end.
    pub is_over: &'a (dyn Fn() -> bool + Sync),
}

impl Command {
    /// What is run of an instruction.
    pub fn words(invocation: Invocation, shell: &[String]) -> (Vec<String>, Option<(String, String)>) {
        match invocation {
            Invocation::Exec(words) => (words, None),
            Invocation::Shell(text) => (shell.iter().cloned().chain([text]).collect(), None),
            // As BuildKit: the shell is asked to run the file, which then has an interpreter of its own.
            Invocation::Script { name, content } => {
                let file = format!("{PIPES}/{name}");
                (shell.iter().cloned().chain([file]).collect(), Some((name, content)))
            }
        }
    }

    /// The key of the step on top of a tree; the mounts add theirs.
    pub fn key(&self, chain: Option<&model::ChainId>, options: &BuildOptions, mounts: &[Planned]) -> Digest {
        let mut key = Key::new("run", chain);
        key.parts(&self.words).parts(&self.env).part(&self.cwd).part(&self.user);
        key.part(if self.network == BuildNetwork::None { "none" } else { "host" });
        key.part(options.epoch.map(|epoch| epoch.to_string()).unwrap_or_default());
        if let Some((name, content)) = &self.script {
            key.part(name).part(content);
        }
        for mount in mounts {
            mount.add_to(&mut key);
        }
        key.finish()
    }
}

impl Engine {
    /// Runs the command in the tree at `rootfs`. Answers with the directories that were touched only for the mounts.
    ///
    /// # Errors
    /// There is no runtime, or it cannot; BuildKit's words if the command ends with another code than 0.
    pub(super) fn run_step(
        &self,
        work: &Work<'_>,
        options: &BuildOptions,
        command: &Command,
        mounted: &Mounted<'_>,
        rootfs: &Path,
        watch: &Watch<'_>,
    ) -> Result<Vec<PathBuf>> {
        let runtime = Runtime::find(options.runtime.as_deref())?;
        let host = Host::probe()?;
        let found = runtime::user::look_up(rootfs, &command.user, &[])?;
        let mut env = command.env.clone();
        let has = |env: &[String], name: &str| {
            env.iter().any(|line| line.split_once('=').is_some_and(|(key, _)| key == name))
        };
        if !has(&env, "PATH") {
            env.push(DEFAULT_PATH.to_owned());
        }
        for (name, value) in command.proxies.iter().chain(&mounted.env) {
            if !has(&env, name) {
                env.push(format!("{name}={value}"));
            }
        }
        if !has(&env, "HOME") {
            env.push(format!("HOME={}", found.home));
        }
        let mut user = found.user;
        if !user.groups.contains(&user.gid) {
            user.groups.insert(0, user.gid);
        }
        let process = Process { env, cwd: command.cwd.clone(), user, ..Process::new(&command.words) };
        let network = if command.network == BuildNetwork::None { Network::None } else { Network::Host };
        let ids = self.id_map().cloned();
        let mut spec = Spec { hostname: HOSTNAME.to_owned(), network, ids, ..Spec::new(rootfs, process) };
        spec.mounts.extend(names_of_the_network(work)?);
        spec.mounts.extend(mounted.mounts.iter().cloned());
        if let Some((name, content)) = &command.script {
            let dir = work.scratch_dir()?;
            let fd = sys::dir::open_path(&dir)?;
            sys::atomic::create_unsynced(&fd, name.as_ref(), 0o755, content.as_bytes())?;
            spec.mounts.push(Mount::bind(dir, PIPES, true));
        }
        let bundle_dir = work.scratch_dir()?;
        let id = format!("layercake-build-{:016x}", u64::from_le_bytes(sys::process::random()));
        let stubs = Stubs::make(rootfs, &spec.mounts, self.id_map())?;
        let bundle = Bundle::write(&bundle_dir, &spec, &host)?;
        let note = format!("{id}\n{}", runtime.program().display());
        sys::atomic::create_unsynced(
            sys::dir::open_path(&bundle_dir)?,
            STEP.as_ref(),
            0o600,
            note.as_bytes(),
        )?;
        let ended = run(&runtime, &id, &bundle, watch);
        let touched = stubs.remove()?;
        let shown = command.words.join(" ");
        match ended {
            Ok(code) if code.is_success() => Ok(touched),
            // Then it was killed, or kept from beginning.
            _ if (watch.is_over)() => Err(Error::BuildCanceled),
            Ok(code) => Err(Error::invalid(format!(
                "process {shown:?} did not complete successfully: exit code: {}",
                code.0
            ))),
            Err(Error::Runtime(
                e @ (runtime::Error::NotFound { .. } | runtime::Error::NotRunnable { .. }),
            )) => Err(Error::invalid(format!("process {shown:?} did not complete successfully: {e}"))),
            Err(e) => Err(e),
        }
    }
}

/// Kills what still runs of the steps of a build that died, whose private directory this is. Whatever stands against that
/// is passed over: then there is nothing left to kill, or nobody who could.
pub(crate) fn end_steps(work: &Path) {
    for entry in sys::dir::open_path(work).and_then(sys::dir::list).unwrap_or_default() {
        let bundle = work.join(&entry.name);
        let note = sys::dir::open_path(&bundle).and_then(|dir| sys::atomic::read(dir, STEP.as_ref()));
        if let Ok(note) = note
            && let Ok(note) = String::from_utf8(note)
            && let Some((id, program)) = note.split_once('\n')
            && let Ok(runtime) = Runtime::at(Path::new(program))
        {
            let _ = runtime.delete(id, &Bundle::at(&bundle));
        }
    }
}

/// Runs the bundle, and passes on what the process writes. It is killed when `is_over` says so.
fn run(runtime: &Runtime, id: &str, bundle: &Bundle, watch: &Watch<'_>) -> Result<runtime::ExitCode> {
    let (mut reader, out) = std::io::pipe().map_err(Error::io("make a pipe for", "a step"))?;
    let err = out.try_clone().map_err(Error::io("make a pipe for", "a step"))?;
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let mut buffer = [0; 16 << 10];
            while let Ok(n @ 1..) = reader.read(&mut buffer) {
                watch.vertex.output(&buffer[..n]);
            }
        });
        // It ends when the sender is dropped.
        let (running, ended) = std::sync::mpsc::channel::<()>();
        scope.spawn(move || {
            while let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(LOOK_AGAIN) {
                if (watch.is_over)() {
                    // Not yet there, or gone by now: then there is another look.
                    let _ = runtime.delete(id, bundle);
                }
            }
        });
        let stdio = Stdio { stdin: Pipe::null(), stdout: out.into(), stderr: err.into() };
        let code = runtime.run(id, bundle, stdio);
        drop(running);
        Ok(code?)
    })
}

/// Who is asked for names of machines is the host's business, what they are is BuildKit's.
fn names_of_the_network(work: &Work<'_>) -> Result<Vec<Mount>> {
    let dir = work.scratch_dir()?;
    sys::atomic::create_unsynced(sys::dir::open_path(&dir)?, "hosts".as_ref(), 0o644, HOSTS)?;
    let mut mounts = vec![Mount::bind(dir.join("hosts"), "/etc/hosts", true)];
    if Path::new(RESOLVER).exists() {
        mounts.push(Mount::bind(RESOLVER, RESOLVER, true));
    }
    Ok(mounts)
}
