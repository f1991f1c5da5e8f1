//! Mounting by `fusermount3`. It is told the mount point and the options, opens the device, mounts, and sends the
//! descriptor over the socket whose number the variable `_FUSE_COMMFD` has: here its standard input.

use std::io;
use std::mem::MaybeUninit;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use rustix::fd::{AsRawFd, OwnedFd};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags};

use super::{Error, MountOptions};

/// The helper of libfuse 3, and that of libfuse 2, which serves as well.
const NAMES: [&str; 2] = ["fusermount3", "fusermount"];

/// Mounts on the directory behind `place`.
pub(super) fn mount(place: &OwnedFd, target: &Path, options: &MountOptions) -> Result<OwnedFd, Error> {
    let refused = |reason: String| Error::Helper { op: "mount at", target: target.to_owned(), reason };
    let mut failure = String::new();
    for name in NAMES {
        let (ours, theirs) = UnixStream::pair().map_err(|e| refused(e.to_string()))?;
        let mut command = Command::new(name);
        command.arg("-o").arg(option_list(options));
        // The directory that was opened, not its path once more: the helper starts inside it.
        command.args(["--", "."]).current_dir(PathBuf::from(format!("/proc/self/fd/{}", place.as_raw_fd())));
        command.env("_FUSE_COMMFD", "0").stdin(Stdio::from(OwnedFd::from(theirs))).stdout(Stdio::null());
        match command.output() {
            Err(e) if e.kind() == io::ErrorKind::NotFound => failure = format!("{name}: {e}"),
            Err(e) => return Err(refused(e.to_string())),
            Ok(output) if !output.status.success() => return Err(refused(message(&output))),
            Ok(_) => {
                drop(command); // its end of the socket: what is not there by now never comes
                return receive(&ours).map_err(|e| refused(e.to_string()));
            }
        }
    }
    Err(refused(failure))
}

/// Unmounts what the user has mounted.
pub(super) fn unmount(target: &Path, lazy: bool) -> Result<(), Error> {
    let refused = |reason: String| Error::Helper { op: "unmount", target: target.to_owned(), reason };
    let mut failure = String::new();
    for name in NAMES {
        let mut command = Command::new(name);
        command.arg("-u").args(lazy.then_some("-z")).arg("--").arg(target).stdin(Stdio::null());
        match command.output() {
            Err(e) if e.kind() == io::ErrorKind::NotFound => failure = format!("{name}: {e}"),
            Err(e) => return Err(refused(e.to_string())),
            Ok(output) if !output.status.success() => return Err(refused(message(&output))),
            Ok(_) => return Ok(()),
        }
    }
    Err(refused(failure))
}

/// What it said, without its name in front.
fn message(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    let text = text.trim();
    let text = NAMES.iter().find_map(|name| text.strip_prefix(&format!("{name}: "))).unwrap_or(text);
    if text.is_empty() { output.status.to_string() } else { text.to_owned() }
}

/// The one descriptor that was sent.
fn receive(socket: &UnixStream) -> io::Result<OwnedFd> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let mut parts = [io::IoSliceMut::new(&mut byte)];
    rustix::net::recvmsg(socket, &mut parts, &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
    let descriptor = ancillary.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    });
    descriptor.ok_or_else(|| io::Error::other("it sent no device"))
}

/// The `-o` line: commas in a value are escaped.
fn option_list(options: &MountOptions) -> String {
    let mut list = vec![format!("fsname={}", options.source)];
    if !options.subtype.is_empty() {
        list.push(format!("subtype={}", options.subtype));
    }
    let flags = [
        (options.read_only, "ro"),
        (options.nosuid, "nosuid"),
        (options.nodev, "nodev"),
        (options.noexec, "noexec"),
        (options.noatime, "noatime"),
    ];
    list.extend(flags.iter().filter(|(set, _)| *set).map(|(_, name)| (*name).to_owned()));
    list.extend(common(options));
    let escaped = list.iter().map(|option| option.replace('\\', "\\\\").replace(',', "\\,"));
    escaped.collect::<Vec<_>>().join(",")
}

/// The options that are spelled the same however one mounts.
pub(super) fn common(options: &MountOptions) -> Vec<String> {
    let mut common = Vec::new();
    if options.default_permissions {
        common.push("default_permissions".to_owned());
    }
    if options.allow_other {
        common.push("allow_other".to_owned());
    }
    if options.max_read > 0 {
        common.push(format!("max_read={}", options.max_read));
    }
    common.extend(options.context.iter().cloned());
    common
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comma_in_the_source_does_not_end_it() {
        let options = MountOptions { source: r"a,b\c".into(), max_read: 4096, ..MountOptions::default() };
        assert_eq!(option_list(&options), r"fsname=a\,b\\c,nosuid,nodev,default_permissions,max_read=4096");
    }
}
