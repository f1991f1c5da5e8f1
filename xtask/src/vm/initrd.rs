//! The archive that the kernel boots from: a shell, the modules, and what the first process does.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use crate::Result;

/// What the first process does: modules, mounts, the command, its exit code, the end.
const INIT: &str = include_str!("init.sh");

/// The archive, as far as it is written.
#[derive(Debug, Default)]
pub struct Initrd {
    bytes: Vec<u8>,
    members: u32,
}

impl Initrd {
    /// An archive that runs `command` (a shell script) on the root that it finds, with `shares` mounted in it.
    pub fn archive(
        busybox: &Path,
        modules: &[PathBuf],
        shares: &[PathBuf],
        command: &str,
    ) -> Result<Vec<u8>> {
        let mut initrd = Self::default();
        for dir in ["bin", "dev", "modules", "new", "proc", "sys", "tmp"] {
            initrd.member(dir, 0o040_755, b"");
        }
        initrd.member("bin/busybox", 0o100_755, &fs::read(busybox)?);
        initrd.member("init", 0o100_755, INIT.as_bytes());
        initrd.member("command", 0o100_755, command.as_bytes());
        let mut order = String::new();
        for (n, module) in modules.iter().enumerate() {
            let name = module.file_name().unwrap_or_default().to_string_lossy();
            // Numbered, for two of different directories may have one name.
            writeln!(order, "{n}-{name}")?;
            let bytes = fs::read(module).map_err(|e| format!("{}: {e}", module.display()))?;
            initrd.member(&format!("modules/{n}-{name}"), 0o100_644, &bytes);
        }
        initrd.member("modules/order", 0o100_644, order.as_bytes());
        let shares: String = shares.iter().map(|share| format!("{}\n", share.display())).collect();
        initrd.member("shares", 0o100_644, shares.as_bytes());
        initrd.member("TRAILER!!!", 0, b"");
        Ok(initrd.bytes)
    }

    /// Adds a member, in the form `newc` of cpio (the kernel's documentation, `initramfs buffer format`): the header is
    /// 6 digits of magic and 13 numbers of 8 hexadecimal digits, and header with name, and data, end at multiples of 4.
    fn member(&mut self, name: &str, mode: u32, data: &[u8]) {
        self.members += 1;
        let size = u32::try_from(data.len()).unwrap_or(u32::MAX);
        let name_size = u32::try_from(name.len() + 1).unwrap_or(u32::MAX);
        let (owner, links, time, device) = (0, 1, 0, 0);
        let fields = [
            self.members,
            mode,
            owner,
            owner,
            links,
            time,
            size,
            device,
            device,
            device,
            device,
            name_size,
            0,
        ];
        self.bytes.extend_from_slice(b"070701");
        for field in fields {
            self.bytes.extend_from_slice(format!("{field:08x}").as_bytes());
        }
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(data);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_begin_at_multiples_of_four() {
        let mut initrd = Initrd::default();
        initrd.member("ab", 0o100_644, b"12345");
        initrd.member("TRAILER!!!", 0, b"");
        // 110 bytes of header and 3 of name make 116; 5 bytes of data make 8.
        assert_eq!(&initrd.bytes[110..116], b"ab\0\0\0\0");
        assert_eq!(&initrd.bytes[116..124], b"12345\0\0\0");
        assert_eq!(&initrd.bytes[124..130], b"070701");
        assert_eq!(initrd.bytes.len() % 4, 0);
    }
}
