//! The conformance suite: what [`Driver`] promises, as tests. Each driver's test file calls [`conformance!`] once.
//!
//! [`conformance!`]: crate::conformance
//!
//! | module | where the cases come from |
//! | --- | --- |
//! | [`graph`] | the tests that Docker runs on each of its drivers (moby.md §14) |
//! | [`snapshots`] | the tests that containerd runs on each of its snapshotters, as far as they make sense here |
//! | [`layers`] | what layers can hold, and what is in the way of it |
//! | [`life`] | staging, publishing, discarding, sweeping, checking |
//!
//! A case gets a [`Bench`] with an empty data root, in a thread with a mount namespace of its own: nothing that it
//! mounts is seen elsewhere or outlives it. Cases need root, and are skipped out loud without.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // test code that other crates compile

pub mod graph;
pub mod layers;
pub mod life;
pub mod snapshots;

mod ground;

use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use changeset::{Applied, Change, ChangeKind};
use model::CacheId;
pub use testkit::archive::Builder;

pub use self::ground::{
    Ground, btrfs, directory, ext4_with_quotas, thin_ext4, thin_xfs, xfs_with_quotas, xfs_without_ftype, zfs,
};
use crate::{Access, Config, Driver, LayerKind, Result, Stage, Unpack};

/// Opens the driver that is to be tested.
pub type Open = fn(&Config) -> Result<Box<dyn Driver>>;

/// Makes a case's data root, and whatever a driver needs beside it. What the machine lacks, as a text, if it cannot be.
pub type Place = fn() -> std::result::Result<Ground, String>;

/// A driver on an empty data root, with short words for what most cases do. Everything here panics on failure.
pub struct Bench {
    /// The driver.
    pub driver: Box<dyn Driver>,
    /// Its configuration.
    pub config: Config,
    open: Open,
    _ground: Box<dyn std::any::Any + Sync>,
}

/// A child process has our locks until it executes its program, and so sweeps would find things in use that are not:
/// nothing else runs while a place is made, nor during the cases of drivers that start processes.
static PROCESSES: RwLock<()> = RwLock::new(());

/// Runs one case in a temporary directory.
pub fn run(name: &str, open: Open, case: impl FnOnce(&Bench)) {
    run_at(name, open, directory, case);
}

/// Runs one case in a place that the driver needs.
pub fn run_at(name: &str, open: Open, place: Place, case: impl FnOnce(&Bench)) {
    if !testkit::require_root(name) {
        return;
    }
    sys::process::clear_umask();
    sys::mount::private_namespace().unwrap();
    let alone = PROCESSES.write().unwrap_or_else(PoisonError::into_inner);
    let Ground { config, keep } = match place() {
        Ok(ground) => ground,
        Err(why) => return testkit::machine::skip(name, &why),
    };
    let driver = open(&config).unwrap();
    if driver.capabilities().mounts
        && let Err(why) = mounts_work(driver.name())
    {
        return testkit::machine::skip(name, &why.to_string());
    }
    let (_alone, _together);
    if is_served(driver.name()) {
        _alone = alone;
    } else {
        drop(alone);
        _together = PROCESSES.read().unwrap_or_else(PoisonError::into_inner);
    }
    case(&Bench { driver, config, open, _ground: keep });
}

/// Whether a process serves each of the driver's mounts.
fn is_served(driver: &str) -> bool {
    matches!(driver, "fuse-overlayfs" | "aufs")
}

/// Whether this machine can do what the driver's mounts take.
fn mounts_work(driver: &str) -> sys::Result<()> {
    match driver {
        _ if is_served(driver) => sys::fuse::open_device().map(drop),
        // Their places were made with the same means.
        "devicemapper" | "zfs" => Ok(()),
        _ => overlays_work(),
    }
}

/// Whether this machine mounts overlays here at all. Asks the kernel, not the driver: a broken driver must not look
/// like a missing feature.
fn overlays_work() -> sys::Result<()> {
    let tmp = tempfile::tempdir().unwrap();
    let branch = |name: &str| {
        std::fs::create_dir(tmp.path().join(name)).unwrap();
        let home = sys::dir::open_path(tmp.path())?;
        Ok(sys::mount::Branch { fd: sys::mount::open_layer(home, Path::new(name))?, path: name.into() })
    };
    let overlay = sys::mount::Overlay {
        lowers: vec![branch("low")?],
        upper: Some((branch("up")?, branch("work")?)),
        // Without root only this works; root does not mind it.
        options: vec![("userxattr", None)],
        home: tmp.path(),
    };
    branch("on")?;
    overlay.mount(&tmp.path().join("on"))?;
    sys::mount::detach(&tmp.path().join("on"))
}

impl Drop for Bench {
    /// Takes away what the case left mounted, or else the temporary directory could not be removed.
    fn drop(&mut self) {
        for mount in sys::mount::table(&self.config.root).unwrap_or_default().iter().rev() {
            let _ = sys::mount::detach(&mount.target);
        }
    }
}

impl Bench {
    /// A second driver on the same data root, as another process has it.
    pub fn reopen(&self) -> Box<dyn Driver> {
        (self.open)(&self.config).unwrap()
    }

    /// Stages a layer with the content of an archive.
    pub fn stage(&self, stage: &Stage, parent: Option<&CacheId>, archive: &[u8]) -> Result<CacheId> {
        let id = new_id();
        self.driver.prepare(stage, &id, parent, LayerKind::ReadOnly)?;
        let applied = self.apply(stage, &id, archive)?;
        self.driver.finish(stage, &id, applied)?;
        Ok(id)
    }

    /// Unpacks an archive into a staged layer.
    pub fn apply(&self, stage: &Stage, id: &CacheId, archive: &[u8]) -> Result<Applied> {
        let mut applier = self.driver.applier(stage, id, &Unpack::default())?;
        archive::tar::parse(archive, archive::tar::Limits::default(), &mut applier)?;
        Ok(applier.finish()?)
    }

    /// Publishes a layer with the content of an archive.
    pub fn try_layer(&self, parent: Option<&CacheId>, archive: &[u8]) -> Result<CacheId> {
        let stage = self.driver.stage()?;
        let id = self.stage(&stage, parent, archive)?;
        self.driver.publish(&stage, std::slice::from_ref(&id))?;
        Ok(id)
    }

    /// Publishes a layer with the content of an archive.
    pub fn layer(&self, parent: Option<&CacheId>, archive: Builder) -> CacheId {
        self.try_layer(parent, &archive.build()).unwrap()
    }

    /// A container's writable layer.
    pub fn container(&self, parent: Option<&CacheId>) -> CacheId {
        let stage = self.driver.stage().unwrap();
        let id = new_id();
        self.driver.prepare(&stage, &id, parent, LayerKind::Writable { size: None }).unwrap();
        self.driver.publish(&stage, std::slice::from_ref(&id)).unwrap();
        id
    }

    /// Does something in the mounted tree of a writable layer.
    pub fn edit(&self, id: &CacheId, change: impl FnOnce(&Path)) {
        change(&self.driver.mount(id, Access::Write).unwrap());
        self.driver.unmount(id).unwrap();
    }

    /// Makes a container, does something in it, and returns it.
    pub fn edited(&self, parent: Option<&CacheId>, change: impl FnOnce(&Path)) -> CacheId {
        let id = self.container(parent);
        self.edit(&id, change);
        id
    }

    /// Looks at a layer's tree.
    pub fn look<T>(&self, id: &CacheId, look: impl FnOnce(&Path) -> T) -> T {
        let result = look(&self.driver.mount(id, Access::Read).unwrap());
        self.driver.unmount(id).unwrap();
        result
    }

    /// The layer's changes as an archive.
    pub fn diff(&self, id: &CacheId, parent: Option<&CacheId>) -> Vec<u8> {
        let mut archive = Vec::new();
        self.driver.diff(id, parent, &mut archive).unwrap();
        archive
    }

    /// Makes an image's layer of a container, as `commit` does.
    pub fn commit(&self, container: &CacheId, parent: Option<&CacheId>) -> CacheId {
        self.try_layer(parent, &self.diff(container, parent)).unwrap()
    }

    /// Makes an image's layer of changes in a tree.
    pub fn layer_by_edit(&self, parent: Option<&CacheId>, change: impl FnOnce(&Path)) -> CacheId {
        self.commit(&self.edited(parent, change), parent)
    }

    /// What a layer changes, as Docker prints it.
    pub fn changes(&self, id: &CacheId, parent: Option<&CacheId>) -> Vec<String> {
        let line = |c: Change| format!("{} {}", c.kind, c.path.display());
        self.driver.changes(id, parent).unwrap().into_iter().map(line).collect()
    }
}

/// A path to a root, as long as it is open: some have no other.
pub fn path_of(root: &sys::Root) -> PathBuf {
    use sys::{AsFd, AsRawFd};
    PathBuf::from(format!("/proc/self/fd/{}", root.as_fd().as_raw_fd()))
}

/// A new random id.
pub fn new_id() -> CacheId {
    CacheId::from_random(sys::process::random())
}

/// A path of a change.
pub fn changed(kind: ChangeKind, path: &str) -> Change {
    Change { kind, path: PathBuf::from(path) }
}

/// Makes a test of each case of the suite for one driver.
///
/// ```text
/// drivers::conformance!(|config| Ok(Box::new(drivers::Vfs::open(config)?)));
/// drivers::conformance!(|config| Ok(Box::new(drivers::Btrfs::open(config)?)), drivers::suite::btrfs);
/// ```
///
/// The second argument is the [`Place`](crate::suite::Place) of the data root; without it, a temporary directory.
#[macro_export]
macro_rules! conformance {
    ($open:expr) => {
        $crate::conformance!($open, $crate::suite::directory);
    };
    ($open:expr, $place:expr) => {
        $crate::conformance!(@module graph $open, $place,
            create_empty create_base create_snap deep_layer_read diff_apply changes);
        $crate::conformance!(@module snapshots $open, $place,
            basic reuse_after_discard same_size_rewrite_within_a_second directory_removed_and_made_again owner_change
            directory_attributes_over_three_layers deletion_holds_through_an_empty_layer move_and_link_a_lower_file
            view_refuses_writes unmount_twice root_permission rename every_layer_of_128);
        $crate::conformance!(@module layers $open, $place,
            whiteouts_and_opaque_directories opaque_root attributes_survive nanoseconds sparse_files_stay_sparse
            devices_and_fifos hard_links_within_and_to_a_lower_layer implied_directories symlinks_do_not_lead_out
            an_entry_through_a_link_of_a_lower_layer a_bad_layer_is_never_published sizes);
        $crate::conformance!(@module life $open, $place,
            a_staged_layer_is_invisible names_are_taken_once reserved_names layers_of_one_stage_publish_together
            a_failed_publish_publishes_nothing a_stage_with_a_dead_owner_is_swept a_live_stage_is_left_alone
            discard_and_sweep discard_what_is_mounted mount_is_idempotent_across_processes
            a_detached_mount_stays_usable usage_and_its_stamp a_healthy_store_has_no_findings
            size_limits_need_quota missing_layers_are_said_to_be_missing);
    };
    (@module $module:ident $open:expr, $place:expr, $($case:ident)*) => {
        mod $module {
            $(#[test]
            fn $case() {
                $crate::suite::run_at(stringify!($case), $open, $place, $crate::suite::$module::$case);
            })*
        }
    };
}
