//! Attributes: what stat shows, and what chmod, chown, truncate and utimes change.

use std::sync::Arc;

use rustix::fs::{
    self as rfs, AtFlags, Gid, Mode, OFlags, Statx, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT, Uid,
};
use rustix::io::Errno;

use crate::backing::{self, At, Result, magic};
use crate::copy_up::{Data, set_times};
use crate::node::{Body, Node};
use crate::union::Union;

/// What stat shows of a node: an inode's own attributes, but for what the union knows better.
#[derive(Debug, Clone, Copy)]
pub struct Attributes {
    /// The inode in its layer.
    pub stat: Statx,
    /// Its number in the union.
    pub ino: u64,
    /// Its links in the union.
    pub nlink: u32,
    /// Its owner as the union shows him.
    pub uid: u32,
    /// Its group, likewise.
    pub gid: u32,
}

/// What is to change. `None`: stays.
#[derive(Debug, Clone, Copy, Default)]
pub struct Change {
    /// Permission bits (07777).
    pub mode: Option<u32>,
    /// Owner, as the union shows him.
    pub uid: Option<u32>,
    /// Group, likewise.
    pub gid: Option<u32>,
    /// Length.
    pub size: Option<u64>,
    /// Last read.
    pub atime: Option<When>,
    /// Last written.
    pub mtime: Option<When>,
    /// Set-user-ID goes, and set-group-ID of a program: somebody wrote to it who may not keep them (rule 66).
    pub drop_privileges: bool,
}

/// A point in time.
#[derive(Debug, Clone, Copy)]
pub enum When {
    /// Now.
    Now,
    /// This.
    At(Timespec),
}

impl Change {
    /// Whether anything changes that can be refused after the length was changed. Times are not: where the kernel keeps
    /// written data back, it sends them along with a length.
    fn is_refusable(&self) -> bool {
        self.mode.is_some() || self.uid.is_some() || self.gid.is_some()
    }
}

impl Union {
    /// A node's attributes.
    pub fn attributes(&self, node: &Node) -> Result<Attributes> {
        self.show(node, node.stat()?)
    }

    /// What a node shows, given its inode's attributes.
    pub fn show(&self, node: &Node, stat: Statx) -> Result<Attributes> {
        let (uid, gid) = self.ids.shown(stat.stx_uid, stat.stx_gid);
        let mut shown = Attributes { stat, ino: node.ino, nlink: stat.stx_nlink, uid, gid };
        match &node.body {
            // Nobody counts the directories of all layers; 1 says so to those who would rely on it (rule 46).
            Body::Dir(dir) if dir.stack().parts.len() > 1 || self.options.static_nlink => shown.nlink = 1,
            Body::Dir(_) => {}
            Body::Other(_) if node.place().counted => {
                let extra = node.with(|at| self.extra_names(at))?.unwrap_or(0);
                shown.nlink = u32::try_from(i64::from(stat.stx_nlink) + extra).unwrap_or(0);
            }
            Body::Other(_) => {
                // A copy without data of its own says how long the data is; how much it takes is said by the data.
                if let Some(data) = node.place().data.clone() {
                    shown.stat.stx_blocks = At::itself(&data).stat()?.stx_blocks;
                }
            }
        }
        Ok(shown)
    }

    /// Changes a node's attributes. `file`, if there is one, is an open file of it that may be written to.
    ///
    /// # Errors
    /// `EINVAL`: an owner whom no range of the maps has.
    pub fn change(&self, node: &Arc<Node>, change: &Change) -> Result<()> {
        self.work()?;
        let data = match change.size {
            Some(size) if !change.is_refusable() => Data::Before(size),
            _ => Data::All,
        };
        let copy = self.copy_up(node, data)?;
        let inode = node.with(|at| at.pin())?;
        let at = At::itself(&inode);
        if let Some(size) = change.size {
            if node.is_dir() {
                return Err(Errno::ISDIR);
            }
            match copy {
                Some(file) => rfs::ftruncate(file, size)?,
                None => rfs::ftruncate(at.open(OFlags::WRONLY | OFlags::NONBLOCK)?, size)?,
            }
        }
        if change.uid.is_some() || change.gid.is_some() {
            let user = change.uid.map(|uid| self.ids.user(uid).ok_or(Errno::INVAL)).transpose()?;
            let group = change.gid.map(|gid| self.ids.group(gid).ok_or(Errno::INVAL)).transpose()?;
            rfs::chownat(&inode, "", user.map(Uid::from_raw), group.map(Gid::from_raw), AtFlags::EMPTY_PATH)?;
        }
        if let Some(mode) = change.mode {
            rfs::chmod(magic(&inode), Mode::from_raw_mode(mode & 0o7777))?;
        } else if change.drop_privileges {
            drop_privileges(at)?;
        }
        if change.atime.is_some() || change.mtime.is_some() {
            let spec = |when: Option<When>| match when {
                None => Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
                Some(When::Now) => Timespec { tv_sec: 0, tv_nsec: UTIME_NOW },
                Some(When::At(time)) => time,
            };
            let times = Timestamps { last_access: spec(change.atime), last_modification: spec(change.mtime) };
            set_times(&inode, &times)?;
        }
        Ok(())
    }
}

/// Takes set-user-ID, set-group-ID of a program, and file capabilities from a file of the upper layer.
pub(crate) fn drop_privileges(at: At<'_>) -> Result<()> {
    let stat = at.stat()?;
    if backing::kind(&stat) != backing::FILE {
        return Ok(());
    }
    let mode = u32::from(stat.stx_mode) & 0o7777;
    let program = if mode & 0o010 != 0 { 0o2000 } else { 0 };
    let kept = mode & !(0o4000 | program);
    let inode = at.pin()?;
    if kept != mode {
        rfs::chmod(magic(&inode), Mode::from_raw_mode(kept))?;
    }
    match rfs::removexattr(magic(&inode), "security.capability") {
        Err(Errno::NODATA | Errno::OPNOTSUPP | Errno::PERM) => Ok(()),
        other => other,
    }
}
