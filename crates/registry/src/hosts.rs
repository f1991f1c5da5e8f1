//! Which servers are special: insecure ones, and those that no proxy is used for.

use std::net::{IpAddr, ToSocketAddrs};

use crate::url::{Url, split_port};
use crate::{Error, Result};

/// Whether `host` is this machine, whatever the network says.
pub(crate) fn is_loopback(host: &str) -> bool {
    let name = host.to_ascii_lowercase();
    name == "localhost"
        || name.ends_with(".localhost")
        || name.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

/// A range of addresses, as CIDR writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Network {
    address: IpAddr,
    bits: u32,
}

impl Network {
    fn parse(text: &str) -> Option<Self> {
        let (address, bits) = text.split_once('/')?;
        let address: IpAddr = address.parse().ok()?;
        let bits: u32 = bits.parse().ok()?;
        (bits <= if address.is_ipv4() { 32 } else { 128 }).then_some(Network { address, bits })
    }

    fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let shift = 32 - self.bits;
                (u64::from(network.to_bits()) >> shift) == (u64::from(address.to_bits()) >> shift)
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let mask = u128::MAX.checked_shl(128 - self.bits).unwrap_or(0);
                network.to_bits() & mask == address.to_bits() & mask
            }
            _ => false,
        }
    }
}

/// The servers that were listed as insecure.
#[derive(Debug, Default)]
pub(crate) struct Insecure {
    names: Vec<String>,
    networks: Vec<Network>,
}

impl Insecure {
    /// Reads the list, `host`, `host:port` or a network each.
    ///
    /// # Errors
    /// [`Error::Setting`].
    pub fn new(list: &[String]) -> Result<Self> {
        let mut insecure = Insecure::default();
        for entry in list {
            let name =
                entry.trim_start_matches("https://").trim_start_matches("http://").trim_end_matches('/');
            if let Some(network) = Network::parse(name) {
                insecure.networks.push(network);
            } else if Url::of_server(true, name).is_some() {
                insecure.names.push(name.to_ascii_lowercase());
            } else {
                return Err(Error::setting(
                    format!("insecure registry {entry:?}"),
                    "neither a host nor a network",
                ));
            }
        }
        Ok(insecure)
    }

    /// Whether `server` (`host[:port]`) is listed. Its name is looked up if there are networks, as Docker does.
    pub fn lists(&self, server: &str) -> bool {
        if self.names.contains(&server.to_ascii_lowercase()) {
            return true;
        }
        if self.networks.is_empty() {
            return false;
        }
        let Some((host, port)) = split_port(server) else { return false };
        let inside = |address: IpAddr| self.networks.iter().any(|network| network.contains(address));
        match host.parse() {
            Ok(address) => inside(address),
            Err(_) => {
                let addresses = (host, port.unwrap_or(443)).to_socket_addrs();
                addresses.is_ok_and(|mut addresses| addresses.any(|address| inside(address.ip())))
            }
        }
    }
}

/// What is reached without a proxy: `NO_PROXY` with the meaning that Go's `net/http` gives it.
#[derive(Debug, Default)]
pub(crate) struct Direct(Vec<Rule>);

#[derive(Debug)]
struct Rule {
    whom: Whom,
    port: Option<u16>,
}

#[derive(Debug)]
enum Whom {
    All,
    Address(IpAddr),
    Network(Network),
    /// The domain's name, and whether its own host is meant too.
    Domain(String, bool),
}

impl Direct {
    pub fn new(list: &str) -> Self {
        let entries = list.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        Direct(entries.filter_map(Rule::parse).collect())
    }

    /// Whether `url` is reached without a proxy.
    pub fn allows(&self, url: &Url) -> bool {
        is_loopback(url.host()) || self.0.iter().any(|rule| rule.fits(url))
    }
}

impl Rule {
    fn parse(entry: &str) -> Option<Self> {
        if entry == "*" {
            return Some(Rule { whom: Whom::All, port: None });
        }
        if let Some(network) = Network::parse(entry) {
            return Some(Rule { whom: Whom::Network(network), port: None });
        }
        if let Ok(address) = entry.parse() {
            return Some(Rule { whom: Whom::Address(address), port: None });
        }
        let (host, port) = split_port(entry)?;
        if let Ok(address) = host.parse() {
            return Some(Rule { whom: Whom::Address(address), port });
        }
        let host = host.to_ascii_lowercase();
        let whom = match host.trim_start_matches('*').strip_prefix('.') {
            Some(domain) => Whom::Domain(domain.to_owned(), false),
            None => Whom::Domain(host, true),
        };
        Some(Rule { whom, port })
    }

    fn fits(&self, url: &Url) -> bool {
        let host = url.host();
        let address = host.parse::<IpAddr>().map(|address| address.to_canonical());
        self.port.is_none_or(|port| port == url.port())
            && match &self.whom {
                Whom::All => true,
                Whom::Address(wanted) => address == Ok(*wanted),
                Whom::Network(network) => address.is_ok_and(|address| network.contains(address)),
                Whom::Domain(domain, itself) => match host.strip_suffix(domain.as_str()) {
                    Some("") => *itself,
                    Some(rest) => rest.ends_with('.'),
                    None => false,
                },
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine() {
        for host in
            ["localhost", "LocalHost", "a.localhost", "127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"]
        {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["localhost.example", "128.0.0.1", "::2", "127.0.0.1.example", "mylocalhost"] {
            assert!(!is_loopback(host), "{host}");
        }
    }

    #[test]
    fn insecure_servers_are_listed_by_name_with_port_or_by_network() {
        let list = [
            "reg.example:5000",
            "https://plain.example",
            "http://slash.example:5000/",
            "10.1.0.0/16",
            "fd00::/8",
            "192.0.2.7/32",
        ];
        let insecure = Insecure::new(&list.map(str::to_owned)).unwrap();
        for server in [
            "reg.example:5000",
            "REG.example:5000",
            "plain.example",
            "slash.example:5000",
            "10.1.2.3",
            "10.1.2.3:5000",
            "[fd12::1]:5000",
            "192.0.2.7:443",
        ] {
            assert!(insecure.lists(server), "{server}");
        }
        for server in
            ["reg.example", "reg.example:5001", "plain.example:5000", "10.2.0.1", "[fc00::1]", "192.0.2.8"]
        {
            assert!(!insecure.lists(server), "{server}");
        }
        for bad in ["10.0.0.0/33", "a b", "", "user@host"] {
            assert!(Insecure::new(&[bad.to_owned()]).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn networks_of_all_and_of_none() {
        let all = Network::parse("0.0.0.0/0").unwrap();
        assert!(all.contains([255, 0, 0, 1].into()));
        assert!(!all.contains("::1".parse().unwrap()));
        assert!(Network::parse("::/0").unwrap().contains("ff::1".parse().unwrap()));
    }

    #[test]
    fn no_proxy() {
        let direct =
            Direct::new("corp.example, .sub.example,*.star.example,10.0.0.0/8,192.0.2.1,host.example:5000,");
        let allows = |authority: &str| direct.allows(&Url::parse(&format!("https://{authority}/")).unwrap());
        for authority in [
            "corp.example",
            "reg.corp.example:5000",
            "a.sub.example",
            "a.star.example",
            "10.9.9.9",
            "192.0.2.1:5000",
            "host.example:5000",
            "localhost:5000",
            "127.0.0.1",
        ] {
            assert!(allows(authority), "{authority}");
        }
        for authority in
            ["mycorp.example", "sub.example", "star.example", "11.0.0.1", "192.0.2.2", "host.example"]
        {
            assert!(!allows(authority), "{authority}");
        }
        assert!(Direct::new("*").allows(&Url::parse("http://any.example/").unwrap()));
        assert!(!Direct::new("").allows(&Url::parse("http://any.example/").unwrap()));
    }
}
