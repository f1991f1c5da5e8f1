//! What is wrong with the store's metadata.

use std::ffi::OsStr;
use std::path::Path;

use model::{ChainId, ContainerId};
use store::{Damage, Intent, Subject};
use sys::Root;

use super::affected::sound;
use super::{Check, Finding, LOAD_AGAIN, REPAIR, beyond_repair};
use crate::prune::BuildKit;
use crate::{Engine, Result};

impl Check<'_> {
    /// Examines all metadata, from what is used to what uses it.
    pub(super) fn records(&mut self) -> Result<()> {
        let store = &self.engine.store;
        for found in store.layers().check()? {
            match &found.subject {
                Subject::Layer(chain) => self.layer_record(chain, &found)?,
                _ => self.leftover(&found)?,
            }
        }
        for found in store.images().check()? {
            match &found.subject {
                Subject::Image(_) => self.image(&found)?,
                _ => self.leftover(&found)?,
            }
        }
        for found in store.references().check()? {
            self.reference(&found)?;
        }
        for found in store.mounts().check()? {
            match &found.subject {
                Subject::Mount(id) => self.mount_record(id, &found)?,
                _ => self.leftover(&found)?,
            }
        }
        for found in store.containers().check()? {
            match &found.subject {
                Subject::Container(id) => self.container(id, &found)?,
                _ => self.leftover(&found)?,
            }
        }
        for found in store.volumes().check()? {
            let advice = "restore it from a copy; `layercake volume rm` removes a volume".to_owned();
            self.found(describe("damaged-volume", &found, Vec::new(), advice), beyond_repair)?;
        }
        (self.report.images, self.report.containers) = self.affected.counts();
        Ok(())
    }

    fn layer_record(&mut self, chain: &ChainId, found: &store::Finding) -> Result<()> {
        let affects = self.affected.by_layer(chain);
        let kind = match &found.damage {
            Damage::ParentLayerMissing(_) => "missing-layer",
            Damage::WrongChain { .. } => "wrong-chain",
            Damage::Missing("tar-split.json.gz") => "missing-tar-split",
            _ => "torn-layer",
        };
        let torn = matches!(kind, "torn-layer" | "wrong-chain");
        let rebuilt = if torn { self.rebuild(chain)? } else { None };
        let unused = affects.is_empty()
            && !self.engine.store.backrefs().layer_in_use(chain)?
            && !BuildKit::read(self.engine.root())?.holds(chain);
        let advice = match (&rebuilt, unused) {
            (Some(_), _) => format!("{REPAIR}: the record can be written anew"),
            (None, true) => format!("{REPAIR}: nothing uses the layer, it is removed"),
            (None, false) => LOAD_AGAIN.to_owned(),
        };
        let finding = Finding { harmful: !unused, ..describe(kind, found, affects, advice) };
        self.found(finding, |engine| {
            let lock = engine.store.commit()?;
            match &rebuilt {
                // Several files of one layer can be torn: the first repair mends all.
                Some(_) if sound(engine.store.layers().find(chain))?.is_some() => Ok(true),
                Some(record) => {
                    engine.store.layers().rewrite(&lock, record).map(|()| true).map_err(Into::into)
                }
                None if unused && !engine.store.layers().exists(chain)? => Ok(true),
                None if unused => {
                    for layer in engine.store.layers().begin_remove(&lock, &[*chain])? {
                        engine.finish_removal(layer)?;
                    }
                    Ok(true)
                }
                None => Ok(false),
            }
        })
    }

    fn image(&mut self, found: &store::Finding) -> Result<()> {
        let Subject::Image(id) = &found.subject else { return Ok(()) };
        let affects = self.affected.by_image(id);
        if found.damage == Damage::Orphan {
            let finding = Finding {
                harmful: false,
                ..describe("orphan-metadata", found, affects, format!("{REPAIR}: it is removed"))
            };
            return self.found(finding, |engine| remove(engine, &found.path));
        }
        let kind =
            if matches!(found.damage, Damage::LayerMissing(_)) { "missing-layer" } else { "damaged-image" };
        let advice = "load the image again (`layercake load -i ARCHIVE`)".to_owned();
        self.found(describe(kind, found, affects, advice), beyond_repair)
    }

    fn reference(&mut self, found: &store::Finding) -> Result<()> {
        let Subject::Reference(name) = &found.subject else { return Ok(()) };
        if name.is_empty() {
            let advice = format!(
                "{REPAIR}: the file is moved to repositories.json.damaged, and all images lose their names"
            );
            return self.found(describe("damaged-references", found, Vec::new(), advice), |engine| {
                let _lock = engine.store.commit()?;
                let (dir, file) = Root::open(engine.root())?.parent_nofollow(&found.path)?;
                sys::dir::rename(&dir, &file, &dir, OsStr::new("repositories.json.damaged"))?;
                sys::dir::sync(&dir)?;
                Ok(true)
            });
        }
        let kind =
            if matches!(found.damage, Damage::ImageMissing(_)) { "dangling-tag" } else { "invalid-tag" };
        let advice = format!("{REPAIR}: the name is removed; or load the image again");
        let finding =
            Finding { subject: name.clone(), ..describe(kind, found, vec![format!("image {name}")], advice) };
        self.found(finding, |engine| {
            let lock = engine.store.commit()?;
            Ok(engine
                .store
                .references()
                .update(&lock, |names| Ok::<_, store::Error>(names.remove_entry(name)))?)
        })
    }

    fn mount_record(&mut self, id: &ContainerId, found: &store::Finding) -> Result<()> {
        let affects = self.affected.by_container(id);
        match &found.damage {
            Damage::Orphan => {
                let advice = format!("{REPAIR}: no container uses it, it is removed");
                let finding = Finding { harmful: false, ..describe("orphan-mount", found, affects, advice) };
                self.found(finding, |engine| remove_orphan_mount(engine, id))
            }
            Damage::LayerMissing(_) => {
                self.found(describe("missing-layer", found, affects, LOAD_AGAIN.to_owned()), beyond_repair)
            }
            _ => {
                let advice = format!("its files cannot be found: `layercake rm -f {}`", id.short());
                self.found(describe("torn-mount", found, affects, advice), beyond_repair)
            }
        }
    }

    fn container(&mut self, id: &ContainerId, found: &store::Finding) -> Result<()> {
        let affects = self.affected.by_container(id);
        let short = id.short();
        let (kind, harmful, advice) = match &found.damage {
            Damage::MountMissing => {
                ("missing-mount", true, format!("its files are gone: `layercake rm -f {short}`"))
            }
            Damage::ImageMissing(_) => (
                "missing-image",
                false,
                format!(
                    "it works, but cannot be committed: load the image again, or `layercake export {short}`"
                ),
            ),
            Damage::SameName(_) => ("same-name", true, format!("`layercake rename {short} NAME`")),
            _ => (
                "damaged-container",
                true,
                format!(
                    "restore the file from a copy; its files can still be found through layerdb/mounts/{short}…"
                ),
            ),
        };
        self.found(Finding { harmful, ..describe(kind, found, affects, advice) }, beyond_repair)
    }

    fn leftover(&mut self, found: &store::Finding) -> Result<()> {
        let known = !matches!(found.damage, Damage::Unknown);
        let (kind, advice) = match known {
            true => ("leftover", format!("{REPAIR}: it is removed")),
            false => ("unknown", "look at it; nothing of Docker's or layercake's uses it".to_owned()),
        };
        let finding = Finding { harmful: false, ..describe(kind, found, Vec::new(), advice) };
        self.found(finding, |engine| match found.damage {
            Damage::Removing => {
                for layer in engine.store.layers().removing()? {
                    engine.finish_removal(layer)?;
                }
                Ok(true)
            }
            Damage::WriteSet | Damage::Temporary => remove(engine, &found.path),
            _ => Ok(false),
        })
    }
}

fn describe(kind: &'static str, found: &store::Finding, affects: Vec<String>, advice: String) -> Finding {
    Finding {
        kind,
        subject: found.path.display().to_string(),
        message: found.damage.to_string(),
        affects,
        advice,
        harmful: true,
        repaired: false,
    }
}

/// Removes something that no record names. Whoever makes such things holds the lock that is taken here.
fn remove(engine: &Engine, path: &Path) -> Result<bool> {
    let _lock = engine.store.commit()?;
    let (dir, name) = Root::open(engine.root())?.parent_nofollow(path)?;
    sys::tree::remove(&dir, &name)?;
    Ok(true)
}

/// Removes the writable layer of a container that is not there.
fn remove_orphan_mount(engine: &Engine, id: &ContainerId) -> Result<bool> {
    let Some(record) = sound(engine.store.mounts().find(id))? else { return Ok(false) };
    let work = engine.store.begin()?;
    work.note(&[Intent::Mount { container: *id, mount_id: record.mount_id }])?;
    {
        let lock = engine.store.commit()?;
        if !engine.store.containers().exists(id)? {
            engine.store.mounts().remove(&lock, &work, id)?;
            engine.driver.discard(&record.mount_id.into())?;
            engine.driver.discard(&record.init_id.unwrap_or(record.mount_id.init()).into())?;
            engine.release_layers(&lock, record.parent.as_slice())?;
        }
    }
    work.finish()?;
    Ok(true)
}
