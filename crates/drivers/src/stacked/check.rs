//! Finding damage and mending it. What §8.3 of moby.md describes, and what a power cut leaves of Docker's writes.

use std::ffi::OsStr;

use model::{CacheId, LinkId};
use sys::{Errno, FileKind, atomic, dir, meta};

use super::layer::{self, DIFF, LINK, LOWER, Layer, MERGED, WORK};
use super::{Stacked, Union};
use crate::mountpoint::State;
use crate::{Damage, Driver, Error, Finding, Result};

impl<U: Union> Stacked<U> {
    pub(super) fn check_layer(&self, id: &CacheId, parent: Option<&CacheId>) -> Result<Vec<Finding>> {
        let Some(layer) = self.layer_in(&self.home, &self.path, id)? else {
            return Ok(vec![Finding {
                driver: U::NAME,
                layer: Some(id.clone()),
                damage: Damage::NoDirectory,
            }]);
        };
        let mut damages = Vec::new();
        if !is_dir(&layer, DIFF)? {
            damages.push(Damage::NoDiff);
        }
        match layer.find_link()? {
            Err(why) => damages.push(Damage::Link(why)),
            Ok(link) if self.resolve(&link)?.as_ref() != Some(id) => damages.push(Damage::ShortName(link)),
            Ok(_) => {}
        }
        match layer.find_lower()? {
            Err(why) => damages.push(Damage::Lower { why, parent: parent.cloned() }),
            Ok(lower) => {
                damages.extend(self.check_lower(lower.as_deref(), parent)?);
                if lower.is_some() && !is_dir(&layer, WORK)? {
                    damages.push(Damage::NoWork);
                }
            }
        }
        match layer.mount_point().state()? {
            State::Dead => damages.push(Damage::DeadMount),
            State::Free if is_dir(&layer, MERGED)? => damages.push(Damage::StrayMerged),
            _ => {}
        }
        Ok(damages.into_iter().map(|damage| layer.finding(damage)).collect())
    }

    /// Compares `lower` with what the parent says, else looks at least whether all of it is there.
    fn check_lower(&self, lower: Option<&[LinkId]>, parent: Option<&CacheId>) -> Result<Vec<Damage>> {
        if let Some(parent) = parent {
            let expected =
                self.layer_in(&self.home, &self.path, parent)?.map(|parent| chain(&parent)).transpose()?;
            let wrong = |why| Ok(vec![Damage::Lower { why, parent: Some(parent.clone()) }]);
            match (lower, expected.flatten()) {
                (None, _) => return wrong("is missing"),
                (Some(lower), Some(expected)) if !self.is_same_chain(lower, &expected)? => {
                    return wrong("is not the chain of its parent");
                }
                _ => {}
            }
        }
        let mut damages = Vec::new();
        for link in lower.unwrap_or_default() {
            let id = self.resolve(link)?;
            let there = id.map(|id| self.exists(&id)).transpose()?;
            if there != Some(true) {
                damages.push(Damage::DanglingLower(*link));
            }
        }
        Ok(damages)
    }

    /// Whether `lower` is `expected`. Where a layer store had a layer before BuildKit made the same one, the layers above
    /// stand on BuildKit's own (moby.md §12.9).
    fn is_same_chain(&self, lower: &[LinkId], expected: &[LinkId]) -> Result<bool> {
        if lower.len() != expected.len() {
            return Ok(false);
        }
        for (link, expected) in lower.iter().zip(expected).filter(|(link, expected)| link != expected) {
            let mut either = [self.resolve(link)?, self.resolve(expected)?].into_iter().flatten();
            if !either.any(|id| id.is_of_buildkit()) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Looks for names in `l/` that lead to no layer.
    pub(super) fn check_links(&self) -> Result<Vec<Finding>> {
        let mut findings = Vec::new();
        for entry in dir::list_sorted(&self.links)? {
            // What is no short name is not ours to judge.
            let Some(link) = link_name(&entry.name) else { continue };
            let layer =
                self.resolve(&link)?.map(|id| meta::find(&self.home, OsStr::new(id.as_str()))).transpose()?;
            if layer.flatten().is_none() {
                findings.push(Finding {
                    driver: U::NAME,
                    layer: None,
                    damage: Damage::DanglingShortName(link),
                });
            }
        }
        Ok(findings)
    }

    pub(super) fn repair_damage(&self, finding: &Finding) -> Result<()> {
        let Some(id) = &finding.layer else { return self.repair_home(finding) };
        let layer = self.published(id)?;
        let _lock = self.lock(&layer)?;
        match &finding.damage {
            Damage::Link(_) => self.repair_link(&layer),
            Damage::ShortName(_) => self.repair_short_name(&layer),
            Damage::Lower { parent: Some(parent), .. } => {
                let lower = self.lower_above(&self.published(parent)?)?;
                Ok(atomic::write(&layer.fd, OsStr::new(LOWER), 0o644, layer::lower_text(&lower).as_bytes())?)
            }
            Damage::NoWork => {
                dir::ensure(&layer.fd, OsStr::new(WORK), U::WORK_MODE)?;
                Ok(dir::sync(&layer.fd)?)
            }
            Damage::DeadMount => {
                if layer.mount_point().state()? == State::Dead {
                    self.end_mount(&layer)?;
                }
                Ok(())
            }
            Damage::StrayMerged => match dir::rmdir(&layer.fd, OsStr::new(MERGED)) {
                Err(e) if e.errno == Errno::BUSY || e.is_not_found() => Ok(()),
                other => Ok(other?),
            },
            _ => Err(Error::BeyondRepair(Box::new(finding.clone()))),
        }
    }

    fn repair_home(&self, finding: &Finding) -> Result<()> {
        match &finding.damage {
            Damage::DanglingShortName(link) => {
                // Looked at once more: it may have been mended, or a layer may have come.
                if self.check_links()?.contains(finding) {
                    dir::unlink(&self.links, OsStr::new(&link.to_string()))?;
                }
                Ok(())
            }
            _ => Err(Error::BeyondRepair(Box::new(finding.clone()))),
        }
    }

    /// Gives the layer the name that `l/` has for it, which other layers may use, or else a new one.
    fn repair_link(&self, layer: &Layer) -> Result<()> {
        if layer.find_link()?.is_ok() {
            return Ok(());
        }
        let mut known = None;
        for entry in dir::list_sorted(&self.links)? {
            if let Some(link) = link_name(&entry.name)
                && self.resolve(&link)?.as_ref() == Some(&layer.id)
            {
                known = Some(link);
                break;
            }
        }
        let link = known.unwrap_or_else(|| LinkId::from_random(sys::process::random()));
        atomic::write(&layer.fd, OsStr::new(LINK), 0o644, link.to_string().as_bytes())?;
        self.repair_short_name(layer)
    }

    fn repair_short_name(&self, layer: &Layer) -> Result<()> {
        let link = layer.link()?;
        match self.resolve(&link)? {
            Some(id) if id == layer.id => return Ok(()),
            // Two layers with one name: whose it is cannot be known from here.
            Some(other) if self.layer_in(&self.home, &self.path, &other)?.is_some() => {
                return Err(Error::BeyondRepair(Box::new(layer.finding(Damage::ShortName(link)))));
            }
            _ => {}
        }
        let name = link.to_string();
        match dir::unlink(&self.links, OsStr::new(&name)) {
            Err(e) if !e.is_not_found() => return Err(e.into()),
            _ => {}
        }
        dir::symlink(&self.links, OsStr::new(&name), OsStr::new(&layer::target(&layer.id)))?;
        Ok(dir::sync(&self.links)?)
    }
}

/// What the children of a layer have in `lower`; `None` if the layer itself is damaged.
fn chain(parent: &Layer) -> Result<Option<Vec<LinkId>>> {
    Ok(match (parent.find_link()?, parent.find_lower()?) {
        (Ok(link), Ok(lower)) => Some(std::iter::once(link).chain(lower.unwrap_or_default()).collect()),
        _ => None,
    })
}

fn link_name(name: &OsStr) -> Option<LinkId> {
    LinkId::parse(name.to_str()?).ok()
}

fn is_dir(layer: &Layer, name: &str) -> Result<bool> {
    Ok(meta::find(&layer.fd, OsStr::new(name))?.is_some_and(|m| m.kind == FileKind::Dir))
}
