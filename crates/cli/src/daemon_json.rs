//! `daemon.json`: what Docker's daemon reads at its start, and every command here.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use model::config::LogConfig;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::options::KeyValue;
use crate::output::failure::Failure;

/// Docker's other keys, which mean nothing here: a file that is shared with Docker's daemon may have them.
const DOCKERS: &str = "
    allow-direct-routing allow-nondistributable-artifacts api-cors-header authorization-plugins bip bip6 bridge
    bridge-accept-fwmark builder cdi-spec-dirs cgroup-parent cluster-advertise cluster-store cluster-store-opts containerd
    containerd-namespace containerd-plugin-namespace cpu-rt-period cpu-rt-runtime cri-containerd debug
    default-address-pools default-cgroupns-mode default-gateway default-gateway-v6 default-init default-ipc-mode
    default-network-opts default-shm-size default-ulimits deprecated-key-path disable-legacy-registry dns
    dns-opts dns-search exec-opts exec-root experimental features firewall-backend fixed-cidr fixed-cidr-v6 graph group
    host-gateway-ip host-gateway-ips hosts icc init init-path ip ip-forward ip-forward-no-drop ip-masq ip6tables iptables
    ipv6 labels live-restore log-format log-level metrics-addr mtu network-control-plane-mtu
    network-diagnostic-port no-new-privileges node-generic-resources oom-score-adjust pidfile raw-logs resolv-conf rootless
    runtimes seccomp-profile shutdown-timeout swarm-default-advertise-addr swarm-raft-election-tick
    swarm-raft-heartbeat-tick tls tlscacert tlscert tlskey tlsverify userland-proxy userland-proxy-path";

/// The settings that the file has, and where it has them.
#[derive(Debug, Default)]
pub struct DaemonJson {
    path: PathBuf,
    /// Where each key stands.
    places: BTreeMap<String, Place>,
    /// `data-root`.
    pub data_root: Option<PathBuf>,
    /// `storage-driver`.
    pub storage_driver: Option<String>,
    /// `storage-opts`.
    pub storage_opts: Vec<KeyValue>,
    /// `default-runtime`.
    pub default_runtime: Option<String>,
    /// `log-driver`: of containers that ask for none.
    pub log_driver: Option<String>,
    /// `log-opts`: of containers with that driver, where they do not say otherwise.
    pub log_opts: BTreeMap<String, String>,
    /// `userns-remap`: whose subordinate ids containers get, as it stands in the file.
    pub userns_remap: Option<String>,
    /// `selinux-enabled`: containers get labels where SELinux is enabled.
    pub selinux_enabled: bool,
    /// `insecure-registries`.
    pub insecure_registries: Vec<String>,
    /// `registry-mirrors`.
    pub registry_mirrors: Vec<String>,
    /// `max-concurrent-downloads`; 0, with Docker as many as there are, is the default here.
    pub max_concurrent_downloads: Option<u32>,
    /// `max-concurrent-uploads`, likewise.
    pub max_concurrent_uploads: Option<u32>,
    /// `max-download-attempts`.
    pub max_download_attempts: Option<u32>,
    /// `proxies`.
    pub proxies: Proxies,
}

/// `proxies`, whose names are those of the environment's variables in lower case.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct Proxies {
    /// For `http:` addresses.
    pub http_proxy: Option<String>,
    /// For `https:` addresses.
    pub https_proxy: Option<String>,
    /// What to reach directly.
    pub no_proxy: Option<String>,
}

/// A place in the file, line and column from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    line: usize,
    column: usize,
}

impl Place {
    /// The place of `part`, a part of `text`.
    fn of(part: &str, text: &str) -> Self {
        Self::at(part.as_ptr().addr().saturating_sub(text.as_ptr().addr()), text)
    }

    /// The place of the key that stands before `value`, a part of `text`; the value's if the key is spelled with
    /// escapes.
    fn of_key(key: &str, value: &str, text: &str) -> Self {
        let offset = value.as_ptr().addr().saturating_sub(text.as_ptr().addr());
        let before = text.get(..offset).unwrap_or_default().trim_end();
        let before = before.strip_suffix(':').unwrap_or(before).trim_end();
        let start =
            before.strip_suffix('"').and_then(|b| b.strip_suffix(key)).and_then(|b| b.strip_suffix('"'));
        Self::at(start.map_or(offset, str::len), text)
    }

    fn at(offset: usize, text: &str) -> Self {
        let before = text.get(..offset).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Self { line: before.matches('\n').count() + 1, column: before[line_start..].chars().count() + 1 }
    }
}

/// A value, as it stands in the file.
struct Setting<'a> {
    key: &'a str,
    value: &'a RawValue,
}

impl DaemonJson {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// It cannot be read, is no JSON, or has a key that nobody knows or a value of a wrong type. The message names the
    /// line and column.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let text = fs::read_to_string(path).map_err(|err| Failure::io("open", path, &err))?;
        Self::parse(path, &text)
    }

    fn parse(path: &Path, text: &str) -> Result<Self, Failure> {
        let mut read = Self { path: path.to_owned(), ..Self::default() };
        if text.trim().is_empty() {
            return Ok(read);
        }
        let members: BTreeMap<String, &RawValue> = serde_json::from_str(text).map_err(|err| {
            let place = Place { line: err.line(), column: err.column() };
            let why = err.to_string();
            read.wrong(place, why.rsplit_once(" at line ").map_or(&*why, |(why, _)| why))
        })?;
        for (key, value) in members {
            let place = Place::of_key(&key, value.get(), text);
            let known = read
                .take(&Setting { key: &key, value })
                .map_err(|why| read.wrong(Place::of(value.get(), text), why))?;
            if !known {
                return Err(read.wrong(place, format_args!("unknown key {key:?}")));
            }
            read.places.insert(key, place);
        }
        Ok(read)
    }

    /// Takes one setting over; `false` if nobody knows its key.
    fn take(&mut self, setting: &Setting<'_>) -> Result<bool, String> {
        const LIST: &str = "a list of texts";
        const NUMBER: &str = "a whole number";
        let count = |number: Option<u32>| number.filter(|number| *number > 0);
        match setting.key {
            "data-root" => self.data_root = setting.get("a text")?,
            "default-runtime" => self.default_runtime = setting.get("a text")?,
            "storage-driver" => self.storage_driver = setting.get("a text")?,
            "storage-opts" => {
                let texts: Vec<String> = setting.get(LIST)?.unwrap_or_default();
                let parsed: Result<_, String> = texts.iter().map(|text| text.parse()).collect();
                self.storage_opts = parsed.map_err(|why| format!("storage-opts: {why}"))?;
            }
            "insecure-registries" => self.insecure_registries = setting.get(LIST)?.unwrap_or_default(),
            "registry-mirrors" => self.registry_mirrors = setting.get(LIST)?.unwrap_or_default(),
            "max-concurrent-downloads" => self.max_concurrent_downloads = count(setting.get(NUMBER)?),
            "max-concurrent-uploads" => self.max_concurrent_uploads = count(setting.get(NUMBER)?),
            "max-download-attempts" => self.max_download_attempts = count(setting.get(NUMBER)?),
            "proxies" => {
                let object = "an object with the texts http-proxy, https-proxy and no-proxy";
                self.proxies = setting.get(object)?.unwrap_or_default();
            }
            "log-driver" => self.log_driver = setting.get("a text")?,
            "log-opts" => self.log_opts = setting.get("an object of texts")?.unwrap_or_default(),
            "userns-remap" => {
                self.userns_remap = setting.get("a text")?.filter(|text: &String| !text.is_empty())
            }
            "selinux-enabled" => self.selinux_enabled = setting.get("true or false")?.unwrap_or_default(),
            other => return Ok(DOCKERS.split_whitespace().any(|known| known == other)),
        }
        Ok(true)
    }

    /// Completes how a container logs: the driver it asked for, if it did, and its options. As with Docker, the file's
    /// options are for the file's driver only. A driver that there is only with Docker is passed over.
    pub fn complete_logging(&self, asked: bool, log: &mut LogConfig) {
        let usual = match self.log_driver.as_deref() {
            None => LogConfig::default().kind,
            Some(known @ ("json-file" | "none")) => known.to_owned(),
            Some(_) => return,
        };
        if !asked {
            log.kind = usual.clone();
        }
        if log.kind == usual && log.kind != "none" {
            for (key, value) in &self.log_opts {
                log.config.entry(key.clone()).or_insert_with(|| value.clone());
            }
        }
    }

    /// Refuses a setting that the command line gives too, as Docker's daemon does.
    ///
    /// # Errors
    /// The file has `key`, and it was `given` as a flag.
    pub fn not_with_flag(&self, key: &str, given: bool) -> Result<(), Failure> {
        match self.places.get(key) {
            Some(place) if given => Err(self.wrong(*place, format_args!("{key} is given as a flag, too"))),
            _ => Ok(()),
        }
    }

    /// Refuses `data-root` in a file that is found by the data root.
    ///
    /// # Errors
    /// The file has it.
    pub fn without_data_root(self) -> Result<Self, Failure> {
        match self.places.get("data-root") {
            Some(place) => {
                Err(self.wrong(*place, "data-root cannot stand in a file that lies in a data root"))
            }
            None => Ok(self),
        }
    }

    fn wrong(&self, place: Place, why: impl fmt::Display) -> Failure {
        let Place { line, column } = place;
        Failure::plain(format_args!("{}, line {line}, column {column}: {why}", self.path.display()))
    }
}

impl Setting<'_> {
    /// The value; `null` is none.
    fn get<T: DeserializeOwned>(&self, expected: &str) -> Result<Option<T>, String> {
        serde_json::from_str(self.value.get()).map_err(|_| format!("{} is not {expected}", self.key))
    }
}

#[cfg(test)]
mod tests;
