//! Makes an image of an archive of files.

use model::config::Import;
use model::progress::Progress;
use model::{ContainerConfig, ImageId, Platform, Reference};

use crate::load::{Input, open_stream};
use crate::{Engine, Error, Result, VERSION, now};

/// What the new image shall say.
#[derive(Debug, Clone, Default)]
pub struct ImportOptions {
    /// Its name.
    pub reference: Option<Reference>,
    /// The comment of its one step; `Imported from -`, Docker's words, if empty.
    pub message: String,
    /// Dockerfile instructions to apply to the configuration.
    pub changes: Vec<String>,
    /// What it is for; this machine if absent.
    pub platform: Option<Platform>,
}

impl Engine {
    /// Makes an image of one layer: what `input`, an archive in any compression, holds. Durable when this returns.
    pub fn import(&self, input: Input, options: &ImportOptions, progress: &dyn Progress) -> Result<ImageId> {
        self.attempt(|| self.import_archive(input, options, progress))
    }

    fn import_archive(
        &self,
        input: Input,
        options: &ImportOptions,
        progress: &dyn Progress,
    ) -> Result<ImageId> {
        let mut config = ContainerConfig::default();
        dockerfile::changes::apply(&mut config, &options.changes)?;
        let (stream, len) = open_stream(input)?;
        let work = self.store.begin()?;
        let mut layers = self.new_layers(&work)?;
        let Some(layer) = layers.unpack("archive", stream, len, None, progress)? else {
            return Err(Error::invalid("the archive holds no files"));
        };
        let host = Platform::host();
        let comment = if options.message.is_empty() { "Imported from -" } else { &options.message };
        let image = Import {
            layer,
            config: &config,
            comment,
            created: now(),
            docker_version: VERSION,
            platform: options.platform.as_ref().unwrap_or(&host),
        };
        let image = image.author()?;
        let id = self.publish_image(&work, layers, &image, options.reference.as_ref(), |_, _| Ok(()))?;
        work.finish()?;
        Ok(id)
    }
}
