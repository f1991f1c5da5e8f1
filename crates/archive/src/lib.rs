//! Byte streams of layers: tar archives, Docker's tar-split records, compression and digests.
//!
//! Nothing here touches a file system: parsers are fed bytes and call back, writers write to any
//! [`std::io::Write`]. Which archives are accepted follows Go's `archive/tar`, the reader that Docker uses
//! (moby.md §5 and §11); every intended difference is listed in [`tar`].

pub mod compress;
mod crc64;
pub mod digest;
mod error;
pub mod tar;
pub mod tar_split;

pub use crc64::Crc64;
pub use error::{Error, Result, TarFault};
