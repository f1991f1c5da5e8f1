//! A data root with the images, and containers on it.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Instant;

use model::progress::Silent;
use model::{CacheId, ContainerConfig, ContainerId, HostConfig};

use super::image::{Archive, Archives};
use super::survey::Survey;
use super::{Contestant, Measure, Plan, Report};
use crate::create::CreateOptions;
use crate::load::{Input, LoadOptions};
use crate::mount::Access as MountAccess;
use crate::run::{Event, Launcher, Started, Wants};
use crate::{Access, Engine, Error, Result};

/// The program that does nothing, in a container.
pub(super) const PROGRAM: &str = "/.layercake-bench";

/// A contestant's data root.
pub(super) struct Ground<'a> {
    engine: Engine,
    contestant: &'a Contestant,
    image: String,
    deep: Option<String>,
    layers: Vec<CacheId>,
    survey: Survey,
}

impl<'a> Ground<'a> {
    /// Makes the data root, loads the images, and tries out whether a container can be mounted.
    pub fn prepare(
        contestant: &'a Contestant,
        archives: &Archives,
        plan: &Plan,
        report: &mut Report,
    ) -> Result<Self> {
        let driver = &contestant.driver;
        let engine = Engine::open(&contestant.options, Access::Write)?;
        let mut ground = Self {
            engine,
            contestant,
            image: archives.image.name.clone(),
            deep: archives.deep.as_ref().map(|deep| deep.name.clone()),
            layers: Vec::new(),
            survey: Survey::default(),
        };
        let empty = ground.inodes()?;
        ground.load(&archives.image)?;
        ground.look()?;
        ground.container()?.work(|_| Ok(()))?;
        if plan.workloads.contains(&super::Workload::Inodes)
            && let (Some(empty), Some(full)) = (empty, ground.inodes()?)
        {
            report.add(Measure::IMAGE_INODES, driver, (full - empty) as f64);
        }
        if let Some(deep) = &archives.deep {
            let (seconds, ()) = timed(|| ground.load(deep))?;
            report.add(Measure::DEEP_LOAD, driver, seconds);
        }
        Ok(ground)
    }

    fn load(&self, archive: &Archive) -> Result<()> {
        self.engine.load(Input::Path(archive.path.clone()), &LoadOptions::default(), &Silent)?;
        Ok(())
    }

    /// Finds out what the image has.
    fn look(&mut self) -> Result<()> {
        let id = self.engine.find_image(&self.image)?;
        let mut next = self.engine.store.images().get(&id)?.chain_id();
        while let Some(chain) = next {
            let layer = self.engine.store.layers().get(&chain)?;
            self.layers.push(layer.cache_id);
            next = layer.parent;
        }
        if let Some(top) = self.layers.first() {
            self.survey = Survey::of(&self.engine.driver.view(None, top)?)?;
        }
        Ok(())
    }

    /// The driver's name.
    pub fn driver(&self) -> &'a str {
        &self.contestant.driver
    }

    /// What the image has.
    pub fn survey(&self) -> &Survey {
        &self.survey
    }

    /// How many layers the image has.
    pub fn layers(&self) -> usize {
        self.layers.len()
    }

    /// A file of the image, as it lies in the driver's layers.
    pub fn backing_file(&self, path: &Path) -> Result<sys::OwnedFd> {
        let missing = || Error::invalid(format!("{}: not in the image", path.display()));
        let view = self.engine.driver.view(None, self.layers.first().ok_or_else(missing)?)?;
        let layer = view.lookup(path)?.ok_or_else(missing)?.layer;
        Ok(view.root(layer).file_nofollow(path)?)
    }

    /// Makes durable what was written to the data root's file system.
    pub fn sync(&self) -> Result<()> {
        Ok(sys::dir::sync_fs(self.engine.store.fd())?)
    }

    /// Bytes that the data root's file system has free.
    pub fn free(&self) -> Result<u64> {
        self.sync()?;
        Ok(sys::process::fs_info(self.engine.root())?.available)
    }

    /// Inodes of the data root's file system that the driver has taken; `None` where the file system has no number of
    /// them that could run out.
    pub fn inodes(&self) -> Result<Option<u64>> {
        let home = self.engine.driver.home();
        if sys::process::fs_info(home)?.inodes == 0 {
            return Ok(None);
        }
        const OP: &str = "count the files of";
        let device = fs::metadata(home).map_err(Error::io(OP, home))?.dev();
        let (mut seen, mut waiting) = (HashSet::new(), vec![home.to_owned()]);
        while let Some(dir) = waiting.pop() {
            for entry in fs::read_dir(&dir).map_err(Error::io(OP, &dir))? {
                let entry = entry.map_err(Error::io(OP, &dir))?;
                let meta = entry.metadata().map_err(Error::io(OP, entry.path()))?;
                if meta.dev() == device && seen.insert(meta.ino()) && meta.is_dir() {
                    waiting.push(entry.path());
                }
            }
        }
        Ok(Some(seen.len() as u64))
    }

    /// Removes what is in the trash.
    pub fn reclaim(&self) -> Result<()> {
        self.engine.reclaim()
    }

    /// A new container that runs the program that does nothing. The program is not there yet.
    pub fn container(&self) -> Result<Container<'_>> {
        self.container_of(&self.image, &[PROGRAM.to_owned()])
    }

    /// A new container of the deep image.
    pub fn deep_container(&self) -> Result<Container<'_>> {
        let image = self.deep.as_deref().ok_or_else(|| Error::invalid("there is no deep image"))?;
        self.container_of(image, &[PROGRAM.to_owned()])
    }

    /// A new container that runs a command.
    pub fn container_with(&self, command: &[String]) -> Result<Container<'_>> {
        self.container_of(&self.image, command)
    }

    fn container_of(&self, image: &str, command: &[String]) -> Result<Container<'_>> {
        let config = ContainerConfig {
            cmd: Some(command.to_vec()),
            // The command is to be run as it is, whatever the image says.
            entrypoint: Some(vec![String::new()]),
            ..ContainerConfig::default()
        };
        let host = HostConfig { network_mode: "host".to_owned(), ..HostConfig::default() };
        let options = CreateOptions { image: image.to_owned(), config, host, ..CreateOptions::default() };
        Ok(Container { ground: self, id: self.engine.create(&options)?.id })
    }

    fn launcher(&self) -> &Launcher {
        &self.contestant.launcher
    }
}

/// A container, until it is dropped.
pub(super) struct Container<'a> {
    ground: &'a Ground<'a>,
    id: ContainerId,
}

impl Container<'_> {
    /// Mounts it.
    pub fn mount(&self) -> Result<PathBuf> {
        self.ground.engine.mount(&self.id, MountAccess::Write)
    }

    /// Ends its mount.
    pub fn unmount(&self) -> Result<()> {
        self.ground.engine.unmount(&self.id).map(drop)
    }

    /// Works in its tree. What is done there must follow no symbolic links of the image.
    pub fn work<T>(&self, work: impl FnOnce(&Path) -> Result<T>) -> Result<T> {
        let done = work(&self.mount()?);
        self.unmount()?;
        done
    }

    /// Puts the program into it that does nothing.
    pub fn install_program(&self) -> Result<()> {
        let program = program().ok_or_else(|| {
            let arch = std::env::consts::ARCH;
            Error::invalid(format!("layercake has no program that does nothing for {arch}: give a command"))
        })?;
        self.work(|tree| {
            let path = tree.join(PROGRAM.trim_start_matches('/'));
            fs::write(&path, program).map_err(Error::io("write", &path))?;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).map_err(Error::io("chmod", &path))
        })
    }

    /// Starts it and waits until it has ended, which must be with success.
    pub fn run(&self) -> Result<()> {
        let wants = Wants { stdin: false, stdout: true, stderr: true };
        let Started::Now(mut connection) =
            self.ground.engine.start(&self.id, self.ground.launcher(), wants, None)?
        else {
            return Err(Error::conflict("the container runs already"));
        };
        let mut said = Vec::new();
        loop {
            match connection.next_event()? {
                Some(Event::Ended(0)) => return Ok(()),
                Some(Event::Ended(code)) => {
                    let said = String::from_utf8_lossy(&said);
                    let last = said.lines().next_back().unwrap_or_default();
                    return Err(Error::invalid(format!("the command ended with exit code {code}: {last}")));
                }
                Some(Event::Stderr(bytes)) => said.extend(bytes),
                Some(_) => {}
                None => return Err(Error::conflict("the process that looked after the container is gone")),
            }
        }
    }

    /// Removes it.
    pub fn remove(self) -> Result<()> {
        self.ground.engine.remove_container(&self.id, true)
    }
}

/// What the work takes in seconds, and what comes of it.
pub(super) fn timed<T>(work: impl FnOnce() -> Result<T>) -> Result<(f64, T)> {
    let start = Instant::now();
    let done = work()?;
    Ok((start.elapsed().as_secs_f64(), done))
}

/// A whole program for this machine: exit(0). An ELF header, one segment that maps the file, and three instructions
/// (elf(5); the calls' numbers are those of Linux).
fn program() -> Option<Vec<u8>> {
    const HEADERS: u64 = 64 + 56;
    const ADDRESS: u64 = 0x40_0000;
    let (machine, code): (u16, &[u8]) = match std::env::consts::ARCH {
        // mov $60, %eax; xor %edi, %edi; syscall
        "x86_64" => (62, &[0xb8, 60, 0, 0, 0, 0x31, 0xff, 0x0f, 0x05]),
        // mov x8, #93; mov x0, #0; svc #0
        "aarch64" => (183, &[0xa8, 0x0b, 0x80, 0xd2, 0, 0, 0x80, 0xd2, 0x01, 0, 0, 0xd4]),
        // li a7, 93; li a0, 0; ecall
        "riscv64" => (243, &[0x93, 0x08, 0xd0, 0x05, 0x13, 0x05, 0, 0, 0x73, 0, 0, 0]),
        _ => return None,
    };
    let size = HEADERS + code.len() as u64;
    let mut elf = b"\x7fELF\x02\x01\x01".to_vec();
    elf.resize(16, 0);
    elf.extend(2_u16.to_le_bytes());
    elf.extend(machine.to_le_bytes());
    elf.extend(1_u32.to_le_bytes());
    for word in [ADDRESS + HEADERS, 64, 0] {
        elf.extend(word.to_le_bytes());
    }
    elf.extend(0_u32.to_le_bytes());
    for half in [64_u16, 56, 1, 0, 0, 0] {
        elf.extend(half.to_le_bytes());
    }
    // PT_LOAD, to be read and run.
    elf.extend(1_u32.to_le_bytes());
    elf.extend(5_u32.to_le_bytes());
    for word in [0, ADDRESS, ADDRESS, size, size, 0x1000] {
        elf.extend(word.to_le_bytes());
    }
    elf.extend(code);
    Some(elf)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_runs_and_does_nothing() {
        let Some(program) = program() else {
            return testkit::machine::skip("the_program_runs_and_does_nothing", "another architecture");
        };
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("program");
        fs::write(&path, program).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        // Through a shell: another test's child that starts just now may have the file open for writing.
        let script = "for n in 1 2 3 4 5; do \"$0\" && exit 0; sleep 0.2; done; exit 1";
        let status = std::process::Command::new("sh").args(["-c", script]).arg(&path).status().unwrap();
        assert!(status.success());
    }
}
