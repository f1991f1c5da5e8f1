//! `opts.json` of a volume: what is mounted on its content, as the options of `volume create -o` say.

use std::collections::BTreeMap;
use std::path::Path;

use model::VolumeName;
use serde::{Deserialize, Serialize};
use sys::OwnedFd;

use crate::error::{Error, Result};
use crate::finding::Damage;
use crate::small::os;

const FILE: &str = "opts.json";
const MODE: u32 = 0o600;

/// What is mounted on a volume's content when a container uses it, in the words of mount(8).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Device {
    /// The kind of file system; `none` with the option `bind` for a directory of the host.
    pub mount_type: String,
    /// Options, separated by commas.
    pub mount_opts: String,
    /// What is mounted.
    pub mount_device: String,
    /// How large the content may become. Without quotas there is no limit.
    pub quota: Quota,
}

/// A limit of a volume's content.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Quota {
    /// Bytes; 0 for no limit.
    pub size: u64,
}

impl Device {
    /// What the options say, if they say something.
    pub(super) fn of_options(options: &BTreeMap<String, String>) -> Option<Self> {
        let word = |key: &str| options.get(key).cloned().unwrap_or_default();
        (!options.is_empty()).then(|| Self {
            mount_type: word("type"),
            mount_opts: word("o"),
            mount_device: word("device"),
            quota: Quota::default(),
        })
    }

    /// Whether it is a directory of the host.
    pub fn is_bind(&self) -> bool {
        self.mount_opts.split(',').any(|option| matches!(option, "bind" | "rbind"))
    }
}

pub(super) fn write(volume: &OwnedFd, device: &Device) -> Result<()> {
    let text = model::gojson::to_vec(device)?;
    sys::atomic::create_unsynced(volume, os(FILE), MODE, &text)?;
    Ok(())
}

pub(super) fn read(volume: &OwnedFd, name: &VolumeName) -> Result<Option<Device>> {
    let Some(text) = sys::atomic::find(volume, os(FILE))? else { return Ok(None) };
    let device: Device = serde_json::from_slice(&text).map_err(|e| Error::BrokenFile {
        path: Path::new("volumes").join(name.as_str()).join(FILE),
        damage: Damage::invalid(FILE, e),
    })?;
    Ok((!device.mount_type.is_empty() || !device.mount_device.is_empty()).then_some(device))
}
