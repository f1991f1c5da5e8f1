//! Facts about the store, the driver and the machine.

use store::Status;

use crate::{Engine, Result};

/// What `info` shows.
#[derive(Debug, Clone, Default)]
pub struct Info {
    /// Containers.
    pub containers: usize,
    /// Of these, recorded as running.
    pub running: usize,
    /// Of these, recorded as paused.
    pub paused: usize,
    /// The rest.
    pub stopped: usize,
    /// Images, with those that have no name.
    pub images: usize,
    /// The storage driver.
    pub driver: String,
    /// The driver's lines.
    pub driver_status: Vec<(String, String)>,
    /// Why this driver, in words that go on after "because".
    pub driver_why: String,
    /// The other drivers, first choice first: what keeps each from working here, in words; `None` if nothing does.
    pub other_drivers: Vec<(String, Option<String>)>,
    /// The data root.
    pub root: String,
    /// The kernel's release.
    pub kernel: String,
    /// The operating system's name, as it calls itself.
    pub operating_system: String,
    /// The processor, as `uname -m` says.
    pub architecture: String,
    /// Processors that this process may use.
    pub ncpu: usize,
    /// Bytes of memory; 0 if the kernel does not say.
    pub memory: u64,
    /// The host's name.
    pub name: String,
    /// Containers have other ids than the host's (`userns-remap`).
    pub remapped: bool,
    /// What the user should know.
    pub warnings: Vec<String>,
}

impl Engine {
    /// Collects the facts. Reads each container's document; of images only the directory.
    pub fn info(&self) -> Result<Info> {
        let containers = self.stored_containers()?;
        let count =
            |wanted: &[Status]| containers.iter().filter(|c| wanted.contains(&c.state().status())).count();
        // Docker counts a container that is about to be started again as running.
        let (running, paused) = (count(&[Status::Running, Status::Restarting]), count(&[Status::Paused]));
        let machine = Machine::read();
        Ok(Info {
            containers: containers.len(),
            running,
            paused,
            stopped: containers.len() - running - paused,
            images: self.store.images().list()?.len(),
            driver: self.driver.name().to_owned(),
            driver_status: self.driver.status()?,
            driver_why: self.driver_why()?,
            other_drivers: self.other_drivers()?,
            root: self.store.path().display().to_string(),
            kernel: sys::process::kernel_release(),
            operating_system: machine.operating_system,
            architecture: std::env::consts::ARCH.to_owned(),
            ncpu: std::thread::available_parallelism().map_or(1, usize::from),
            memory: machine.memory,
            name: machine.name,
            remapped: self.config.shift.is_some(),
            warnings: self.warnings()?,
        })
    }

    /// Why this driver, and what the pages say against its file system. Of one that has nothing here yet, whether it would
    /// work.
    fn driver_why(&self) -> Result<String> {
        let (name, why) = (self.driver.name(), self.choice.why);
        if !self.driver.home().exists() {
            let unmet = drivers::probe(name, &self.config)?.err();
            let would = unmet.map_or_else(|| "works here".to_owned(), |unmet| unmet.to_string());
            return Ok(format!("{why}; it has nothing here yet; {would}"));
        }
        let (named, found) =
            (drivers::backing_file_systems(name), drivers::backing_name(self.driver.home())?);
        if named.is_empty() || named.contains(&found) {
            return Ok(why.to_string());
        }
        Ok(format!("{why}; Docker's pages name {} for it, here is {found}", named.join(" and ")))
    }

    /// Tries out the drivers that were not chosen.
    fn other_drivers(&self) -> Result<Vec<(String, Option<String>)>> {
        let others = drivers::names().filter(|name| *name != self.driver.name());
        others
            .map(|name| {
                let works = drivers::probe(name, &self.config)?;
                Ok((name.to_owned(), works.err().map(|unmet| unmet.to_string())))
            })
            .collect()
    }

    fn warnings(&self) -> Result<Vec<String>> {
        let mut warnings = Vec::new();
        if let Some(holder) = self.store.live_daemon()? {
            let pid = holder.pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default();
            warnings.push(format!(
                "a Docker daemon{pid} is running on this data root: it can be read, not changed"
            ));
        }
        let migration = store::Migration::peek(self.store.path())?;
        warnings.extend(migration.map(|record| record.advice()));
        Ok(warnings)
    }
}

/// What the kernel and the distribution say. Whatever they do not say is empty.
struct Machine {
    operating_system: String,
    memory: u64,
    name: String,
}

impl Machine {
    fn read() -> Self {
        let text = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let release =
            ["/etc/os-release", "/usr/lib/os-release"].into_iter().map(text).find(|text| !text.is_empty());
        Self {
            operating_system: release.as_deref().and_then(pretty_name).unwrap_or_else(|| "Linux".to_owned()),
            memory: memory_total(&text("/proc/meminfo")).unwrap_or_default(),
            name: text("/proc/sys/kernel/hostname").trim().to_owned(),
        }
    }
}

/// `PRETTY_NAME` of os-release(5): a value of shell, in quotes or not.
fn pretty_name(text: &str) -> Option<String> {
    let value = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="))?.trim();
    let quoted = |quote: char| value.strip_prefix(quote).and_then(|value| value.strip_suffix(quote));
    let value = match (quoted('"'), quoted('\'')) {
        (Some(value), _) => {
            ["\\\"", "\\$", "\\\\", "\\`"].iter().fold(value.to_owned(), |v, e| v.replace(e, &e[1..]))
        }
        (None, Some(value)) => value.to_owned(),
        (None, None) => value.to_owned(),
    };
    Some(value).filter(|value| !value.is_empty())
}

/// `MemTotal` of proc_meminfo(5), in bytes.
fn memory_total(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_operating_systems_name() {
        for (text, name) in [
            (
                "ID=x\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n",
                Some("Debian GNU/Linux 12 (bookworm)"),
            ),
            ("PRETTY_NAME='A \"B\"'", Some("A \"B\"")),
            ("PRETTY_NAME=Arch", Some("Arch")),
            ("PRETTY_NAME=\"a \\\"b\\\" \\$c\"", Some("a \"b\" $c")),
            ("PRETTY_NAME=\"\"", None),
            ("NAME=x", None),
        ] {
            assert_eq!(pretty_name(text).as_deref(), name, "{text}");
        }
    }

    #[test]
    fn memory_is_in_bytes() {
        assert_eq!(memory_total("MemTotal:       24684084 kB\nMemFree: 1 kB\n"), Some(24_684_084 * 1024));
        assert_eq!(memory_total("MemTotal: many kB"), None);
        assert_eq!(memory_total(""), None);
    }
}
