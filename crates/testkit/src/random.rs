//! Random trees, for tests of what must hold for every tree.

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use proptest::prelude::*;
use sys::{FileKind, Time, dir, meta, xattr};

/// One step in making a tree. A step that does not fit what is there is passed over, so any list of steps is a tree.
#[derive(Clone)]
pub struct Step {
    path: Vec<Vec<u8>>,
    what: What,
    mode: u32,
    owner: (u32, u32),
    mtime: Time,
    xattr: Option<(&'static str, Vec<u8>)>,
}

impl fmt::Debug for Step {
    /// On one line: a failing case has some dozens.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, what, mode, owner, mtime, xattr } = self;
        let show = |path: &[Vec<u8>]| String::from_utf8_lossy(&path.join(&b'/')).into_owned();
        write!(f, "{:?} ", show(path))?;
        match what {
            What::File(content) => write!(f, "File({})", content.len())?,
            What::Symlink(target) => write!(f, "Symlink({:?})", show(std::slice::from_ref(target)))?,
            What::Link(target) => write!(f, "Link({:?})", show(target))?,
            other => write!(f, "{other:?}")?,
        }
        let xattr = xattr.as_ref().map(|(key, _)| *key).unwrap_or_default();
        write!(f, " {mode:04o} {}:{} {}.{:09} {xattr}", owner.0, owner.1, mtime.secs, mtime.nanos)
    }
}

#[derive(Debug, Clone)]
enum What {
    Dir,
    File(Vec<u8>),
    Symlink(Vec<u8>),
    Fifo,
    Device(u32, u32),
    /// A further name of the file that an earlier step made.
    Link(Vec<Vec<u8>>),
    Whiteout,
    Opaque,
}

/// Steps of an ordinary tree.
pub fn tree() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(step(ordinary().boxed()), 0..40)
}

/// Steps of the upper directory of an overlay, with whiteouts and opaque directories. Needs root.
pub fn upper() -> impl Strategy<Value = Vec<Step>> {
    let what = prop_oneof![6 => ordinary(), 1 => Just(What::Whiteout), 1 => Just(What::Opaque)];
    prop::collection::vec(step(what.boxed()), 0..40)
}

/// Makes the tree in an empty directory.
pub fn make(root: &Path, steps: &[Step]) {
    for step in steps {
        let _ = step.make(root);
    }
    // Only now: making files changed their directories' times, and steps came in any order.
    for (index, path) in crate::tree::dirs(root).into_iter().enumerate() {
        let time = Time { secs: 1_100_000_000 + index as i64, nanos: 7 };
        meta::set_times_fd(dir::open_path(&path).unwrap(), time, time).unwrap();
    }
}

fn name() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        8 => prop::sample::select(vec!["a", "b", "c", "d", "a-b", "a.b"]).prop_map(|name| name.as_bytes().to_vec()),
        1 => Just("ä é".as_bytes().to_vec()),
        1 => Just(vec![0xff, 0xfe, b'x']),
        1 => Just(vec![b'l'; 255]),
        1 => Just(b".whiteout".to_vec()),
        1 => Just(b"new\nline".to_vec()),
    ]
}

fn path() -> impl Strategy<Value = Vec<Vec<u8>>> {
    prop::collection::vec(name(), 1..4)
}

fn ordinary() -> impl Strategy<Value = What> {
    prop_oneof![
        4 => Just(What::Dir),
        6 => prop::collection::vec(any::<u8>(), 0..1500).prop_map(What::File),
        2 => prop_oneof![name(), Just(b"/etc/passwd".to_vec()), Just(vec![b'x'; 300])].prop_map(What::Symlink),
        1 => Just(What::Fifo),
        1 => (1..4_u32, 0..300_u32).prop_map(|(major, minor)| What::Device(major, minor)),
        2 => path().prop_map(What::Link),
    ]
}

fn step(what: BoxedStrategy<What>) -> impl Strategy<Value = Step> {
    let mode = prop_oneof![4 => 0..0o7777_u32, 4 => Just(0o644_u32)];
    let owner = prop_oneof![
        6 => Just((0, 0)),
        2 => (0..70_000_u32, 0..70_000_u32),
        1 => Just((3_000_000, 3_000_001)),
    ];
    let mtime = (-10..2_000_000_000_i64, 0..1_000_000_000_u32).prop_map(|(secs, nanos)| Time { secs, nanos });
    let value = prop::collection::vec(any::<u8>(), 0..40);
    let xattr = prop::option::weighted(
        0.2,
        (prop::sample::select(vec!["user.test", "user.other", "trusted.test"]), value),
    );
    (path(), what, mode, owner, mtime, xattr).prop_map(|(path, what, mode, owner, mtime, xattr)| Step {
        path,
        what,
        mode,
        owner,
        mtime,
        xattr,
    })
}

impl Step {
    fn make(&self, root: &Path) -> sys::Result<()> {
        let mut at = dir::open_path(root)?;
        let (name, above) = self.path.split_last().unwrap();
        for part in above {
            let part = OsStr::from_bytes(part);
            at = match dir::mkdir(&at, part, 0o755) {
                Err(e) if !e.is_exists() => return Err(e),
                _ => dir::open(&at, part)?,
            };
        }
        let name = OsStr::from_bytes(name);
        let mut time = self.mtime;
        match &self.what {
            What::Dir => dir::mkdir(&at, name, self.mode)?,
            What::File(content) => {
                let fd = dir::create_file(&at, name, self.mode)?;
                sys::file::write_all(&fd, content)?;
            }
            What::Symlink(target) => dir::symlink(&at, name, OsStr::from_bytes(target))?,
            What::Fifo => dir::mknod(&at, name, FileKind::Fifo, self.mode, 0, 0)?,
            What::Device(major, minor) => {
                dir::mknod(&at, name, FileKind::CharDevice, self.mode, *major, *minor)?
            }
            What::Link(other) => return link(root, other, &at, name),
            What::Whiteout => {
                dir::mknod(&at, name, FileKind::CharDevice, 0, 0, 0)?;
                meta::chown(&at, name, self.owner.0, self.owner.1)?;
                return meta::set_times(&at, name, self.mtime, self.mtime);
            }
            What::Opaque => {
                dir::mkdir(&at, name, 0o755)?;
                return xattr::set(&at, name, OsStr::new("trusted.overlay.opaque"), b"y");
            }
        }
        meta::chown(&at, name, self.owner.0, self.owner.1)?;
        let symlink = matches!(self.what, What::Symlink(_));
        if let Some((key, value)) = &self.xattr
            && (key.starts_with("trusted") || matches!(self.what, What::File(_) | What::Dir))
        {
            xattr::set(&at, name, OsStr::new(key), value)?;
        }
        if !symlink {
            meta::chmod(&at, name, self.mode)?;
        }
        if matches!(self.what, What::Dir) {
            time = Time::default();
        }
        meta::set_times(&at, name, time, time)
    }
}

fn link(root: &Path, other: &[Vec<u8>], at: &sys::OwnedFd, name: &OsStr) -> sys::Result<()> {
    let (last, above) = other.split_last().unwrap();
    let mut from = dir::open_path(root)?;
    for part in above {
        from = dir::open(&from, OsStr::from_bytes(part))?;
    }
    if meta::of(&from, OsStr::from_bytes(last))?.is_whiteout() {
        return Ok(());
    }
    dir::link(&from, OsStr::from_bytes(last), at, name)
}
