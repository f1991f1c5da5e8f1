//! The calls that rustix has no safe form of. All `unsafe` of the workspace is in this folder.
#![allow(unsafe_code)]

mod disks;
mod files;
mod fuse;
mod namespaces;
mod process;
mod signals;
mod users;

pub(crate) use disks::*;
pub(crate) use files::*;
pub(crate) use fuse::*;
pub(crate) use namespaces::*;
pub(crate) use process::*;
pub(crate) use signals::*;
pub(crate) use users::*;

fn last_error() -> rustix::io::Errno {
    let code = std::io::Error::last_os_error().raw_os_error();
    rustix::io::Errno::from_raw_os_error(code.unwrap_or(libc::EIO))
}
