//! The steps that made an image.

use model::{ChainId, ImageId, Timestamp};

use crate::images::{LayerSizes, in_dockers_order};
use crate::{Engine, Result};

/// One step, as `history` shows it.
#[derive(Debug, Clone)]
pub struct HistoryItem {
    /// The image that this step ended with, if it is here.
    pub id: Option<ImageId>,
    /// When.
    pub created: Option<Timestamp>,
    /// The command.
    pub created_by: String,
    /// Bytes in the step's layer; 0 if it made none.
    pub size: u64,
    /// What its author said.
    pub comment: String,
    /// Names of `id`.
    pub tags: Vec<String>,
}

impl Engine {
    /// The steps, newest first (moby.md §12.1). Only images that were built or committed here are known to have ended
    /// a step; those that were pulled or loaded have one ID, at their last step.
    pub fn history(&self, image: &ImageId) -> Result<Vec<HistoryItem>> {
        let config = self.store.images().get(image)?;
        let mut sizes = LayerSizes::new(&self.store);
        let mut layers = ChainId::each(config.diff_ids());
        let mut items = Vec::with_capacity(config.view().history.len());
        for step in &config.view().history {
            let layer = if step.empty_layer { None } else { layers.next() };
            items.push(HistoryItem {
                id: None,
                created: step.created,
                created_by: step.created_by.clone(),
                size: layer.map_or(Ok(None), |layer| sizes.layer(&layer))?.unwrap_or(0),
                comment: step.comment.clone(),
                tags: Vec::new(),
            });
        }
        items.reverse();
        self.name_steps(image, &mut items)?;
        Ok(items)
    }

    /// Fills in the images that the steps ended with: the image, its parent and so on, until one is not here.
    fn name_steps(&self, image: &ImageId, items: &mut [HistoryItem]) -> Result<()> {
        let names = self.store.references().read()?;
        let mut next = Some(*image);
        for item in items {
            let Some(id) = next else { break };
            if !self.store.images().exists(&id)? {
                break;
            }
            let mut tags = names.of_image(&id);
            tags.retain(|name| name.digest().is_none());
            in_dockers_order(&mut tags);
            item.id = Some(id);
            item.tags = tags.iter().map(model::Reference::familiar).collect();
            next = self.store.images().parent(&id)?;
        }
        Ok(())
    }
}
