//! The options `dm.…` (moby.md §10.2), with Docker's error texts.

use std::path::PathBuf;

use crate::config::{Config, DriverOption};
use crate::{Error, Result};

const GIB: u64 = 1 << 30;

/// What the user asked for, and Docker's defaults for the rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Options {
    /// The size of the base device, and whether the user said it.
    pub(super) base_size: (u64, bool),
    /// The sizes of the files behind loop devices.
    pub(super) loop_data_size: u64,
    pub(super) loop_metadata_size: u64,
    /// `ext4` or `xfs`; `None`: xfs if this machine has it.
    pub(super) fs: Option<&'static str>,
    pub(super) mkfs_args: Vec<String>,
    /// Options of mounts, separated by commas.
    pub(super) mount_options: String,
    pub(super) data_device: Option<PathBuf>,
    pub(super) metadata_device: Option<PathBuf>,
    /// The name of a thin pool that somebody else has made.
    pub(super) thin_pool: Option<String>,
    /// Whether the blocks of a device are discarded before it is deleted.
    pub(super) discard: bool,
    /// The pool's blocks, in sectors of 512 bytes.
    pub(super) block_sectors: u32,
    pub(super) deferred_removal: bool,
    pub(super) deferred_deletion: bool,
    /// The part of the pool that must be free before something new is made, in percent.
    pub(super) min_free: u64,
    /// What XFS does when the pool is full: a number for the kernel.
    pub(super) xfs_nospace_retries: Option<u64>,
    pub(super) lvm: Option<DirectLvm>,
    /// Whether a device that holds a file system may be taken for LVM.
    pub(super) lvm_force: bool,
}

/// A thin pool that is made with LVM of a device, in the words of `setup-config.json`.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct DirectLvm {
    pub(super) device: String,
    pub(super) thinp_percent: u64,
    pub(super) thinp_meta_percent: u64,
    pub(super) auto_extend_percent: u64,
    pub(super) auto_extend_threshold: u64,
}

impl Options {
    /// The options of a configuration.
    ///
    /// # Errors
    /// [`Error::Option`].
    pub(super) fn parse(config: &Config) -> Result<Self> {
        let mut options = Self {
            base_size: (10 * GIB, false),
            loop_data_size: 100 * GIB,
            loop_metadata_size: 2 * GIB,
            fs: None,
            mkfs_args: Vec::new(),
            mount_options: String::new(),
            data_device: None,
            metadata_device: None,
            thin_pool: None,
            discard: true,
            block_sectors: 128,
            deferred_removal: true,
            deferred_deletion: true,
            min_free: 10,
            xfs_nospace_retries: None,
            lvm: None,
            lvm_force: false,
        };
        let (mut lvm, mut discard) = (DirectLvm::default(), None);
        for option in config.options()? {
            let DriverOption { key, value } = &option;
            match key.to_lowercase().as_str() {
                "dm.basesize" => options.base_size = (option.size()?, true),
                "dm.loopdatasize" => options.loop_data_size = option.size()?,
                "dm.loopmetadatasize" => options.loop_metadata_size = option.size()?,
                "dm.fs" => {
                    let known = ["ext4", "xfs"].into_iter().find(|fs| fs == value);
                    let unknown = || refused(format!("Unsupported filesystem {value}"));
                    options.fs = Some(known.ok_or_else(unknown)?);
                }
                "dm.mkfsarg" => options.mkfs_args.push(value.clone()),
                "dm.mountopt" => join(&mut options.mount_options, value),
                "dm.metadatadev" => options.metadata_device = Some(value.into()),
                "dm.datadev" => options.data_device = Some(value.into()),
                "dm.thinpooldev" => {
                    options.thin_pool = Some(value.trim_start_matches("/dev/mapper/").to_owned());
                }
                "dm.blkdiscard" => discard = Some(option.boolean()?),
                "dm.blocksize" => {
                    options.block_sectors = u32::try_from(option.size()? / 512).unwrap_or(u32::MAX);
                }
                // There is no libdevmapper and no waiting for udev here: both are checked, and mean nothing.
                "dm.override_udev_sync_check" => drop(option.boolean()?),
                "dm.libdm_log_level" => log_level(value)?,
                "dm.use_deferred_removal" => options.deferred_removal = option.boolean()?,
                "dm.use_deferred_deletion" => options.deferred_deletion = option.boolean()?,
                "dm.min_free_space" => options.min_free = min_free(value)?,
                "dm.xfs_nospace_max_retries" => options.xfs_nospace_retries = Some(number(value)?),
                "dm.directlvm_device" => lvm.device = value.clone(),
                "dm.directlvm_device_force" => options.lvm_force = option.boolean()?,
                "dm.thinp_percent" => lvm.thinp_percent = percent(key, value, 99)?,
                "dm.thinp_metapercent" => lvm.thinp_meta_percent = percent(key, value, 99)?,
                "dm.thinp_autoextend_percent" => lvm.auto_extend_percent = percent(key, value, 100)?,
                "dm.thinp_autoextend_threshold" => lvm.auto_extend_threshold = percent(key, value, 100)?,
                key => return Err(refused(format!("Unknown option {key}"))),
            }
        }
        if lvm != DirectLvm::default() {
            options.lvm = Some(lvm.checked(options.thin_pool.as_deref())?);
        }
        if options.deferred_deletion && !options.deferred_removal {
            return Err(refused(
                "Deferred deletion can not be enabled as deferred removal is not enabled. Enable deferred removal \
                 using --storage-opt dm.use_deferred_removal=true parameter",
            ));
        }
        // On whole devices it is dear and of little use.
        let devices = options.data_device.is_some() || options.thin_pool.is_some();
        options.discard = discard.unwrap_or(!devices);
        Ok(options)
    }
}

impl DirectLvm {
    fn checked(self, thin_pool: Option<&str>) -> Result<Self> {
        let (data, meta) = (self.thinp_percent, self.thinp_meta_percent);
        let why = if self.device.is_empty() {
            "must provide device path in `dm.directlvm_device` in order to configure direct-lvm"
        } else if (data == 0) != (meta == 0) {
            "must set both `dm.thinp_percent` and `dm.thinp_metapercent` if either is specified"
        } else if data + meta > 100 {
            "combined `dm.thinp_percent` and `dm.thinp_metapercent` must not be greater than 100"
        } else if thin_pool.is_some() {
            "cannot setup direct-lvm when `dm.thinpooldev` is also specified"
        } else {
            return Ok(self);
        };
        Err(Error::Option(why.to_owned()))
    }
}

fn refused(text: impl AsRef<str>) -> Error {
    Error::Option(format!("devmapper: {}", text.as_ref()))
}

fn join(options: &mut String, more: &str) {
    if !options.is_empty() && !more.is_empty() {
        options.push(',');
    }
    options.push_str(more);
}

/// A number as Go's `strconv.ParseUint` reads it.
fn number(value: &str) -> Result<u64> {
    let digits = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
    let why = if digits { "value out of range" } else { "invalid syntax" };
    value
        .parse()
        .ok()
        .filter(|_| digits)
        .ok_or_else(|| Error::Option(format!("strconv.ParseUint: parsing {value:?}: {why}")))
}

fn min_free(value: &str) -> Result<u64> {
    let Some(digits) = value.strip_suffix('%') else {
        return Err(refused("Option dm.min_free_space requires % suffix"));
    };
    match number(digits)? {
        percent @ 0..100 => Ok(percent),
        _ => Err(refused(format!("Invalid value {value} for option dm.min_free_space"))),
    }
}

fn percent(key: &str, value: &str, most: u64) -> Result<u64> {
    let key = key.to_lowercase();
    match number(value.strip_suffix('%').unwrap_or(value)) {
        Ok(percent) if percent <= most => Ok(percent),
        Ok(_) => Err(Error::Option(format!("{key} must be greater than 0 and less than 100"))),
        Err(e) => Err(Error::Option(format!("could not parse `{key}={value}`: {e}"))),
    }
}

/// The level of libdevmapper's messages; there are seven less two.
fn log_level(value: &str) -> Result<()> {
    match value.parse() {
        Ok(2..=7) => Ok(()),
        Ok(_) => Err(Error::Option("dm.libdm_log_level must be in range [2,7]".to_owned())),
        Err(_) => {
            let why = format!("strconv.ParseInt: parsing {value:?}: invalid syntax");
            Err(Error::Option(format!("could not parse `dm.libdm_log_level={value}`: {why}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(options: &[&str]) -> Result<Options> {
        let mut config = Config::new("/");
        config.options = options.iter().map(|&option| option.to_owned()).collect();
        Options::parse(&config)
    }

    fn refusal(option: &str) -> String {
        parse(&[option]).unwrap_err().to_string()
    }

    #[test]
    fn defaults_are_docker_s() {
        let options = parse(&[]).unwrap();
        assert_eq!(options.base_size, (10 << 30, false));
        assert_eq!((options.loop_data_size, options.loop_metadata_size), (100 << 30, 2 << 30));
        assert_eq!((options.block_sectors, options.min_free), (128, 10));
        assert!(options.discard && options.deferred_removal && options.deferred_deletion);
        assert_eq!((options.fs, options.lvm), (None, None));
    }

    #[test]
    fn every_option_is_heard() {
        let options = parse(&[
            "dm.basesize=20G",
            "dm.loopdatasize=2g",
            "DM.LoopMetadataSize=64m",
            "dm.fs=ext4",
            "dm.mkfsarg=-O ^has_journal",
            "dm.mountopt=nodiscard",
            "dm.mountopt=noatime",
            "dm.metadatadev=/dev/sdb1",
            "dm.datadev=/dev/sdb2",
            "dm.blkdiscard=true",
            "dm.blocksize=512K",
            "dm.override_udev_sync_check=true",
            "dm.use_deferred_removal=true",
            "dm.use_deferred_deletion=false",
            "dm.min_free_space=5%",
            "dm.xfs_nospace_max_retries=0",
            "dm.libdm_log_level=4",
        ])
        .unwrap();
        assert_eq!(options.base_size, (20 << 30, true));
        assert_eq!((options.loop_data_size, options.loop_metadata_size), (2 << 30, 64 << 20));
        assert_eq!((options.fs, options.mount_options.as_str()), (Some("ext4"), "nodiscard,noatime"));
        assert_eq!(options.mkfs_args, ["-O ^has_journal"]);
        assert_eq!(options.metadata_device.unwrap(), PathBuf::from("/dev/sdb1"));
        assert_eq!(options.data_device.unwrap(), PathBuf::from("/dev/sdb2"));
        assert_eq!((options.block_sectors, options.min_free), (1024, 5));
        assert_eq!(options.xfs_nospace_retries, Some(0));
        assert!(options.discard && options.deferred_removal && !options.deferred_deletion);
    }

    #[test]
    fn a_pool_of_somebody_else_is_not_discarded() {
        let options = parse(&["dm.thinpooldev=/dev/mapper/docker-thinpool"]).unwrap();
        assert_eq!((options.thin_pool.as_deref(), options.discard), (Some("docker-thinpool"), false));
        assert!(!parse(&["dm.datadev=/dev/sdb2"]).unwrap().discard);
    }

    #[test]
    fn direct_lvm_is_checked_as_a_whole() {
        let lvm = parse(&["dm.directlvm_device=/dev/sdb", "dm.thinp_percent=90%", "dm.thinp_metapercent=2"]);
        let lvm = lvm.unwrap().lvm.unwrap();
        assert_eq!((lvm.device.as_str(), lvm.thinp_percent, lvm.thinp_meta_percent), ("/dev/sdb", 90, 2));
        let of = |options: &[&str]| parse(options).unwrap_err().to_string();
        assert!(refusal("dm.thinp_autoextend_percent=20").contains("must provide device path"));
        assert!(of(&["dm.directlvm_device=/dev/sdb", "dm.thinp_percent=90"]).contains("must set both"));
        let both = ["dm.directlvm_device=/dev/sdb", "dm.thinp_percent=90", "dm.thinp_metapercent=20"];
        assert!(of(&both).contains("must not be greater than 100"));
        assert!(
            of(&["dm.directlvm_device=/dev/sdb", "dm.thinpooldev=x"]).contains("cannot setup direct-lvm")
        );
    }

    #[test]
    fn refusals_are_in_docker_s_words() {
        for (option, text) in [
            ("dm.unheard=1", "devmapper: Unknown option dm.unheard"),
            ("dm.fs=btrfs", "devmapper: Unsupported filesystem btrfs"),
            ("dm.blkdiscard=maybe", "strconv.ParseBool: parsing \"maybe\": invalid syntax"),
            ("dm.min_free_space=10", "devmapper: Option dm.min_free_space requires % suffix"),
            ("dm.min_free_space=100%", "devmapper: Invalid value 100% for option dm.min_free_space"),
            ("dm.xfs_nospace_max_retries=-1", "strconv.ParseUint: parsing \"-1\": invalid syntax"),
            ("dm.libdm_log_level=9", "dm.libdm_log_level must be in range [2,7]"),
            ("dm.thinp_percent=100", "dm.thinp_percent must be greater than 0 and less than 100"),
            ("dm.basesize=1x", "invalid suffix: 'x'"),
        ] {
            assert_eq!(refusal(option), text);
        }
        assert!(refusal("dm.use_deferred_removal=false").contains("Deferred deletion can not be enabled"));
        let both = ["dm.use_deferred_removal=false", "dm.use_deferred_deletion=false"];
        assert!(parse(&both).is_ok());
    }
}
