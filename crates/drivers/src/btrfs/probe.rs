//! Whether the driver works on a data root.

use super::{Btrfs, NAME};
use crate::Unmet;
use crate::config::Config;
use crate::prerequisite::require_file_system;

impl Btrfs {
    /// Whether the data root is on a btrfs, or its `btrfs` directory, which may be a mount.
    pub(crate) fn probe(config: &Config) -> Result<(), Unmet> {
        let home = config.root.join(NAME);
        require_file_system(if home.is_dir() { &home } else { &config.root }, &["btrfs"])
    }
}
