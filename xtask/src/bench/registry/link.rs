//! A slow link to a registry in a network namespace of its own: two ends of a veth, each with netem.

use std::fs;
use std::process::Command;

use super::super::exec::run;
use super::server::Registry;
use crate::Result;

/// The link's two ends: addresses that are nobody's (RFC 5737).
const NEAR: &str = "192.0.2.2/24";
const FAR: &str = "192.0.2.1/24";
const PORT: u16 = 5000;

/// The registry at its far end.
pub const REGISTRY: &str = "192.0.2.1:5000";

/// What it lets through, each way.
const RATE: &str = "200mbit";
pub const BYTES_PER_SECOND: f64 = 200e6 / 8.0;

/// How long a packet is under way: there and back it is 40 ms.
const DELAY: &str = "20ms";

/// The near end's name.
const DEVICE: &str = "slow";

/// Brings up the loopback device of this namespace.
pub fn loopback() -> Result<()> {
    ip(&["link", "set", "lo", "up"])
}

/// A link, and the registry at its end.
#[derive(Debug)]
pub struct Link {
    _registry: Registry,
}

impl Link {
    /// A link to a registry with the data of `registry`.
    pub fn to(registry: &Registry) -> Result<Self> {
        let far = Registry::apart(registry, PORT)?;
        let pid = far.pid().to_string();
        ip(&["link", "add", DEVICE, "type", "veth", "peer", "name", DEVICE, "netns", &pid])?;
        ip(&["address", "add", NEAR, "dev", DEVICE])?;
        ip(&["link", "set", DEVICE, "up"])?;
        let there = |args: &[&str]| run(Command::new("nsenter").args(["--net", "--target", &pid]).args(args));
        there(&["ip", "address", "add", FAR, "dev", DEVICE])?;
        there(&["ip", "link", "set", DEVICE, "up"])?;
        // Room for what is under way, and for a burst: the queue is not to be what loses packets.
        let netem = "netem limit 20000 rate";
        let shape: Vec<&str> = ["tc", "qdisc", "add", "dev", DEVICE, "root"]
            .into_iter()
            .chain(netem.split(' '))
            .chain([RATE, "delay", DELAY])
            .collect();
        run(Command::new(shape[0]).args(&shape[1..]))?;
        there(&shape)?;
        Ok(Self { _registry: far })
    }

    /// How many bytes came through it to this end so far, headers included.
    pub fn received(&self) -> Result<u64> {
        // /sys shows the namespace in which it was mounted; /proc/net is this process's.
        let devices = fs::read_to_string("/proc/self/net/dev")?;
        received(&devices).ok_or_else(|| format!("no device {DEVICE}").into())
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // Both ends go with one.
        let _ = ip(&["link", "delete", DEVICE]);
    }
}

fn ip(args: &[&str]) -> Result<()> {
    run(Command::new("ip").args(args)).map(|_| ())
}

/// The first column of proc(5)'s `net/dev`.
fn received(devices: &str) -> Option<u64> {
    let line = devices.lines().find_map(|line| line.trim().strip_prefix(&format!("{DEVICE}:")))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_of_the_device_are_read() {
        let devices = "Inter-|   Receive\n face |bytes\n    lo: 1 2 3\n  slow: 4711  17 0\n";
        assert_eq!(received(devices), Some(4711));
    }
}
