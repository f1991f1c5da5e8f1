//! `hostname`, `hosts` and `resolv.conf`: files that every container gets of its own.

use std::ffi::OsStr;
use std::path::PathBuf;

use model::{ContainerId, HostConfig};
use runtime::Mount;
use store::Container;

use crate::{Engine, Error, Result};

/// The files of a container.
pub(super) struct Files {
    dir: PathBuf,
}

/// A file's name, its place in the container, and its field in the container's document.
const FILES: [(&str, &str, &str); 3] = [
    ("hostname", "/etc/hostname", "HostnamePath"),
    ("hosts", "/etc/hosts", "HostsPath"),
    ("resolv.conf", "/etc/resolv.conf", "ResolvConfPath"),
];

impl Files {
    /// What they are in the container.
    pub(super) fn mounts(&self) -> Vec<Mount> {
        FILES.iter().map(|(name, place, _)| Mount::bind(self.dir.join(name), *place, false)).collect()
    }

    /// What is written about them into the container's document.
    pub(super) fn fields(&self) -> Vec<(&'static str, String)> {
        FILES.iter().map(|(name, _, field)| (*field, self.dir.join(name).display().to_string())).collect()
    }
}

/// Writes them anew, as Docker does at every start.
pub(super) fn make(
    engine: &Engine,
    id: &ContainerId,
    container: &Container,
    host: &HostConfig,
) -> Result<Files> {
    let dir = engine.store.containers().dir(id)?.ok_or_else(|| Error::NoSuchContainer(id.to_string()))?;
    let contents = [format!("{}\n", container.config().hostname), hosts(host), resolv_conf(host)];
    for ((name, _, _), content) in FILES.iter().zip(contents) {
        let name = OsStr::new(name);
        match sys::dir::unlink(&dir, name) {
            Err(e) if !e.is_not_found() => return Err(e.into()),
            _ => {}
        }
        let file = sys::atomic::create_unsynced(&dir, name, 0o644, content.as_bytes())?;
        engine.give_to_containers(file)?;
    }
    Ok(Files { dir: engine.root().join("containers").join(id.hex()) })
}

/// What a machine without a network knows by name.
const OWN_HOSTS: &str = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::\tip6-localnet\nff00::\tip6-mcastprefix\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n";

fn hosts(host: &HostConfig) -> String {
    let mut text = match host.network_mode.as_str() {
        "host" => std::fs::read_to_string("/etc/hosts").unwrap_or_else(|_| OWN_HOSTS.to_owned()),
        _ => OWN_HOSTS.to_owned(),
    };
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    for extra in host.extra_hosts.iter().flatten() {
        if let Some((name, address)) = extra.split_once(':') {
            text += &format!("{address}\t{name}\n");
        }
    }
    text
}

fn resolv_conf(host: &HostConfig) -> String {
    let machine = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    let given = [("nameserver", &host.dns), ("search", &host.dns_search), ("options", &host.dns_options)];
    if given.iter().all(|(_, words)| words.is_empty()) {
        return machine;
    }
    let mut lines = Vec::new();
    for (key, words) in given {
        match key {
            _ if words.is_empty() => {
                lines.extend(machine.lines().filter(|line| line.starts_with(key)).map(str::to_owned));
            }
            "nameserver" => lines.extend(words.iter().map(|word| format!("{key} {word}"))),
            // `--dns-search .` asks for none.
            _ if words.as_slice() == ["."] => {}
            _ => lines.push(format!("{key} {}", words.join(" "))),
        }
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_asked_for_takes_the_machines_place() {
        let host = HostConfig {
            dns: vec!["10.0.0.1".into(), "10.0.0.2".into()],
            dns_search: vec!["example.org".into()],
            dns_options: vec!["ndots:2".into()],
            network_mode: "none".into(),
            extra_hosts: Some(vec!["db:10.0.0.9".into(), "six:::1".into()]),
            ..HostConfig::default()
        };
        let expected = "nameserver 10.0.0.1\nnameserver 10.0.0.2\nsearch example.org\noptions ndots:2\n";
        assert_eq!(resolv_conf(&host), expected);
        assert_eq!(hosts(&host), format!("{OWN_HOSTS}10.0.0.9\tdb\n::1\tsix\n"));
    }
}
