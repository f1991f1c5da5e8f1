//! The life of a monitor: everything between a container's start and what is left to do after its end.

use std::path::PathBuf;

use model::{ContainerId, HostConfig};
use runtime::log::{Rotation, Writer};
use runtime::monitor::Terminal;
use runtime::wire::Event;
use runtime::{Bundle, ExitCode, Host, Monitor, Runtime, cgroup};
use store::{Change, Container, Life};
use sys::identity::Identity;
use sys::lock::Lock;

use super::{files, spec};
use crate::mount::Access;
use crate::{Engine, Error, Result, now};

/// How containers are run here.
#[derive(Debug, Clone, Default)]
pub struct MonitorOptions {
    /// The runtime of containers that name none: a name or an absolute path; the first that is installed if absent.
    pub runtime: Option<String>,
}

/// Docker's name for whichever runtime is the default.
const DEFAULT_RUNTIME: &str = "runc";

/// A container that has been started.
struct Run {
    _claim: Lock,
    life: Life,
    runtime: Runtime,
    bundle: Bundle,
    auto_remove: bool,
    log: Option<Writer>,
    memory: Vec<PathBuf>,
}

impl Engine {
    /// Runs a container, as its monitor, and returns when it has ended and everything is cleaned up.
    ///
    /// # Errors
    /// What could not be cleaned up. What kept it from being started is the first client's to know.
    pub fn monitor(&self, id: &ContainerId, mut monitor: Monitor, options: &MonitorOptions) -> Result<()> {
        let mut run = match self.begin_run(id, &mut monitor, options) {
            Ok(run) => run,
            Err(error) => {
                let code = error.run_code();
                monitor.fail(code, error.to_string());
                return Ok(());
            }
        };
        monitor.announce(&Event::Started);
        let served = monitor.serve(run.log.take());
        // Without our loop nobody reads what it writes, so it cannot go on.
        let code = served.unwrap_or(ExitCode(255));
        let ended = self.end_run(id, run, code);
        monitor.end(code);
        ended
    }

    fn begin_run(&self, id: &ContainerId, monitor: &mut Monitor, options: &MonitorOptions) -> Result<Run> {
        let claim = self.store.running().claim(id)?;
        let claim =
            claim.ok_or_else(|| Error::conflict(format!("container {id} is being started or removed")))?;
        self.settle_claimed(id)?;
        let container = self.store.containers().get(id)?;
        match self.launch(id, &container, monitor, options, claim) {
            Ok(run) => Ok(run),
            Err(error) => {
                let code = i32::from(error.run_code());
                let change = Change::NotStarted { code, error: error.to_string() };
                // The first error is the one that counts.
                let _ = self
                    .store
                    .commit()
                    .map_err(Error::from)
                    .and_then(|lock| Ok(self.store.containers().change(&lock, id, &change)?));
                let _ = self.clean_up(id);
                Err(error)
            }
        }
    }

    fn launch(
        &self,
        id: &ContainerId,
        container: &Container,
        monitor: &mut Monitor,
        options: &MonitorOptions,
        claim: Lock,
    ) -> Result<Run> {
        if container.state().dead || container.state().removal_in_progress {
            return Err(Error::conflict("container is marked for removal and cannot be started"));
        }
        let host = self.store.containers().host_config(id)?.view()?;
        let runtime = self.runtime_of(&host, options)?;
        let dir = self.store.running().make(id)?;
        let mount_id = self.store.mounts().get(id)?.mount_id;
        let mounted = self.driver.mounted(&mount_id.into())?.is_none();
        let mut life = Life { monitor: Identity::own()?, container: None, mounted };
        self.store.running().record(id, &life)?;
        monitor.listen(&dir)?;
        let rootfs = self.mount(id, Access::Write)?;
        let files = files::make(self, id, container, &host)?;
        let mounts = self.mounts_of(id)?;
        let machine = Host::probe()?;
        let spec = spec::of(container, &host, &rootfs, mounts, &files, self.id_map_of(&host), &machine)?;
        let bundle = Bundle::write(&dir, &spec, &machine)?;
        let log = self.log_of(id, &host)?;
        let config = container.config();
        let terminal = Terminal { tty: config.tty, stdin: config.open_stdin, stdin_once: config.stdin_once };
        let process = monitor.launch(&runtime, &id.hex(), &bundle, terminal)?;
        let pid = process.pid;
        life.container = Some(process);
        let run = Run {
            _claim: claim,
            runtime,
            bundle,
            auto_remove: host.auto_remove,
            memory: cgroup::memory_groups(pid),
            log,
            life,
        };
        self.store.running().record(id, &run.life)?;
        let mut fields = files.fields();
        if run.log.is_some() {
            fields.push(("LogPath", self.log_path(id).display().to_string()));
        }
        let change = Change::Started { pid, at: now(), files: fields };
        let lock = self.store.commit()?;
        self.store.containers().change(&lock, id, &change)?;
        Ok(run)
    }

    /// Everything that has to be done when a container has ended. What fails is told in the end, and keeps nothing else
    /// from being done.
    fn end_run(&self, id: &ContainerId, run: Run, code: ExitCode) -> Result<()> {
        let out_of_memory = cgroup::oom_kills(&run.memory) > 0;
        let deleted = run.runtime.delete(&id.hex(), &run.bundle).map_err(Error::from);
        let change = Change::Ended { code: code.0, at: now(), out_of_memory };
        let unmounted = if run.life.mounted { self.unmount_tree(id) } else { Ok(()) };
        let changed = || -> Result<()> {
            let lock = self.store.commit()?;
            self.store.containers().change(&lock, id, &change)?;
            Ok(())
        };
        let changed = changed();
        let forgotten = self.store.running().remove(id).map_err(Error::from);
        let removed = if run.auto_remove { self.remove_claimed(id, true, true) } else { Ok(()) };
        deleted.and(unmounted).and(changed).and(forgotten).and(removed)
    }

    pub(super) fn unmount_tree(&self, id: &ContainerId) -> Result<()> {
        let Some(mount) = self.store.mounts().find(id)? else { return Ok(()) };
        self.driver.unmount(&mount.mount_id.into())?;
        Ok(())
    }

    /// The runtime that a container is run by. Docker's default name means ours.
    pub(super) fn runtime_of(&self, host: &HostConfig, options: &MonitorOptions) -> Result<Runtime> {
        let named = Some(host.runtime.as_str()).filter(|name| !name.is_empty() && *name != DEFAULT_RUNTIME);
        Ok(Runtime::find(named.or(options.runtime.as_deref()))?)
    }

    /// Where a container's log is.
    pub(super) fn log_path(&self, id: &ContainerId) -> PathBuf {
        self.root().join("containers").join(id.hex()).join(log_name(id))
    }

    fn log_of(&self, id: &ContainerId, host: &HostConfig) -> Result<Option<Writer>> {
        let config = &host.log_config;
        match config.kind.as_str() {
            "none" => return Ok(None),
            "json-file" | "" => {}
            other => {
                return Err(Error::invalid(format!(
                    "the log driver {other} is not supported: use --log-driver json-file or none"
                )));
            }
        }
        let options = config.config.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        let dir = self.store.containers().dir(id)?;
        let dir = dir.ok_or_else(|| Error::NoSuchContainer(id.to_string()))?;
        Ok(Some(Writer::open(dir, &log_name(id), Rotation::from_options(options)?)?))
    }
}

/// The name of a container's log in its directory.
pub(super) fn log_name(id: &ContainerId) -> String {
    format!("{}-json.log", id.hex())
}
