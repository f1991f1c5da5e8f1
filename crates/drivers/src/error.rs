//! What can go wrong with a layer.

use std::path::PathBuf;

use model::CacheId;

use crate::{Finding, Unmet};

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a driver refused or failed. Where Docker has a message for the case, this is its text.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The kernel refused.
    #[error(transparent)]
    Sys(#[from] sys::Error),
    /// A layer could not be unpacked, compared or written.
    #[error(transparent)]
    Changeset(#[from] changeset::Error),

    /// The driver has no layer of that name, staged or published.
    #[error("layer {0} does not exist")]
    NoLayer(CacheId),
    /// The name is taken.
    #[error("layer {0} exists already")]
    Exists(CacheId),
    /// The name means something else in the driver's directory.
    #[error("{0:?} cannot be the name of a layer")]
    Reserved(CacheId),
    /// More layers on top of each other than [`Config::max_lowers`](crate::Config::max_lowers).
    #[error("max depth exceeded")]
    TooDeep,
    /// The layer must not be written to: others are built on it, or it is mounted read-only.
    #[error("layer {id} cannot be mounted for writing: {why}")]
    ReadOnly {
        /// The layer.
        id: CacheId,
        /// What stands against it.
        why: &'static str,
    },
    /// The layer's files contradict the format; nothing was done. [`Driver::repair`](crate::Driver::repair) may help.
    #[error("{0}")]
    Damaged(Box<Finding>),
    /// The driver cannot do this by design.
    #[error("{driver}: {what}")]
    Unsupported {
        /// The driver.
        driver: &'static str,
        /// What was asked for.
        what: &'static str,
    },
    /// A size limit was asked for that cannot be set on this file system.
    #[error("{what}: {unmet}")]
    NoQuota {
        /// The driver.
        driver: &'static str,
        /// Docker's words for it.
        what: &'static str,
        /// What is missing.
        unmet: Box<Unmet>,
    },
    /// The program that serves unions did not mount one.
    #[error("mount {} by {}: {why}", target.display(), program.display())]
    Server {
        /// The program.
        program: PathBuf,
        /// Where it was to be mounted.
        target: PathBuf,
        /// What it said.
        why: String,
    },
    /// Owners cannot be shifted here, as `userns-remap` needs it.
    #[error(
        "userns-remap: the owners of {} cannot be shifted: Linux {kernel} does not translate ids on {filesystem} \
         (MOUNT_ATTR_IDMAP): it takes Linux 5.12 and ext4, xfs or btrfs there",
        path.display()
    )]
    NoShift {
        /// The driver's home.
        path: PathBuf,
        /// The kernel's release.
        kernel: String,
        /// The file system there.
        filesystem: &'static str,
    },
    /// A finding that no repair without the layer's data can mend.
    #[error("cannot be repaired: {0}")]
    BeyondRepair(Box<Finding>),

    /// A driver that does not exist, or not in this build.
    #[error("driver not supported: {0}")]
    UnknownDriver(String),
    /// The data root holds layers of several drivers and none was asked for (moby.md §10.1).
    #[error(
        "{root} contains several valid graphdrivers: {}; please cleanup or explicitly choose storage driver \
         (--storage-driver <DRIVER>)",
        found.join(", ")
    )]
    SeveralDrivers {
        /// The data root.
        root: String,
        /// The drivers that have layers there.
        found: Vec<&'static str>,
    },
    /// What the driver needs is not there. Docker's message begins so, and says no more.
    #[error("prerequisites for driver {driver} not satisfied: {unmet}")]
    Prerequisite {
        /// The driver.
        driver: &'static str,
        /// What it lacks.
        unmet: Box<Unmet>,
    },
    /// No driver works on this machine.
    #[error("no supported storage driver found: {0}")]
    NoDriver(String),
    /// Devices, pools or the programs that manage them refuse what a driver needs of them; says what to do where
    /// something can be done.
    #[error("{0}")]
    Devices(String),
    /// An option that the driver does not know, or whose value is wrong.
    #[error("{0}")]
    Option(String),
}

impl Error {
    /// A prerequisite of `driver` that is not met.
    pub(crate) fn prerequisite(driver: &'static str, unmet: Unmet) -> Self {
        Error::Prerequisite { driver, unmet: Box::new(unmet) }
    }

    /// Whether the device is full.
    pub fn is_full(&self) -> bool {
        match self {
            Error::Sys(e) => e.is_full(),
            Error::Changeset(changeset::Error::Sys(e)) => e.is_full(),
            _ => false,
        }
    }
}

impl From<Finding> for Error {
    fn from(finding: Finding) -> Self {
        Error::Damaged(Box::new(finding))
    }
}
