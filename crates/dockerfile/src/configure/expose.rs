//! `EXPOSE`: ports, with forms that Docker took over from `run --publish`.

use crate::error::{Result, refuse};
use std::net::IpAddr;

/// The ports that `[[ip:]host:]port[-port][/protocol]` names, as `80/tcp`. Address and host port are
/// checked and forgotten.
pub(super) fn ports(spec: &str) -> Result<Vec<String>> {
    let (before, container) = spec.rsplit_once(':').unwrap_or(("", spec));
    let (address, host) = before.rsplit_once(':').unwrap_or(("", before));
    let mut parts = container.split('/');
    let range = parts.next().unwrap_or_default();
    let protocol = parts.next().filter(|protocol| !protocol.is_empty()).unwrap_or("tcp");

    let bare = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(address);
    if !bare.is_empty() && bare.parse::<IpAddr>().is_err() {
        return refuse(format!("Invalid ip address: {bare}"));
    }
    if range.is_empty() {
        return refuse(format!("No port specified: {spec}<empty>"));
    }
    let Some((first, last)) = parse_range(range) else {
        return refuse(format!("Invalid containerPort: {range}"));
    };
    if !host.is_empty() {
        let Some((host_first, host_last)) = parse_range(host) else {
            return refuse(format!("Invalid hostPort: {host}"));
        };
        if first != last && host_last - host_first != last - first {
            return refuse(format!(
                "Invalid ranges specified for container and host Ports: {range} and {host}"
            ));
        }
    }
    let lower = protocol.to_lowercase();
    if !matches!(lower.as_str(), "tcp" | "udp" | "sctp") {
        return refuse(format!("Invalid proto: {protocol}"));
    }
    Ok((first..=last).map(|port| format!("{port}/{lower}")).collect())
}

/// `80` or `80-90`.
fn parse_range(text: &str) -> Option<(u16, u16)> {
    fn port(text: &str) -> Option<u16> {
        text.parse().ok().filter(|_| text.bytes().all(|b| b.is_ascii_digit()))
    }
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    Some((port(first)?, port(last)?)).filter(|(first, last)| first <= last)
}
