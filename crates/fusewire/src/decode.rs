//! Bytes of the device to a [`Request`]. Nothing here does I/O, and no input makes it panic: what is too short, or has
//! a name that no directory can hold, is [`Malformed`].

mod arguments;

use std::ffi::OsStr;

use zerocopy::FromBytes;

use arguments::Arguments;

use crate::proto::flags::{self, setattr};
use crate::proto::opcode;
use crate::proto::requests::*;
use crate::types::{Caller, Handle, New, NodeId, Open, SetAttributes, SetTime, Time, Write};

/// A request as the kernel sent it.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    /// Names the request in the answer.
    pub(crate) unique: u64,
    pub(crate) caller: Caller,
    /// The file it is about; for a name, its directory.
    pub(crate) node: NodeId,
    pub(crate) operation: Operation<'a>,
}

/// What is asked for. The fields are the arguments of the method of the same name in
/// [`FileSystem`](crate::FileSystem).
#[derive(Debug)]
pub(crate) enum Operation<'a> {
    Init(InitIn),
    Destroy,
    Lookup {
        name: &'a OsStr,
    },
    Forget {
        lookups: u64,
    },
    BatchForget {
        nodes: &'a [u8],
    },
    Getattr {
        handle: Option<Handle>,
    },
    Statx {
        handle: Option<Handle>,
    },
    Setattr(SetAttributes),
    Readlink,
    Symlink {
        name: &'a OsStr,
        target: &'a OsStr,
    },
    Mknod(New<'a>),
    Mkdir(New<'a>),
    Unlink {
        name: &'a OsStr,
    },
    Rmdir {
        name: &'a OsStr,
    },
    Rename {
        name: &'a OsStr,
        new_parent: NodeId,
        new_name: &'a OsStr,
        flags: u32,
    },
    Link {
        node: NodeId,
        new_name: &'a OsStr,
    },
    Open(Open),
    Create(New<'a>, Open),
    Tmpfile(New<'a>, Open),
    Read {
        handle: Handle,
        offset: u64,
        size: u32,
    },
    Write(Write<'a>),
    Flush {
        handle: Handle,
    },
    Fsync {
        handle: Handle,
        data_only: bool,
    },
    Release {
        handle: Handle,
    },
    Opendir(Open),
    Readdir {
        handle: Handle,
        offset: u64,
        size: u32,
        plus: bool,
    },
    Releasedir {
        handle: Handle,
    },
    Fsyncdir {
        handle: Handle,
        data_only: bool,
    },
    Statfs,
    Setxattr {
        name: &'a OsStr,
        value: &'a [u8],
        flags: u32,
        kill_sgid: bool,
    },
    Getxattr {
        name: &'a OsStr,
        size: u32,
    },
    Listxattr {
        size: u32,
    },
    Removexattr {
        name: &'a OsStr,
    },
    Fallocate {
        handle: Handle,
        offset: u64,
        length: u64,
        mode: u32,
    },
    Lseek {
        handle: Handle,
        offset: u64,
        whence: u32,
    },
    CopyFileRange {
        from: (Handle, u64),
        to: (NodeId, Handle, u64),
        len: u64,
        flags: u64,
        wide: bool,
    },
    Syncfs,
    Ioctl {
        handle: Handle,
        cmd: u32,
        input: &'a [u8],
        out_size: u32,
    },
    Access {
        mask: u32,
    },
    /// Not known here, or not served by any [`FileSystem`](crate::FileSystem): locks, poll, interrupts, mappings.
    Unknown,
}

/// The bytes are no request. `unique` is set if there was a header, and then wants an answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Malformed {
    pub(crate) unique: Option<u64>,
}

/// Takes a request apart. `setxattr_ext`: that flag was negotiated, the structure is the long one.
pub(crate) fn decode(bytes: &[u8], setxattr_ext: bool) -> Result<Request<'_>, Malformed> {
    let Ok((header, body)) = InHeader::read_from_prefix(bytes) else {
        return Err(Malformed { unique: None });
    };
    let malformed = Malformed { unique: Some(header.unique) };
    if usize::try_from(header.len).ok() != Some(bytes.len()) {
        return Err(malformed);
    }
    let node = NodeId(header.nodeid);
    let Some(body) = body.len().checked_sub(usize::from(header.total_extlen) * 8).map(|end| &body[..end])
    else {
        return Err(malformed);
    };
    let Some(operation) = operation(header.opcode, node, Arguments::new(body), setxattr_ext) else {
        return Err(malformed);
    };
    let caller = Caller { uid: header.uid, gid: header.gid, pid: header.pid };
    Ok(Request { unique: header.unique, caller, node, operation })
}

/// The look-ups that a BATCH_FORGET takes back.
pub(crate) fn forgotten(mut nodes: &[u8]) -> impl Iterator<Item = (NodeId, u64)> {
    std::iter::from_fn(move || {
        let (one, rest) = ForgetOne::read_from_prefix(nodes).ok()?;
        nodes = rest;
        Some((NodeId(one.nodeid), one.nlookup))
    })
}

fn operation(code: u32, node: NodeId, mut args: Arguments<'_>, setxattr_ext: bool) -> Option<Operation<'_>> {
    let args = &mut args;
    Some(match code {
        opcode::INIT => Operation::Init(args.init()?),
        opcode::DESTROY => Operation::Destroy,
        opcode::LOOKUP => Operation::Lookup { name: args.any_name()? },
        opcode::FORGET => Operation::Forget { lookups: args.take::<ForgetIn>()?.nlookup },
        opcode::BATCH_FORGET => {
            let count = usize::try_from(args.take::<BatchForgetIn>()?.count).ok()?;
            Operation::BatchForget { nodes: args.bytes(count.checked_mul(size_of::<ForgetOne>())?)? }
        }
        opcode::GETATTR => {
            let get: GetattrIn = args.take()?;
            Operation::Getattr { handle: optional_handle(get.getattr_flags, get.fh) }
        }
        opcode::STATX => {
            let get: StatxIn = args.take()?;
            Operation::Statx { handle: optional_handle(get.getattr_flags, get.fh) }
        }
        opcode::SETATTR => Operation::Setattr(set_attributes(&args.take()?)),
        opcode::READLINK => Operation::Readlink,
        opcode::SYMLINK => Operation::Symlink { name: args.name()?, target: args.text()? },
        opcode::MKNOD => {
            let MknodIn { mode, rdev, umask, .. } = args.take()?;
            Operation::Mknod(New { parent: node, name: args.name()?, mode, umask, rdev })
        }
        opcode::MKDIR => {
            let MkdirIn { mode, umask } = args.take()?;
            let mode = mode & !S_IFMT | S_IFDIR;
            Operation::Mkdir(New { parent: node, name: args.name()?, mode, umask, rdev: 0 })
        }
        opcode::UNLINK => Operation::Unlink { name: args.name()? },
        opcode::RMDIR => Operation::Rmdir { name: args.name()? },
        opcode::RENAME => {
            let RenameIn { newdir } = args.take()?;
            args.rename(newdir, 0)?
        }
        opcode::RENAME2 => {
            let Rename2In { newdir, flags, .. } = args.take()?;
            args.rename(newdir, flags)?
        }
        opcode::LINK => {
            let LinkIn { oldnodeid } = args.take()?;
            Operation::Link { node: NodeId(oldnodeid), new_name: args.name()? }
        }
        opcode::OPEN => Operation::Open(args.open()?),
        opcode::CREATE => {
            let (mut new, open) = args.create(node)?;
            new.name = args.name()?;
            Operation::Create(new, open)
        }
        opcode::TMPFILE => {
            // What follows as a name is the kernel's own word for none.
            let (new, open) = args.create(node)?;
            Operation::Tmpfile(new, open)
        }
        opcode::READ => {
            let ReadIn { fh, offset, size, .. } = args.take()?;
            Operation::Read { handle: Handle(fh), offset, size }
        }
        opcode::WRITE => {
            let write: WriteIn = args.take()?;
            Operation::Write(Write {
                node,
                handle: Handle(write.fh),
                offset: write.offset,
                data: args.bytes(usize::try_from(write.size).ok()?)?,
                from_cache: write.write_flags & flags::WRITE_CACHE != 0,
                kill_suidgid: write.write_flags & flags::WRITE_KILL_SUIDGID != 0,
            })
        }
        opcode::FLUSH => Operation::Flush { handle: Handle(args.take::<FlushIn>()?.fh) },
        opcode::FSYNC => {
            let (handle, data_only) = args.fsync()?;
            Operation::Fsync { handle, data_only }
        }
        opcode::RELEASE => Operation::Release { handle: Handle(args.take::<ReleaseIn>()?.fh) },
        opcode::OPENDIR => Operation::Opendir(args.open()?),
        opcode::READDIR | opcode::READDIRPLUS => {
            let ReadIn { fh, offset, size, .. } = args.take()?;
            Operation::Readdir { handle: Handle(fh), offset, size, plus: code == opcode::READDIRPLUS }
        }
        opcode::RELEASEDIR => Operation::Releasedir { handle: Handle(args.take::<ReleaseIn>()?.fh) },
        opcode::FSYNCDIR => {
            let (handle, data_only) = args.fsync()?;
            Operation::Fsyncdir { handle, data_only }
        }
        opcode::STATFS => Operation::Statfs,
        opcode::SETXATTR => {
            let SetxattrIn { size, flags } = args.take()?;
            let ext = if setxattr_ext { args.take()? } else { SetxattrExt::default() };
            Operation::Setxattr {
                name: args.text()?,
                value: args.bytes(usize::try_from(size).ok()?)?,
                flags,
                kill_sgid: ext.setxattr_flags & flags::SETXATTR_ACL_KILL_SGID != 0,
            }
        }
        opcode::GETXATTR => {
            let GetxattrIn { size, .. } = args.take()?;
            Operation::Getxattr { name: args.text()?, size }
        }
        opcode::LISTXATTR => Operation::Listxattr { size: args.take::<GetxattrIn>()?.size },
        opcode::REMOVEXATTR => Operation::Removexattr { name: args.text()? },
        opcode::FALLOCATE => {
            let FallocateIn { fh, offset, length, mode, .. } = args.take()?;
            Operation::Fallocate { handle: Handle(fh), offset, length, mode }
        }
        opcode::LSEEK => {
            let LseekIn { fh, offset, whence, .. } = args.take()?;
            Operation::Lseek { handle: Handle(fh), offset, whence }
        }
        opcode::COPY_FILE_RANGE | opcode::COPY_FILE_RANGE_64 => {
            let copy: CopyFileRangeIn = args.take()?;
            Operation::CopyFileRange {
                from: (Handle(copy.fh_in), copy.off_in),
                to: (NodeId(copy.nodeid_out), Handle(copy.fh_out), copy.off_out),
                len: copy.len,
                flags: copy.flags,
                wide: code == opcode::COPY_FILE_RANGE_64,
            }
        }
        opcode::SYNCFS => Operation::Syncfs,
        opcode::IOCTL => {
            let ioctl: IoctlIn = args.take()?;
            Operation::Ioctl {
                handle: Handle(ioctl.fh),
                cmd: ioctl.cmd,
                input: args.bytes(usize::try_from(ioctl.in_size).ok()?)?,
                out_size: ioctl.out_size,
            }
        }
        opcode::ACCESS => Operation::Access { mask: args.take::<AccessIn>()?.mask },
        _ => Operation::Unknown,
    })
}

const S_IFMT: u32 = 0o170_000;
const S_IFDIR: u32 = 0o040_000;

fn optional_handle(getattr_flags: u32, fh: u64) -> Option<Handle> {
    (getattr_flags & flags::GETATTR_FH != 0).then_some(Handle(fh))
}

fn set_attributes(set: &SetattrIn) -> SetAttributes {
    let has = |flag: u32| set.valid & flag != 0;
    let time = |seconds: u64, nanos: u32| Time { seconds: seconds.cast_signed(), nanos };
    let set_time = |flag, now, at| has(flag).then_some(if has(now) { SetTime::Now } else { SetTime::At(at) });
    SetAttributes {
        handle: has(setattr::FH).then_some(Handle(set.fh)),
        mode: has(setattr::MODE).then_some(set.mode),
        uid: has(setattr::UID).then_some(set.uid),
        gid: has(setattr::GID).then_some(set.gid),
        size: has(setattr::SIZE).then_some(set.size),
        atime: set_time(setattr::ATIME, setattr::ATIME_NOW, time(set.atime, set.atimensec)),
        mtime: set_time(setattr::MTIME, setattr::MTIME_NOW, time(set.mtime, set.mtimensec)),
        ctime: has(setattr::CTIME).then_some(time(set.ctime, set.ctimensec)),
        kill_suidgid: has(setattr::KILL_SUIDGID),
    }
}

#[cfg(test)]
mod tests;
