//! What can be wrong in the layerdb.

use std::collections::BTreeSet;

use model::ChainId;

use super::remove::is_removing;
use super::{Layers, TAR_SPLIT, read};
use crate::error::Result;
use crate::finding::{Damage, Finding, Subject};
use crate::small::{find_dir, names_in, os};

impl Layers<'_> {
    /// Reads every layer's files and names what is wrong. The driver's side is not looked at.
    ///
    /// # Errors
    /// System calls.
    pub fn check(&self) -> Result<Vec<Finding>> {
        let mut findings = Vec::new();
        let names = names_in(self.root.dirs.layers.as_ref())?;
        let chains: BTreeSet<ChainId> =
            names.iter().filter_map(|name| ChainId::from_hex(name).ok()).collect();
        for name in names {
            let mut report = |subject, damage| {
                let path = self.root.image_path("layerdb/sha256").join(&name);
                findings.push(Finding { path, subject, damage });
            };
            match ChainId::from_hex(&name) {
                Ok(chain) => {
                    for damage in self.damages(&chain, &chains)? {
                        report(Subject::Layer(chain), damage);
                    }
                }
                Err(_) if is_removing(&name) => report(Subject::Leftover, Damage::Removing),
                Err(_) => report(Subject::Leftover, Damage::Unknown),
            }
        }
        for name in names_in(self.root.dirs.layer_tmp.as_ref())? {
            let path = self.root.image_path("layerdb/tmp").join(&name);
            findings.push(Finding { path, subject: Subject::Leftover, damage: Damage::WriteSet });
        }
        Ok(findings)
    }

    /// Everything that is wrong with one layer.
    fn damages(&self, chain: &ChainId, all: &BTreeSet<ChainId>) -> Result<Vec<Damage>> {
        let Some(layers) = &self.root.dirs.layers else { return Ok(Vec::new()) };
        let dir = match find_dir(layers, &chain.hex()) {
            Ok(Some(dir)) => dir,
            Ok(None) => return Ok(Vec::new()),
            Err(crate::Error::Sys(e)) if e.errno == sys::Errno::NOTDIR => return Ok(vec![Damage::Unknown]),
            Err(e) => return Err(e),
        };
        let files = read::Files::read(&dir)?;
        let mut damages = Vec::new();
        damages.extend(files.diff().err());
        damages.extend(files.cache_id().err());
        damages.extend(files.size().err());
        match files.parent() {
            Ok(Some(parent)) if !all.contains(&parent) => damages.push(Damage::ParentLayerMissing(parent)),
            Ok(_) => {}
            Err(damage) => damages.push(damage),
        }
        if let (true, Err(damage @ Damage::WrongChain { .. })) = (damages.is_empty(), files.record(chain)) {
            damages.push(damage);
        }
        if sys::meta::find(&dir, os(TAR_SPLIT))?.is_none() {
            damages.push(Damage::Missing(TAR_SPLIT));
        }
        Ok(damages)
    }

    /// The parent that a layer's files name, as far as they name one: for back references, which have to count also
    /// what is damaged.
    pub(crate) fn parent_of(&self, chain: &ChainId) -> Result<Option<ChainId>> {
        let Some(all) = &self.root.dirs.layers else { return Ok(None) };
        let Some(dir) = find_dir(all, &chain.hex())? else { return Ok(None) };
        Ok(read::Files { parent: crate::small::find_text(&dir, "parent")?, ..Default::default() }
            .parent()
            .ok()
            .flatten())
    }
}
