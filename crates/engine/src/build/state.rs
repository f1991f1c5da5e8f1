//! What a stage is at a step: its configuration, its history, its layers.

use dockerfile::Scope;
use dockerfile::configure::Image;
use model::config::{BUILDKIT_COMMENT, Built, History};
use model::{ContainerConfig, DiffId, ImageConfig, Platform, Timestamp};
use store::LayerRecord;

use crate::Result;
use crate::run::DEFAULT_PATH;

/// A stage, as far as it is.
#[derive(Debug, Clone)]
pub(super) struct State {
    pub image: Image,
    pub platform: Platform,
    pub history: Vec<History>,
    pub layers: Vec<DiffId>,
    /// The topmost layer, in the store.
    pub top: Option<LayerRecord>,
    pub scope: Scope,
}

impl State {
    /// An empty tree (`FROM scratch`).
    pub fn scratch(platform: Platform, scope: impl FnOnce(&[String]) -> Scope) -> Self {
        let env = vec![DEFAULT_PATH.to_owned()];
        let scope = scope(&env);
        let config =
            ContainerConfig { env: Some(env), working_dir: "/".to_owned(), ..ContainerConfig::default() };
        let image = Image::new(config);
        Self { image, platform, history: Vec::new(), layers: Vec::new(), top: None, scope }
    }

    /// An image of the store.
    pub fn image(
        base: &ImageConfig,
        top: Option<LayerRecord>,
        scope: impl FnOnce(&[String]) -> Scope,
    ) -> Self {
        let view = base.view();
        let mut config = view.config.clone().unwrap_or_default();
        // As BuildKit: a search path is always there.
        let env = config.env.get_or_insert_default();
        if !env.iter().any(|line| line.starts_with("PATH=")) {
            env.push(DEFAULT_PATH.to_owned());
        }
        let scope = scope(config.env.as_deref().unwrap_or_default());
        let author = Some(view.author.clone()).filter(|author| !author.is_empty());
        Self {
            image: Image { author, ..Image::new(config) },
            platform: base.platform(),
            history: view.history.clone(),
            layers: base.diff_ids().to_vec(),
            top,
            scope,
        }
    }

    /// Another stage, finished (`FROM stage`).
    pub fn on_top_of(stage: &State) -> Self {
        let image = Image { author: stage.image.author.clone(), ..Image::new(stage.image.config.clone()) };
        let scope = stage.scope.for_stage_above(image.config.env.as_deref().unwrap_or_default());
        Self { image, scope, ..stage.clone() }
    }

    /// Notes a step that made a layer.
    pub fn layer(&mut self, created_by: String, layer: DiffId, created: Timestamp) {
        self.layers.push(layer);
        self.step(created_by, Some(created), false);
    }

    /// Notes a step that changed the configuration only.
    pub fn metadata(&mut self, created_by: String, epoch: Option<Timestamp>) {
        self.step(created_by, epoch, true);
    }

    fn step(&mut self, created_by: String, created: Option<Timestamp>, empty_layer: bool) {
        let comment = BUILDKIT_COMMENT.to_owned();
        self.history.push(History { created, created_by, comment, empty_layer, ..History::default() });
    }

    /// The image that it is.
    pub fn author(&self, created: Option<Timestamp>) -> Result<ImageConfig> {
        let built = Built {
            config: &self.image.config,
            history: &self.history,
            layers: &self.layers,
            author: self.image.author.as_deref().unwrap_or_default(),
            created,
            platform: &self.platform,
        };
        Ok(built.author()?)
    }
}
