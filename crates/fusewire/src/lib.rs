//! The kernel's FUSE protocol and nothing else: there is no file system in here.
//!
//! A server implements [`FileSystem`], mounts ([`mount::mount`]) and serves:
//!
//! ```no_run
//! use std::path::Path;
//! # struct Empty;
//! # impl fusewire::FileSystem for Empty {}
//! let options = fusewire::mount::MountOptions::default();
//! let device = fusewire::mount::mount(Path::new("/mnt"), &options)?;
//! let session = fusewire::Session::new(device, fusewire::Features::default());
//! session.serve(&Empty, 0)?; // until somebody unmounts
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A request goes through these modules, one subject each:
//!
//! | module | subject |
//! | --- | --- |
//! | [`mount`] | a new mount and its device descriptor: fsopen(2), mount(2), or `fusermount3` |
//! | `session` | INIT, the threads, the end |
//! | `device` | how a thread waits for a request: first awake, then asleep |
//! | `proto` | the structures and numbers of the wire |
//! | `decode` | bytes to a request; refuses what is malformed |
//! | `dispatch` | a request to a method of [`FileSystem`] and its answer back |
//! | `encode`, `reply`, [`DirBuffer`] | an answer to bytes, and to the kernel |
//! | [`Notifier`] | invalidation of what the kernel remembers |
//! | [`Backings`] | passthrough |
//!
//! The existing crates lack what the union needs, one or the other of the kill bits, `O_TMPFILE`, birth times and a loop
//! of one's own (union-fs.md §3.1). What a round trip costs, `examples/roundtrip.rs` measures.

mod backing;
mod decode;
mod device;
mod dirbuffer;
mod dispatch;
mod encode;
mod features;
mod filesystem;
mod notify;
mod proto;
mod reply;
mod session;
mod types;

pub mod mount;

pub use backing::{BackingId, Backings, DeviceBackings};
pub use dirbuffer::DirBuffer;
pub use features::{Features, Negotiated};
pub use filesystem::FileSystem;
pub use notify::Notifier;
pub use rustix::io::Errno;
pub use session::Session;
pub use types::{
    Attributes, Caller, Entry, Handle, New, NodeId, Open, OpenFlags, Opened, SetAttributes, SetTime, Statfs,
    Time, Write, device_number, device_parts,
};

/// What a method of [`FileSystem`] answers: the number is what the user's system call fails with.
pub type Result<T> = std::result::Result<T, Errno>;
