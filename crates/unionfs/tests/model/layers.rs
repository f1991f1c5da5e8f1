//! Random lower layers: trees with whiteouts, opaque directories and files of several names.

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use proptest::sample::select;
use rustix::fs::{
    AtFlags, CWD, FileType, Mode, Timespec, Timestamps, XattrFlags, lsetxattr, mknodat, utimensat,
};
use testkit::tree::dirs;

use crate::memory::Memory;
use crate::operations::{At, at, dir_mode, file_mode, owner};

/// One step in making a layer. A step that does not fit what is there is passed over.
#[derive(Debug, Clone)]
pub struct Step {
    pub at: At,
    pub what: What,
    pub owner: (u32, u32),
    pub xattr: Option<&'static str>,
}

#[derive(Debug, Clone)]
pub enum What {
    Dir(u32),
    File(usize, u32),
    Symlink(&'static str),
    Fifo,
    /// A further name of what an earlier step made.
    Link(At),
    Whiteout,
    Opaque,
}

/// The steps of one layer.
pub fn layer() -> impl Strategy<Value = Vec<Step>> {
    let what = prop_oneof![
        4 => dir_mode().prop_map(What::Dir),
        8 => (select(vec![0, 1, 10, 5000]), file_mode()).prop_map(|(len, mode)| What::File(len, mode)),
        1 => select(vec!["a", "../b", "gone"]).prop_map(What::Symlink),
        1 => Just(What::Fifo),
        3 => at().prop_map(What::Link),
        3 => Just(What::Whiteout),
        2 => Just(What::Opaque),
    ];
    let plain = select(vec!["user.k", "trusted.k"]);
    let step = (at(), what, (owner(), owner()), prop::option::weighted(0.2, plain));
    let step = step.prop_map(|(at, what, owner, xattr)| Step { at, what, owner, xattr });
    prop::collection::vec(step, 0..14)
}

/// Makes a layer in an empty directory; `below` is what the layers below it show, and `number` gets into contents and
/// times.
pub fn make(root: &Path, steps: &[Step], below: &Memory, number: i64) {
    for step in steps {
        let _ = step.make(root, below, number);
    }
    let mut times = 0;
    for dir in dirs(root) {
        for entry in fs::read_dir(&dir).unwrap() {
            times += 1;
            set_time(&entry.unwrap().path(), number * 1000 + times);
        }
    }
}

impl Step {
    fn make(&self, root: &Path, below: &Memory, number: i64) -> std::io::Result<()> {
        let (above, name) = self.at.split();
        let dir = root.join(above.join("/"));
        fs::create_dir_all(&dir)?;
        let path = dir.join(name);
        let mode = match &self.what {
            What::Dir(mode) => {
                fs::create_dir(&path)?;
                Some(*mode)
            }
            What::Opaque => {
                fs::create_dir(&path)?;
                lsetxattr(&path, "trusted.overlay.opaque", b"y", XattrFlags::empty())?;
                None
            }
            What::File(len, mode) => {
                fs::File::create_new(&path)?;
                let text = format!("layer {number} {:?} ", self.at);
                fs::write(&path, text.as_bytes().iter().cycle().take(*len).copied().collect::<Vec<_>>())?;
                Some(*mode)
            }
            What::Symlink(target) => {
                std::os::unix::fs::symlink(target, &path)?;
                None
            }
            What::Fifo => {
                mknodat(CWD, &path, FileType::Fifo, Mode::from_raw_mode(0o644), 0)?;
                None
            }
            What::Link(other) => {
                let other = root.join(other.0.join("/"));
                let is_file = fs::symlink_metadata(&other)?.is_file();
                return if is_file { fs::hard_link(&other, &path) } else { Ok(()) };
            }
            What::Whiteout => return self.whiteout(root, &path, below),
        };
        std::os::unix::fs::lchown(&path, Some(self.owner.0), Some(self.owner.1))?;
        if let Some(mode) = mode {
            rustix::fs::chmod(&path, Mode::from_raw_mode(mode))?;
        }
        if let Some(key) = self.xattr {
            lsetxattr(&path, key, b"of a layer", XattrFlags::empty())?;
        }
        Ok(())
    }

    /// Only where it hides something: the kernel's overlay lists others (union-fs.md rule 13).
    fn whiteout(&self, root: &Path, path: &Path, below: &Memory) -> std::io::Result<()> {
        let opaque = |path: &Path| {
            let mut value = [0; 8];
            path != root && rustix::fs::lgetxattr(path, "trusted.overlay.opaque", &mut value[..]).is_ok()
        };
        let hides = below.has(&self.at);
        if hides && !path.ancestors().skip(1).take_while(|dir| *dir != root).any(opaque) {
            mknodat(CWD, path, FileType::CharacterDevice, Mode::empty(), 0)?;
        }
        Ok(())
    }
}

fn set_time(path: &Path, number: i64) {
    let time = Timespec { tv_sec: 1_000_000_000 + number, tv_nsec: number };
    let times = Timestamps { last_access: time, last_modification: time };
    utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}
