//! The kernel's table of mounts, `/proc/…/mountinfo` (proc_pid_mountinfo(5)).

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use crate::error::{Error, Result};

/// One line of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountEntry {
    /// Where it is mounted.
    pub target: PathBuf,
    /// Type of file system.
    pub fs_type: String,
    /// What is mounted.
    pub source: String,
    /// Options of the file system.
    pub options: String,
}

/// The mounts of this thread's mount namespace at or below `path`, outermost first.
pub fn table(path: &Path) -> Result<Vec<MountEntry>> {
    // Not `/proc/self`: that is the main thread's namespace.
    let file = Path::new("/proc/thread-self/mountinfo");
    let text = std::fs::read(file)
        .map_err(|e| Error::new("read", file, Errno::from_io_error(&e).unwrap_or(Errno::IO)))?;
    Ok(text.split(|b| *b == b'\n').filter_map(parse).filter(|m| m.target.starts_with(path)).collect())
}

fn parse(line: &[u8]) -> Option<MountEntry> {
    let mut fields = line.split(|b| *b == b' ');
    let target = PathBuf::from(OsStr::from_bytes(&unescape(fields.nth(4)?)));
    let mut rest = fields.skip_while(|f| *f != b"-").skip(1);
    let text = |f: &[u8]| String::from_utf8_lossy(&unescape(f)).into_owned();
    Some(MountEntry {
        target,
        fs_type: text(rest.next()?),
        source: text(rest.next()?),
        options: text(rest.next()?),
    })
}

/// Undoes the table's octal escapes of space, tab, newline and backslash.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(field.len());
    let mut at = 0;
    while at < field.len() {
        let digits = field.get(at + 1..at + 4);
        let octal = digits.filter(|d| field[at] == b'\\' && d.iter().all(|c| (b'0'..=b'7').contains(c)));
        match octal {
            Some(d) => {
                out.push(d.iter().fold(0u8, |n, c| n.wrapping_mul(8).wrapping_add(c - b'0')));
                at += 4;
            }
            None => {
                out.push(field[at]);
                at += 1;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_with_optional_fields_and_escapes() {
        let line = br"36 35 98:0 /mnt1 /a\040b\134c rw,noatime shared:1 master:2 - ext3 /dev/root\011x rw,errors=continue";
        let entry = parse(line).unwrap();
        assert_eq!(entry.target, Path::new("/a b\\c"));
        assert_eq!(entry.fs_type, "ext3");
        assert_eq!(entry.source, "/dev/root\tx");
        assert_eq!(entry.options, "rw,errors=continue");
        assert_eq!(parse(b""), None);
        assert_eq!(parse(b"1 2 3 4 /x rw"), None);
    }

    #[test]
    fn the_table_lists_what_is_below_a_path_only() {
        let proc = table(Path::new("/proc")).unwrap();
        assert!(proc.iter().any(|m| m.target == Path::new("/proc") && m.fs_type == "proc"), "{proc:?}");
        assert!(proc.iter().all(|m| m.target.starts_with("/proc")));
    }
}
