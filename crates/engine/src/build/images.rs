//! Images that a build stands on or copies from: from the store, or pulled.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use model::progress::{Event, Progress};
use model::reference::DEFAULT_TAG;
use model::{ImageConfig, ImageId, Platform, Reference};
use registry::Client;
use store::Work;

use super::copy::Fetched;
use super::options::BuildOptions;
use super::vertices::{Ended, Vertex, Vertices};
use crate::pull::PullOptions;
use crate::{Engine, Error, Result};

/// The images of a build, each asked for once.
pub(super) struct Images<'a> {
    engine: &'a Engine,
    client: &'a Client,
    options: &'a BuildOptions,
    known: Mutex<HashMap<(String, String), ImageConfig>>,
}

impl<'a> Images<'a> {
    pub fn new(engine: &'a Engine, client: &'a Client, options: &'a BuildOptions) -> Self {
        Self { engine, client, options, known: Mutex::default() }
    }

    /// The image of this name for this platform. What is not in the store is pulled; with `--pull` the registry is
    /// asked anyway.
    pub fn get(
        &self,
        vertices: &Vertices<'_>,
        name: &Reference,
        platform: Option<&Platform>,
    ) -> Result<ImageConfig> {
        let key = (name.canonical(), platform.map(ToString::to_string).unwrap_or_default());
        // Held while it is pulled: two stages on one image pull it once.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(config) = known.get(&key) {
            return Ok(config.clone());
        }
        let shown = format!("[internal] load metadata for {}", name.canonical());
        let config = vertices.show(&shown, |vertex| {
            let found = self.find(vertex, name, platform).map_err(|e| Error::Base {
                name: name.familiar(),
                canonical: name.canonical(),
                source: Box::new(e),
            });
            found.map(Ended::Done)
        })?;
        known.insert(key, config.clone());
        Ok(config)
    }

    /// Fetches a file for `ADD`.
    pub fn fetch(
        &self,
        work: &Work<'_>,
        url: &str,
        checksum: Option<&str>,
        vertex: Vertex<'_>,
    ) -> Result<Fetched> {
        Fetched::get(self.client, work, url, checksum, vertex)
    }

    fn find(&self, vertex: Vertex<'_>, name: &Reference, platform: Option<&Platform>) -> Result<ImageConfig> {
        let here = if self.options.pull { None } else { self.in_store(name, platform)? };
        if let Some(config) = here {
            return Ok(config);
        }
        let options = PullOptions { platform: platform.cloned(), ..PullOptions::default() };
        // `--pull` of an image that only this store has is an error with BuildKit, too.
        let pulled = self.engine.pull(self.client, name, &options, &Pulling(vertex))?;
        Ok(self.engine.store.images().get(&pulled.image)?)
    }

    /// The image in the store, if it is for the platform.
    fn in_store(&self, name: &Reference, platform: Option<&Platform>) -> Result<Option<ImageConfig>> {
        let named = self.engine.store.references().read()?.get(name);
        let Some(id) = named.map_or_else(|| self.by_id(name), |id| Ok(Some(id)))? else { return Ok(None) };
        let Some(config) = self.engine.find_sound_image(&id)? else { return Ok(None) };
        let fits = platform.is_none_or(|wanted| config.platform().rank_on(wanted).is_some());
        Ok(fits.then_some(config))
    }

    /// What looks like a name may be the beginning of an ID.
    fn by_id(&self, name: &Reference) -> Result<Option<ImageId>> {
        let digits = name.without_tag_and_digest().familiar();
        if name.tag() != Some(DEFAULT_TAG) || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Ok(None);
        }
        Ok(self.engine.store.images().find_by_prefix(&digits)?)
    }
}

/// Shows a pull within a part of the build.
struct Pulling<'a>(Vertex<'a>);

impl Progress for Pulling<'_> {
    fn event(&self, event: Event<'_>) {
        if let Event::Message(text) = event {
            self.0.output(format!("{text}\n").as_bytes());
        }
    }
}
