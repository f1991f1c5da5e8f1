//! One run of the virtual machine.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::Result;

use super::initrd::Initrd;
use super::{kernel, zfs};

/// What is loaded: the machine's own devices and its root, then what tests are for.
const MODULES: &[&str] = &[
    "virtio_pci",
    "virtio_blk",
    "virtio_console",
    "9pnet_virtio",
    "9p",
    "overlay",
    "loop",
    "fuse",
    "ext4",
    "xfs",
    "btrfs",
    "quota_v2",
    "dm-thin-pool",
];

/// The programs that this takes, and Debian's packages of them.
const PROGRAMS: [(&str, &str); 4] = [
    ("qemu-system-x86_64", "qemu-system-x86"),
    ("busybox", "busybox-static"),
    ("modprobe", "kmod"),
    ("apt-get", "apt"),
];

/// What the machine is to have.
#[derive(Debug)]
pub struct Machine {
    /// Directories that are the same inside, writable.
    pub shares: Vec<PathBuf>,
    /// The disk `/dev/vda`.
    pub disk: Option<PathBuf>,
    /// In MiB.
    pub memory: u32,
    /// Modules of the kernel beyond [`MODULES`].
    pub modules: Vec<String>,
    /// Whether there is ZFS.
    pub zfs: bool,
    /// The longest that it may run.
    pub timeout: Duration,
}

impl Default for Machine {
    fn default() -> Self {
        Self {
            shares: Vec::new(),
            disk: None,
            memory: 3072,
            modules: Vec::new(),
            zfs: false,
            timeout: Duration::from_secs(1800),
        }
    }
}

/// How a run ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Ended {
    /// The command ended with this code.
    With(u8),
    /// The machine ended without one.
    Broken(String),
}

/// What stands against running machines here, in words.
pub fn missing() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("a virtual machine with this machine's files needs root".to_owned());
    }
    let packages: Vec<&str> =
        PROGRAMS.iter().filter(|(program, _)| find(program).is_none()).map(|(_, package)| *package).collect();
    (!packages.is_empty()).then(|| format!("missing: apt-get install {}", packages.join(" ")))
}

/// Where a program is.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(program)).find(|file| file.is_file())
}

impl Machine {
    /// Runs `command` in this process' working directory. Its output goes to `output`, or to ours.
    pub fn run(&self, command: &[String], output: Option<File>) -> Result<Ended> {
        let kernel = kernel::prepare()?;
        let zfs = if self.zfs { Some(zfs::prepare(&kernel)?) } else { None };
        let own = Scratch::new()?;
        let mut names = MODULES.to_vec();
        names.extend(self.modules.iter().map(String::as_str));
        let mut modules = kernel.modules(&names)?;
        modules.extend(zfs.iter().flat_map(zfs::Zfs::modules));
        let busybox = find("busybox").ok_or("busybox is missing")?;
        let initrd = own.0.join("initrd");
        let script = script(command, zfs.as_ref())?;
        fs::write(&initrd, Initrd::archive(&busybox, &modules, &self.shares, &script)?)?;

        let mut qemu = Command::new("qemu-system-x86_64");
        let accelerator =
            std::env::var("LAYERCAKE_VM_ACCEL").unwrap_or_else(|_| "tcg,thread=multi".to_owned());
        qemu.args(["-accel", &accelerator, "-cpu", "max", "-smp", "2"])
            .args(["-m", &self.memory.to_string(), "-display", "none", "-no-reboot", "-nic", "none"])
            .args(["-append", "quiet panic=-1 no_timer_check console=ttyS0", "-device", "virtio-serial"])
            .args(["-chardev", "stdio,id=output,signal=off", "-device", "virtconsole,chardev=output"])
            .arg("-kernel")
            .arg(kernel.image())
            .arg("-initrd")
            .arg(&initrd);
        let (log, status) = (own.0.join("kernel.log"), own.0.join("status"));
        qemu.arg("-serial").arg(format!("file:{}", escape(&log)));
        qemu.arg("-chardev").arg(format!("file,id=status,path={}", escape(&status)));
        qemu.args(["-device", "virtconsole,chardev=status"]);
        share(&mut qemu, "root", Path::new("/"), true);
        for (n, dir) in self.shares.iter().enumerate() {
            share(&mut qemu, &format!("share{n}"), dir, false);
        }
        if let Some(disk) = &self.disk {
            qemu.arg("-drive").arg(format!("file={},format=raw,if=virtio,cache=writeback", escape(disk)));
        }
        qemu.stdin(Stdio::null());
        if let Some(output) = output {
            qemu.stdout(output);
        }
        let timely = wait(qemu.stderr(File::create(own.0.join("qemu.log"))?).spawn()?, self.timeout)?;
        let said = fs::read_to_string(&status).unwrap_or_default();
        if let (true, Ok(code)) = (timely, said.trim().parse()) {
            return Ok(Ended::With(code));
        }
        let why = if timely { "ended without an exit code" } else { "took too long" };
        let words = [last_words(&own.0.join("qemu.log")), last_words(&log)].concat();
        Ok(Ended::Broken(format!("the virtual machine {why}; its last words:\n{words}")))
    }
}

/// Waits for the end, and says whether it came in time.
fn wait(mut child: Child, timeout: Duration) -> Result<bool> {
    let began = Instant::now();
    loop {
        if child.try_wait()?.is_some() {
            return Ok(true);
        }
        if began.elapsed() > timeout {
            child.kill()?;
            child.wait()?;
            return Ok(false);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A directory that the machine has by the name `tag`.
fn share(qemu: &mut Command, tag: &str, dir: &Path, read_only: bool) {
    let read_only = if read_only { ",readonly=on" } else { "" };
    let dir = escape(dir);
    qemu.arg("-fsdev")
        .arg(format!("local,id={tag},path={dir},security_model=none,multidevs=remap{read_only}"))
        .arg("-device")
        .arg(format!("virtio-9p-pci,fsdev={tag},mount_tag={tag}"));
}

/// A comma in a value of qemu's is two.
fn escape(path: &Path) -> String {
    path.display().to_string().replace(',', ",,")
}

/// What the machine's shell runs.
fn script(command: &[String], zfs: Option<&zfs::Zfs>) -> Result<String> {
    let mut path = std::env::var("PATH")?;
    let mut environment = String::from("export LAYERCAKE_VM=1 TERM=dumb HOME=/root\n");
    if let Some(zfs) = zfs {
        path = format!("{}:{path}", zfs.programs().display());
        environment += &format!("export LD_LIBRARY_PATH={}\n", quote(&zfs.libraries()));
    }
    for name in ["RUST_BACKTRACE", "RUST_TEST_THREADS"] {
        if let Ok(value) = std::env::var(name) {
            environment += &format!("export {name}={}\n", quote(&value));
        }
    }
    let dir = std::env::current_dir()?.display().to_string();
    let words: Vec<String> = command.iter().map(|word| quote(word)).collect();
    Ok(format!(
        "export PATH={}\n{environment}cd {} || cd /\nexec {}\n",
        quote(&path),
        quote(&dir),
        words.join(" ")
    ))
}

/// A word as the shell reads it.
fn quote(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

fn last_words(log: &Path) -> String {
    let mut text = Vec::new();
    if let Ok(mut file) = File::open(log) {
        let _ = file.read_to_end(&mut text);
    }
    let text = String::from_utf8_lossy(&text).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].iter().map(|line| format!("{line}\n")).collect()
}

/// A directory that goes at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Self> {
        let dir = kernel::cache().join(format!("run-{}", std::process::id()));
        fs::create_dir_all(&dir)?;
        Ok(Self(dir))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_one_word_for_the_shell() {
        assert_eq!(quote("a b'c"), r"'a b'\''c'");
    }
}
