//! Containers that run: start, stop, exec, attach, logs, top, stats.
//!
//! There is no daemon. Each container that runs has a monitor, a process of our own beside it: [`Engine::start`] starts
//! the program that the command names, which calls [`Engine::monitor`] and stays until the container has ended. Who
//! holds the lock on a container's directory runs it; what it needs for that is in `layercake/running/<id>`
//! ([`store::Running`]).
//!
//! A monitor that was killed, or a machine that was restarted, leaves that directory behind. Who reads sees through it
//! (`settle.rs`); the next command that writes brings the documents up to date, and unmounts what is left.
//!
//! [`Engine::start`]: crate::Engine::start
//! [`Engine::monitor`]: crate::Engine::monitor

/// What a process finds its programs in if nobody says: Docker's, and BuildKit's.
pub(crate) const DEFAULT_PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

mod exec;
mod files;
mod logs;
mod monitor;
mod settle;
mod signal;
mod spec;
mod start;
mod stats;
mod stop;
mod top;

pub use exec::ExecOptions;
pub use logs::Logs;
pub use monitor::MonitorOptions;
pub use runtime::log::{Entry, Query, Stream};
pub use runtime::wire::{Connection, Event, Request, Wants};
pub use runtime::{ExitCode, Monitor};
pub use signal::{number as signal_number, parse as parse_signal};
pub use spec::discarded_limits;
pub use start::{Launcher, Started};
pub use stats::Sample;
pub use stop::StopOptions;
pub use top::Processes;
