//! Finding damage and mending it.

use std::ffi::OsStr;

use model::CacheId;
use sys::{atomic, dir};

use super::layer::{Form, LOWER_ID, Layer, ROOT, UPPER, WORK};
use super::{LegacyOverlay, NAME};
use crate::mountpoint::State;
use crate::{Damage, Error, Finding, Result};

impl LegacyOverlay {
    pub(super) fn check_layer(&self, id: &CacheId, parent: Option<&CacheId>) -> Result<Vec<Finding>> {
        let Some(layer) = self.layer_in(&self.home, &self.path, id)? else {
            let damage = Damage::NoDirectory;
            return Ok(vec![Finding { driver: NAME, layer: Some(id.clone()), damage }]);
        };
        let mut damages = Vec::new();
        if layer.dir(ROOT)?.is_none() {
            damages = self.check_upper(&layer, parent)?;
        }
        if layer.mount_point().state()? == State::Dead {
            damages.push(Damage::DeadMount);
        }
        Ok(damages.into_iter().map(|damage| layer.finding(damage)).collect())
    }

    fn check_upper(&self, layer: &Layer, parent: Option<&CacheId>) -> Result<Vec<Damage>> {
        let mut damages = Vec::new();
        let lower = layer.lower()?;
        // Without either it is an image's layer that lost its tree.
        if layer.dir(UPPER)?.is_none() {
            damages.push(Damage::NoDiff);
            if lower.is_err() {
                return Ok(damages);
            }
        }
        let expected = parent.map(|parent| self.lower_on(parent)).transpose()?.flatten();
        match lower {
            Err(why) => damages.push(Damage::LowerId { why, parent: expected.and(parent.cloned()) }),
            Ok(lower) => match expected {
                Some(expected) if expected != lower => {
                    let why = "is not what its parent stands on";
                    damages.push(Damage::LowerId { why, parent: parent.cloned() });
                }
                _ if !self.is_tree(&lower)? => damages.push(Damage::NoLower(lower)),
                _ => {}
            },
        }
        if layer.dir(WORK)?.is_none() {
            damages.push(Damage::NoWork);
        }
        Ok(damages)
    }

    /// What a layer on top of `parent` has in `lower-id`; `None` if `parent` is damaged itself.
    fn lower_on(&self, parent: &CacheId) -> Result<Option<CacheId>> {
        match self.layer_in(&self.home, &self.path, parent)?.map(|layer| layer.form()).transpose() {
            Ok(Some(Form::Tree(_))) => Ok(Some(parent.clone())),
            Ok(Some(Form::Upper { lower, .. })) => Ok(Some(lower)),
            Ok(None) | Err(Error::Damaged(_)) => Ok(None),
            Err(e) => Err(e),
        }
    }

    fn is_tree(&self, id: &CacheId) -> Result<bool> {
        let layer = self.layer_in(&self.home, &self.path, id)?;
        Ok(layer.map(|layer| layer.dir(ROOT)).transpose()?.flatten().is_some())
    }

    pub(super) fn repair_damage(&self, finding: &Finding) -> Result<()> {
        let beyond = || Err(Error::BeyondRepair(Box::new(finding.clone())));
        let Some(id) = &finding.layer else { return beyond() };
        let layer = self.published(id)?;
        let _lock = self.lock(&layer)?;
        match &finding.damage {
            Damage::LowerId { parent: Some(parent), .. } => match self.lower_on(parent)? {
                Some(lower) => {
                    Ok(atomic::write(&layer.fd, OsStr::new(LOWER_ID), 0o600, lower.as_str().as_bytes())?)
                }
                None => beyond(),
            },
            Damage::NoWork => {
                dir::ensure(&layer.fd, OsStr::new(WORK), 0o700)?;
                Ok(dir::sync(&layer.fd)?)
            }
            Damage::DeadMount => self.end_mount(&layer).map(drop),
            _ => beyond(),
        }
    }
}
