//! Which driver serves a data root. The only place that knows all drivers.
//!
//! The rules are Docker's (moby.md §10.1): a name that is given decides; else the layers that are there; else the first
//! driver that works here, in the order of Docker 23.0 and later. Docker 20.10 had the order `btrfs`, `zfs`,
//! `overlay2`, `fuse-overlayfs`, `aufs`, `overlay`, `devicemapper`, `vfs`.

use std::ffi::OsStr;
use std::fmt;

use sys::dir;

use crate::config::Config;
use crate::nothing::Nothing;
use crate::prerequisite::Unmet;
use crate::{
    Aufs, Btrfs, DeviceMapper, Driver, Error, FuseOverlayfs, LegacyOverlay, Overlay2, Result, Vfs, Zfs,
};

/// A driver as it stands in the list.
struct Known {
    name: &'static str,
    /// Whether layers of it that are there decide for it. Not `vfs`: Docker never did so (moby.md §10.1).
    counts_as_prior: bool,
    /// Whether it is tried in a data root without layers. Not those that Docker 23.0 had deprecated: they want to be
    /// asked for.
    tried: bool,
    /// Opens it. What it cannot live without and can see in some microseconds it refuses here, each time, with
    /// [`Error::Prerequisite`].
    open: fn(&Config) -> Result<Box<dyn Driver>>,
    /// Whether it works here. May try things out on the data root's file system, which takes milliseconds: it is asked
    /// before a driver makes its home, and for `info`. Leaves nothing behind.
    probe: fn(&Config) -> Result<(), Unmet>,
}

/// All drivers, first choice first: Docker's order since 23.0.
const KNOWN: &[Known] = &[
    Known {
        name: "overlay2",
        counts_as_prior: true,
        tried: true,
        open: |config| Ok(Box::new(Overlay2::open(config)?)),
        probe: Overlay2::probe,
    },
    Known {
        name: "fuse-overlayfs",
        counts_as_prior: true,
        tried: true,
        open: |config| Ok(Box::new(FuseOverlayfs::open(config)?)),
        probe: FuseOverlayfs::probe,
    },
    Known {
        name: "btrfs",
        counts_as_prior: true,
        tried: true,
        open: |config| Ok(Box::new(Btrfs::open(config)?)),
        probe: Btrfs::probe,
    },
    Known {
        name: "zfs",
        counts_as_prior: true,
        tried: true,
        open: |config| Ok(Box::new(Zfs::open(config)?)),
        probe: Zfs::probe,
    },
    Known {
        name: "aufs",
        counts_as_prior: true,
        tried: false,
        open: |config| Ok(Box::new(Aufs::open(config)?)),
        probe: Aufs::probe,
    },
    Known {
        name: "overlay",
        counts_as_prior: true,
        tried: false,
        open: |config| Ok(Box::new(LegacyOverlay::open(config)?)),
        probe: LegacyOverlay::probe,
    },
    Known {
        name: "devicemapper",
        counts_as_prior: true,
        tried: false,
        open: |config| Ok(Box::new(DeviceMapper::open(config)?)),
        probe: DeviceMapper::probe,
    },
    Known {
        name: "vfs",
        counts_as_prior: false,
        tried: true,
        open: |config| Ok(Box::new(Vfs::open(config)?)),
        probe: |_| Ok(()),
    },
];

/// Why a driver was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// It was asked for.
    Asked,
    /// The data root has layers of it.
    Prior,
    /// It is the first in Docker's order that works here.
    First,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Asked => "it was asked for",
            Self::Prior => "the data root has layers of it",
            Self::First => "it is the first in the order of drivers that works here",
        })
    }
}

/// A driver that was not chosen because of a prerequisite.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The driver.
    pub driver: &'static str,
    /// What it lacks.
    pub unmet: Unmet,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.driver, self.unmet)
    }
}

/// How a driver came to be chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// The driver.
    pub driver: &'static str,
    /// Why it.
    pub why: Why,
    /// Those that come before it in the order and do not work here.
    pub refused: Vec<Refusal>,
}

/// A driver, and how it came to be chosen.
pub struct Selected {
    /// The driver, opened.
    pub driver: Box<dyn Driver>,
    /// Why it.
    pub choice: Choice,
}

impl Known {
    fn find(name: &str) -> Result<&'static Self> {
        KNOWN.iter().find(|known| known.name == name).ok_or_else(|| Error::UnknownDriver(name.to_owned()))
    }

    /// Whether the driver's home is there and has something in it.
    fn has_home(&self, config: &Config) -> Result<bool> {
        match dir::open(dir::open_path(&config.root)?, OsStr::new(self.name)) {
            Ok(home) => Ok(!dir::list(&home)?.is_empty()),
            Err(e) if e.is_not_found() || e.errno == sys::Errno::NOTDIR => Ok(false),
            Err(e) => Err(e.into()),
        }
    }

    /// Opens it; one that has no home yet is tried out first.
    fn open_probed(&self, config: &Config, why: Why) -> Result<Selected> {
        if !self.has_home(config)? {
            (self.probe)(config).map_err(|unmet| Error::prerequisite(self.name, unmet))?;
        }
        let choice = Choice { driver: self.name, why, refused: Vec::new() };
        Ok(Selected { driver: (self.open)(config)?, choice })
    }
}

/// The names of all drivers, first choice first.
pub fn names() -> impl Iterator<Item = &'static str> {
    KNOWN.iter().map(|known| known.name)
}

/// Whether there is a driver of that name.
pub fn is_known(name: &str) -> bool {
    Known::find(name).is_ok()
}

/// Opens the driver of that name, whether it works on this machine or not.
///
/// # Errors
/// [`Error::UnknownDriver`]; [`Error::Option`] for an option that the driver does not take;
/// [`Error::Prerequisite`] for what it cannot be opened without.
pub fn open(name: &str, config: &Config) -> Result<Box<dyn Driver>> {
    (Known::find(name)?.open)(config)
}

/// Whether the driver of that name works on the data root's file system; inside, what it lacks if not. Takes some
/// milliseconds, and leaves nothing behind.
///
/// # Errors
/// [`Error::UnknownDriver`].
pub fn probe(name: &str, config: &Config) -> Result<Result<(), Unmet>> {
    Ok((Known::find(name)?.probe)(config))
}

/// Stands for the driver of that name in a data root that has nothing of it, without making anything there.
///
/// # Errors
/// [`Error::UnknownDriver`].
pub fn nothing(name: &str, config: &Config) -> Result<Selected> {
    let name = Known::find(name)?.name;
    let choice = Choice { driver: name, why: Why::Asked, refused: Vec::new() };
    Ok(Selected { driver: Box::new(Nothing::new(name, &config.root)), choice })
}

/// The drivers that have something in the data root already. An empty directory does not count.
pub fn prior_states(config: &Config) -> Result<Vec<&'static str>> {
    let mut found = Vec::new();
    for known in KNOWN.iter().filter(|known| known.counts_as_prior) {
        if known.has_home(config)? {
            found.push(known.name);
        }
    }
    Ok(found)
}

/// Opens the driver for a data root: the one that was asked for, else the one whose layers are there, else the first
/// that works on this machine (moby.md §10.1).
///
/// # Errors
/// [`Error::SeveralDrivers`] if the layers there are of several drivers; [`Error::Prerequisite`] if what the driver
/// needs that was asked for, or whose layers are there, is missing; [`Error::NoDriver`]; those of [`open`].
pub fn select(name: Option<&str>, config: &Config) -> Result<Selected> {
    if let Some(name) = name {
        return Known::find(name)?.open_probed(config, Why::Asked);
    }
    match prior_states(config)?.as_slice() {
        [] => {}
        [one] => return Known::find(one)?.open_probed(config, Why::Prior),
        several => {
            // As with Docker, what is wrong with the first of them is told first.
            Known::find(several[0])?.open_probed(config, Why::Prior)?;
            let root = config.root.display().to_string();
            return Err(Error::SeveralDrivers { root, found: several.to_vec() });
        }
    }
    let mut refused = Vec::new();
    for known in KNOWN.iter().filter(|known| known.tried) {
        match (known.probe)(config) {
            Ok(()) => {
                let choice = Choice { driver: known.name, why: Why::First, refused };
                return Ok(Selected { driver: (known.open)(config)?, choice });
            }
            Err(unmet) => refused.push(Refusal { driver: known.name, unmet }),
        }
    }
    let reasons: Vec<String> = refused.iter().map(Refusal::to_string).collect();
    Err(Error::NoDriver(reasons.join("; ")))
}

#[cfg(test)]
mod tests;
