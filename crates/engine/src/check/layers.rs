//! What is wrong with the driver's side of layers, and making a torn record of a layer again.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use drivers::Damage;
use model::{CacheId, ChainId, ContainerId};
use store::{LayerRecord, MountRecord};
use sys::Root;

use super::affected::sound;
use super::{Check, Finding, LOAD_AGAIN, REPAIR};
use crate::Result;
use crate::prune::BuildKit;

impl Check<'_> {
    /// Examines the directories of all layers, of containers' too. Parents come first: a layer is mended from what is
    /// below it.
    pub(super) fn layers(&mut self) -> Result<()> {
        let driver = &*self.engine.driver;
        let records = self.sound_layers()?;
        self.report.layers = records.len();
        for chain in parents_first(&records) {
            let record = &records[&chain];
            let parent = record.parent.and_then(|parent| records.get(&parent));
            // What cannot be compared with its parent is damaged there.
            if record.parent.is_none() || parent.is_some() {
                let affects = self.affected.by_layer(&chain);
                for found in driver.check(&record.cache_id, parent.map(|parent| &parent.cache_id))? {
                    self.driver_finding(&found, affects.clone(), LOAD_AGAIN)?;
                }
            }
        }
        for (id, mount) in self.sound_mounts()? {
            let top =
                mount.parent.and_then(|parent| records.get(&parent)).map(|record| record.cache_id.clone());
            let init: Option<CacheId> = mount.init_id.map(Into::into);
            let advice = format!("its files are gone: `layercake rm -f {}`", id.short());
            let affects = self.affected.by_container(&id);
            if let Some(init) = &init {
                for found in driver.check(init, top.as_ref())? {
                    self.driver_finding(&found, affects.clone(), &advice)?;
                }
            }
            for found in driver.check(&mount.mount_id.into(), init.as_ref().or(top.as_ref()))? {
                self.driver_finding(&found, affects.clone(), &advice)?;
            }
        }
        for found in driver.check_home()? {
            self.driver_finding(&found, Vec::new(), REPAIR)?;
        }
        Ok(())
    }

    fn driver_finding(
        &mut self,
        found: &drivers::Finding,
        affects: Vec<String>,
        without_data: &str,
    ) -> Result<()> {
        let kind = match &found.damage {
            Damage::NoDirectory | Damage::NoDiff => "missing-files",
            Damage::NoSubvolume => "no-subvolume",
            Damage::Link(_) => "torn-link",
            Damage::ShortName(_) => "missing-link",
            Damage::Lower { .. } => "torn-lower",
            Damage::DanglingLower(_) => "dangling-lower",
            Damage::NoWork => "missing-work",
            Damage::StrayMerged => "stray-merged",
            Damage::DeadMount => "dead-mount",
            Damage::DanglingShortName(_) => "dangling-link",
            _ => "damaged-directory",
        };
        let home = self.engine.driver.home();
        let home = home.strip_prefix(self.engine.root()).unwrap_or(home);
        let in_use = match &found.layer {
            Some(id) if kind == "torn-lower" => self.engine.driver.mounted(id)?.is_some(),
            _ => false,
        };
        let advice = match (found.is_repairable(), in_use) {
            (true, false) => REPAIR,
            (true, true) => "unmount the container (`layercake umount`), then run `layercake check --repair`",
            (false, _) => without_data,
        };
        let subject = found.layer.as_ref().map_or(home.to_owned(), |id| self.directory(id));
        // Which layer it is about stands in the subject.
        let text = found.to_string();
        let message = text.split_once(": ").map_or(text.as_str(), |(_, message)| message).to_owned();
        let finding = Finding {
            kind,
            subject: subject.display().to_string(),
            message,
            affects,
            advice: advice.to_owned(),
            harmful: found.is_harmful(),
            repaired: false,
        };
        if in_use {
            return self.found(finding, super::beyond_repair);
        }
        self.found(finding, |engine| match engine.driver.repair(found) {
            Ok(()) => Ok(true),
            Err(
                drivers::Error::BeyondRepair(_) | drivers::Error::Damaged(_) | drivers::Error::NoLayer(_),
            ) => Ok(false),
            Err(e) => Err(e.into()),
        })
    }

    /// Makes the record of a torn layer again, if all of it can be known: digest and parent from an image, the
    /// directory by its record or else by comparing contents, the size by measuring.
    pub(super) fn rebuild(&self, chain: &ChainId) -> Result<Option<LayerRecord>> {
        let Some((diff, parent)) = self.affected.known(chain) else { return Ok(None) };
        let below = match parent {
            Some(parent) => match sound(self.engine.store.layers().find(&parent))? {
                Some(record) => Some(record.cache_id),
                None => return Ok(None),
            },
            None => None,
        };
        let recorded = self.layer_file(chain, "cache-id")?.and_then(|text| text.parse::<CacheId>().ok());
        let there = match &recorded {
            Some(id) => self.engine.driver.exists(id)?,
            None => false,
        };
        let found = if there { recorded } else { self.find_directory(chain, below.as_ref())? };
        let Some(cache_id) = found else { return Ok(None) };
        let size = match self.layer_file(chain, "size")?.and_then(|text| text.parse().ok()) {
            Some(size) => size,
            None => self.engine.driver.usage(&cache_id, below.as_ref())?,
        };
        Ok(Some(LayerRecord { chain: *chain, diff, parent, cache_id, size }))
    }

    /// Looks among the directories that no record names for the one with this layer's files.
    fn find_directory(&self, chain: &ChainId, parent: Option<&CacheId>) -> Result<Option<CacheId>> {
        for id in self.unnamed_directories()? {
            if !self.engine.driver.check(&id, parent)?.is_empty() {
                continue;
            }
            let Some(record) = self.engine.store.layers().tar_split(chain)? else { return Ok(None) };
            let root = self.engine.driver.layer_root(&id)?;
            let record = archive::tar_split::gunzip(record);
            if matches!(changeset::verify::verify(record, &root, self.makes_devices()?), Ok(faults) if faults.is_empty())
            {
                return Ok(Some(id));
            }
        }
        Ok(None)
    }

    /// The directories of the driver that no record names, without those that BuildKit may own.
    pub(super) fn unnamed_directories(&self) -> Result<Vec<CacheId>> {
        let build_cache = BuildKit::read(self.engine.root())?;
        // Before the records: what comes to be meanwhile has its directory first.
        let mut unnamed = self.engine.driver.list()?;
        let mut named: Vec<CacheId> = Vec::new();
        for chain in self.engine.store.layers().list()? {
            named.extend(self.layer_file(&chain, "cache-id")?.and_then(|text| text.parse().ok()));
        }
        for (_, mount) in self.sound_mounts()? {
            let init = mount.init_id.unwrap_or(mount.mount_id.init());
            named.extend([CacheId::from(mount.mount_id), init.into()]);
        }
        named.sort_unstable();
        unnamed.retain(|id| named.binary_search(id).is_err() && !build_cache.may_own(id));
        unnamed.sort_unstable();
        Ok(unnamed)
    }

    /// The value in a file of a layer's record, sound or not.
    fn layer_file(&self, chain: &ChainId, name: &str) -> Result<Option<String>> {
        let dir = format!("image/{}/layerdb/sha256/{}", self.engine.driver.name(), chain.hex());
        let dir = match Root::open(self.engine.root())?.dir_nofollow(dir.as_ref()) {
            Err(e) if e.is_not_found() => return Ok(None),
            other => other?,
        };
        let bytes = sys::atomic::find(&dir, OsStr::new(name))?;
        Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned()))
    }

    /// Where the driver keeps a layer, relative to the data root.
    pub(super) fn directory(&self, id: &CacheId) -> PathBuf {
        let directory = self.engine.driver.directory(id);
        directory.strip_prefix(self.engine.root()).map(Path::to_owned).unwrap_or(directory)
    }

    /// All layers whose records can be read.
    pub(super) fn sound_layers(&self) -> Result<BTreeMap<ChainId, LayerRecord>> {
        let mut records = BTreeMap::new();
        for chain in self.engine.store.layers().list()? {
            records.extend(sound(self.engine.store.layers().find(&chain))?.map(|record| (chain, record)));
        }
        Ok(records)
    }

    /// All writable layers whose records can be read.
    fn sound_mounts(&self) -> Result<Vec<(ContainerId, MountRecord)>> {
        let mut mounts = Vec::new();
        for id in self.engine.store.mounts().list()? {
            mounts.extend(sound(self.engine.store.mounts().find(&id))?.map(|mount| (id, mount)));
        }
        Ok(mounts)
    }

    /// Whether devices in archives were made when layers were unpacked here.
    pub(super) fn makes_devices(&self) -> Result<bool> {
        Ok(sys::userns::privilege()? == sys::userns::Privilege::Root)
    }
}

/// All chains, each after its parent.
fn parents_first(records: &BTreeMap<ChainId, LayerRecord>) -> Vec<ChainId> {
    let depth = |chain: &ChainId| {
        let parent = |chain: &ChainId| records.get(chain).and_then(|record| record.parent);
        std::iter::successors(Some(*chain), parent).count()
    };
    let mut chains: Vec<ChainId> = records.keys().copied().collect();
    chains.sort_by_cached_key(depth);
    chains
}
