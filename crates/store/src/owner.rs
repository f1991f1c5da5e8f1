//! Whose store it is: stores of root and of other users never mix.
//!
//! Layers of root hold whiteouts and attributes that only root can make (`trusted.overlay.*`, device nodes); those of
//! a user hold their stand-ins (`user.overlay.*`). Opening one as the other would show, and write, wrong layers. So
//! the directory has to be ours, and the kind of user that made the store is written down, because inside a user
//! namespace everybody is user 0.

use std::path::Path;

use sys::AsFd;
use sys::userns::Privilege;

use crate::commit::CommitLock;
use crate::error::{Error, Result};
use crate::small::{find_text, os, replace};

/// The file in the private directory that names the format and the kind of owner.
pub(crate) const MARKER: &str = "store";
const FORMAT: &str = "layercake-1";

/// The kind of user that works on a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// User 0 of the whole machine.
    Root,
    /// Anybody else, also as user 0 of a user namespace.
    User,
}

impl Kind {
    fn of_this_process() -> Result<Self> {
        Ok(match sys::userns::privilege()? {
            Privilege::Root => Self::Root,
            Privilege::UserNamespace { .. } | Privilege::None => Self::User,
        })
    }

    fn word(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::User => "user",
        }
    }
}

/// Refuses a data root that belongs to somebody else.
pub(crate) fn check(path: &Path, root: impl AsFd, private: Option<impl AsFd>) -> Result<()> {
    let mine = Kind::of_this_process()?;
    let refuse = |owner: String| Error::Ownership { path: path.to_owned(), owner, user: describe(mine) };
    let uid = sys::meta::of_fd(root)?.uid;
    if uid != sys::process::euid() {
        return Err(refuse(format!("user {uid}")));
    }
    let Some(private) = private else { return Ok(()) };
    match find_text(private, MARKER)? {
        Some(text) if text.split_whitespace().nth(1) != Some(mine.word()) => {
            Err(refuse(text.split_whitespace().nth(1).unwrap_or("an unknown program").to_owned()))
        }
        _ => Ok(()),
    }
}

/// Whether it is written down whose store it is.
pub(crate) fn is_marked(private: impl AsFd) -> Result<bool> {
    Ok(sys::meta::find(private, os(MARKER))?.is_some())
}

/// Writes down whose store it is.
pub(crate) fn mark(lock: &CommitLock<'_>) -> Result<()> {
    let text = format!("{FORMAT} {}\n", Kind::of_this_process()?.word());
    let private = lock.root.writable(&lock.root.dirs.private)?;
    replace(lock, private, MARKER, 0o600, text.as_bytes())
}

fn describe(kind: Kind) -> String {
    match kind {
        Kind::Root => "root".to_owned(),
        Kind::User => format!("user {}", sys::process::euid()),
    }
}
