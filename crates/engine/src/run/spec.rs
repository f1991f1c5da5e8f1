//! What a container's documents mean to its runtime.

use std::path::Path;

use model::{ContainerConfig, HostConfig};
use runtime::spec::Shared;
use runtime::{Device, Host, Mount, Network, Process, Resources, Rlimit, Seccomp, Spec};
use store::Container;
use sys::idmap::IdMap;

use super::DEFAULT_PATH;
use super::files::Files;
use crate::{Error, Result};

/// The control group that those of all containers are in.
const CGROUP_PARENT: &str = "/layercake";

/// The container as its runtime shall make it.
pub(super) fn of(
    container: &Container,
    host: &HostConfig,
    rootfs: &Path,
    mut mounts: Vec<Mount>,
    files: &Files,
    ids: Option<&IdMap>,
    machine: &Host,
) -> Result<Spec> {
    let config = container.config();
    refuse(host)?;
    if ids.is_some() {
        crate::remap::refuse(host)?;
    }
    let process = process(container, host, rootfs)?;
    // What the user mounts there is what he wants to have there.
    let own = files.mounts().into_iter();
    let own: Vec<_> =
        own.filter(|own| !mounts.iter().any(|mount| mount.destination == own.destination)).collect();
    mounts.extend(own);
    let propagates = |mount: &Mount, word: &str| mount.options.iter().any(|option| option.ends_with(word));
    let propagation = match () {
        () if mounts.iter().any(|mount| propagates(mount, "shared")) => Some("shared".to_owned()),
        () if mounts.iter().any(|mount| propagates(mount, "slave")) => Some("rslave".to_owned()),
        () => None,
    };
    let mut spec = Spec::new(rootfs, process);
    spec.read_only = host.readonly_rootfs;
    spec.hostname.clone_from(&config.hostname);
    spec.domainname.clone_from(&config.domainname);
    spec.mounts = mounts;
    container.process_label().clone_into(&mut spec.process.label);
    container.mount_label().clone_into(&mut spec.mount_label);
    spec.network = network(host)?;
    spec.ids = ids.cloned();
    spec.shared = Shared {
        pid: host.pid_mode == "host",
        ipc: host.ipc_mode == "host",
        uts: host.uts_mode == "host",
        cgroup: host.cgroupns_mode == "host",
    };
    privileges(&mut spec, host)?;
    if let Some(paths) = &host.masked_paths {
        spec.masked_paths.clone_from(paths);
    }
    if let Some(paths) = &host.readonly_paths {
        spec.read_only_paths.clone_from(paths);
    }
    let device = |device: &model::config::Device| {
        Device::of_host(
            Path::new(&device.path_on_host),
            &device.path_in_container,
            &device.cgroup_permissions,
        )
    };
    spec.devices = host.devices.iter().flatten().map(device).collect::<Result<_, _>>()?;
    spec.resources = resources(host);
    let parent =
        Some(host.cgroup_parent.as_str()).filter(|parent| !parent.is_empty()).unwrap_or(CGROUP_PARENT);
    spec.cgroup = Some(format!("/{}/{}", parent.trim_matches('/'), container.id().hex()));
    if let Ok(size) = u64::try_from(host.shm_size)
        && size > 0
    {
        spec.shm_size = size;
    }
    spec.sysctls.clone_from(&host.sysctls);
    spec.propagation = propagation;
    if !machine.limits {
        spec.cgroup = spec.cgroup.filter(|_| !machine.user_namespace);
    }
    Ok(spec)
}

/// Privileges as the documents say: of the container's first process, and of those that are run in it later.
pub(super) fn privileges(spec: &mut Spec, host: &HostConfig) -> Result<()> {
    spec.privileged = host.privileged;
    spec.cap_add = host.cap_add.clone().unwrap_or_default();
    spec.cap_drop = host.cap_drop.clone().unwrap_or_default();
    for option in host.security_opt.iter().flatten() {
        let (key, value) = option.split_once(['=', ':']).unwrap_or((option, ""));
        match (key, value) {
            ("no-new-privileges", "" | "true") => spec.process.no_new_privileges = true,
            ("no-new-privileges", "false") => {}
            ("seccomp", "unconfined") => spec.seccomp = Seccomp::Unconfined,
            ("seccomp", "builtin") => spec.seccomp = Seccomp::Default,
            ("seccomp", profile) => spec.seccomp = Seccomp::Profile(profile.to_owned()),
            // Labels are in the container's document; there are no profiles of AppArmor here (docs/differences.md).
            ("label" | "apparmor" | "writable-cgroups", _) => {}
            _ => return Err(Error::invalid(format!("invalid --security-opt 2: \"{option}\""))),
        }
    }
    Ok(())
}

/// The limits that were asked for and cannot be set here, as Docker's daemon says it. `machine` is where it shall run.
pub fn discarded_limits(host: &HostConfig, machine: &Host) -> Vec<String> {
    if machine.limits {
        let swap = host.memory_swap != 0 && host.memory > 0 && !machine.swap_limit;
        let text = "Your kernel does not support swap limit capabilities or the cgroup is not mounted. Memory limited without swap.";
        return swap.then(|| text.to_owned()).into_iter().collect();
    }
    let asked = [
        ("memory limit", host.memory > 0),
        ("memory soft limit", host.memory_reservation > 0),
        ("CPU CFS quota/period", host.nano_cpus > 0 || host.cpu_quota > 0 || host.cpu_period > 0),
        ("CPU shares", host.cpu_shares > 0),
        ("cpuset", !host.cpuset_cpus.is_empty() || !host.cpuset_mems.is_empty()),
        ("PIDs limit", host.pids_limit.is_some_and(|limit| limit > 0)),
        ("block I/O weight", host.blkio_weight > 0),
    ];
    let text = |what: &str| {
        format!(
            "Your kernel does not support {what} capabilities or the cgroup is not mounted. Limitation discarded."
        )
    };
    asked.iter().filter(|(_, asked)| *asked).map(|(what, _)| text(what)).collect()
}

fn refuse(host: &HostConfig) -> Result<()> {
    let modes = [("IPC", &host.ipc_mode), ("PID", &host.pid_mode), ("UTS", &host.uts_mode)];
    for (what, mode) in modes {
        if !matches!(mode.as_str(), "" | "host" | "private" | "shareable" | "none") {
            return Err(Error::invalid(format!("the {what} mode {mode} is not supported")));
        }
    }
    if host.init == Some(true) {
        return Err(Error::invalid("--init is not supported: put an init into the image and start it"));
    }
    Ok(())
}

fn network(host: &HostConfig) -> Result<Network> {
    match host.network_mode.as_str() {
        "host" => Ok(Network::Host),
        "none" => Ok(Network::None),
        other => Err(Error::invalid(format!(
            "the network {other} is not supported: create the container with --network host or --network none"
        ))),
    }
}

fn process(container: &Container, host: &HostConfig, rootfs: &Path) -> Result<Process> {
    let config = container.config();
    let found = runtime::user::look_up(rootfs, &config.user, &host.group_add.clone().unwrap_or_default())?;
    let program = std::iter::once(container.path().to_owned());
    let mut process = Process::new(program.chain(container.args().iter().cloned()));
    process.env = environment(config, &found.home);
    process.cwd =
        Some(config.working_dir.clone()).filter(|dir| !dir.is_empty()).unwrap_or_else(|| "/".to_owned());
    process.user = found.user;
    process.terminal = config.tty;
    let infinite = |limit: i64| u64::try_from(limit).unwrap_or(u64::MAX);
    let limits = host.ulimits.iter().flatten();
    process.rlimits = limits
        .map(|limit| Rlimit {
            name: limit.name.clone(),
            soft: infinite(limit.soft),
            hard: infinite(limit.hard),
        })
        .collect();
    process.oom_score_adj = i32::try_from(host.oom_score_adj).ok().filter(|score| *score != 0);
    Ok(process)
}

/// Docker's variables, then those of the container, then the home directory if nobody says.
pub(super) fn environment(config: &ContainerConfig, home: &str) -> Vec<String> {
    let mut all = ContainerConfig { env: Some(vec![DEFAULT_PATH.to_owned()]), ..ContainerConfig::default() };
    all.set_env("HOSTNAME", &config.hostname);
    if config.tty {
        all.set_env("TERM", "xterm");
    }
    for line in config.env.iter().flatten() {
        match line.split_once('=') {
            Some((name, value)) => all.set_env(name, value),
            // A name alone takes a variable away.
            None => all.env.get_or_insert_default().retain(|old| old.split('=').next() != Some(line)),
        }
    }
    let mut env = all.env.unwrap_or_default();
    if !env.iter().any(|line| line.starts_with("HOME=")) {
        env.push(format!("HOME={home}"));
    }
    env
}

fn resources(host: &HostConfig) -> Resources {
    let some = |value: i64| (value != 0).then_some(value);
    let unsigned = |value: i64| u64::try_from(value).ok().filter(|value| *value != 0);
    let text = |value: &String| Some(value.clone()).filter(|value| !value.is_empty());
    Resources {
        memory: some(host.memory),
        memory_swap: some(host.memory_swap),
        memory_reservation: some(host.memory_reservation),
        swappiness: host.memory_swappiness.and_then(|value| u64::try_from(value).ok()),
        disable_oom_killer: host.oom_kill_disable == Some(true),
        nano_cpus: some(host.nano_cpus),
        cpu_shares: unsigned(host.cpu_shares),
        cpu_quota: some(host.cpu_quota),
        cpu_period: unsigned(host.cpu_period),
        cpuset_cpus: text(&host.cpuset_cpus),
        cpuset_mems: text(&host.cpuset_mems),
        pids: host.pids_limit.filter(|limit| *limit != 0),
        blkio_weight: Some(host.blkio_weight).filter(|weight| *weight != 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_is_dockers() {
        let config = ContainerConfig {
            hostname: "box".into(),
            tty: true,
            env: Some(vec!["A=1".into(), "PATH=/bin".into(), "TERM".into(), "A=2".into()]),
            ..ContainerConfig::default()
        };
        assert_eq!(environment(&config, "/root"), ["PATH=/bin", "HOSTNAME=box", "A=2", "HOME=/root"]);
        let home = ContainerConfig { env: Some(vec!["HOME=/x".into()]), ..ContainerConfig::default() };
        assert_eq!(environment(&home, "/root"), [DEFAULT_PATH, "HOSTNAME=", "HOME=/x"]);
    }

    #[test]
    fn networks_that_there_are_not_are_named() {
        let host = HostConfig { network_mode: "bridge".into(), ..HostConfig::default() };
        assert!(network(&host).unwrap_err().to_string().starts_with("the network bridge is not supported"));
    }

    #[test]
    fn limits_that_cannot_be_set_are_said() {
        let machine = Host {
            cgroups: runtime::Cgroups::Hybrid,
            limits: false,
            swap_limit: false,
            user_namespace: true,
            one_id: false,
            capabilities: 0,
        };
        let host = HostConfig { memory: 1 << 30, nano_cpus: 5, ..HostConfig::default() };
        let said = discarded_limits(&host, &machine);
        assert_eq!(said.len(), 2);
        assert!(said[0].contains("memory limit") && said[1].contains("CPU CFS"), "{said:?}");
        assert!(discarded_limits(&HostConfig::default(), &machine).is_empty());
    }
}
