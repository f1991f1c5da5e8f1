//! A `docker-registry` with a directory of its own.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::super::ground;
use crate::Result;

/// The program of Debian's package.
const PROGRAM: &str = "docker-registry";

/// How long it may take to start.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running registry; it ends with this, and its directory goes.
#[derive(Debug)]
pub struct Registry {
    process: Child,
    dir: PathBuf,
    owns: bool,
    /// `host:port`.
    pub address: String,
}

impl Registry {
    /// With an empty directory `dir`, on a free port of the loopback net.
    pub fn start(dir: &Path) -> Result<Self> {
        ground::remove(dir)?;
        fs::create_dir_all(dir)?;
        Self::run(dir, "local", "127.0.0.1:0", Command::new(PROGRAM), true)
    }

    /// With the data of another one, in a new network namespace, on all its addresses.
    pub fn apart(other: &Self, port: u16) -> Result<Self> {
        let mut command = Command::new("unshare");
        command.args(["--net", PROGRAM]);
        Self::run(&other.dir, "apart", &format!("0.0.0.0:{port}"), command, false)
    }

    /// The process, in whose network namespace it runs.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    fn run(dir: &Path, name: &str, listen: &str, mut command: Command, owns: bool) -> Result<Self> {
        let (config, log) = (dir.join(format!("{name}.yml")), dir.join(format!("{name}.log")));
        let data = dir.join("data");
        fs::write(
            &config,
            format!(
                "version: 0.1\nlog:\n  level: info\n  accesslog:\n    disabled: true\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: {listen}\n",
                data.display()
            ),
        )?;
        let out = File::create(&log)?;
        command.arg("serve").arg(config).stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out);
        let process = command
            .env("OTEL_TRACES_EXPORTER", "none")
            .spawn()
            .map_err(|e| format!("{PROGRAM}: {e} (install Debian's package of this name)"))?;
        let mut registry = Self { process, dir: dir.to_path_buf(), owns, address: String::new() };
        let start = Instant::now();
        while registry.address.is_empty() {
            let said = fs::read_to_string(&log)?;
            if start.elapsed() > PATIENCE {
                return Err(format!("{PROGRAM} does not listen: {said}").into());
            }
            registry.address = listening(&said).unwrap_or_default();
            thread::sleep(Duration::from_millis(10));
        }
        Ok(registry)
    }

    /// Reads all data once, so that it is in the page cache for everybody.
    pub fn warm(&self) -> Result<()> {
        let mut tar = Command::new("tar");
        tar.args(["-cf", "-", "--"]).arg(self.dir.join("data")).stdin(Stdio::null());
        let status = tar.stdout(Stdio::null()).stderr(Stdio::null()).status()?;
        if status.success() {
            Ok(())
        } else {
            Err(format!("reading {}: {status}", self.dir.display()).into())
        }
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if self.owns {
            let _ = ground::remove(&self.dir);
        }
    }
}

/// The address in the line in which it says where it listens.
fn listening(log: &str) -> Option<String> {
    let (_, rest) = log.split_once("listening on ")?;
    let address = rest.split(['"', ',', ' ', '\n']).next()?;
    // A line that is not whole yet would give a wrong port.
    rest.contains('\n').then(|| address.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_read_when_its_line_is_whole() {
        let line = "time=\"x\" level=info msg=\"listening on 127.0.0.1:41355\" go.version=go1.19";
        assert_eq!(listening(line), None);
        assert_eq!(listening(&format!("{line}\n")), Some("127.0.0.1:41355".into()));
    }
}
