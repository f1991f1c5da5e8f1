//! Operations, and how a random one is chosen: few names, so that they meet often.

use std::fmt;

use proptest::prelude::*;
use proptest::sample::select;

/// A path below the union's root: one to three names.
#[derive(Clone, PartialEq, Eq)]
pub struct At(pub Vec<&'static str>);

impl At {
    /// The names that lead to the parent, and the last one.
    pub fn split(&self) -> (&[&'static str], &'static str) {
        let (last, above) = self.0.split_last().unwrap();
        (above, last)
    }
}

impl fmt::Debug for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("/"))
    }
}

/// What was done, seen from outside: what it showed, or the number of its error.
pub type Outcome = Result<String, rustix::io::Errno>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    Over,
    NoReplace,
    Exchange,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Set {
    Any,
    New,
    Known,
}

/// What is done with a file that is held open.
#[derive(Debug, Clone)]
pub enum Act {
    Write(&'static str),
    Truncate(u64),
    Chmod(u32),
    Read,
    Stat,
    /// Gives it a name again, or a further one.
    Link(At),
}

/// One operation. No symbolic link is followed, so that all of them mean one thing.
#[derive(Debug, Clone)]
pub enum Op {
    Create(At, u32),
    /// Opened with `O_CREAT` and `O_TRUNC`.
    Overwrite(At, &'static str),
    Write(At, u64, &'static str),
    Append(At, &'static str),
    Truncate(At, u64),
    Mkdir(At, u32),
    Rmdir(At),
    Unlink(At),
    Rename(At, At, How),
    Link(At, At),
    Symlink(At, &'static str),
    Fifo(At, u32),
    Chmod(At, u32),
    Chown(At, u32, u32),
    Times(At, i64, u32),
    SetXattr(At, &'static str, &'static str, Set),
    RemoveXattr(At, &'static str),
    /// The parent of this path.
    List(At),
    /// Opens a regular file, for writing or not, and holds it in one of two places.
    Hold(usize, At, bool),
    Held(usize, Act),
}

pub fn at() -> impl Strategy<Value = At> {
    let name = || select(vec!["a", "a", "b", "b", "c", "d"]);
    prop_oneof![
        3 => name().prop_map(|a| At(vec![a])),
        4 => (name(), name()).prop_map(|(a, b)| At(vec![a, b])),
        1 => (name(), name(), name()).prop_map(|(a, b, c)| At(vec![a, b, c])),
    ]
}

pub fn file_mode() -> impl Strategy<Value = u32> {
    select(vec![0o644, 0o600, 0o755, 0o4755, 0o2755, 0o2644, 0])
}

pub fn dir_mode() -> impl Strategy<Value = u32> {
    select(vec![0o755, 0o700, 0o2755, 0o1777])
}

fn key() -> impl Strategy<Value = &'static str> {
    select(vec!["user.k", "user.l", "trusted.k", "trusted.overlay.opaque"])
}

pub fn owner() -> impl Strategy<Value = u32> {
    select(vec![0, 5, 1000, 70_000])
}

fn text() -> impl Strategy<Value = &'static str> {
    select(vec!["x", "some text", "another, longer text\n"])
}

fn len() -> impl Strategy<Value = u64> {
    select(vec![0, 0, 5, 4096, 10_000])
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        2 => text().prop_map(Act::Write),
        1 => len().prop_map(Act::Truncate),
        1 => file_mode().prop_map(Act::Chmod),
        2 => Just(Act::Read),
        2 => Just(Act::Stat),
        1 => at().prop_map(Act::Link),
    ]
}

pub fn operation() -> impl Strategy<Value = Op> {
    let how = select(vec![How::Over, How::Over, How::Over, How::NoReplace, How::Exchange]);
    let set = select(vec![Set::Any, Set::Any, Set::New, Set::Known]);
    let changes = prop_oneof![
        2 => (at(), file_mode()).prop_map(|(at, mode)| Op::Create(at, mode)),
        2 => (at(), text()).prop_map(|(at, text)| Op::Overwrite(at, text)),
        2 => (at(), select(vec![0, 3, 4096, 9000]), text()).prop_map(|(at, to, text)| Op::Write(at, to, text)),
        2 => (at(), text()).prop_map(|(at, text)| Op::Append(at, text)),
        2 => (at(), len()).prop_map(|(at, len)| Op::Truncate(at, len)),
        3 => (at(), file_mode()).prop_map(|(at, mode)| Op::Chmod(at, mode)),
        2 => (at(), owner(), owner()).prop_map(|(at, uid, gid)| Op::Chown(at, uid, gid)),
        2 => (at(), -5..2_000_000_000_i64, 0..1_000_000_000_u32).prop_map(|(at, s, n)| Op::Times(at, s, n)),
        2 => (at(), key(), text(), set).prop_map(|(at, key, text, set)| Op::SetXattr(at, key, text, set)),
        1 => (at(), key()).prop_map(|(at, key)| Op::RemoveXattr(at, key)),
    ];
    let names = prop_oneof![
        5 => (at(), dir_mode()).prop_map(|(at, mode)| Op::Mkdir(at, mode)),
        4 => at().prop_map(Op::Rmdir),
        6 => at().prop_map(Op::Unlink),
        9 => (at(), at(), how).prop_map(|(from, to, how)| Op::Rename(from, to, how)),
        4 => (at(), at()).prop_map(|(from, to)| Op::Link(from, to)),
        1 => (at(), select(vec!["a", "../b", "gone"])).prop_map(|(at, to)| Op::Symlink(at, to)),
        1 => (at(), file_mode()).prop_map(|(at, mode)| Op::Fifo(at, mode)),
    ];
    let others = prop_oneof![
        2 => at().prop_map(Op::List),
        2 => (0..2_usize, at(), any::<bool>()).prop_map(|(slot, at, write)| Op::Hold(slot, at, write)),
        4 => (0..2_usize, act()).prop_map(|(slot, act)| Op::Held(slot, act)),
    ];
    prop_oneof![5 => changes, 8 => names, 3 => others]
}
