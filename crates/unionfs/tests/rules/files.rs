//! Short ways to make, change and look at files. All of them fail the test that they fail in.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

use rustix::fs::{
    AtFlags, CWD, FileType, Mode, Timespec, Timestamps, XattrFlags, lgetxattr, lsetxattr, mknodat, utimensat,
};
use rustix::io::Errno;

/// Another user than the one that mounts.
pub const USER: u32 = 1000;

/// The content of a file.
pub fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.as_ref().display()))
}

/// Adds to the end of a file.
pub fn append(path: impl AsRef<Path>, text: &str) {
    use std::io::Write;
    let mut file = fs::OpenOptions::new().append(true).open(&path).expect("opening to append");
    file.write_all(text.as_bytes()).unwrap();
}

/// The names in a directory, sorted.
pub fn names(path: impl AsRef<Path>) -> Vec<String> {
    let entries = fs::read_dir(&path).unwrap_or_else(|e| panic!("{}: {e}", path.as_ref().display()));
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// The attributes of a file, of a link itself.
pub fn stat(path: impl AsRef<Path>) -> fs::Metadata {
    fs::symlink_metadata(&path).unwrap_or_else(|e| panic!("{}: {e}", path.as_ref().display()))
}

/// Whether a name is there.
pub fn exists(path: impl AsRef<Path>) -> bool {
    fs::symlink_metadata(path).is_ok()
}

/// The permission bits, with suid, sgid and sticky.
pub fn mode(path: impl AsRef<Path>) -> u32 {
    stat(path).mode() & 0o7777
}

/// Sets the permission bits.
pub fn chmod(path: impl AsRef<Path>, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Sets the owner and group, of a link itself.
pub fn chown(path: impl AsRef<Path>, uid: u32, gid: u32) {
    std::os::unix::fs::lchown(path, Some(uid), Some(gid)).unwrap();
}

/// An extended attribute, of a link itself.
pub fn xattr(path: impl AsRef<Path>, name: &str) -> Option<Vec<u8>> {
    let mut value = vec![0; 65536];
    match lgetxattr(path.as_ref(), name, &mut value[..]) {
        Ok(n) => {
            value.truncate(n);
            Some(value)
        }
        Err(Errno::NODATA) => None,
        Err(e) => panic!("{}: {name}: {e}", path.as_ref().display()),
    }
}

/// Sets an extended attribute, of a link itself.
pub fn set_xattr(path: impl AsRef<Path>, name: &str, value: &[u8]) {
    lsetxattr(path.as_ref(), name, value, XattrFlags::empty())
        .unwrap_or_else(|e| panic!("{}: {name}: {e}", path.as_ref().display()));
}

/// Makes a device, a pipe or a socket.
pub fn mknod(path: impl AsRef<Path>, kind: FileType, device: u64) -> rustix::io::Result<()> {
    mknodat(CWD, path.as_ref(), kind, Mode::from(0o644), device)
}

/// Makes a whiteout as the kernel's overlay does: the character device 0:0.
pub fn whiteout(path: impl AsRef<Path>) {
    mknod(path, FileType::CharacterDevice, 0).expect("making a whiteout");
}

/// Whether it is a whiteout of that form.
pub fn is_whiteout(path: impl AsRef<Path>) -> bool {
    fs::symlink_metadata(path).is_ok_and(|meta| meta.mode() & 0o170_000 == 0o020_000 && meta.rdev() == 0)
}

/// Sets both times, which is a change of attributes and nothing else.
pub fn set_times(path: impl AsRef<Path>, seconds: i64, nanos: i64) {
    let time = Timespec { tv_sec: seconds, tv_nsec: nanos };
    let times = Timestamps { last_access: time, last_modification: time };
    utimensat(CWD, path.as_ref(), &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

/// The number of the error that was expected.
pub fn errno<T>(result: std::io::Result<T>) -> Option<Errno> {
    result.err().map(|e| Errno::from_io_error(&e).unwrap_or_else(|| panic!("{e}")))
}

/// Runs a shell script as [`USER`]; whether it succeeded.
pub fn as_user(script: &str, path: impl AsRef<Path>) -> bool {
    let id = USER.to_string();
    let output = Command::new("setpriv")
        .args(["--reuid", &id, "--regid", &id, "--clear-groups", "--", "sh", "-c", script, "sh"])
        .arg(path.as_ref())
        .output()
        .unwrap();
    print!("{}", String::from_utf8_lossy(&output.stderr));
    output.status.success()
}

/// Runs Python, for the calls that are not safe in Rust (mapping, `truncate` by name) and for a process of its own.
/// `path` is `sys.argv[1]`. Whatever is wrong has to be an exception.
pub fn python(script: &str, path: impl AsRef<Path>) {
    let prelude = "import ctypes, errno, fcntl, mmap, os, struct, sys, time\npath = sys.argv[1]\n";
    let output =
        Command::new("python3").arg("-c").arg(format!("{prelude}{script}")).arg(path.as_ref()).output();
    let output = output.expect("python3");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script}\n{said}");
}
