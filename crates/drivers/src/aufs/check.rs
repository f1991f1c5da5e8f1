//! Finding damage and mending it.

use std::ffi::OsStr;

use model::CacheId;
use sys::{atomic, dir};

use super::layer::{Layer, Place, list_text};
use super::{Aufs, NAME, layer_name};
use crate::mountpoint::State;
use crate::{Damage, Error, Finding, Result};

impl Aufs {
    pub(super) fn check_layer(&self, id: &CacheId, parent: Option<&CacheId>) -> Result<Vec<Finding>> {
        let found = |damage| Finding { driver: NAME, layer: Some(id.clone()), damage };
        let Some(layer) = self.layer_in(Place::Published, id)? else {
            let has_files = dir::open(&self.diff, layer_name(id)?).is_ok();
            let why = "is missing";
            return Ok(vec![found(match has_files {
                true => Damage::Ancestors { why, parent: parent.cloned() },
                false => Damage::NoDirectory,
            })]);
        };
        let mut damages = Vec::new();
        match self.files(&layer) {
            Ok(_) => {}
            Err(Error::Damaged(_)) => damages.push(Damage::NoDiff),
            Err(e) => return Err(e),
        }
        damages.extend(self.check_ancestors(&layer, parent)?);
        if self.mount_point(id)?.state()? == State::Dead {
            damages.push(Damage::DeadMount);
        }
        Ok(damages.into_iter().map(found).collect())
    }

    fn check_ancestors(&self, layer: &Layer, parent: Option<&CacheId>) -> Result<Vec<Damage>> {
        let ancestors = match layer.ancestors() {
            Err(Error::Damaged(finding)) => {
                let why = match finding.damage {
                    Damage::Ancestors { why, .. } => why,
                    _ => "is damaged",
                };
                return Ok(vec![Damage::Ancestors { why, parent: parent.cloned() }]);
            }
            other => other?,
        };
        let expected = parent.map(|parent| self.expected_above(parent)).transpose()?.flatten();
        if expected.is_some_and(|expected| expected != ancestors) {
            let why = "is not the chain of its parent";
            return Ok(vec![Damage::Ancestors { why, parent: parent.cloned() }]);
        }
        let mut damages = Vec::new();
        for id in ancestors {
            if self.layer_in(Place::Published, &id)?.is_none() {
                damages.push(Damage::NoLower(id));
            }
        }
        Ok(damages)
    }

    /// What a layer on top of `parent` has in its list; `None` if `parent` is damaged itself.
    fn expected_above(&self, parent: &CacheId) -> Result<Option<Vec<CacheId>>> {
        match self.layer_in(Place::Published, parent)?.map(|parent| self.ancestors_above(&parent)).transpose()
        {
            Err(Error::Damaged(_)) => Ok(None),
            other => other,
        }
    }

    pub(super) fn repair_damage(&self, finding: &Finding) -> Result<()> {
        let beyond = || Err(Error::BeyondRepair(Box::new(finding.clone())));
        let Some(id) = &finding.layer else { return beyond() };
        let layer = self.layer_in(Place::Published, id)?;
        let _lock = layer.as_ref().map(|layer| self.lock(layer)).transpose()?;
        match &finding.damage {
            Damage::Ancestors { parent: Some(parent), .. } => match self.expected_above(parent)? {
                Some(list) => {
                    let name: &OsStr = layer_name(id)?;
                    Ok(atomic::write(&self.layers, name, 0o644, list_text(&list).as_bytes())?)
                }
                None => beyond(),
            },
            Damage::DeadMount => self.end_mount(id).map(drop),
            _ => beyond(),
        }
    }
}
