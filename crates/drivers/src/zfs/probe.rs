//! Whether the driver works on a data root.

use std::path::Path;

use super::command::Zfs as Command;
use super::{Zfs, fs_name};
use crate::config::Config;
use crate::prerequisite::require_file_system;
use crate::{Prerequisite, Unmet};

const DEVICE: &str = "/dev/zfs";

impl Zfs {
    /// Whether there is ZFS, its program, and a dataset for the layers.
    pub(crate) fn probe(config: &Config) -> Result<(), Unmet> {
        if !matches!(fs_name(config), Ok(Some(_))) {
            require_file_system(&config.root, &["zfs"])?;
        }
        if let Err(e) = sys::block::open(Path::new(DEVICE)) {
            let remedy = "load it with 'modprobe zfs', as root, or choose another --storage-driver";
            return Err(Unmet::new(Prerequisite::Device(DEVICE), e.to_string(), remedy));
        }
        if !Command::is_there() {
            let remedy = "install zfsutils-linux, or choose another --storage-driver";
            return Err(Unmet::new(Prerequisite::Program("zfs"), "none on the search path", remedy));
        }
        Ok(())
    }
}
