//! A slow link for kernels without netem: it carries packets between two TUN devices as netem would, at a rate, with a
//! delay, and with room for so many packets.

use std::fs;
use std::os::fd::AsFd;
use std::process::{Child, Command};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::Result;

/// The task that carries the packets, not for people: standard input and output are the devices.
pub const TASK: &str = "wire";

/// Makes the devices of the names given and becomes the rest of the arguments. A program of Rust's would need unsafe code
/// for `TUNSETIFF` (tun.rst of the kernel: IFF_TUN without packet information).
const MAKE: &str = r#"
use POSIX "dup2";
for my $fd (0, 1) {
    open(my $tun, "+<", "/dev/net/tun") or die "/dev/net/tun: $!";
    ioctl($tun, 0x400454ca, my $request = pack("a16 S x22", shift, 0x1001)) or die "TUNSETIFF: $!";
    dup2(fileno($tun), $fd) or die "dup2: $!";
}
exec @ARGV or die "exec: $!";
"#;

/// The longest packet.
const PACKET: usize = 64 << 10;

/// Makes two TUN devices with these names in this network namespace, and carries what is sent to one to the other.
pub fn start(names: [&str; 2], packets: usize, bytes_per_second: f64, delay: Duration) -> Result<Child> {
    let mut command = Command::new("perl");
    command.args(["-e", MAKE]).args(names).arg(std::env::current_exe()?).arg(TASK);
    command.args([packets.to_string(), bytes_per_second.to_string(), delay.as_micros().to_string()]);
    let mut child = command.spawn().map_err(|e| format!("perl: {e}"))?;
    let start = Instant::now();
    while !names.iter().all(|name| has(name)) {
        if child.try_wait()?.is_some() || start.elapsed() > Duration::from_secs(10) {
            return Err("no TUN devices for the link".into());
        }
        thread::sleep(Duration::from_millis(10));
    }
    Ok(child)
}

fn has(device: &str) -> bool {
    let devices = fs::read_to_string("/proc/self/net/dev").unwrap_or_default();
    devices.lines().any(|line| line.trim().starts_with(&format!("{device}:")))
}

/// `xtask wire PACKETS BYTES-PER-SECOND DELAY`: runs until a device goes.
pub fn main(args: &[String]) -> Result<()> {
    let [packets, rate, delay] = args else { return Err("usage: wire PACKETS RATE DELAY".into()) };
    let (packets, rate) = (packets.parse()?, rate.parse()?);
    let delay = Duration::from_micros(delay.parse()?);
    let (near, far) = (std::io::stdin(), std::io::stdout());
    thread::scope(|threads| {
        for (from, to) in [(near.as_fd(), far.as_fd()), (far.as_fd(), near.as_fd())] {
            let (queue, due) = sync_channel(packets);
            threads.spawn(move || take(from, &queue, rate, delay));
            threads.spawn(move || give(to, &due));
        }
    });
    Ok(())
}

/// Takes packets from a device. One leaves when those before it have left and its own bytes took their time, and arrives
/// after the delay. What finds no room is lost.
fn take(from: impl AsFd, queue: &SyncSender<(Instant, Vec<u8>)>, rate: f64, delay: Duration) {
    let mut buffer = vec![0; PACKET];
    let mut free = Instant::now();
    while let Ok(length) = rustix::io::read(&from, &mut buffer) {
        let left = free.max(Instant::now()) + Duration::from_secs_f64(length as f64 / rate);
        if queue.try_send((left + delay, buffer[..length].to_vec())).is_ok() {
            free = left;
        }
    }
}

/// Gives packets to a device when they are due. One that it does not take is lost, as on a wire.
fn give(to: impl AsFd, due: &Receiver<(Instant, Vec<u8>)>) {
    for (due, packet) in due {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let _ = rustix::io::write(&to, &packet);
    }
}
