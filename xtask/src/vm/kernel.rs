//! Debian's kernel: its image and its modules, unpacked and not installed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;
use crate::bench::{repository, run};

/// A kernel that is here.
#[derive(Debug, Clone)]
pub struct Kernel {
    /// As `uname -r` says it.
    pub version: String,
    /// Where the package is unpacked.
    pub tree: PathBuf,
}

impl Kernel {
    /// The image.
    pub fn image(&self) -> PathBuf {
        self.tree.join(format!("boot/vmlinuz-{}", self.version))
    }

    /// The files of these modules and of those that they need, each after those that it needs.
    pub fn modules(&self, names: &[&str]) -> Result<Vec<PathBuf>> {
        let mut files: Vec<PathBuf> = Vec::new();
        for name in names {
            let listed = run(Command::new("modprobe")
                .args(["--show-depends", "--set-version", &self.version, "--dirname"])
                .arg(&self.tree)
                .arg(name))?;
            // `builtin NAME`, or `insmod FILE [OPTION…]`.
            for file in listed.lines().filter_map(|line| line.strip_prefix("insmod ")) {
                let file = PathBuf::from(file.split(' ').next().unwrap_or_default());
                if !files.contains(&file) {
                    files.push(file);
                }
            }
        }
        Ok(files)
    }
}

/// Where kernels are kept.
pub fn cache() -> PathBuf {
    match std::env::var_os("LAYERCAKE_VM_CACHE") {
        Some(dir) => dir.into(),
        None => repository().join("target/vm"),
    }
}

/// Debian's current kernel for 64-bit machines; fetched if it is not in the cache.
pub fn prepare() -> Result<Kernel> {
    if let Some(kernel) = newest(&cache()) {
        return Ok(kernel);
    }
    let package = match depends() {
        Some(package) => package,
        None => {
            run(Command::new("apt-get").args(["update", "-qq"]))?;
            depends().ok_or("apt-cache knows no linux-image-amd64: is this Debian on x86-64?")?
        }
    };
    let version = package.trim_start_matches("linux-image-").to_owned();
    println!("== kernel: {version}");
    let tree = cache().join(format!("linux-{version}"));
    unpack(&[&package], &[], &tree)?;
    run(Command::new("depmod").arg("--basedir").arg(&tree).arg(&version))?;
    // Its presence says that all of it is there.
    fs::write(tree.join("version"), &version)?;
    Ok(Kernel { version, tree })
}

fn newest(cache: &Path) -> Option<Kernel> {
    let trees = fs::read_dir(cache).ok()?.flatten().map(|entry| entry.path());
    let kernels = trees.filter_map(|tree| {
        tree.file_name()?.to_str()?.strip_prefix("linux-")?;
        let version = fs::read_to_string(tree.join("version")).ok()?;
        Some(Kernel { version, tree })
    });
    kernels.max_by(|a, b| a.version.cmp(&b.version))
}

/// The package that `linux-image-amd64` stands for now.
fn depends() -> Option<String> {
    let listed = run(Command::new("apt-cache").args(["depends", "linux-image-amd64"])).ok()?;
    let package = listed.lines().find_map(|line| line.trim().strip_prefix("Depends: linux-image-"))?;
    Some(format!("linux-image-{package}"))
}

/// Fetches packages, with further options for apt-get, and unpacks them below `tree` without installing them.
pub fn unpack(packages: &[&str], options: &[String], tree: &Path) -> Result<()> {
    let packs = cache().join("packages");
    let _ = fs::remove_dir_all(&packs);
    fs::create_dir_all(&packs)?;
    fs::create_dir_all(tree)?;
    let mut fetch = Command::new("apt-get");
    // Without this it warns that the user who fetches cannot write here.
    fetch.args(["-o", "APT::Sandbox::User=root"]).args(options);
    run(fetch.args(["download", "-qq"]).args(packages).current_dir(&packs))?;
    for pack in fs::read_dir(&packs)? {
        run(Command::new("dpkg").arg("-x").arg(pack?.path()).arg(tree))?;
    }
    Ok(fs::remove_dir_all(&packs)?)
}
