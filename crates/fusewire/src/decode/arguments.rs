//! [`Arguments`]: what stands behind the header of a request.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use zerocopy::FromBytes;

use super::Operation;
use crate::proto::flags;
use crate::proto::requests::{CreateIn, FsyncIn, InitIn, OpenIn};
use crate::types::{Handle, New, NodeId, Open};

/// What is left of the arguments. Every method takes from the front; `None`: there is not enough, or it is no name.
pub(super) struct Arguments<'a>(&'a [u8]);

impl<'a> Arguments<'a> {
    pub(super) fn new(body: &'a [u8]) -> Self {
        Self(body)
    }

    pub(super) fn take<T: FromBytes>(&mut self) -> Option<T> {
        let (value, rest) = T::read_from_prefix(self.0).ok()?;
        self.0 = rest;
        Some(value)
    }

    pub(super) fn bytes(&mut self, len: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(bytes)
    }

    /// Bytes up to a NUL.
    pub(super) fn text(&mut self) -> Option<&'a OsStr> {
        let end = self.0.iter().position(|b| *b == 0)?;
        let text = self.bytes(end)?;
        self.bytes(1)?;
        Some(OsStr::from_bytes(text))
    }

    /// A name in a directory, or `.`, or `..`.
    pub(super) fn any_name(&mut self) -> Option<&'a OsStr> {
        self.text().filter(|name| !name.is_empty() && !name.as_bytes().contains(&b'/'))
    }

    /// A name that a file can have.
    pub(super) fn name(&mut self) -> Option<&'a OsStr> {
        self.any_name().filter(|name| *name != "." && *name != "..")
    }

    /// Before INIT_EXT the structure was shorter; what is missing is 0.
    pub(super) fn init(&mut self) -> Option<InitIn> {
        let mut long = [0; size_of::<InitIn>()];
        let given = self.0.len().min(long.len());
        if given < 8 {
            return None;
        }
        long[..given].copy_from_slice(&self.0[..given]);
        InitIn::read_from_bytes(&long).ok()
    }

    pub(super) fn open(&mut self) -> Option<Open> {
        let OpenIn { flags, open_flags } = self.take()?;
        Some(Open { flags, kill_suidgid: open_flags & flags::OPEN_KILL_SUIDGID != 0 })
    }

    pub(super) fn create(&mut self, parent: NodeId) -> Option<(New<'a>, Open)> {
        let CreateIn { flags, mode, umask, open_flags } = self.take()?;
        let new = New { parent, name: OsStr::new(""), mode, umask, rdev: 0 };
        Some((new, Open { flags, kill_suidgid: open_flags & flags::OPEN_KILL_SUIDGID != 0 }))
    }

    pub(super) fn rename(&mut self, newdir: u64, flags: u32) -> Option<Operation<'a>> {
        Some(Operation::Rename {
            name: self.name()?,
            new_parent: NodeId(newdir),
            new_name: self.name()?,
            flags,
        })
    }

    pub(super) fn fsync(&mut self) -> Option<(Handle, bool)> {
        let FsyncIn { fh, fsync_flags, .. } = self.take()?;
        Some((Handle(fh), fsync_flags & flags::FSYNC_FDATASYNC != 0))
    }
}
