//! [`Session`]: a mount's connection to the kernel, from INIT to its end.

use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;

use crate::backing::DeviceBackings;
use crate::decode::{self, Malformed, Operation};
use crate::device::{Device, Post, read};
use crate::dispatch;
use crate::features::{Features, Negotiated, negotiate};
use crate::filesystem::FileSystem;
use crate::notify::Notifier;
use crate::proto::flags::init;
use crate::proto::replies::InitOut;
use crate::proto::{MAJOR, OLDEST_MINOR};
use crate::reply::{Reply, Sent};

/// What a request may have besides the data of a write; the kernel refuses to fill a smaller buffer.
const BESIDES_DATA: usize = 4096;

/// The server's side of a mount. If it is dropped while the mount is there, users of the mount get `ENOTCONN`.
#[derive(Debug)]
pub struct Session {
    device: Arc<OwnedFd>,
    features: Features,
}

impl Session {
    /// A session on the descriptor that [`mount`](crate::mount::mount) returned. Nothing is read from it yet.
    pub fn new(device: OwnedFd, features: Features) -> Self {
        let features = Features { max_write: features.max_write.max(4096), ..features };
        Self { device: Arc::new(device), features }
    }

    /// The way to invalidate what the kernel remembers.
    pub fn notifier(&self) -> Notifier {
        Notifier::new(Arc::clone(&self.device))
    }

    /// The way to register files for passthrough.
    pub fn backings(&self) -> DeviceBackings {
        DeviceBackings::new(Arc::clone(&self.device))
    }

    /// Agrees with the kernel on the protocol, then serves on this thread and `threads - 1` others until the mount is
    /// gone. 0 is one a processor, but two to sixteen. Fewer serve where the system has no more.
    ///
    /// Fails if the device cannot be read, or the kernel is older than Linux 3.15.
    pub fn serve<F: FileSystem>(&self, fs: &F, threads: usize) -> io::Result<()> {
        let mut buffers = Buffers::new(self.features.max_write);
        let Some(negotiated) = self.agree(&mut buffers)? else { return Ok(()) };
        fs.started(&negotiated);
        let device = Device::new(&self.device);
        let threads = NonZeroUsize::new(threads).unwrap_or_else(default_threads);
        let (device, negotiated) = (&device, &negotiated);
        let result = thread::scope(|scope| {
            for id in (1..=threads.get()).filter_map(NonZeroUsize::new).skip(1) {
                let work = move || {
                    let mut buffers = Buffers::new(negotiated.max_write);
                    work(fs, device, &mut Post::new(id), negotiated, &mut buffers)
                };
                let _ = thread::Builder::new().name(format!("fuse {id}")).spawn_scoped(scope, work);
            }
            work(fs, device, &mut Post::new(NonZeroUsize::MIN), negotiated, &mut buffers)
        });
        fs.destroy();
        Ok(result?)
    }

    /// INIT: waits for it and answers. `None`: the mount is gone before it began.
    fn agree(&self, buffers: &mut Buffers) -> io::Result<Option<Negotiated>> {
        let device = self.device.as_fd();
        while let Some(len) = read(device, &mut buffers.request)? {
            let request = match decode::decode(&buffers.request[..len], false) {
                Ok(request) => request,
                Err(malformed) => {
                    refuse(device, &malformed);
                    continue;
                }
            };
            let reply = Reply::new(device, request.unique, &mut []);
            let Operation::Init(kernel) = request.operation else {
                let _ = reply.error(Errno::IO);
                continue;
            };
            if kernel.major > MAJOR {
                // It comes back with our version.
                let _ = reply.value(&InitOut { major: MAJOR, ..InitOut::default() });
                continue;
            }
            if kernel.major < MAJOR || kernel.minor < OLDEST_MINOR {
                let _ = reply.error(Errno::PROTO);
                let version = format!("the kernel speaks FUSE {}.{}", kernel.major, kernel.minor);
                return Err(io::Error::new(io::ErrorKind::Unsupported, version));
            }
            let (answer, negotiated) = negotiate(&kernel, &self.features);
            return match reply.value(&answer) {
                Sent::Yes => Ok(Some(negotiated)),
                Sent::No => Ok(None),
            };
        }
        Ok(None)
    }
}

/// Two at least, so that a request that takes long is not the only one served.
fn default_threads() -> NonZeroUsize {
    let processors = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    NonZeroUsize::MIN.saturating_add(processors.clamp(2, 16) - 1)
}

/// One thread's memory. It is touched, and so taken from the system, only as far as requests and answers are long.
struct Buffers {
    request: Vec<u8>,
    reply: Vec<u8>,
}

impl Buffers {
    fn new(max_write: u32) -> Self {
        let max_write = max_write as usize;
        // The longest read is as long as the longest write, or 32 pages from a kernel that has no choice.
        let max_read = max_write.max(32 * rustix::param::page_size());
        Self { request: vec![0; max_write + BESIDES_DATA], reply: vec![0; max_read] }
    }
}

/// Serves requests until the mount is gone.
fn work<F: FileSystem>(
    fs: &F,
    device: &Device<'_>,
    post: &mut Post,
    negotiated: &Negotiated,
    buffers: &mut Buffers,
) -> rustix::io::Result<()> {
    let setxattr_ext = negotiated.flags & init::SETXATTR_EXT != 0;
    while let Some((len, source)) = device.receive(post, &mut buffers.request)? {
        match decode::decode(&buffers.request[..len], setxattr_ext) {
            Ok(request) => dispatch::serve(fs, &request, source, &mut buffers.reply),
            Err(malformed) => refuse(source, &malformed),
        }
    }
    Ok(())
}

/// Answers what could not be decoded, if it says what it is.
fn refuse(device: BorrowedFd<'_>, malformed: &Malformed) {
    if let Some(unique) = malformed.unique {
        let _ = Reply::new(device, unique, &mut []).error(Errno::IO);
    }
}
