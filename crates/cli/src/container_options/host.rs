//! What a container gets from the host: its part of the flags, as Docker's `HostConfig`.

use std::fs;
use std::path::{Path, PathBuf};

use model::HostConfig;
use model::config::LogConfig;
use model::mount::{Mount, MountType};
use serde_json::Value;

use super::ContainerOptions;
use crate::options::KeyValue;
use crate::output::failure::Failure;

/// Less memory than this no container can start in, as Docker says.
const MIN_MEMORY: i64 = 6 << 20;

impl ContainerOptions {
    pub(super) fn host(&self) -> Result<HostConfig, Failure> {
        let defaults = HostConfig::default();
        let mut host = HostConfig {
            binds: self.binds()?,
            network_mode: self.network()?,
            auto_remove: self.rm,
            volume_driver: self.volume_driver.clone(),
            volumes_from: words(&self.volumes_from),
            cap_add: capabilities(&self.cap_add),
            cap_drop: capabilities(&self.cap_drop),
            cgroupns_mode: one_of("cgroupns", &self.cgroupns, &["", "host", "private"])?,
            group_add: words(&self.group_add),
            oom_score_adj: self.oom_score_adj,
            pid_mode: one_of("pid", &self.pid, &["", "host"])?,
            privileged: self.privileged,
            readonly_rootfs: self.read_only,
            storage_opt: self.container_storage_opts.iter().map(KeyValue::pair).collect(),
            tmpfs: self
                .tmpfs
                .iter()
                .map(|text| text.split_once(':').unwrap_or((text, "")))
                .map(owned)
                .collect(),
            uts_mode: one_of("uts", &self.uts, &["", "host"])?,
            userns_mode: one_of("userns", &self.userns, &["", "host"])?,
            shm_size: self.shm_size.map_or(defaults.shm_size, |size| size.0),
            sysctls: self.sysctl.iter().map(KeyValue::pair).collect(),
            cpu_shares: self.cpu_shares,
            memory: self.memory.map_or(0, |memory| memory.0),
            nano_cpus: self.cpus.map_or(0, |cpus| cpus.0),
            blkio_weight: self.blkio_weight,
            cpu_period: self.cpu_period,
            cpu_quota: self.cpu_quota,
            cpuset_cpus: self.cpuset_cpus.clone(),
            cpuset_mems: self.cpuset_mems.clone(),
            devices: Some(self.device.iter().map(|device| device.0.clone()).collect()),
            memory_reservation: self.memory_reservation.map_or(0, |memory| memory.0),
            memory_swap: self.memory_swap.map_or(0, |memory| memory.0),
            memory_swappiness: Some(self.memory_swappiness).filter(|&value| value >= 0),
            oom_kill_disable: Some(self.oom_kill_disable),
            pids_limit: Some(self.pids_limit).filter(|&limit| limit != 0),
            ulimits: Some(self.ulimit.iter().map(|limit| limit.0.clone()).collect()),
            mounts: self.mounts()?,
            log_config: LogConfig {
                kind: Some(self.log_driver.clone())
                    .filter(|driver| !driver.is_empty())
                    .unwrap_or(defaults.log_config.kind.clone()),
                config: self.log_opt.iter().map(KeyValue::pair).collect(),
            },
            ..defaults
        };
        if !self.ipc.is_empty() {
            host.ipc_mode = one_of("ipc", &self.ipc, &["host", "none", "private", "shareable"])?;
        }
        if !self.runtime.is_empty() {
            // "runc" is what Docker writes when nobody asked for anything, and means the default here.
            let name = if self.runtime == "runc" { "io.containerd.runc.v2" } else { &self.runtime };
            host.runtime = name.to_owned();
        }
        self.security(&mut host)?;
        self.refuse(&host)?;
        memory(&mut host)?;
        Ok(host)
    }

    /// `-v SOURCE:TARGET[:MODE]`. A source that starts with a dot is a path from here.
    fn binds(&self) -> Result<Option<Vec<String>>, Failure> {
        let mut binds = Vec::new();
        for text in self.volume.iter().filter(|text| text.contains(':')) {
            let (source, rest) = text.split_once(':').unwrap_or((text, ""));
            let source = if source.starts_with('.') { absolute(source)? } else { source.to_owned() };
            binds.push(format!("{source}:{rest}"));
        }
        Ok(Some(binds).filter(|binds| !binds.is_empty()))
    }

    fn mounts(&self) -> Result<Vec<Mount>, Failure> {
        let mut mounts = self.mount.clone();
        for mount in &mut mounts {
            if mount.kind == Some(MountType::Bind) && mount.source.starts_with('.') {
                mount.source = absolute(&mount.source)?;
            }
            if mount.volume_options.as_ref().is_some_and(|options| !options.subpath.is_empty()) {
                return Err(Failure::refused("volume-subpath is not supported")
                    .hint("mount the whole volume, or bind-mount the directory in it"));
            }
        }
        Ok(mounts)
    }

    /// Without a daemon there are the host's network and none.
    fn network(&self) -> Result<String, Failure> {
        match self.network.last().map(String::as_str) {
            None => Ok("host".to_owned()),
            Some(known @ ("host" | "none")) => Ok(known.to_owned()),
            Some(other) => Err(Failure::refused(format_args!("the network {other} is not supported"))
                .hint("--network host, which is the default, or --network none")),
        }
    }

    /// What there is not here.
    fn refuse(&self, host: &HostConfig) -> Result<(), Failure> {
        if !self.publish.is_empty() || self.publish_all {
            return Err(Failure::refused("publishing ports is not supported")
                .hint("containers are on the host's network: what listens there can be reached without -p"));
        }
        if self.restart != "no" && !self.restart.is_empty() {
            return Err(Failure::refused(format_args!(
                "the restart policy {} is not supported",
                self.restart
            ))
            .hint("there is no daemon to start a container again; a service manager can"));
        }
        if !matches!(host.log_config.kind.as_str(), "json-file" | "none") {
            let driver = &host.log_config.kind;
            return Err(Failure::refused(format_args!("the log driver {driver} is not supported"))
                .hint("--log-driver json-file, which is the default, or --log-driver none"));
        }
        Ok(())
    }

    /// `--security-opt`: a profile of seccomp is read here, and paths that are not hidden stand beside.
    fn security(&self, host: &mut HostConfig) -> Result<(), Failure> {
        let mut options = Vec::new();
        for option in &self.security_opt {
            if option == "systempaths=unconfined" {
                (host.masked_paths, host.readonly_paths) = (Some(Vec::new()), Some(Vec::new()));
                continue;
            }
            let split = option.split_once('=').or_else(|| option.split_once(':'));
            options.push(match split {
                None if option == "no-new-privileges" => option.clone(),
                Some(("seccomp", profile)) if !matches!(profile, "unconfined" | "builtin") => {
                    format!("seccomp={}", seccomp(Path::new(profile))?)
                }
                Some(("seccomp" | "apparmor" | "label" | "no-new-privileges" | "writable-cgroups", _)) => {
                    option.clone()
                }
                _ => return Err(Failure::plain(format_args!("invalid --security-opt: {option:?}"))),
            });
        }
        host.security_opt = words(&options);
        Ok(())
    }
}

/// The profile in the file, on one line.
fn seccomp(path: &Path) -> Result<String, Failure> {
    let fails = |why: String| {
        Failure::plain(format_args!("opening seccomp profile ({}) failed: {why}", path.display()))
    };
    let text = fs::read(path).map_err(|e| fails(Failure::io("open", path, &e).message))?;
    let profile: Value = serde_json::from_slice(&text).map_err(|e| fails(e.to_string()))?;
    Ok(profile.to_string())
}

/// Docker's rules for memory: as much swap as memory where nothing is said.
fn memory(host: &mut HostConfig) -> Result<(), Failure> {
    let refused = |why: &str| Err(Failure::refused(why));
    if host.memory > 0 && host.memory < MIN_MEMORY {
        return refused("Minimum memory limit allowed is 6MB");
    }
    if host.memory > 0 && host.memory_swap > 0 && host.memory_swap < host.memory {
        return refused("Minimum memoryswap limit should be larger than memory limit, see usage");
    }
    if host.memory == 0 && host.memory_swap > 0 {
        return refused("You should always set the Memory limit when using Memoryswap limit, see usage");
    }
    if host.memory > 0 && host.memory_reservation > host.memory {
        return refused("Minimum memory limit can not be less than memory reservation limit, see usage");
    }
    if host.nano_cpus > 0 && (host.cpu_period > 0 || host.cpu_quota > 0) {
        let other = if host.cpu_period > 0 { "CPU Period" } else { "CPU Quota" };
        return refused(&format!("Conflicting options: Nano CPUs and {other} cannot both be set"));
    }
    if host.memory > 0 && host.memory_swap == 0 {
        host.memory_swap = host.memory.saturating_mul(2);
    }
    Ok(())
}

/// `NET_ADMIN` in Docker's form, `CAP_NET_ADMIN`; sorted, each once.
fn capabilities(given: &[String]) -> Option<Vec<String>> {
    let form = |name: &String| match name.to_uppercase() {
        name if name == "ALL" || name.starts_with("CAP_") => name,
        name => format!("CAP_{name}"),
    };
    let mut all: Vec<String> = given.iter().map(form).collect();
    all.sort();
    all.dedup();
    words(&all)
}

/// `null` where nothing was given.
fn words(given: &[String]) -> Option<Vec<String>> {
    Some(given.to_vec()).filter(|words| !words.is_empty())
}

fn owned((key, value): (&str, &str)) -> (String, String) {
    (key.to_owned(), value.to_owned())
}

fn one_of(flag: &str, value: &str, known: &[&str]) -> Result<String, Failure> {
    if known.contains(&value) {
        return Ok(value.to_owned());
    }
    let known = known.iter().filter(|word| !word.is_empty()).copied().collect::<Vec<_>>().join(", ");
    Err(Failure::refused(format_args!("--{flag} {value} is not supported"))
        .hint(format_args!("there is {known}")))
}

fn absolute(path: &str) -> Result<String, Failure> {
    let whole = std::path::absolute(path).map_err(|e| Failure::io("find", Path::new(path), &e))?;
    // `absolute` keeps `..`; what it means is up to the links on the way, which Docker does not look at either.
    let mut clean = PathBuf::new();
    for component in whole.components() {
        match component {
            std::path::Component::ParentDir => _ = clean.pop(),
            component => clean.push(component),
        }
    }
    Ok(clean.to_string_lossy().into_owned())
}
