//! A network of one test's own, with an address that is not a loopback one: clients take those less seriously.

use std::fs::File;
use std::io::Read;
use std::process::{Command, Stdio};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::witness::skip;
use std::os::fd::AsFd;

/// An address that is nobody's (RFC 5737), on the namespace's own loopback device.
pub const ADDRESS: &str = "192.0.2.1:5000";

/// What makes the namespace. It lives as long as somebody is in it.
const SCRIPT: &str =
    "busybox ip link set lo up && busybox ip address add 192.0.2.1/32 dev lo && echo ready && read end";

/// Moves this thread, and with it all that it starts, into a network of its own; or says that the test `name` has none.
pub fn enter(name: &str) -> bool {
    if !testkit::require_root(name) {
        return false;
    }
    let mut command = Command::new("unshare");
    command.args(["--net", "sh", "-c", SCRIPT]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut holder = command.spawn().unwrap();
    let mut said = [0; 6];
    let ready = holder.stdout.take().unwrap().read_exact(&mut said).is_ok();
    if ready {
        let namespace = File::open(format!("/proc/{}/ns/net", holder.id())).unwrap();
        move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
    } else {
        skip(name, "no network of its own");
    }
    drop(holder.stdin.take());
    holder.wait().unwrap();
    ready
}
