//! Why a union cannot be set up. What goes wrong later is an error number for the process that asked.

use std::path::PathBuf;

use rustix::io::Errno;

/// A union that cannot be opened or mounted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A layer cannot be opened.
    #[error("cannot open layer {}: {}", path.display(), describe(*errno))]
    Layer {
        /// The layer's directory.
        path: PathBuf,
        /// The kernel's answer.
        errno: Errno,
    },
    /// The work directory cannot be used.
    #[error("cannot {what} work directory {}: {}", path.display(), describe(*errno))]
    Work {
        /// What was tried.
        what: &'static str,
        /// The work directory.
        path: PathBuf,
        /// The kernel's answer.
        errno: Errno,
    },
    /// What was asked for contradicts itself.
    #[error("{0}")]
    Config(String),
    /// The upper layer was used with `volatile`, and may have lost files since.
    #[error("{} may be incomplete: it was mounted with `volatile` before, and not all of it may have reached the disk. Make a new upper directory; or, to go on with this one, remove {}", upper.display(), mark.display())]
    Volatile {
        /// The upper directory.
        upper: PathBuf,
        /// The directory that says so.
        mark: PathBuf,
    },
    /// The upper or the work directory is another mount's.
    #[error("{} is in use by another mount", .0.display())]
    Busy(PathBuf),
    /// The mount failed.
    #[error(transparent)]
    Mount(#[from] fusewire::mount::Error),
    /// The connection to the kernel broke.
    #[error("the file system's connection to the kernel failed: {0}")]
    Session(std::io::Error),
}

fn describe(errno: Errno) -> String {
    let text = std::io::Error::from(errno).to_string();
    text.split(" (os error").next().unwrap_or(&text).to_lowercase()
}
