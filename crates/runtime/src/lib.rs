//! Runs containers through an OCI runtime that is installed: crun, runc, youki.
//!
//! The crate knows no store and no image: it is given a directory that is the container's tree, and what shall run in
//! it ([`Spec`]). From that it writes a bundle, the runtime's input ([`Bundle`]), and calls the runtime ([`Runtime`]):
//!
//! - in the foreground, for a step of a build: [`Runtime::run`];
//! - in the background, watched by a [`Monitor`], a process of its own that keeps the container's terminal or pipes,
//!   writes its log, serves who attaches, and learns its exit code.
//!
//! | module | subject |
//! | --- | --- |
//! | [`spec`] | what a container shall be, and the `config.json` that says it to a runtime |
//! | [`capabilities`], [`seccomp`] | what its processes may ask of the kernel |
//! | [`host`] | what this machine can do: cgroups, user namespaces |
//! | [`user`] | who `user[:group]` is in a container's tree |
//! | [`monitor`], [`wire`] | the process beside a running container, and how others speak with it |
//! | [`log`] | the json-file log |
//! | [`cgroup`], [`members`] | what a running container uses, and which processes are in it |

mod bundle;
mod call;
pub mod capabilities;
pub mod cgroup;
mod console;
mod error;
mod find;
pub mod host;
pub mod log;
pub mod members;
pub mod monitor;
pub mod seccomp;
pub mod selinux;
pub mod spec;
pub mod user;
pub mod wire;

pub use bundle::Bundle;
pub use call::{Exec, Launched, Stdio};
pub use console::Console;
pub use error::{Error, Result};
pub use find::Runtime;
pub use host::{Cgroups, Host};
pub use monitor::Monitor;
pub use spec::{Device, Mount, Network, Process, Resources, Rlimit, Seccomp, Spec, User};

/// How a process ended, as a shell says it: its exit code, or 128 and the number of the signal that killed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExitCode(pub i32);

impl ExitCode {
    /// Whether it is 0.
    pub fn is_success(self) -> bool {
        self.0 == 0
    }
}

impl From<std::process::ExitStatus> for ExitCode {
    fn from(status: std::process::ExitStatus) -> Self {
        use std::os::unix::process::ExitStatusExt;
        Self(status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(255))
    }
}
