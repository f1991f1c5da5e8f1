//! The specification of a driver.

use std::io::Write;
use std::path::{Path, PathBuf};

use changeset::{Applied, Applier, ApplyLimits, ApplyOptions, Change, DiffStats, Lowers, Owners, Whiteouts};
use model::CacheId;
use sys::Root;

pub use crate::stamp::Stamp;
use crate::{Finding, Result, Stage, Swept};

/// Keeps layers on disk, and makes trees of them.
///
/// # Vocabulary
///
/// - A **layer** is one step of a tree: what it adds, changes and deletes in what is below it. It is named by a
///   [`CacheId`], which is random and says nothing of the content. Images' layers, containers' writable layers and
///   their init layers are all layers, in one space of names.
/// - Its **parent** is the layer below; a layer without one is a **base**. The parents of its parent and so on are its
///   **lowers**, nearest first.
/// - A layer's **root** is the directory that holds its own files (for some drivers: its whole tree).
/// - Its **view** is the tree that a container sees: the layer on top of its lowers.
/// - The **home** is the driver's directory in the data root.
///
/// What a layer is for, who refers to it and what it contains are known to the caller only. The driver neither counts
/// references nor refuses to discard a layer that others are built on.
///
/// # Life of a layer
///
/// ```text
///            prepare          publish              discard           sweep
///   nothing ────────▶ staged ─────────▶ published ─────────▶ trash ─────────▶ nothing
///                     │    ▲                │  ▲
///                     └────┘                └──┘
///               applier, finish, rebase     mount, unmount
/// ```
///
/// - A **staged** layer is in a [`Stage`], where nobody else sees it. It is written to directly; it is never mounted.
/// - A **published** layer exists for everybody. An image's layer never changes from then on. A writable one changes
///   only through a mount.
/// - What is in the **trash** no longer exists; only its space is still in use.
///
/// # Example: an image of two layers, and a container
///
/// ```text
/// let stage = driver.stage()?;
/// driver.prepare(&stage, &base, None, LayerKind::ReadOnly)?;
/// driver.prepare(&stage, &top, Some(&base), LayerKind::ReadOnly)?;
/// // Both at once if capabilities().independent_layers, else the base to its end first.
/// for id in [&base, &top] {
///     let applier = driver.applier(&stage, id, &Unpack::default())?;
///     let applied = …feed the layer's archive to the applier…;
///     let size = driver.finish(&stage, id, applied)?;    // the parent before the child
/// }
/// driver.sync_stage(&stage)?;                            // one sync for the whole image
/// driver.publish(&stage, &[base, top])?;                 // then: record them in the layer store
///
/// driver.prepare(&stage, &container, Some(&top), LayerKind::Writable { size: None })?;
/// driver.publish(&stage, &[container])?;
/// let dir = driver.mount(&container, Access::Write)?;    // …run…
/// driver.unmount(&container)?;
/// driver.discard(&container)?;
/// driver.sweep()?;
/// ```
///
/// # Processes and crashes
///
/// There is no daemon: the state is on the disk and in the kernel, and any number of processes work on one home. Calls
/// on different layers never wait for each other; `mount`, `unmount`, `discard` and `repair` of the same layer do. That
/// nobody discards what another process is about to use is the caller's business (its lock).
///
/// A process may die at any instant, the machine too. What then remains of a layer that was not published or was
/// discarded is garbage: a stage, a thing in the trash, or a layer that no record names. [`sweep`](Driver::sweep)
/// removes the first two; the last the caller finds by comparing [`list`](Driver::list) with its records.
///
/// # Errors
///
/// Unless a method says otherwise, [`Error::NoLayer`](crate::Error::NoLayer) for a layer that is not there,
/// [`Error::Damaged`](crate::Error::Damaged) for one whose files contradict the format, and a failed call changed
/// nothing that anybody can see.
pub trait Driver: Send + Sync {
    /// The name by which users choose the driver, such as `overlay2`. Also the name of its home and of its part of
    /// `image/`.
    fn name(&self) -> &'static str;

    /// The driver's directory in the data root.
    fn home(&self) -> &Path;

    /// Where the layer lies on the disk, whether it is there or not: for messages.
    fn directory(&self, id: &CacheId) -> PathBuf {
        self.home().join(id.as_str())
    }

    /// What this driver does better or worse than others. Never changes.
    fn capabilities(&self) -> Capabilities;

    /// Whether it keeps the owners of layers shifted as its configuration says ([`Config::shift`](crate::Config)).
    fn shifts_owners(&self) -> bool {
        false
    }

    /// The lines below `Storage Driver` in `info`, in Docker's words and order (moby.md §10.3). May try things out on
    /// the file system, which takes milliseconds: for `info` only.
    fn status(&self) -> Result<Vec<(String, String)>>;

    /// Makes a new stage for layers of this driver.
    fn stage(&self) -> Result<Stage>;

    /// Makes the empty layer `id` in the stage, on top of `parent`, which is looked for in this stage first, then
    /// among the published.
    ///
    /// Where layers are not [independent](Capabilities::independent_layers), the parent must be complete, for it is
    /// copied.
    ///
    /// # Errors
    /// [`Exists`](crate::Error::Exists); [`TooDeep`](crate::Error::TooDeep);
    /// [`Unsupported`](crate::Error::Unsupported) for a size limit that the driver cannot enforce.
    fn prepare(&self, stage: &Stage, id: &CacheId, parent: Option<&CacheId>, kind: LayerKind) -> Result<()>;

    /// Gives the staged layer another parent of the same content: another process was faster to publish it. Layers
    /// that are staged on top of `id` must be rebased after it, from the bottom up.
    ///
    /// # Errors
    /// [`Unsupported`](crate::Error::Unsupported) where layers are not independent; such a layer need not be rebased,
    /// it does not refer to its parent.
    fn rebase(&self, stage: &Stage, id: &CacheId, parent: &CacheId) -> Result<()>;

    /// Gives what unpacks an archive into the staged layer. Several layers can be unpacked at the same time where they
    /// are [independent](Capabilities::independent_layers).
    fn applier(&self, stage: &Stage, id: &CacheId, unpack: &Unpack) -> Result<Applier>;

    /// Does what could not be done before the layers below were there, such as hard links to their files, and returns
    /// the layer's size in bytes as Docker records it (moby.md §11.5). The parent must be finished.
    fn finish(&self, stage: &Stage, id: &CacheId, applied: Applied) -> Result<u64>;

    /// The root of a staged layer.
    fn staged_root(&self, stage: &Stage, id: &CacheId) -> Result<Root>;

    /// The layer's view, for reading without a mount. With a stage, staged layers are found too.
    fn view(&self, stage: Option<&Stage>, id: &CacheId) -> Result<Lowers>;

    /// Makes durable all that was written to the stage's layers, and their metadata: one sync for a whole image.
    fn sync_stage(&self, stage: &Stage) -> Result<()> {
        Ok(sys::dir::sync_fs(stage)?)
    }

    /// Makes the layers exist for everybody, in this order: parents first. What was written to them must be durable
    /// already ([`sync_stage`](Self::sync_stage)).
    ///
    /// When this returns, the names are durable. The record that refers to the layers is to be written after that, so
    /// that no crash leaves a record without its layers. After an error none of the layers exists.
    ///
    /// # Errors
    /// [`Exists`](crate::Error::Exists).
    fn publish(&self, stage: &Stage, ids: &[CacheId]) -> Result<()>;

    /// Whether the layer is published.
    fn exists(&self, id: &CacheId) -> Result<bool>;

    /// All published layers, in no order. Reads a directory or two, not the layers.
    fn list(&self) -> Result<Vec<CacheId>>;

    /// Makes an image's layer of a published writable one, which is unmounted and will not be mounted for writing again.
    /// Comes before the record that makes it an image's, and before the sync that makes that durable. Drivers that keep
    /// both in one form have nothing to do.
    fn seal(&self, _id: &CacheId) -> Result<()> {
        Ok(())
    }

    /// The root of a published layer: where the files are that the layer's archive had. For reading.
    fn layer_root(&self, id: &CacheId) -> Result<Root>;

    /// Makes the layer's view available and returns its path. The mount outlives this process; it belongs to the
    /// mount namespace of the calling thread.
    ///
    /// Mounting what is mounted changes nothing and returns the same path, whoever mounted it, Docker too. Mounts are
    /// not counted: one [`unmount`](Driver::unmount) ends what any number of `mount` began.
    ///
    /// The view for [`Access::Read`] refuses writes where [`Capabilities::read_only_views`] says so; if the layer is
    /// mounted for writing already, that mount is the answer. [`Access::Write`] is for writable layers only: in any
    /// other it would change what images are made of.
    ///
    /// # Errors
    /// [`ReadOnly`](crate::Error::ReadOnly) if others are built on the layer, or it is mounted for reading.
    fn mount(&self, id: &CacheId, access: Access) -> Result<PathBuf>;

    /// As [`mount`](Driver::mount), with a label of SELinux for all files of the tree, whatever they have themselves;
    /// an empty one is none. Drivers whose trees are directories of the home, or mounts that take no label, give none.
    fn mount_labeled(&self, id: &CacheId, access: Access, label: &str) -> Result<PathBuf> {
        let _ = label;
        self.mount(id, access)
    }

    /// Ends the mount, and says whether there was one. A process that still uses the tree keeps it until it lets go;
    /// the path is free at once.
    fn unmount(&self, id: &CacheId) -> Result<bool>;

    /// Where the layer is mounted in the mount namespace of the calling thread. `None` too for a layer whose view is
    /// a directory and needs no mount.
    fn mounted(&self, id: &CacheId) -> Result<Option<PathBuf>>;

    /// What the layer changes in its parent, as `docker diff` shows it, sorted by path. Also of a mounted layer.
    fn changes(&self, id: &CacheId, parent: Option<&CacheId>) -> Result<Vec<Change>>;

    /// Writes the layer's changes to its parent as an archive, the same for the same tree. Also of a mounted layer, if
    /// it does not change meanwhile.
    fn diff(&self, id: &CacheId, parent: Option<&CacheId>, out: &mut dyn Write) -> Result<DiffStats>;

    /// The layer's size in bytes: what it takes above its parent. Walks the layer.
    fn usage(&self, id: &CacheId, parent: Option<&CacheId>) -> Result<u64>;

    /// The bytes that the file system itself counts for the layer, where it does: of a writable layer with a size
    /// limit. What it counts are blocks, of directories too. Costs a few system calls, whatever the layer's size.
    fn counted(&self, id: &CacheId) -> Result<Option<u64>> {
        let _ = id;
        Ok(None)
    }

    /// A value that is another one whenever the layer may have changed since: as long as it is the same,
    /// [`usage`](Driver::usage) need not be asked again. `None` if the layer is mounted or nothing can be said.
    /// Costs a few system calls.
    fn usage_stamp(&self, id: &CacheId) -> Result<Option<Stamp>>;

    /// What `inspect` shows as `GraphDriver.Data`, in Docker's words, sorted; empty for Docker's `null`.
    fn metadata(&self, id: &CacheId) -> Result<Vec<(String, String)>>;

    /// Makes the layer not exist: unmounts it and moves it to the trash. Takes the same short time whatever its size,
    /// and gives back no space; that does [`sweep`](Driver::sweep). Not durable before [`sync`](Driver::sync): after a
    /// power cut the layer can be there again. A layer that is not there is no error.
    fn discard(&self, id: &CacheId) -> Result<()>;

    /// Makes durable what was discarded: once for several layers, before the last record that names them goes.
    fn sync(&self) -> Result<()>;

    /// Whether the trash holds something. A few system calls.
    fn has_trash(&self) -> Result<bool>;

    /// Removes what is in the trash, and the stages of owners that died. Several processes can sweep at once, and one
    /// that is killed leaves the rest to the next. With nothing to do it costs a few system calls.
    fn sweep(&self) -> Result<Swept>;

    /// Examines one layer without changing anything. `parent` is what the caller's records say.
    fn check(&self, id: &CacheId, parent: Option<&CacheId>) -> Result<Vec<Finding>>;

    /// Examines what belongs to no single layer.
    fn check_home(&self) -> Result<Vec<Finding>>;

    /// Mends what a check found. Parents come first: a layer is mended from what is below it. Does nothing if the
    /// damage is gone meanwhile. Never removes data.
    ///
    /// # Errors
    /// [`BeyondRepair`](crate::Error::BeyondRepair).
    fn repair(&self, finding: &Finding) -> Result<()>;
}

/// How a driver differs from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// A layer's root is the whole tree, not its own files only.
    pub whole_trees: bool,
    /// A layer can be unpacked before its parent is: all layers of an image at once.
    pub independent_layers: bool,
    /// Containers of one image share the page cache of its files.
    pub page_cache_sharing: bool,
    /// [`Driver::mount`] really mounts; it takes the right to do so.
    pub mounts: bool,
    /// A view for reading refuses writes.
    pub read_only_views: bool,
    /// A writable layer's size can be limited, on this file system.
    pub quota: bool,
}

/// What a layer is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LayerKind {
    /// Of an image: it will not be mounted for writing.
    ReadOnly,
    /// Of a container.
    Writable {
        /// The most bytes that it may take, 0 for any number; `None` for the driver's default.
        size: Option<u64>,
    },
}

/// What a mount is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Looking at it.
    Read,
    /// Changing the layer.
    Write,
}

/// What the caller decides about unpacking an archive; how deletions and owners are kept is the driver's business.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unpack {
    /// What the archive may ask for.
    pub limits: ApplyLimits,
    /// Whether an extended attribute that the file system refuses is an error; else it is left out and counted.
    pub strict_xattrs: bool,
}

impl Unpack {
    /// The whole instruction for a layer, with the driver's part.
    pub(crate) fn options(&self, whiteouts: Whiteouts, user_namespace: bool) -> ApplyOptions {
        ApplyOptions {
            whiteouts,
            owners: if user_namespace { Owners::Squash } else { Owners::Exact },
            devices: !user_namespace,
            strict_xattrs: self.strict_xattrs,
            limits: self.limits,
        }
    }
}
