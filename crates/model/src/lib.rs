//! The vocabulary of layercake: what things are called, how they are written and what makes them valid.
//!
//! Nothing here reads or writes: every function takes bytes, text or values and returns the same. All
//! formats are Docker's; where Docker prints an error, the error here has the same text.
//!
//! | module | subject |
//! | --- | --- |
//! | [`digest`] | `sha256:…` digests and the ids made of them: image, diff and chain ids |
//! | [`id`] | names of things in the store that are not digests: container, mount, cache and link ids |
//! | [`mod@reference`] | image names as people write them: `busybox`, `acme/x:1.0`, `localhost:5000/x@sha256:…` |
//! | [`pattern`] | shell patterns on names, with Go's meaning |
//! | [`config`] | the image configuration, as bytes and as a view; authoring it for commit and import |
//! | [`mount`] | volumes, bind mounts and tmpfs of containers: as they are asked for and as they are recorded |
//! | [`volume`] | names of volumes |
//! | [`manifest`] | OCI and Docker manifests, indexes, descriptors, and the files of an image archive |
//! | [`platform`] | operating system and processor, and the choice of an image for this machine |
//! | [`gojson`] | JSON exactly as Go writes it, for every document that we author |
//! | [`time`] | instants and durations as Go and Docker write them |
//! | [`size`] | sizes as Docker writes and reads them |
//! | [`names`] | container names, given and made up |
//! | [`progress`] | what long work tells about itself while it runs |
//! | [`transport`] | registries and kinds of files that images come from and go to |
#![forbid(unsafe_code)]

pub mod config;
pub mod digest;
mod error;
pub mod gojson;
pub mod id;
mod json;
pub mod manifest;
pub mod mount;
pub mod names;
pub mod pattern;
pub mod platform;
pub mod progress;
pub mod reference;
pub mod size;
pub mod time;
pub mod transport;
pub mod volume;

pub use config::{ContainerConfig, HostConfig, ImageConfig};
pub use digest::{ChainId, DiffId, Digest, ImageId};
pub use error::{Error, Result};
pub use id::{CacheId, ContainerId, LinkId, MountId};
pub use names::ContainerName;
pub use platform::Platform;
pub use progress::{Event, Phase, Progress, Silent};
pub use reference::{AnyReference, Reference};
pub use time::Timestamp;
pub use transport::Transport;
pub use volume::VolumeName;
