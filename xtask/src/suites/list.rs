//! The suites, and what each union file system is expected to pass.

use crate::namespace::Who;
use crate::which::Which;

/// A way to run a suite.
#[derive(Debug)]
pub struct Suite {
    pub name: &'static str,
    /// What it needs below the directory of the suites.
    pub needs: &'static [&'static str],
    /// The script that runs it.
    pub runner: &'static str,
    pub args: &'static [&'static str],
    /// Whether directories of lower layers have to be renamed: `redirect_dir=on`.
    pub redirect: bool,
    /// Whether hard links have to survive a copy-up: the kernel's `index=on`; ours does it always.
    pub links: bool,
    /// Whether an ordinary user cannot pass all of it on any file system, since it makes device nodes: then it runs on
    /// the scratch directory first, and what fails there does not count.
    pub compares: bool,
    /// How many pass and fail as root; nobody knows where there is no entry.
    pub as_root: &'static [Expected],
    /// And as an ordinary user.
    pub as_user: &'static [Expected],
}

/// What one union file system is expected to pass and to fail.
type Expected = (Which, u32, u32);

use Which::{C, Kernel, Ours, Rust};

/// `dir-weird-open-dir` with a trailing slash fails on every file system of today: the kernel answers `EINVAL` to
/// `O_CREAT|O_DIRECTORY` (6.4, and the suite expects otherwise).
const EVERYWHERE: u32 = 1;

/// `fsx -c` empties the machine's caches between its operations, which an ordinary user may not.
const NO_ROOT: u32 = 1;

/// `mknod/08.t` makes the character device 0:0, the one that an ordinary user may make. In a union nobody may: it would be
/// a whiteout.
const WHITEOUTS: u32 = 2;

/// All suites.
pub const SUITES: &[Suite] = &[
    Suite {
        name: "unionmount --xdev",
        needs: &["unionmount"],
        runner: "run-unionmount.sh",
        args: &["--xdev"],
        redirect: false,
        links: false,
        compares: false,
        as_root: &[(Kernel, 56, 0), (C, 56, 0), (Rust, 56, 0), (Ours, 56, 0)],
        as_user: &[(Kernel, 56, 0), (C, 56, 0), (Rust, 56, 0), (Ours, 56, 0)],
    },
    Suite {
        name: "unionmount",
        needs: &["unionmount"],
        runner: "run-unionmount.sh",
        args: &[],
        redirect: true,
        links: false,
        compares: false,
        as_root: &[(Kernel, 59, 0), (C, 55, 4), (Ours, 59, 0)],
        as_user: &[],
    },
    Suite {
        name: "unionmount --xdev --ts --verify",
        needs: &["unionmount"],
        runner: "run-unionmount.sh",
        args: &["--xdev", "--ts", "--verify"],
        redirect: false,
        links: true,
        compares: false,
        as_root: &[(Kernel, 111, EVERYWHERE), (C, 111, EVERYWHERE), (Rust, 106, 6), (Ours, 111, EVERYWHERE)],
        as_user: &[(Ours, 111, EVERYWHERE)],
    },
    Suite {
        name: "unionmount --ts --layers 5 --verify",
        needs: &["unionmount"],
        runner: "run-unionmount.sh",
        args: &["--ts", "--layers", "5", "--verify"],
        redirect: true,
        links: true,
        compares: false,
        as_root: &[(Kernel, 117, EVERYWHERE), (Ours, 117, EVERYWHERE)],
        as_user: &[],
    },
    Suite {
        name: "pjdfstest",
        needs: &["pjdfstest/pjdfstest", "pjdfstest/tests"],
        runner: "run-pjdfstest.sh",
        args: &[],
        redirect: false,
        links: false,
        compares: true,
        as_root: &[(Kernel, 8770, 0), (C, 8720, 66), (Rust, 8713, 76), (Ours, 8770, 0)],
        as_user: &[(Kernel, 6972, WHITEOUTS), (Ours, 6972, WHITEOUTS)],
    },
    Suite {
        name: "fsx and fsstress",
        needs: &["fsx", "fsstress"],
        runner: "run-fsx-fsstress.sh",
        args: &["--ops", "2000"],
        redirect: false,
        links: false,
        compares: false,
        as_root: &[(Kernel, 21, 0), (C, 16, 5), (Rust, 14, 7), (Ours, 21, 0)],
        as_user: &[(Kernel, 20, NO_ROOT), (Ours, 20, NO_ROOT)],
    },
];

impl Suite {
    /// How many are expected to pass and to fail.
    pub fn expected(&self, which: Which, who: Who) -> Option<(u32, u32)> {
        let list = if who == Who::Root { self.as_root } else { self.as_user };
        list.iter().find(|(of, ..)| *of == which).map(|(_, passed, failed)| (*passed, *failed))
    }

    /// Why a union file system cannot run it.
    pub fn impossible(&self, which: Which, who: Who) -> Option<&'static str> {
        match which {
            Kernel | Ours if who == Who::User && self.redirect => Some("no redirect_dir with userxattr"),
            Kernel if who == Who::User && self.links => Some("no index with userxattr"),
            Rust if self.redirect => Some("redirect_dir is refused"),
            _ => None,
        }
    }

    /// The options that a union file system needs for it, for every mount.
    pub fn options(&self, which: Which, who: Who) -> String {
        let mut options = Vec::new();
        if self.redirect && matches!(which, Kernel | Ours) {
            options.push("redirect_dir=on");
        }
        if self.links && which == Kernel {
            options.push("index=on");
        }
        if who == Who::User && which == Kernel {
            options.push("userxattr");
        }
        options.join(",")
    }
}
