//! Answers in the words of [`types`](crate::types) to the structures of the wire.

use std::time::Duration;

use crate::proto::replies::{
    Attr, AttrOut, CreateOut, EntryOut, OpenOut, StatfsOut, Statx, StatxOut, StatxTime,
};
use crate::types::{Attributes, Entry, OpenFlags, Opened, Statfs, Time, device_parts};

/// `STATX_BASIC_STATS` of statx(2).
const BASIC: u32 = 0x7ff;
/// `STATX_BTIME`.
const BTIME: u32 = 0x800;

pub(crate) fn attributes(a: &Attributes) -> Attr {
    Attr {
        ino: a.ino,
        size: a.size,
        blocks: a.blocks,
        atime: a.atime.seconds.cast_unsigned(),
        mtime: a.mtime.seconds.cast_unsigned(),
        ctime: a.ctime.seconds.cast_unsigned(),
        atimensec: a.atime.nanos,
        mtimensec: a.mtime.nanos,
        ctimensec: a.ctime.nanos,
        mode: a.mode,
        nlink: a.nlink,
        uid: a.uid,
        gid: a.gid,
        rdev: a.rdev,
        blksize: a.blksize,
        flags: 0,
    }
}

pub(crate) fn attr(a: &Attributes, ttl: Duration) -> AttrOut {
    AttrOut { attr_valid: ttl.as_secs(), attr_valid_nsec: ttl.subsec_nanos(), dummy: 0, attr: attributes(a) }
}

pub(crate) fn entry(e: &Entry) -> EntryOut {
    EntryOut {
        nodeid: e.node.0,
        generation: 0,
        entry_valid: e.entry_ttl.as_secs(),
        attr_valid: e.attr_ttl.as_secs(),
        entry_valid_nsec: e.entry_ttl.subsec_nanos(),
        attr_valid_nsec: e.attr_ttl.subsec_nanos(),
        attr: attributes(&e.attributes),
    }
}

pub(crate) fn opened(o: &Opened) -> OpenOut {
    let (flags, backing_id) = match o.backing {
        Some(id) => (o.flags | OpenFlags::PASSTHROUGH, id.0.get()),
        None => (o.flags, 0),
    };
    OpenOut { fh: o.handle.0, open_flags: flags.0, backing_id }
}

pub(crate) fn created(e: &Entry, o: &Opened) -> CreateOut {
    CreateOut { entry: entry(e), open: opened(o) }
}

pub(crate) fn statx(a: &Attributes, ttl: Duration, birth: Option<Time>) -> StatxOut {
    let time = |t: Time| StatxTime { tv_sec: t.seconds, tv_nsec: t.nanos, reserved: 0 };
    let (rdev_major, rdev_minor) = device_parts(a.rdev);
    StatxOut {
        attr_valid: ttl.as_secs(),
        attr_valid_nsec: ttl.subsec_nanos(),
        stat: Statx {
            mask: BASIC | if birth.is_some() { BTIME } else { 0 },
            blksize: a.blksize,
            nlink: a.nlink,
            uid: a.uid,
            gid: a.gid,
            mode: (a.mode & 0xffff) as u16,
            ino: a.ino,
            size: a.size,
            blocks: a.blocks,
            atime: time(a.atime),
            btime: time(birth.unwrap_or_default()),
            ctime: time(a.ctime),
            mtime: time(a.mtime),
            rdev_major,
            rdev_minor,
            ..Statx::default()
        },
        ..StatxOut::default()
    }
}

pub(crate) fn statfs(s: &Statfs) -> StatfsOut {
    StatfsOut {
        blocks: s.blocks,
        bfree: s.bfree,
        bavail: s.bavail,
        files: s.files,
        ffree: s.ffree,
        bsize: s.bsize,
        namelen: s.namelen,
        frsize: s.frsize,
        ..StatfsOut::default()
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;
    use crate::backing::BackingId;
    use crate::types::{Handle, device_number};

    /// The sizes of `linux/fuse.h`, where a wrong one is a hanging mount.
    #[test]
    fn structures_have_the_size_of_the_header() {
        assert_eq!(size_of::<Attr>(), 88);
        assert_eq!(size_of::<AttrOut>(), 104);
        assert_eq!(size_of::<EntryOut>(), 128);
        assert_eq!(size_of::<CreateOut>(), 144);
        assert_eq!(size_of::<StatxOut>(), 288);
        assert_eq!(size_of::<StatfsOut>(), 80);
        assert_eq!(size_of::<crate::proto::replies::InitOut>(), 64);
        assert_eq!(size_of::<crate::proto::requests::InHeader>(), 40);
        assert_eq!(size_of::<crate::proto::requests::SetattrIn>(), 88);
        assert_eq!(size_of::<crate::proto::requests::InitIn>(), 64);
    }

    #[test]
    fn a_backing_file_sets_the_passthrough_flag() {
        let backing = NonZeroU32::new(3).map(BackingId);
        let open = opened(&Opened { handle: Handle(1), flags: OpenFlags::KEEP_CACHE, backing });
        assert_eq!((open.open_flags, open.backing_id), (1 << 7 | 1 << 1, 3));
    }

    #[test]
    fn device_numbers_survive_the_way_there_and_back() {
        for (major, minor) in [(0, 0), (1, 3), (10, 229), (0xfff, 0xf_ffff), (8, 256)] {
            assert_eq!(device_parts(device_number(major, minor)), (major, minor));
        }
        assert_eq!(device_number(1, 3), 0x103);
    }
}
