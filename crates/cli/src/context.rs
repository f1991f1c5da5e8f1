//! What every command needs: the store that the command line names, opened.

use std::cell::OnceCell;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use engine::run::{Launcher, MonitorOptions};
use engine::{Access, Engine};

use sys::idmap::IdMap;

use crate::commands::reclaim;
use crate::daemon_json::DaemonJson;
use crate::files;
use crate::limit::Limit;
use crate::options::KeyValue;
use crate::output::failure::Failure;
use crate::output::stdout;
use crate::remap;
use crate::rootless::{self, Session};
use crate::union;

/// The variable that names the data root.
pub(crate) const ROOT: &str = "LAYERCAKE_ROOT";

/// The variable that names the storage driver, as Docker's daemon has it.
pub(crate) const DRIVER: &str = "DOCKER_DRIVER";

/// Options of the program itself.
#[derive(Debug, Default, clap::Args)]
pub struct Globals {
    /// Configuration file (default "daemon.json" in the data root, else in "/etc/layercake", without root in
    /// "$XDG_CONFIG_HOME/layercake")
    #[arg(long, value_name = "file", global = true)]
    config: Option<PathBuf>,
    /// Data root (default "/var/lib/layercake", without root "$XDG_DATA_HOME/layercake"; overridden by LAYERCAKE_ROOT)
    #[arg(long, value_name = "dir", global = true)]
    root: Option<PathBuf>,
    /// Storage driver (default: the one that the data root has, else the best that this machine can)
    #[arg(long, value_name = "string", global = true)]
    storage_driver: Option<String>,
    /// Storage driver options
    #[arg(long = "storage-opt", value_name = "list")]
    storage_opts: Vec<KeyValue>,
    /// User/Group setting for user namespaces
    #[arg(long, value_name = "string", global = true)]
    userns_remap: Option<String>,
    /// Raise or lower what an archive may ask for (e.g. "max_ratio=5000"); an error names the limit that it met
    #[arg(long = "limit", value_name = "list", global = true)]
    limits: Vec<Limit>,
    /// Show the causes of an error, and how the storage driver was chosen
    #[arg(short = 'D', long, global = true)]
    debug: bool,
}

/// A variable of the environment; an empty one counts as not set.
pub(crate) fn env(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// The store of a command, which the first look at it opens.
pub struct Context {
    globals: Globals,
    config: OnceCell<DaemonJson>,
    session: OnceCell<Session>,
}

impl Context {
    /// A context that has not looked at the store yet.
    pub fn new(globals: Globals) -> Self {
        Self { globals, config: OnceCell::new(), session: OnceCell::new() }
    }

    /// Opens the store to look at it. Nothing on the disk changes.
    ///
    /// # Errors
    /// As [`Engine::open`].
    pub fn read(&self) -> Result<Engine, Failure> {
        self.open(Access::Read)
    }

    /// Opens the store to change it; makes one if there is none.
    ///
    /// # Errors
    /// As [`Engine::open`].
    pub fn write(&self) -> Result<Engine, Failure> {
        self.open(Access::Write)
    }

    /// An ordinary user's process enters his user namespace here, so no thread may have been started before.
    fn open(&self, access: Access) -> Result<Engine, Failure> {
        let root = self.root()?;
        // Whoever has no store yet sees an empty one. A root that was named and is not there is a typing mistake.
        let remap = self.remap()?;
        let is_there = engine::data_root(&root, remap.as_ref()).exists();
        let access = if self.named_root().is_none() && !is_there { Access::Write } else { access };
        if self.session.get().is_none() {
            let options = rootless::Options { root: root.clone(), create: access == Access::Write };
            let session = rootless::enter(&options).map_err(Failure::refused)?;
            let _ = self.session.set(session);
        }
        let mut options = engine::Options::new(root);
        options.union_server =
            Some(engine::Server { program: union::this_program(), args: vec!["union".into()] });
        let config = self.config()?;
        config.not_with_flag("storage-driver", self.globals.storage_driver.is_some())?;
        config.not_with_flag("storage-opts", !self.globals.storage_opts.is_empty())?;
        config.not_with_flag("userns-remap", self.globals.userns_remap.is_some())?;
        options.remap = remap;
        options.driver = self.storage_driver()?;
        options.storage_opts = self.storage_opts()?.collect();
        for limit in &self.globals.limits {
            limit.set(&mut options.limits);
        }
        let engine = Engine::open(&options, access)?;
        if self.globals.debug {
            explain(engine.choice());
        }
        Ok(engine)
    }

    /// The settings of `daemon.json`.
    ///
    /// # Errors
    /// The configuration file cannot be read, or has what nobody knows.
    pub fn config(&self) -> Result<&DaemonJson, Failure> {
        if self.config.get().is_none() {
            let _ = self.config.set(self.read_config()?);
        }
        Ok(self.config.get_or_init(DaemonJson::default))
    }

    /// The file that was named, else that of the data root, else that of the machine or user.
    fn read_config(&self) -> Result<DaemonJson, Failure> {
        if let Some(path) = &self.globals.config {
            return DaemonJson::read(path);
        }
        let root = self.named_root().map_or_else(Self::usual_root, Ok);
        let own = root.map(|root| root.join(files::DAEMON_JSON)).ok();
        if let Some(path) = own.filter(|path| path.exists()) {
            return DaemonJson::read(&path)?.without_data_root();
        }
        match files::daemon_json().filter(|path| path.exists()) {
            Some(path) => DaemonJson::read(&path),
            None => Ok(DaemonJson::default()),
        }
    }

    /// The data root: as typed, else as the environment or `daemon.json` says, else the user's.
    ///
    /// # Errors
    /// Nothing says where it is.
    pub fn root(&self) -> Result<PathBuf, Failure> {
        let config = self.config()?;
        config.not_with_flag("data-root", self.globals.root.is_some())?;
        match self.named_root().or_else(|| config.data_root.clone()) {
            Some(root) => Ok(root),
            None => Self::usual_root(),
        }
    }

    /// The data root as typed, or as the environment says.
    fn named_root(&self) -> Option<PathBuf> {
        self.globals.root.clone().or_else(|| env(ROOT).map(PathBuf::from))
    }

    /// The data root if nothing names one.
    fn usual_root() -> Result<PathBuf, Failure> {
        let (data, home) = (env("XDG_DATA_HOME"), env("HOME"));
        rootless::default_store(data.as_deref(), home.as_deref()).map_err(Failure::refused)
    }

    /// How the user's other programs reach `path`, a mount of this command.
    pub fn outside_path(&self, path: &Path) -> PathBuf {
        self.session.get().map_or_else(|| path.to_owned(), |session| session.outside_path(path))
    }

    /// The storage driver that the command line, Docker's variable or `daemon.json` names.
    ///
    /// # Errors
    /// As [`Context::config`].
    pub fn storage_driver(&self) -> Result<Option<String>, Failure> {
        let variable = || env(DRIVER).map(|name| name.to_string_lossy().into_owned());
        let named = self.globals.storage_driver.clone().or_else(variable);
        Ok(named.or(self.config()?.storage_driver.clone()))
    }

    /// The options of storage drivers that the command line or `daemon.json` names.
    ///
    /// # Errors
    /// As [`Context::config`].
    pub fn storage_opts(&self) -> Result<impl Iterator<Item = (String, String)>, Failure> {
        Ok(self.globals.storage_opts.iter().chain(&self.config()?.storage_opts).map(KeyValue::pair))
    }

    /// What the user should know about working without root.
    pub fn rootless_note(&self) -> Option<&str> {
        self.session.get().and_then(Session::note)
    }

    /// Whether this is an ordinary user's command.
    pub fn is_rootless(&self) -> bool {
        self.session.get().is_some_and(Session::is_rootless)
    }

    /// Gives the space of what was removed back: now with `wait`, else by a process of its own, which goes on when
    /// this command is done. If that cannot be started, a later command's will do the work.
    ///
    /// # Errors
    /// With `wait` only: as [`Engine::reclaim`].
    pub fn reclaim(&self, engine: &Engine, wait: bool) -> Result<(), Failure> {
        if !engine.has_trash()? {
            return Ok(());
        }
        if wait {
            return Ok(engine.reclaim()?);
        }
        let launcher = self.launcher(reclaim::NAME)?;
        let mut command = Command::new(launcher.program);
        command.args(launcher.args).envs(launcher.env);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let _ = command.spawn();
        Ok(())
    }

    /// This program once more, as the hidden command `name` on the same store.
    ///
    /// # Errors
    /// There is no data root.
    pub fn launcher(&self, name: &str) -> Result<Launcher, Failure> {
        let here = |path: &Path| std::path::absolute(path).map_err(|err| Failure::io("find", path, &err));
        let mut args: Vec<OsString> = Vec::new();
        if let Some(config) = &self.globals.config {
            args.extend(["--config".into(), here(config)?.into()]);
        }
        if let Some(driver) = &self.globals.storage_driver {
            args.extend(["--storage-driver".into(), driver.into()]);
        }
        for option in &self.globals.storage_opts {
            args.extend(["--storage-opt".into(), option.to_string().into()]);
        }
        if let Some(remap) = &self.globals.userns_remap {
            args.extend(["--userns-remap".into(), remap.into()]);
        }
        args.push(name.into());
        let env = vec![(ROOT.into(), here(&self.root()?)?.into())];
        Ok(Launcher { program: "/proc/self/exe".into(), args, env })
    }

    /// The ids of containers, if they have others than the host's.
    ///
    /// # Errors
    /// As [`Context::config`]; there are no such ids.
    fn remap(&self) -> Result<Option<IdMap>, Failure> {
        let text = self.globals.userns_remap.as_ref().or(self.config()?.userns_remap.as_ref());
        text.filter(|text| !text.is_empty()).map_or(Ok(None), |text| remap::ids(text))
    }

    /// How containers are run.
    ///
    /// # Errors
    /// As [`Context::config`].
    pub fn monitor_options(&self) -> Result<MonitorOptions, Failure> {
        Ok(MonitorOptions { runtime: self.config()?.default_runtime.clone() })
    }

    /// Keeps an ordinary user's namespaces while what this returns is there, for a process that stays when the command
    /// that started it has ended.
    ///
    /// # Errors
    /// The store cannot be used.
    pub fn keep_namespaces(&self) -> Result<Option<sys::lock::Lock>, Failure> {
        rootless::keep(&self.root()?).map_err(Failure::refused)
    }

    /// The text of a failure; with `--debug`, its causes below.
    pub fn describe(&self, failure: &Failure) -> String {
        let mut text = failure.to_string();
        if self.globals.debug {
            text.extend(failure.causes.iter().map(|cause| format!("\nCaused by: {cause}")));
        }
        text
    }
}

/// Says on standard error how the storage driver was chosen.
fn explain(choice: &engine::Choice) {
    for refusal in &choice.refused {
        stdout::complain(format_args!("Storage driver {} is not used: {}", refusal.driver, refusal.unmet));
    }
    stdout::complain(format_args!("Storage driver {} is used: {}", choice.driver, choice.why));
}
