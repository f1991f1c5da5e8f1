//! A slow link to a registry in a network namespace of its own: two ends of a veth, each with netem. A kernel without
//! netem gets a [`wire`] instead.

use std::fs;
use std::process::{Child, Command};
use std::time::Duration;

use super::super::exec::run;
use super::server::Registry;
use super::wire;
use crate::Result;

/// The link's two ends: addresses that are nobody's (RFC 5737).
const NEAR: &str = "192.0.2.2/24";
const FAR: &str = "192.0.2.1/24";
const PORT: u16 = 5000;

/// The registry at its far end.
pub const REGISTRY: &str = "192.0.2.1:5000";

/// What it lets through, each way: 200 Mbit/s.
pub const BYTES_PER_SECOND: f64 = 200e6 / 8.0;

/// How long a packet is under way, in milliseconds: there and back it is 40.
const DELAY: u64 = 20;

/// How many packets it holds each way: three times what is under way at full rate.
const PACKETS: usize = 2000;

/// The two ends' devices.
const DEVICE: &str = "slow";
const FAR_DEVICE: &str = "far";

/// Brings up the loopback device of this namespace.
pub fn loopback() -> Result<()> {
    ip(&["link", "set", "lo", "up"])
}

/// A link, and the registry at its end.
#[derive(Debug)]
pub struct Link {
    _registry: Registry,
    wire: Option<Child>,
}

impl Link {
    /// A link to a registry with the data of `registry`.
    pub fn to(registry: &Registry) -> Result<Self> {
        let far = Registry::apart(registry, PORT)?;
        let pid = far.pid().to_string();
        let there = |args: &[&str]| run(Command::new("nsenter").args(["--net", "--target", &pid]).args(args));
        let shaped = ip(&["link", "add", DEVICE, "type", "veth", "peer", "name", FAR_DEVICE])
            .and_then(|()| shape(DEVICE))
            .and_then(|()| shape(FAR_DEVICE));
        let wire = match shaped {
            Ok(()) => None,
            Err(e) => {
                eprintln!("the link is made of TUN devices: {e}");
                let _ = ip(&["link", "delete", DEVICE]);
                let delay = Duration::from_millis(DELAY);
                Some(wire::start([DEVICE, FAR_DEVICE], PACKETS, BYTES_PER_SECOND, delay)?)
            }
        };
        let link = Self { _registry: far, wire };
        ip(&["link", "set", FAR_DEVICE, "netns", &pid])?;
        let up = |device| ["link", "set", device, "txqueuelen", "10000", "up"];
        ip(&["address", "add", NEAR, "dev", DEVICE])?;
        ip(&up(DEVICE))?;
        there(&["ip", "address", "add", FAR, "dev", FAR_DEVICE])?;
        there(&[&["ip"], &up(FAR_DEVICE)[..]].concat())?;
        if link.wire.is_none() {
            // What was shaped is forgotten when a device moves.
            run(Command::new("nsenter").args(["--net", "--target", &pid, "tc"]).args(netem(FAR_DEVICE)))?;
        }
        Ok(link)
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
        if let Some(wire) = &mut self.wire {
            let _ = wire.kill();
            let _ = wire.wait();
        }
    }
}

/// Puts netem on a device.
fn shape(device: &str) -> Result<()> {
    run(Command::new("tc").args(netem(device))).map(|_| ())
}

/// What `tc` is told. The room is what is under way and a burst: the queue is not to be what loses most packets.
fn netem(device: &str) -> Vec<String> {
    let rate = BYTES_PER_SECOND as u64 * 8;
    let text =
        format!("qdisc replace dev {device} root netem limit {PACKETS} rate {rate}bit delay {DELAY}ms");
    text.split(' ').map(str::to_owned).collect()
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
