//! `cargo xtask vm`: commands and tests under a full Debian kernel, for what this machine's own kernel lacks:
//! device-mapper, project quotas, ZFS.
//!
//! The machine is qemu's, with this machine's own file system as its root, so that what is built here runs there. It
//! changes nothing here: what is written goes to memory and is lost, except in shared directories.

mod initrd;
mod kernel;
mod machine;
mod passes;
mod zfs;

use std::path::PathBuf;
use std::process::ExitCode;

use crate::Result;
use machine::{Ended, Machine};
pub use passes::{Pass, run as run_pass};

const HELP: &str = "\
Runs a command, or tests, under Debian's kernel in a virtual machine. Without acceleration a boot takes some seconds,
and code runs 10 to 30 times slower. Needs root and Debian's qemu-system-x86, busybox-static and kmod.

usage: cargo xtask vm [FLAG…] -- COMMAND [ARG…]
       cargo xtask vm short | long      the tests that need such a kernel; `short` is a step of `cargo xtask ci`
       cargo xtask vm kernel            the kernel's version; it is fetched if it is not there
       cargo xtask vm zfs               builds Debian's ZFS for that kernel, and says where it is

  --share DIR       DIR is inside at the same path, and can be written to (may be given more than once)
  --disk FILE       FILE is the disk /dev/vda inside
  --memory MIB      the machine's memory (3072)
  --module NAME     a further module of the kernel (may be given more than once)
  --zfs             ZFS's modules are loaded, its programs and libraries are found
  --timeout SECS    after that time the machine is ended (1800)

The command sees this machine's file system. /tmp and /run are empty; what is written to them, to /etc and to /var is
in memory only, and the rest is read-only. Its output and its exit code come back; LAYERCAKE_VM=1 is in its environment.

environment: LAYERCAKE_VM_CACHE, where kernels and ZFS are kept (target/vm)
             LAYERCAKE_VM_APT, options of apt-get for Debian's section contrib, where ZFS is, if its sources lack it
             LAYERCAKE_VM_ACCEL, qemu's accelerator (tcg: slow, and works everywhere; kvm)
";

/// `cargo xtask vm …`.
pub fn main(args: &[String]) -> Result<ExitCode> {
    match args.first().map(String::as_str) {
        Some("short") => passes::run(Pass::Short).map(|()| ExitCode::SUCCESS),
        Some("long") => passes::run(Pass::Long).map(|()| ExitCode::SUCCESS),
        Some("kernel") => {
            println!("{}", kernel::prepare()?.version);
            Ok(ExitCode::SUCCESS)
        }
        Some("zfs") => {
            println!("{}", zfs::prepare(&kernel::prepare()?)?.dir.display());
            Ok(ExitCode::SUCCESS)
        }
        Some("--help" | "-h") | None => {
            print!("{HELP}");
            Ok(ExitCode::SUCCESS)
        }
        _ => command(args),
    }
}

/// Runs one command; its exit code is ours.
fn command(args: &[String]) -> Result<ExitCode> {
    let mut machine = Machine::default();
    let mut args = args.iter();
    let command = loop {
        let flag = args.next().ok_or("no command; see cargo xtask vm --help")?;
        match flag.as_str() {
            "--" => break args.cloned().collect::<Vec<_>>(),
            "--zfs" => machine.zfs = true,
            _ => {
                let value = args.next().ok_or_else(|| format!("{flag} needs a value"))?;
                match flag.as_str() {
                    "--share" => machine.shares.push(PathBuf::from(value).canonicalize()?),
                    "--disk" => machine.disk = Some(PathBuf::from(value).canonicalize()?),
                    "--memory" => machine.memory = value.parse()?,
                    "--module" => machine.modules.push(value.clone()),
                    "--timeout" => machine.timeout = std::time::Duration::from_secs(value.parse()?),
                    _ => return Err(format!("unknown flag {flag}; see cargo xtask vm --help").into()),
                }
            }
        }
    };
    if command.is_empty() {
        return Err("no command; see cargo xtask vm --help".into());
    }
    if let Some(missing) = machine::missing() {
        return Err(missing.into());
    }
    match machine.run(&command, None)? {
        Ended::With(code) => Ok(ExitCode::from(code)),
        Ended::Broken(why) => Err(why.into()),
    }
}
