//! `daemon.json`: what Docker's daemon reads at its start, and every command here.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

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
    ipv6 labels live-restore log-driver log-format log-level log-opts metrics-addr mtu network-control-plane-mtu
    network-diagnostic-port no-new-privileges node-generic-resources oom-score-adjust pidfile raw-logs resolv-conf rootless
    runtimes seccomp-profile selinux-enabled shutdown-timeout swarm-default-advertise-addr swarm-raft-election-tick
    swarm-raft-heartbeat-tick tls tlscacert tlscert tlskey tlsverify userland-proxy userland-proxy-path userns-remap";

/// The settings that the file has, and where it has them.
#[derive(Debug, Default)]
pub struct DaemonJson {
    path: PathBuf,
    places: BTreeMap<String, Place>,
    /// `data-root`.
    pub data_root: Option<PathBuf>,
    /// `storage-driver`.
    pub storage_driver: Option<String>,
    /// `storage-opts`.
    pub storage_opts: Vec<KeyValue>,
    /// `default-runtime`.
    pub default_runtime: Option<String>,
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
        let offset = part.as_ptr().addr().saturating_sub(text.as_ptr().addr());
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
            let place = Place::of(value.get(), text);
            read.take(&Setting { key: &key, value }).map_err(|why| read.wrong(place, why))?;
            read.places.insert(key, place);
        }
        Ok(read)
    }

    /// Takes one setting over.
    fn take(&mut self, setting: &Setting<'_>) -> Result<(), String> {
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
            other if DOCKERS.split_whitespace().any(|known| known == other) => {}
            unknown => return Err(format!("unknown key {unknown:?}")),
        }
        Ok(())
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
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<DaemonJson, String> {
        DaemonJson::parse(Path::new("daemon.json"), text).map_err(|failure| failure.message)
    }

    #[test]
    fn dockers_keys_are_taken_or_passed_over() {
        let file = parse(
            r#"{
                "debug": true, "builder": {"gc": {"enabled": true}}, "hosts": ["unix:///x"],
                "data-root": "/data", "storage-driver": "overlay2", "storage-opts": ["overlay2.size=1G"],
                "insecure-registries": ["r.example:5000", "10.0.0.0/8"], "registry-mirrors": ["https://m.example"],
                "max-concurrent-downloads": 7, "max-concurrent-uploads": 2, "max-download-attempts": 9,
                "proxies": {"http-proxy": "http://p:3128", "no-proxy": "*.local"}
            }"#,
        )
        .unwrap();
        assert_eq!(file.data_root.as_deref(), Some(Path::new("/data")));
        assert_eq!(file.storage_driver.as_deref(), Some("overlay2"));
        assert_eq!(file.storage_opts[0].to_string(), "overlay2.size=1G");
        assert_eq!(file.insecure_registries, ["r.example:5000", "10.0.0.0/8"]);
        assert_eq!(file.registry_mirrors, ["https://m.example"]);
        assert_eq!((file.max_concurrent_downloads, file.max_concurrent_uploads), (Some(7), Some(2)));
        assert_eq!(file.max_download_attempts, Some(9));
        assert_eq!(file.proxies.http_proxy.as_deref(), Some("http://p:3128"));
        assert_eq!((file.proxies.https_proxy, file.proxies.no_proxy.as_deref()), (None, Some("*.local")));
        for empty in ["", " \n", "{}", r#"{"registry-mirrors": null, "proxies": null}"#] {
            let file = parse(empty).unwrap();
            assert!(file.registry_mirrors.is_empty() && file.proxies == Proxies::default(), "{empty}");
        }
        assert_eq!(parse(r#"{"max-concurrent-uploads": 0}"#).unwrap().max_concurrent_uploads, None);
    }

    #[test]
    fn mistakes_are_refused_with_their_place() {
        for (text, expected) in [
            ("{", "1, column 1: EOF while parsing an object"),
            ("{\n  \"debug\": true,\n}", "3, column 1: trailing comma"),
            ("[]", "1, column 0: invalid type: sequence, expected a map"),
            ("{\n \"ü\": 1, \"mirors\": []}", "2, column 20: unknown key \"mirors\""),
            (r#"{"registry-mirrors": "https://m"}"#, "1, column 22: registry-mirrors is not a list of texts"),
            (r#"{"insecure-registries": [1]}"#, "1, column 25: insecure-registries is not a list of texts"),
            (
                r#"{"max-concurrent-downloads": "3"}"#,
                "1, column 30: max-concurrent-downloads is not a whole number",
            ),
            (r#"{"max-download-attempts": -1}"#, "1, column 27: max-download-attempts is not a whole number"),
            (r#"{"storage-driver": []}"#, "1, column 20: storage-driver is not a text"),
            (
                r#"{"storage-opts": ["size"]}"#,
                "1, column 18: storage-opts: invalid option \"size\" (expected name=value)",
            ),
            (
                r#"{"proxies": {"no-proxy": []}}"#,
                "1, column 13: proxies is not an object with the texts http-proxy, https-proxy and no-proxy",
            ),
        ] {
            assert_eq!(parse(text).unwrap_err(), format!("daemon.json, line {expected}"), "{text}");
        }
    }

    #[test]
    fn flags_and_the_file_do_not_mix() {
        let file = parse("{\"registry-mirrors\": [],\n\"data-root\": \"/x\"}").unwrap();
        assert!(file.not_with_flag("registry-mirrors", false).is_ok());
        assert!(file.not_with_flag("storage-driver", true).is_ok());
        let message = file.not_with_flag("registry-mirrors", true).unwrap_err().message;
        assert_eq!(message, "daemon.json, line 1, column 22: registry-mirrors is given as a flag, too");
        let message = file.without_data_root().unwrap_err().message;
        assert_eq!(
            message,
            "daemon.json, line 2, column 14: data-root cannot stand in a file that lies in a data root"
        );
    }
}
