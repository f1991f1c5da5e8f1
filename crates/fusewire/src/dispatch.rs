//! A request to the method of [`FileSystem`] that answers it, and the answer back.

use std::panic::{AssertUnwindSafe, catch_unwind};

use rustix::fd::BorrowedFd;
use rustix::io::Errno;

use crate::Result;
use crate::decode::{Operation, Request, forgotten};
use crate::dirbuffer::{self, DirBuffer};
use crate::encode;
use crate::filesystem::FileSystem;
use crate::proto::replies::{CopyFileRangeOut, GetxattrOut, IoctlOut, LseekOut, WriteOut};
use crate::reply::{Reply, Sent};
use crate::types::{Entry, Handle, NodeId, Opened};

/// Longest list of attribute names, longest value: `XATTR_LIST_MAX`, `XATTR_SIZE_MAX` of the kernel.
const XATTR_MAX: usize = 64 << 10;

/// Serves one request. `device` is where it was read from, `buffer` where a long answer may be built. A panic of the
/// file system ends the request, not the server.
pub(crate) fn serve<F: FileSystem>(fs: &F, request: &Request<'_>, device: BorrowedFd<'_>, buffer: &mut [u8]) {
    let reply = Reply::new(device, request.unique, buffer);
    if catch_unwind(AssertUnwindSafe(|| answer(fs, request, reply))).is_err() && wants_answer(request) {
        let _ = Reply::new(device, request.unique, &mut []).error(Errno::IO);
    }
}

fn wants_answer(request: &Request<'_>) -> bool {
    !matches!(request.operation, Operation::Forget { .. } | Operation::BatchForget { .. })
}

fn answer<F: FileSystem>(fs: &F, request: &Request<'_>, mut reply: Reply<'_>) {
    let (caller, node) = (&request.caller, request.node);
    // Whether an answer arrived matters only where it handed something out: those arms return.
    let _: Sent = match request.operation {
        Operation::Lookup { name } => return entry(fs, reply, fs.lookup(caller, node, name)),
        Operation::Forget { lookups } => return fs.forget(node, lookups),
        Operation::BatchForget { nodes } => return forgotten(nodes).for_each(|(node, n)| fs.forget(node, n)),
        Operation::Getattr { handle } => attributes(reply, fs.getattr(caller, node, handle)),
        Operation::Statx { handle } => match fs.statx(caller, node, handle) {
            Ok((attributes, ttl, birth)) => reply.value(&encode::statx(&attributes, ttl, birth)),
            Err(e) => reply.error(e),
        },
        Operation::Setattr(ref set) => attributes(reply, fs.setattr(caller, node, set)),
        Operation::Readlink => match fs.readlink(caller, node) {
            Ok(target) => reply.bytes(target.as_encoded_bytes()),
            Err(e) => reply.error(e),
        },
        Operation::Symlink { name, target } => {
            return entry(fs, reply, fs.symlink(caller, node, name, target));
        }
        Operation::Mknod(ref new) => return entry(fs, reply, fs.mknod(caller, new)),
        Operation::Mkdir(ref new) => return entry(fs, reply, fs.mkdir(caller, new)),
        Operation::Unlink { name } => done(reply, fs.unlink(caller, node, name)),
        Operation::Rmdir { name } => done(reply, fs.rmdir(caller, node, name)),
        Operation::Rename { name, new_parent, new_name, flags } => {
            done(reply, fs.rename(caller, node, name, new_parent, new_name, flags))
        }
        Operation::Link { node: linked, new_name } => {
            return entry(fs, reply, fs.link(caller, linked, node, new_name));
        }
        Operation::Open(ref open) => match fs.open(caller, node, open) {
            Ok(opened) => match reply.value(&encode::opened(&opened)) {
                Sent::No => return fs.release(node, opened.handle),
                sent => sent,
            },
            Err(e) => reply.error(e),
        },
        Operation::Create(ref new, ref open) => return created(fs, reply, fs.create(caller, new, open)),
        Operation::Tmpfile(ref new, ref open) => return created(fs, reply, fs.tmpfile(caller, new, open)),
        Operation::Read { handle, offset, size } => {
            match fs.read(caller, node, handle, offset, reply.room(size)) {
                Ok(len) => reply.built(len).0,
                Err(e) => reply.error(e),
            }
        }
        Operation::Write(ref write) => written(reply, fs.write(caller, write)),
        Operation::Flush { handle } => done(reply, fs.flush(caller, node, handle)),
        Operation::Fsync { handle, data_only } => done(reply, fs.fsync(caller, node, handle, data_only)),
        Operation::Release { handle } => {
            fs.release(node, handle);
            reply.done()
        }
        Operation::Opendir(ref open) => match fs.opendir(caller, node, open) {
            Ok(opened) => match reply.value(&encode::opened(&opened)) {
                Sent::No => return fs.releasedir(node, opened.handle),
                sent => sent,
            },
            Err(e) => reply.error(e),
        },
        Operation::Readdir { handle, offset, size, plus } => {
            let mut out = DirBuffer::new(reply.room(size), plus);
            match fs.readdir(caller, node, handle, offset, plus, &mut out) {
                Ok(()) => {
                    let len = out.len();
                    return listing(fs, reply, len, plus.then_some((node, handle)));
                }
                Err(e) => reply.error(e),
            }
        }
        Operation::Releasedir { handle } => {
            fs.releasedir(node, handle);
            reply.done()
        }
        Operation::Fsyncdir { handle, data_only } => {
            done(reply, fs.fsyncdir(caller, node, handle, data_only))
        }
        Operation::Statfs => match fs.statfs(caller, node) {
            Ok(statfs) => reply.value(&encode::statfs(&statfs)),
            Err(e) => reply.error(e),
        },
        Operation::Setxattr { name, value, flags, kill_sgid } => {
            done(reply, fs.setxattr(caller, node, name, value, flags, kill_sgid))
        }
        Operation::Getxattr { name, size } => xattr(reply, size, fs.getxattr(caller, node, name)),
        Operation::Listxattr { size } => xattr(reply, size, fs.listxattr(caller, node)),
        Operation::Removexattr { name } => done(reply, fs.removexattr(caller, node, name)),
        Operation::Fallocate { handle, offset, length, mode } => {
            done(reply, fs.fallocate(caller, node, handle, offset, length, mode))
        }
        Operation::Lseek { handle, offset, whence } => match fs.lseek(caller, node, handle, offset, whence) {
            Ok(offset) => reply.value(&LseekOut { offset }),
            Err(e) => reply.error(e),
        },
        Operation::CopyFileRange { from, to, len, flags, wide } => {
            let copied = fs.copy_file_range(caller, (node, from.0, from.1), to, len, flags);
            match copied.map(|bytes| bytes as u64) {
                Ok(bytes_copied) if wide => reply.value(&CopyFileRangeOut { bytes_copied }),
                other => written(reply, other.map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX))),
            }
        }
        Operation::Syncfs => done(reply, fs.syncfs(node)),
        Operation::Ioctl { handle, cmd, input, out_size } => {
            match fs.ioctl(caller, node, handle, cmd, input, out_size) {
                Ok((_, output)) if output.len() as u64 > u64::from(out_size) => reply.error(Errno::IO),
                Ok((result, output)) => {
                    reply.value_and_bytes(&IoctlOut { result, ..IoctlOut::default() }, &output)
                }
                Err(e) => reply.error(e),
            }
        }
        Operation::Access { mask } => done(reply, fs.access(caller, node, mask)),
        Operation::Destroy => reply.done(),
        Operation::Init(_) => reply.error(Errno::IO), // the session has dealt with the only one there is
        Operation::Unknown => reply.error(Errno::NOSYS),
    };
}

fn done(reply: Reply<'_>, result: Result<()>) -> Sent {
    match result {
        Ok(()) => reply.done(),
        Err(e) => reply.error(e),
    }
}

fn attributes(reply: Reply<'_>, result: Result<(crate::Attributes, std::time::Duration)>) -> Sent {
    match result {
        Ok((attributes, ttl)) => reply.value(&encode::attr(&attributes, ttl)),
        Err(e) => reply.error(e),
    }
}

fn written(reply: Reply<'_>, result: Result<usize>) -> Sent {
    match result.map(u32::try_from) {
        Ok(Ok(size)) => reply.value(&WriteOut { size, padding: 0 }),
        Ok(Err(_)) => reply.error(Errno::IO),
        Err(e) => reply.error(e),
    }
}

/// `size` 0 asks how long the value is; otherwise it has to fit.
fn xattr(reply: Reply<'_>, size: u32, result: Result<Vec<u8>>) -> Sent {
    match result {
        Err(e) => reply.error(e),
        Ok(value) if value.len() > XATTR_MAX => reply.error(Errno::TOOBIG),
        Ok(value) if size == 0 => {
            reply.value(&GetxattrOut { size: u32::try_from(value.len()).unwrap_or(0), padding: 0 })
        }
        Ok(value) if value.len() as u64 > u64::from(size) => reply.error(Errno::RANGE),
        Ok(value) => reply.bytes(&value),
    }
}

/// A look-up counts only if the kernel learnt of it.
fn entry<F: FileSystem>(fs: &F, reply: Reply<'_>, result: Result<Entry>) {
    match result {
        Ok(entry) => {
            if reply.value(&encode::entry(&entry)) == Sent::No {
                forget(fs, entry.node);
            }
        }
        Err(e) => _ = reply.error(e),
    }
}

fn created<F: FileSystem>(fs: &F, reply: Reply<'_>, result: Result<(Entry, Opened)>) {
    match result {
        Ok((entry, opened)) => {
            if reply.value(&encode::created(&entry, &opened)) == Sent::No {
                fs.release(entry.node, opened.handle);
                forget(fs, entry.node);
            }
        }
        Err(e) => _ = reply.error(e),
    }
}

/// `plus`: the directory whose entries were looked up, if they were.
fn listing<F: FileSystem>(fs: &F, reply: Reply<'_>, len: usize, plus: Option<(NodeId, Handle)>) {
    let (sent, bytes) = reply.built(len);
    match (plus, sent) {
        (Some((node, handle)), Sent::Yes) => fs.listed(node, handle),
        (Some(_), Sent::No) => dirbuffer::nodes(bytes).for_each(|node| fs.forget(node, 1)),
        (None, _) => {}
    }
}

fn forget<F: FileSystem>(fs: &F, node: NodeId) {
    if node != NodeId::NONE {
        fs.forget(node, 1);
    }
}
