//! A process in a container.

use oci_spec::runtime as oci;

use crate::capabilities;
use crate::error::{Error, Result};
use crate::host::Host;

/// What runs, as whom, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Program and arguments.
    pub args: Vec<String>,
    /// `NAME=value`.
    pub env: Vec<String>,
    /// Where it starts, an absolute path in the container; it is made if it is not there.
    pub cwd: String,
    /// As whom.
    pub user: User,
    /// Whether it has a terminal.
    pub terminal: bool,
    /// The terminal's rows and columns, if they are known.
    pub console_size: Option<(u16, u16)>,
    /// Whether it may not get more privileges than it has, say by a set-user-ID program.
    pub no_new_privileges: bool,
    /// Limits of the process.
    pub rlimits: Vec<Rlimit>,
    /// How soon the kernel kills it for want of memory, -1000 to 1000.
    pub oom_score_adj: Option<i32>,
    /// The label that SELinux gives it; empty for none.
    pub label: String,
}

impl Process {
    /// A process of root in `/` without a terminal.
    pub fn new(args: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            args: args.into_iter().map(Into::into).collect(),
            env: Vec::new(),
            cwd: "/".to_owned(),
            user: User::default(),
            terminal: false,
            console_size: None,
            no_new_privileges: false,
            rlimits: Vec::new(),
            oom_score_adj: None,
            label: String::new(),
        }
    }

    /// The form that runtimes read.
    pub(crate) fn document(&self, caps: &[String], host: &Host) -> Result<oci::Process> {
        let mut user = oci::User::default();
        user.set_uid(self.user.uid).set_gid(self.user.gid);
        if !self.user.groups.is_empty() && !host.one_id {
            user.set_additional_gids(Some(self.user.groups.clone()));
        }
        let mut process = oci::Process::default();
        process
            .set_terminal(Some(self.terminal))
            .set_user(user)
            .set_args(Some(self.args.clone()))
            .set_env(Some(self.env.clone()))
            .set_cwd(self.cwd.clone().into())
            .set_capabilities(Some(capability_sets(caps, self.user.uid)?))
            .set_rlimits(Some(self.rlimits.iter().map(Rlimit::document).collect::<Result<_>>()?))
            // Absent means `false`; youki installs the seccomp filter too late if it is spelled out.
            .set_no_new_privileges(self.no_new_privileges.then_some(true))
            .set_apparmor_profile(None)
            .set_selinux_label(Some(self.label.clone()).filter(|label| !label.is_empty()))
            // Only root may lower it.
            .set_oom_score_adj(self.oom_score_adj.filter(|score| *score > 0 || !host.user_namespace));
        if let Some((rows, columns)) = self.console_size {
            let size = oci::BoxBuilder::default().height(rows).width(columns).build();
            process.set_console_size(size.ok());
        }
        Ok(process)
    }
}

/// Root has them at once; others get them by programs only that give them, as execve(2) would have it.
fn capability_sets(caps: &[String], uid: u32) -> Result<oci::LinuxCapabilities> {
    let set = |names: &[String]| -> Result<Option<oci::Capabilities>> {
        let parse = |name: &String| {
            let bare = name.strip_prefix("CAP_").unwrap_or(name);
            bare.parse::<oci::Capability>()
                .map_err(|_| Error::invalid(format!("unknown capability: \"{name}\"")))
        };
        names.iter().map(parse).collect::<Result<_>>().map(Some)
    };
    let active = if uid == 0 { caps } else { &[] };
    let mut sets = oci::LinuxCapabilities::default();
    sets.set_bounding(set(caps)?)
        .set_permitted(set(active)?)
        .set_effective(set(active)?)
        .set_inheritable(set(&[])?)
        .set_ambient(set(&[])?);
    Ok(sets)
}

/// A user in numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct User {
    /// User ID.
    pub uid: u32,
    /// Group ID.
    pub gid: u32,
    /// Further groups.
    pub groups: Vec<u32>,
}

/// A limit of a process (getrlimit(2)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rlimit {
    /// Its name: `nofile`, or `RLIMIT_NOFILE`.
    pub name: String,
    /// The limit.
    pub soft: u64,
    /// What it may be raised to.
    pub hard: u64,
}

impl Rlimit {
    fn document(&self) -> Result<oci::PosixRlimit> {
        let upper = self.name.to_ascii_uppercase();
        let name = if upper.starts_with("RLIMIT_") { upper } else { format!("RLIMIT_{upper}") };
        let kind = name
            .parse::<oci::PosixRlimitType>()
            .map_err(|_| Error::invalid(format!("invalid ulimit type: {}", self.name)))?;
        let limit = oci::PosixRlimitBuilder::default().typ(kind).soft(self.soft).hard(self.hard);
        limit.build().map_err(|e| Error::invalid(e.to_string()))
    }
}

/// The capabilities of a container's processes.
pub(crate) fn capabilities_of(spec: &super::Spec, host: &Host) -> Result<Vec<String>> {
    if spec.privileged {
        return Ok(capabilities::all(host.capabilities));
    }
    capabilities::of_container(&spec.cap_add, &spec.cap_drop, host.capabilities)
}
