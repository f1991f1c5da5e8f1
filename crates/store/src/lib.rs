//! The metadata files of a Docker data root: which layers, images, names and containers there are.
//!
//! No storage driver and no archive is known here: a layer's files are the driver's, its contents the archive's. All
//! formats are Docker's, described byte by byte in `docs/format/`; the map with all modes is `data-root.md` there.
//!
//! A [`DataRoot`] is opened for reading, which changes nothing and takes no lock, or for writing. Views of it are
//! cheap and have one subject each:
//!
//! | view | subject | files |
//! | --- | --- | --- |
//! | [`Layers`] | image layers | `image/<driver>/layerdb/sha256` |
//! | [`Mounts`] | writable layers of containers | `image/<driver>/layerdb/mounts` |
//! | [`Images`] | image configurations and their metadata | `image/<driver>/imagedb` |
//! | [`References`] | names of images | `image/<driver>/repositories.json` |
//! | [`Distribution`] | which blob holds which layer | `image/<driver>/distribution` |
//! | [`Containers`] | container documents | `containers` |
//! | [`Volumes`] | volumes and their labels | `volumes` |
//! | [`Running`] | who runs which container | `layercake/running` |
//! | [`Backrefs`] | who uses a layer, an image, a name | `layercake/index/<driver>` |
//! | [`Sizes`] | remembered sizes of writable layers | `layercake/sizes` |
//! | [`Downloads`] | blobs on their way from a registry | `layercake/downloads` |
//! | [`Blobs`] | compressed blobs that were kept | `layercake/blobs` |
//! | [`BuildCache`] | which step of a build made which layer | `layercake/build` |
//!
//! A [`Migration`] leads from one storage driver to another.
//!
//! # How a change is made
//!
//! 1. [`DataRoot::begin`] gives a [`Work`]: a private directory, locked by this process, for everything that is not
//!    published yet. What the driver is asked to make is noted there first ([`Work::note`]).
//! 2. Things are staged in it: [`Layers::stage`], [`Mounts::stage`], [`Images::stage`], [`Containers::stage`].
//! 3. What was staged is made durable: each thing by its `sync`, or all at once by [`DataRoot::sync`].
//! 4. [`DataRoot::commit`] gives the [`CommitLock`]. Whoever publishes or removes a name has to show it. Publishing
//!    is a rename, from what is used to what uses it: layers, then image, then its names; writable layer, then
//!    container. Removing goes the other way round.
//! 5. [`Work::finish`] removes the directory.
//!
//! A process that dies leaves its work directory with nobody holding its lock. The next command that writes finds it
//! ([`DataRoot::sweep`]), and knows from the notes what has to be taken back.
#![forbid(unsafe_code)]

mod backrefs;
mod blobs;
mod bolt;
mod build_cache;
mod commit;
mod container;
mod containers;
mod daemon;
mod distribution;
mod downloads;
mod error;
mod finding;
mod generation;
mod images;
mod layers;
mod migration;
mod mounts;
mod owner;
mod references;
mod root;
mod running;
mod sizes;
mod small;
mod sweep;
mod volumes;
mod work;

pub use backrefs::{Backrefs, User};
pub use blobs::Blobs;
pub use bolt::strings as bolt_strings;
pub use build_cache::{BuildCache, BuildRecord};
pub use commit::CommitLock;
pub use container::{Change, Container, Health, HostConfig, NewContainer, State, Status};
pub use containers::{Containers, StagedContainer};
pub use daemon::Holder;
pub use distribution::{Distribution, V2Metadata};
pub use downloads::{Download, Downloads, Interrupted, SEGMENT, Segments};
pub use error::{Error, Result};
pub use finding::{Damage, Finding, Subject};
pub use images::{Images, StagedImage};
pub use layers::{LayerRecord, Layers, Published, RemovingLayer, StagedLayer};
pub use migration::{Migration, MigrationRecord, MigrationState, Side};
pub use mounts::{MountRecord, Mounts, StagedMount};
pub use references::{References, Repositories};
pub use root::{DataRoot, Mode};
pub use running::{Life, Running};
pub use sizes::Sizes;
pub use sweep::{Leftovers, Undo};
pub use volumes::{DATA as VOLUME_DATA, Device, StagedVolume, Volume, Volumes};
pub use work::{DeadWork, Intent, Work};
