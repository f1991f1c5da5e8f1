//! A union file system in user space: several directories shown as one, changes kept in the topmost. It means what the
//! kernel's OverlayFS means, and keeps the upper layer in the same format, so that either can go on with the
//! other's. It knows nothing of containers.
//!
//! ```no_run
//! use unionfs::{Config, MountAt, Union, Upper};
//! let upper = Upper { dir: "/data/upper".into(), work: "/data/work".into() };
//! let config = Config { lowers: vec!["/data/lower".into()], upper: Some(upper), ..Config::default() };
//! let server = Union::open(&config)?.mount("/mnt".as_ref(), &MountAt::default())?;
//! server.run()?; // until somebody unmounts it
//! # Ok::<(), unionfs::Error>(())
//! ```
//!
//! Where to read:
//!
//! | to learn | module |
//! | --- | --- |
//! | what a name is in the union | `lookup`, with `marks`, `aufs` and `whiteouts` for what hides |
//! | what the kernel holds on to | `node`, `table`, `identity` (inode numbers), `index` (hard links) |
//! | what happens at the first write | `copy_up`, with `work` for where it is built |
//! | what changes names | `create`, `remove`, `rename` |
//! | what reads and writes | `files`, `attributes`, `xattrs`, `readdir` |
//! | how FUSE asks for all this | `fuse`, the one module that knows its types; `passing`, `server` |
//! | what can be set | [`Config`], [`options`] |
//!
//! Two rules hold everywhere. **Nothing reaches a lower layer**: it is reached through a private read-only mount where
//! this process may mount, and is opened for reading only. **No path is walked by a string**: a name is one component
//! below an open directory, and no link is followed.

mod attributes;
mod aufs;
mod backing;
mod config;
mod copy_up;
mod create;
mod error;
mod files;
mod fuse;
mod handles;
mod identity;
mod ids;
mod index;
mod layer;
mod lookup;
mod marks;
mod names;
mod node;
mod passing;
mod readdir;
mod remove;
mod rename;
mod server;
mod table;
mod union;
mod whiteouts;
mod work;
mod xattrs;

pub mod options;

pub use config::{Config, IdRange, MountAt, Options, RedirectDir, Squash, Upper, Xino};
pub use error::Error;
pub use server::{Server, unmount};
pub use union::{MAX_LAYERS, Union};
