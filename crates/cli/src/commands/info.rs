//! `info`: facts about the store, the driver and the machine.

use engine::info::Info;
use model::size;
use serde_json::{Value, json};

use super::version::VERSION;
use crate::context::Context;
use crate::options::DocumentFormat;
use crate::output::failure::Failure;
use crate::output::{inspect, stdout};

/// Display system-wide information
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    format: DocumentFormat,
}

/// Prints the facts, and warnings on standard error.
///
/// # Errors
/// The format's, or the engine's.
pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let mut info = context.read()?.info()?;
    info.warnings.extend(context.rootless_note().map(str::to_owned));
    let security: &[&str] = match context.is_rootless() {
        true => &["name=rootless"],
        false if info.remapped => &["name=userns"],
        false => &[],
    };
    if !args.format.format.is_empty() {
        return stdout::print(&inspect::line(&args.format.format, &document(&info, security))?);
    }
    stdout::print(&text(&info, security))?;
    info.warnings.iter().for_each(|warning| stdout::complain(format_args!("WARNING: {warning}")));
    Ok(())
}

/// Docker's lines, as far as layercake knows them.
fn text(info: &Info, security: &[&str]) -> String {
    let mut lines = vec![
        format!("Containers: {}", info.containers),
        format!(" Running: {}", info.running),
        format!(" Paused: {}", info.paused),
        format!(" Stopped: {}", info.stopped),
        format!("Images: {}", info.images),
        format!("Server Version: {VERSION}"),
        format!("Storage Driver: {}", info.driver),
    ];
    lines.extend(info.driver_status.iter().map(|(key, value)| format!(" {key}: {value}")));
    lines.push(format!("Driver Choice: {}", info.driver_why));
    lines.extend(info.other_drivers.iter().map(|(name, unmet)| {
        let why_not = unmet.as_deref().unwrap_or("it works here; --storage-driver chooses it");
        format!(" {name}: {why_not}")
    }));
    if !security.is_empty() {
        lines.push("Security Options:".to_owned());
        lines.extend(security.iter().map(|option| format!(" {}", option.trim_start_matches("name="))));
    }
    lines.extend([
        format!("Kernel Version: {}", info.kernel),
        format!("Operating System: {}", info.operating_system),
        "OSType: linux".to_owned(),
        format!("Architecture: {}", info.architecture),
        format!("CPUs: {}", info.ncpu),
        format!("Total Memory: {}", size::binary(info.memory)),
        format!("Name: {}", info.name),
        format!("Docker Root Dir: {}", info.root),
    ]);
    let server: String = lines.iter().map(|line| format!(" {line}\n")).collect();
    format!("Client:\n Version:    {VERSION}\n\nServer:\n{server}")
}

/// Docker's document, with the keys that mean something here.
fn document(info: &Info, security: &[&str]) -> Value {
    let others: Vec<Value> = info
        .other_drivers
        .iter()
        .map(|(name, unmet)| json!({"Name": name, "Works": unmet.is_none(), "Unmet": unmet}))
        .collect();
    json!({
        "Containers": info.containers,
        "ContainersRunning": info.running,
        "ContainersPaused": info.paused,
        "ContainersStopped": info.stopped,
        "Images": info.images,
        "Driver": info.driver,
        "DriverStatus": info.driver_status,
        "DriverChoice": info.driver_why,
        "OtherDrivers": others,
        "KernelVersion": info.kernel,
        "OperatingSystem": info.operating_system,
        "OSType": "linux",
        "Architecture": info.architecture,
        "NCPU": info.ncpu,
        "MemTotal": info.memory,
        "DockerRootDir": info.root,
        "Name": info.name,
        "ServerVersion": VERSION,
        "SecurityOptions": security,
        "Warnings": info.warnings,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_dockers() {
        let info = Info {
            containers: 6,
            stopped: 6,
            images: 14,
            driver: "overlay2".into(),
            driver_status: vec![
                ("Backing Filesystem".into(), "extfs".into()),
                ("userxattr".into(), "true".into()),
            ],
            driver_why: "it was asked for".into(),
            other_drivers: vec![
                ("btrfs".into(), Some("it needs a data root on btrfs; found: extfs; move it".into())),
                ("vfs".into(), None),
            ],
            root: "/var/lib/layercake".into(),
            kernel: "6.18.44".into(),
            operating_system: "Debian GNU/Linux forky/sid".into(),
            architecture: "x86_64".into(),
            ncpu: 2,
            memory: 25_275_781_120,
            name: "vm".into(),
            ..Info::default()
        };
        assert_eq!(
            text(&info, &["name=rootless"]).replace(VERSION, "1.2.3"),
            "\
Client:
 Version:    1.2.3

Server:
 Containers: 6
  Running: 0
  Paused: 0
  Stopped: 6
 Images: 14
 Server Version: 1.2.3
 Storage Driver: overlay2
  Backing Filesystem: extfs
  userxattr: true
 Driver Choice: it was asked for
  btrfs: it needs a data root on btrfs; found: extfs; move it
  vfs: it works here; --storage-driver chooses it
 Security Options:
  rootless
 Kernel Version: 6.18.44
 Operating System: Debian GNU/Linux forky/sid
 OSType: linux
 Architecture: x86_64
 CPUs: 2
 Total Memory: 23.54GiB
 Name: vm
 Docker Root Dir: /var/lib/layercake
"
        );
    }
}
