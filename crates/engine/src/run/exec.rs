//! `exec`.

use std::io::Write;
use std::path::PathBuf;

use model::{ContainerConfig, ContainerId};
use runtime::{Bundle, Exec, ExitCode, Host, Process, Spec, Stdio};

use super::{MonitorOptions, spec};
use crate::{Engine, Error, Result};

/// What to run in a running container.
#[derive(Debug, Clone, Default)]
pub struct ExecOptions {
    /// Program and arguments.
    pub command: Vec<String>,
    /// `NAME=value`, besides the container's.
    pub env: Vec<String>,
    /// As whom; as the container's first process if absent.
    pub user: Option<String>,
    /// Where; where that one began if absent.
    pub workdir: Option<String>,
    /// With a terminal.
    pub tty: bool,
    /// With standard input.
    pub interactive: bool,
    /// With all privileges.
    pub privileged: bool,
    /// In the background.
    pub detach: bool,
}

impl Engine {
    /// Runs a process in a container, with this process's standard streams, and returns its exit code; in the
    /// background, 0 as soon as it runs. Without a terminal its standard error is written to `stderr`.
    ///
    /// # Errors
    /// The container does not run; the program is not there, or cannot be run.
    pub fn exec(
        &self,
        id: &ContainerId,
        options: &ExecOptions,
        monitor: &MonitorOptions,
        stderr: &mut dyn Write,
    ) -> Result<ExitCode> {
        let first = self.running_process(id)?;
        let container = self.store.containers().get(id)?;
        let host = self.store.containers().host_config(id)?.view()?;
        if container.state().paused {
            return Err(Error::conflict(format!(
                "Container {id} is paused, unpause the container before exec"
            )));
        }
        let runtime = self.runtime_of(&host, monitor)?;
        // As the container sees it, with all that is mounted in it.
        let rootfs = PathBuf::from(format!("/proc/{}/root", first.pid()));
        let config = container.config();
        let user = options.user.as_deref().filter(|user| !user.is_empty()).unwrap_or(&config.user);
        let found = runtime::user::look_up(&rootfs, user, &host.group_add.clone().unwrap_or_default())?;
        let mut process = Process::new(options.command.iter().cloned());
        let mut config = ContainerConfig { tty: options.tty, ..config.clone() };
        config.env.get_or_insert_default().extend(options.env.iter().cloned());
        process.env = spec::environment(&config, &found.home);
        let workdir = options.workdir.as_ref().unwrap_or(&config.working_dir);
        process.cwd = if workdir.is_empty() { "/".to_owned() } else { workdir.clone() };
        process.user = found.user;
        process.terminal = options.tty;
        let mut privileges = Spec::new("/", process.clone());
        spec::privileges(&mut privileges, &host)?;
        privileges.privileged |= options.privileged;
        process.no_new_privileges = privileges.process.no_new_privileges;
        if !privileges.privileged {
            container.process_label().clone_into(&mut process.label);
        }
        let machine = Host::probe()?;
        let exec = Exec { process: &process, container: &privileges, host: &machine };
        let bundle = Bundle::at(&self.store.running().path(id));
        if options.detach {
            runtime.launch_exec(&id.hex(), &bundle, &exec, Stdio::null(), None)?;
            return Ok(ExitCode(0));
        }
        let mut stdio = Stdio::inherit();
        if !options.interactive && !options.tty {
            stdio.stdin = std::process::Stdio::null();
        }
        // A terminal has one stream for all.
        let stderr: Option<&mut dyn Write> = if options.tty { None } else { Some(stderr) };
        Ok(runtime.exec(&id.hex(), &bundle, &exec, stdio, stderr)?)
    }
}
