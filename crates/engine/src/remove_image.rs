//! Removes images and names of images (moby.md §12.5).
//!
//! What goes is worked out first, by Docker's rules, in a `Plan`; only then is anything changed, so an error leaves
//! the store as it was. All of it happens under one commit lock: nobody starts to use what is about to go.

mod plan;

use model::ChainId;
use store::{CommitLock, Intent, RemovingLayer};

use crate::{Engine, Result};

pub(crate) use plan::{Plan, Uses};

/// How to remove.
#[derive(Debug, Clone, Copy, Default)]
pub struct RemoveImage {
    /// Although stopped containers use it, and although an ID has several names.
    pub force: bool,
    /// Leave parents that have no name.
    pub no_prune: bool,
}

/// Something that was removed, in the words of `docker rmi`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removed {
    /// A name, in familiar form.
    Untagged(String),
    /// An image or a layer chain, `sha256:…`.
    Deleted(String),
}

impl Engine {
    /// Removes a name or an image by ID. The layers that nobody uses any more are moved to the trash; `reclaim` gives
    /// their space back. Durable when this returns. Answers with what went, in Docker's order: names, the image, its
    /// layers from the top, then the parents that were only kept for it.
    ///
    /// Layers that BuildKit's cache uses stay, as with Docker. Where Docker takes a name that happens to be the
    /// beginning of the image's ID for the ID, here it is the name.
    ///
    /// # Errors
    /// [`Conflict`](crate::Error::Conflict) with Docker's text if other images are built on it, containers use it, or
    /// an ID has names in several repositories; [`NoSuchImage`](crate::Error::NoSuchImage).
    pub fn remove_image(&self, name: &str, options: RemoveImage) -> Result<Vec<Removed>> {
        let lock = self.store.commit()?;
        let id = self.find_image(name)?;
        let backrefs = self.store.backrefs();
        let mut plan = Plan::new(self, &backrefs)?;
        plan.remove(name, &id, options)?;
        self.carry_out(lock, plan)
    }

    /// Does what the plan says. From names to layers: whatever is interrupted, nothing that is left lacks anything.
    pub(crate) fn carry_out(&self, lock: CommitLock<'_>, plan: Plan<'_>) -> Result<Vec<Removed>> {
        let Plan { report, names, images, layers, .. } = plan;
        // Noted before they lose their names and users, so that a crash in between does not leave them for ever.
        let noted_layers = layers.iter().filter_map(|layer| {
            Some(Intent::Layer { cache_id: layer.cache_id.clone()?, chain: Some(layer.chain) })
        });
        let noted: Vec<Intent> =
            images.iter().map(|id| Intent::Image { id: *id }).chain(noted_layers).collect();
        let work = if noted.is_empty() { None } else { Some(self.store.begin()?) };
        if let Some(work) = &work {
            work.note(&noted)?;
        }
        self.store.references().update(&lock, |now| {
            *now = names;
            Ok(())
        })?;
        for id in &images {
            self.store.images().remove(&lock, id)?;
        }
        let chains: Vec<_> = layers.iter().map(|layer| layer.chain).collect();
        let removing = self.store.layers().begin_remove(&lock, &chains)?;
        drop(lock);
        self.discard_layers(removing)?;
        work.map_or(Ok(()), store::Work::finish)?;
        Ok(report)
    }

    /// Takes the names of these layers and of those below them, as far as nobody uses them: what is left of them is
    /// for [`discard_layers`](Self::discard_layers).
    pub(crate) fn take_unneeded(
        &self,
        lock: &CommitLock<'_>,
        tops: &[ChainId],
    ) -> Result<Vec<RemovingLayer>> {
        let backrefs = self.store.backrefs();
        let mut plan = Plan::new(self, &backrefs)?;
        for top in tops {
            plan.release_from(top)?;
        }
        let chains: Vec<ChainId> = plan.layers.into_iter().map(|layer| layer.chain).collect();
        Ok(self.store.layers().begin_remove(lock, &chains)?)
    }

    /// Discards layers that have lost their names in the store.
    pub(crate) fn discard_layers(&self, removing: Vec<RemovingLayer>) -> Result<()> {
        if removing.is_empty() {
            return Ok(());
        }
        for layer in &removing {
            if let Some(cache_id) = &layer.cache_id {
                self.driver.discard(cache_id)?;
            }
        }
        // Else a power cut could bring the files back after the last record that names them is gone.
        self.driver.sync()?;
        for layer in removing {
            self.store.layers().finish_remove(layer)?;
        }
        Ok(())
    }
}
