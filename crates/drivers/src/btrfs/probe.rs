//! Whether the driver works on a data root.

use sys::btrfs;

use super::{Btrfs, NAME};
use crate::backing;
use crate::select::Config;

impl Btrfs {
    /// Whether the data root is on a btrfs, or its `btrfs` directory, which may be a mount; the reason if not.
    #[allow(dead_code)]
    pub(crate) fn supported(config: &Config) -> Result<(), String> {
        let home = config.root.join(NAME);
        let place = if home.is_dir() { home } else { config.root.clone() };
        let info = sys::process::fs_info(&place).map_err(|e| e.to_string())?;
        if info.magic == btrfs::MAGIC {
            return Ok(());
        }
        let found = backing::name(&place).map_err(|e| e.to_string())?;
        Err(format!("{} is on {found}, not on btrfs", place.display()))
    }
}
