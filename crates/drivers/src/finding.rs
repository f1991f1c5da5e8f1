//! What a check can find wrong with a layer.

use std::fmt;

use model::{CacheId, LinkId};

/// One thing that is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The driver that says so.
    pub driver: &'static str,
    /// The layer; `None` for something that belongs to no layer.
    pub layer: Option<CacheId>,
    /// What is wrong.
    pub damage: Damage,
}

/// The kinds of damage (moby.md §8.3 and §16).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Damage {
    /// The layer has no directory at all.
    NoDirectory,
    /// The directory of the layer's files is gone. Only the image can bring it back.
    NoDiff,
    /// The layer's directory is no subvolume, so no snapshot can be made of it: it was copied here by other means.
    NoSubvolume,
    /// The file `link` is missing, empty or not a link id. Docker then mounts the link directory itself into
    /// containers.
    Link(&'static str),
    /// The short name of the layer is missing from `l/`, or leads elsewhere. Docker then refuses to mount.
    ShortName(LinkId),
    /// The file `lower` is missing, empty, malformed or not the parent's chain; the parent, if it is known, is what
    /// it can be made from again.
    Lower {
        /// What is wrong with it.
        why: &'static str,
        /// The layer below.
        parent: Option<CacheId>,
    },
    /// The file `lower-id` is missing, empty, malformed or not what the layer's parent stands on; the parent, if it is
    /// known, is what it can be made from again.
    LowerId {
        /// What is wrong with it.
        why: &'static str,
        /// The layer below.
        parent: Option<CacheId>,
    },
    /// The layer's list of the layers below it is missing, malformed or not its parent's; the parent, if it is known, is
    /// what it can be made from again.
    Ancestors {
        /// What is wrong with it.
        why: &'static str,
        /// The layer below.
        parent: Option<CacheId>,
    },
    /// The layer stands on one that does not exist, or has no files.
    NoLower(CacheId),
    /// `lower` names a layer that does not exist.
    DanglingLower(LinkId),
    /// The work directory, which a writable mount needs, is missing.
    NoWork,
    /// A mount point without a mount: the machine or Docker died while the layer was mounted, or it was unmounted
    /// while in use. Harmless, but the layer's size has to be measured anew each time.
    StrayMerged,
    /// A mount whose server died. What was written is in the layer; nothing more can be read or written through it.
    DeadMount,
    /// A name in `l/` that leads to no layer. Harmless.
    DanglingShortName(LinkId),
}

impl Finding {
    /// Whether [`Driver::repair`](crate::Driver::repair) can mend it without data from elsewhere.
    pub fn is_repairable(&self) -> bool {
        match &self.damage {
            Damage::NoDirectory | Damage::NoDiff | Damage::DanglingLower(_) | Damage::NoLower(_) => false,
            Damage::Lower { parent, .. }
            | Damage::LowerId { parent, .. }
            | Damage::Ancestors { parent, .. } => parent.is_some(),
            _ => true,
        }
    }

    /// Whether the layer cannot be used as it is.
    pub fn is_harmful(&self) -> bool {
        !matches!(self.damage, Damage::StrayMerged | Damage::DeadMount | Damage::DanglingShortName(_))
    }

    /// What to do about it, as a sentence for people.
    pub fn remedy(&self) -> &'static str {
        match &self.damage {
            Damage::NoDirectory | Damage::NoDiff => "remove the image that uses the layer and load it again",
            Damage::NoSubvolume => "copy its files into a new subvolume, which takes its place",
            Damage::Link(_) => "find the layer's name in l/, or give it a new one, and write it to link",
            Damage::ShortName(_) => "make the name in l/ again",
            Damage::Lower { parent: Some(_), .. } => "write lower again from the parent layer",
            Damage::LowerId { parent: Some(_), .. } => "write lower-id again from the parent layer",
            Damage::Ancestors { parent: Some(_), .. } => "write the list again from the parent layer",
            Damage::Lower { parent: None, .. }
            | Damage::LowerId { parent: None, .. }
            | Damage::Ancestors { parent: None, .. } => {
                "nothing is known of the parent layer: remove what uses this layer"
            }
            Damage::DanglingLower(_) | Damage::NoLower(_) => {
                "repair the layer below first; if it is gone, load the image again"
            }
            Damage::NoWork => "make the work directory again",
            Damage::StrayMerged => "remove the empty directory",
            Damage::DeadMount => "unmount it, and mount it again",
            Damage::DanglingShortName(_) => "remove the name",
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.layer {
            Some(id) => write!(f, "{} layer {id}: ", self.driver)?,
            None => write!(f, "{}: ", self.driver)?,
        }
        match &self.damage {
            Damage::NoDirectory => f.write_str("its directory is missing"),
            Damage::NoDiff => f.write_str("its files (diff) are missing"),
            Damage::NoSubvolume => f.write_str("its directory is no subvolume"),
            Damage::Link(why) => write!(f, "the file link is {why}"),
            Damage::ShortName(link) => write!(f, "l/{link} does not lead to it"),
            Damage::Lower { why, .. } => write!(f, "the file lower {why}"),
            Damage::LowerId { why, .. } => write!(f, "the file lower-id {why}"),
            Damage::Ancestors { why, .. } => write!(f, "the list of the layers below it {why}"),
            Damage::NoLower(id) => write!(f, "the layer {id} below it is missing or has no files"),
            Damage::DanglingLower(link) => {
                write!(f, "the file lower names l/{link}, which leads to no layer")
            }
            Damage::NoWork => f.write_str("its work directory is missing"),
            Damage::StrayMerged => f.write_str("merged is there but nothing is mounted on it"),
            Damage::DeadMount => f.write_str("the server of its mount has died"),
            Damage::DanglingShortName(link) => write!(f, "l/{link} leads to no layer"),
        }
    }
}
