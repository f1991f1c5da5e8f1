//! Debian's ZFS for the machine: its modules built against the kernel's headers, its programs unpacked. Nothing of it is
//! installed here.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;
use crate::bench::run;

use super::kernel::{self, Kernel};

/// Debian's packages of ZFS, in its section `contrib`.
const PACKAGES: [&str; 6] =
    ["zfs-dkms", "zfsutils-linux", "libzfs4linux", "libzpool5linux", "libnvpair3linux", "libuutil3linux"];

/// The modules in the order in which they are loaded, by their directories in ZFS's sources.
const MODULES: [&str; 9] = [
    "spl/spl.ko",
    "nvpair/znvpair.ko",
    "avl/zavl.ko",
    "unicode/zunicode.ko",
    "zcommon/zcommon.ko",
    "icp/icp.ko",
    "zstd/zzstd.ko",
    "lua/zlua.ko",
    "zfs/zfs.ko",
];

/// ZFS that is here.
#[derive(Debug, Clone)]
pub struct Zfs {
    /// Where the packages are unpacked and the modules are.
    pub dir: PathBuf,
}

impl Zfs {
    /// The modules, each after those that it needs.
    pub fn modules(&self) -> Vec<PathBuf> {
        let name =
            |module: &&str| Path::new(module).file_name().map(|name| self.dir.join("modules").join(name));
        MODULES.iter().filter_map(name).collect()
    }

    /// Where `zfs` and `zpool` are.
    pub fn programs(&self) -> PathBuf {
        self.dir.join("sbin")
    }

    /// Where their libraries are.
    pub fn libraries(&self) -> String {
        let lib = "lib/x86_64-linux-gnu";
        format!("{}:{}", self.dir.join(lib).display(), self.dir.join("usr").join(lib).display())
    }
}

/// ZFS for this kernel; fetched and built if it is not in the cache, which takes many minutes.
///
/// The section `contrib` of Debian's archive has to be in apt's sources; `LAYERCAKE_VM_APT` can hold further options for
/// apt-get that bring it.
pub fn prepare(kernel: &Kernel) -> Result<Zfs> {
    let dir = kernel::cache().join(format!("zfs-{}", kernel.version));
    let zfs = Zfs { dir: dir.clone() };
    if dir.join("version").exists() {
        return Ok(zfs);
    }
    println!("== ZFS: for {}", kernel.version);
    let options = std::env::var("LAYERCAKE_VM_APT").unwrap_or_default();
    let options: Vec<String> = options.split_whitespace().map(str::to_owned).collect();
    kernel::unpack(&PACKAGES, &options, &dir)?;
    let headers = headers(kernel)?;
    let sources = fs::read_dir(dir.join("usr/src"))?.flatten().map(|entry| entry.path());
    let sources = sources.filter(|path| path.join("configure").exists()).max();
    let sources = sources.ok_or("zfs-dkms has no sources")?;
    let tree = headers.display();
    run(Command::new("nice")
        .args(["sh", "./configure", "--quiet", "--with-config=kernel"])
        .arg(format!("--with-linux={}", common(&headers)?.display()))
        .arg(format!("--with-linux-obj={tree}"))
        .current_dir(&sources))?;
    run(Command::new("nice").args(["make", "--quiet", "-j2"]).current_dir(&sources))?;
    fs::create_dir_all(dir.join("modules"))?;
    for (module, file) in MODULES.iter().zip(zfs.modules()) {
        let built = sources.join("module").join(module);
        fs::copy(&built, file).map_err(|e| format!("{}: {e}", built.display()))?;
    }
    fs::write(dir.join("version"), &kernel.version)?;
    Ok(zfs)
}

/// The kernel's headers, made to be used where they are unpacked.
fn headers(kernel: &Kernel) -> Result<PathBuf> {
    let tree = kernel::cache().join(format!("headers-{}", kernel.version));
    let version = &kernel.version;
    let usr = tree.join("usr/src").join(format!("linux-headers-{version}"));
    if tree.join("version").exists() {
        return Ok(usr);
    }
    let common = format!("{}-common", version.trim_end_matches("-amd64"));
    let (base, _) = version.split_once(".0-").ok_or("not a version of Debian's kernels")?;
    let packages = [
        format!("linux-headers-{version}"),
        format!("linux-headers-{common}"),
        format!("linux-kbuild-{base}"),
    ];
    kernel::unpack(&packages.each_ref().map(String::as_str), &[], &tree)?;
    // The packages name each other by where they are installed.
    let makefile = usr.join("Makefile");
    let text =
        fs::read_to_string(&makefile)?.replace("/usr/src", &tree.join("usr/src").display().to_string());
    fs::write(&makefile, text)?;
    for dir in [usr.clone(), tree.join("usr/src").join(format!("linux-headers-{common}"))] {
        for name in ["scripts", "tools"] {
            let link = dir.join(name);
            if link.is_symlink() {
                fs::remove_file(&link)?;
                symlink(tree.join(format!("usr/lib/linux-kbuild-{base}")).join(name), &link)?;
            }
        }
    }
    fs::write(tree.join("version"), version)?;
    Ok(usr)
}

/// The directory beside, with what all builds of the kernel share.
fn common(headers: &Path) -> Result<PathBuf> {
    let name = headers.file_name().unwrap_or_default().to_string_lossy().replace("-amd64", "-common");
    Ok(headers.with_file_name(name))
}
