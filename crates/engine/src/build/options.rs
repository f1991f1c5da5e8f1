//! What a build is asked for, what it tells, and what it answers.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use model::{ImageId, Platform, Reference, Timestamp};

/// What to build, and how. Nothing here is read from the environment: the caller has done that.
#[derive(Debug, Clone, Default)]
pub struct BuildOptions {
    /// What errors call the Dockerfile: the path as it was typed.
    pub name: String,
    /// The Dockerfile's text.
    pub dockerfile: Vec<u8>,
    /// The directory that `COPY` and `ADD` read; without one they find nothing.
    pub context: Option<PathBuf>,
    /// The text of `.dockerignore`, if there is one.
    pub ignore: Option<Vec<u8>>,
    /// Names for the image.
    pub tags: Vec<Reference>,
    /// `--build-arg`, with values; the proxies of the environment among them.
    pub build_args: BTreeMap<String, String>,
    /// Labels for the image, beside the Dockerfile's.
    pub labels: BTreeMap<String, String>,
    /// The stage to build; the last one if absent.
    pub target: Option<String>,
    /// The platform to build for; this machine's if absent.
    pub platform: Option<Platform>,
    /// Carry out every step, whatever is known of earlier builds.
    pub no_cache: bool,
    /// Ask the registry for base images also if they are here.
    pub pull: bool,
    /// Images whose `RUN` steps may be taken as they are, by name or ID (`--cache-from`).
    pub cache_from: Vec<String>,
    /// What `RUN --mount=type=secret` may see, by `id`.
    pub secrets: BTreeMap<String, Secret>,
    /// The network of `RUN` steps that ask for none in particular.
    pub network: BuildNetwork,
    /// `SOURCE_DATE_EPOCH`: what all times become that would otherwise be those of the build.
    pub epoch: Option<Timestamp>,
    /// The OCI runtime for `RUN`, by name or path; the first that is installed if absent.
    pub runtime: Option<String>,
    /// By which the build can be ended.
    pub cancel: Cancel,
}

/// Ends a build that goes on in another thread. Clones end the same build.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Ends the build: processes of steps are killed, further steps not begun. What was made so far is kept for the next
    /// attempt.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it was asked to end.
    pub fn is_canceled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A secret's content. Not shown by `Debug`.
#[derive(Clone, Default)]
pub struct Secret(pub Vec<u8>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Secret({} bytes)", self.0.len())
    }
}

/// What the processes of a `RUN` step can reach.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum BuildNetwork {
    /// What this machine can.
    #[default]
    Host,
    /// Nothing but their own loopback.
    None,
}

/// An image that was built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// Its ID.
    pub image: ImageId,
    /// The names that it has now.
    pub names: Vec<Reference>,
}

/// A part of a build that is shown by itself, in the order of their beginnings: `#1`, `#2`…
pub type VertexId = u64;

/// What a build tells while it goes on. Called from several threads.
pub trait BuildProgress: Send + Sync {
    /// Something has happened.
    fn event(&self, event: BuildEvent<'_>);
}

/// What has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BuildEvent<'a> {
    /// A part begins. Its name is BuildKit's: `[2/3] RUN make`.
    Started {
        /// Which; never used before.
        id: VertexId,
        /// What is shown.
        name: &'a str,
    },
    /// A part needs not be done: an earlier build did it.
    Cached {
        /// Which; no `Done` follows.
        id: VertexId,
    },
    /// A process of a part has written something, or there is something to say about it. Pieces are as they came, not
    /// cut at line ends.
    Output {
        /// Which.
        id: VertexId,
        /// What was written.
        text: &'a [u8],
    },
    /// A part is done.
    Done {
        /// Which.
        id: VertexId,
    },
    /// A part has failed, and the build with it. The error that the build ends with says more.
    Failed {
        /// Which.
        id: VertexId,
        /// Why.
        error: &'a str,
    },
    /// A part ends because another has failed.
    Canceled {
        /// Which.
        id: VertexId,
    },
    /// A part has more to it than its steps (bytes of a layer that is pulled).
    Status {
        /// Which.
        id: VertexId,
        /// What of it.
        item: &'a str,
        /// How far it is, in bytes.
        done: u64,
        /// How much there is, if that is known; 0 for what has no size, and is done.
        total: Option<u64>,
    },
    /// Something in the Dockerfile is not wise, or not followed here.
    Warning {
        /// BuildKit's name of the rule; empty if it has none.
        rule: &'a str,
        /// What.
        message: &'a str,
        /// The first line that it is about, if it is about one.
        line: Option<usize>,
    },
}

/// Tells nobody.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoProgress;

impl BuildProgress for NoProgress {
    fn event(&self, _: BuildEvent<'_>) {}
}
