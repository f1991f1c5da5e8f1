//! Running commands: the ones that only have to work, and the ones that are measured.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::Result;

/// How often the peak memory of a running command is read.
const SAMPLING: Duration = Duration::from_millis(2);

/// Runs a command that has to succeed; returns what it printed.
pub fn run(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output().map_err(|e| format!("{command:?}: {e}"))?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{command:?}: {}: {}", output.status, text.trim()).into());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs a command that has to succeed, with what it prints going to the file `log`; returns how long it took from
/// `fork` to `wait`, in seconds.
pub fn timed(command: &mut Command, log: &Path) -> Result<f64> {
    let (start, mut child) = start(command, log)?;
    finish(command, &mut child, log)?;
    Ok(start.elapsed().as_secs_f64())
}

/// Like [`timed`], and the most memory that the command held, in bytes: the kernel's own high-water mark, read every
/// few milliseconds because it is gone with the process.
pub fn timed_with_peak(command: &mut Command, log: &Path) -> Result<(f64, f64)> {
    let (start, mut child) = start(command, log)?;
    let status = format!("/proc/{}/status", child.id());
    let sampler = thread::spawn(move || {
        let mut peak = 0;
        // A zombie has a status without this line, a reaped process has none.
        while let Some(now) = fs::read_to_string(&status).ok().as_deref().and_then(high_water_mark) {
            peak = peak.max(now);
            thread::sleep(SAMPLING);
        }
        peak
    });
    let done = finish(command, &mut child, log);
    let seconds = start.elapsed().as_secs_f64();
    let peak = sampler.join().map_err(|_| "the sampler of the peak memory failed")?;
    done?;
    Ok((seconds, peak as f64))
}

fn start(command: &mut Command, log: &Path) -> Result<(Instant, Child)> {
    let log = File::create(log).map_err(|e| format!("{}: {e}", log.display()))?;
    command.stdin(Stdio::null()).stderr(log.try_clone()?).stdout(log);
    let start = Instant::now();
    let child = command.spawn().map_err(|e| format!("{command:?}: {e}"))?;
    Ok((start, child))
}

fn finish(command: &Command, child: &mut Child, log: &Path) -> Result<()> {
    let status = child.wait()?;
    if !status.success() {
        let text =
            fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
        return Err(format!("{command:?}: {status}: {}", text.trim()).into());
    }
    Ok(())
}

/// `VmHWM` of a process' status file (proc(5)), in bytes.
fn high_water_mark(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_high_water_mark_is_read_in_bytes() {
        assert_eq!(high_water_mark("Name:\tcat\nVmHWM:\t    1892 kB\nVmRSS:\t 4 kB\n"), Some(1892 * 1024));
        assert_eq!(high_water_mark("Name:\tcat\nState:\tZ (zombie)\n"), None);
    }
}
