//! Builds images as Dockerfiles say.
//!
//! The text is understood by the crate `dockerfile`; here its steps are carried out. A stage is a configuration and a
//! chain of layers. A step that changes files makes one layer, or takes the one that an earlier build made: its key
//! (`key`) names the layers below, the instruction, and every byte that the step reads, but no times. Which layer a key
//! made is remembered in [`store::BuildCache`], and only builds write there: an image that was pulled is no source of
//! steps, unless its name is in `cache_from` (CVE-2024-24557).
//!
//! | file | subject |
//! | --- | --- |
//! | `options` | what is asked for, told and answered |
//! | `stage`, `state` | the steps of a stage, and what it is after each |
//! | `growth` | layers: made, found again, published |
//! | `copy` | `COPY`, `ADD`, `WORKDIR` |
//! | `run` | `RUN` |
//! | `images` | base images |
//! | `cache` | looking steps up |
//! | `key`, `vertices` | cache keys; what progress shows |
//!
//! Stages that do not need each other are built at once, each by a thread. What a failed build has made stays in the cache.

mod cache;
mod copy;
mod growth;
mod images;
mod key;
mod options;
mod run;
mod stage;
mod state;
mod vertices;

use std::sync::{Condvar, Mutex, PoisonError};

use changeset::Lowers;
use dockerfile::{Dockerfile, Given, Globals, Ignore, Plan};
use model::{ImageId, Platform, Timestamp};
use registry::Client;
use sys::Time;

use crate::copy::Tree;
use crate::{Engine, Error, Result};
use cache::CacheFrom;
use images::Images;
pub(crate) use run::end_steps;
use stage::StageBuilder;
use state::State;
use vertices::Vertices;

pub use options::{
    BuildEvent, BuildNetwork, BuildOptions, BuildProgress, Built, Cancel, NoProgress, Secret, VertexId,
};

/// A time as the kernel takes it.
fn time(time: Timestamp) -> Time {
    Time { secs: time.unix_seconds(), nanos: time.subsec_nanos() }
}

/// What all stages of a build have in common.
struct Build<'a> {
    engine: &'a Engine,
    options: &'a BuildOptions,
    file: &'a Dockerfile,
    globals: Globals,
    given: Given,
    images: Images<'a>,
    vertices: Vertices<'a>,
    context: Tree,
    ignore: Option<Ignore>,
    cache_from: CacheFrom,
    stages: Stages,
}

/// The stages that are built, and whether one has failed.
#[derive(Default)]
struct Stages {
    results: Mutex<Results>,
    changed: Condvar,
}

#[derive(Default)]
struct Results {
    done: Vec<Option<State>>,
    failed: bool,
}

impl Stages {
    /// Waits for these stages.
    ///
    /// # Errors
    /// Another stage has failed.
    fn wait_for(&self, stages: &[usize]) -> Result<()> {
        let mut results = self.results.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if results.failed {
                return Err(Error::BuildCanceled);
            }
            if stages.iter().all(|stage| results.done.get(*stage).is_some_and(Option::is_some)) {
                return Ok(());
            }
            results = self.changed.wait(results).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn has_failed(&self) -> bool {
        self.results.lock().unwrap_or_else(PoisonError::into_inner).failed
    }

    /// A stage that was waited for.
    fn get(&self, stage: usize) -> Result<State> {
        let results = self.results.lock().unwrap_or_else(PoisonError::into_inner);
        results.done.get(stage).cloned().flatten().ok_or(Error::BuildCanceled)
    }

    fn finish(&self, stage: usize, result: Result<State>) -> Result<()> {
        let mut results = self.results.lock().unwrap_or_else(PoisonError::into_inner);
        let ended = match result {
            Ok(state) => {
                if results.done.len() <= stage {
                    results.done.resize(stage + 1, None);
                }
                results.done[stage] = Some(state);
                Ok(())
            }
            Err(e) => {
                results.failed = true;
                Err(e)
            }
        };
        self.changed.notify_all();
        ended
    }
}

impl Engine {
    /// Builds an image, and gives it its names. Durable when this returns.
    ///
    /// # Errors
    /// [`Error::Dockerfile`] with the place, for what the Dockerfile has wrong; [`Error::Step`] with the place, for a step
    /// that fails. The layers that were made until then stay, for the next attempt.
    pub fn build(
        &self,
        client: &Client,
        options: &BuildOptions,
        progress: &dyn BuildProgress,
    ) -> Result<Built> {
        self.attempt(|| self.build_image(client, options, progress))
    }

    fn build_image(
        &self,
        client: &Client,
        options: &BuildOptions,
        progress: &dyn BuildProgress,
    ) -> Result<Built> {
        let vertices = Vertices::new(progress);
        let shown = format!("[internal] load build definition from {}", options.name);
        let file = vertices.done(&shown, |vertex| {
            vertex.status("transferring dockerfile:", options.dockerfile.len() as u64, None);
            Ok(dockerfile::parse(&options.name, &options.dockerfile)?)
        })?;
        for warning in &file.warnings {
            vertices.warn(warning.rule, &warning.message, Some(warning.span.first));
        }
        let host = Platform::host();
        let given = Given {
            arguments: options.build_args.clone(),
            target: options.platform.clone().unwrap_or_else(|| host.clone()),
            build: host,
            stage: options.target.clone().unwrap_or_default(),
        };
        let globals = Globals::new(&file, &given)?;
        let plan = dockerfile::plan(&file, &globals, options.target.as_deref())?;
        let ignore = options.ignore.as_deref().map(Ignore::parse).transpose()?;
        let context = match &options.context {
            Some(path) => Lowers::tree(sys::Root::open(path)?),
            None => Lowers::default(),
        };
        let build = Build {
            engine: self,
            options,
            file: &file,
            globals,
            given,
            images: Images::new(self, client, options),
            vertices,
            context: Tree::new(context),
            ignore: ignore.filter(|ignore| !ignore.is_empty()),
            cache_from: self.cache_from(&options.cache_from)?,
            stages: Stages::default(),
        };
        let target = build.run(&plan)?;
        build.export(&target)
    }
}

impl Build<'_> {
    /// Whether nothing is to be done any more: somebody has ended the build, or a stage has failed.
    fn is_over(&self) -> bool {
        self.options.cancel.is_canceled() || self.stages.has_failed()
    }

    /// Builds all stages of the plan, and answers with the last.
    fn run(&self, plan: &Plan) -> Result<State> {
        let target = plan.stages.last().map(|stage| stage.index).unwrap_or_default();
        let ended: Vec<Result<()>> = std::thread::scope(|scope| {
            let threads: Vec<_> = plan
                .stages
                .iter()
                .map(|planned| {
                    scope.spawn(move || {
                        let needs = self.stages.wait_for(&planned.needs);
                        let built = needs.and_then(|()| StageBuilder::build(self, planned));
                        self.stages.finish(planned.index, built)
                    })
                })
                .collect();
            let joined = threads.into_iter().map(|thread| thread.join());
            joined.map(|ended| ended.unwrap_or_else(|_| Err(Error::thread("building", "a stage")))).collect()
        });
        // The stage that failed by itself is the one to tell of.
        let mut failed: Vec<Error> = ended.into_iter().filter_map(Result::err).collect();
        failed.sort_by_key(|error| matches!(error, Error::BuildCanceled));
        match failed.into_iter().next() {
            Some(error) => Err(error),
            None => self.stages.get(target),
        }
    }

    /// Writes the image.
    fn export(&self, target: &State) -> Result<Built> {
        self.vertices.done("exporting to image", |vertex| {
            let mut state = target.clone();
            if !self.options.labels.is_empty() {
                state.image.config.labels.get_or_insert_default().extend(self.options.labels.clone());
            }
            let image = state.author(self.options.epoch)?;
            let id: ImageId = image.id();
            let engine = self.engine;
            let known = engine.store.images().exists(&id)? && engine.find_sound_image(&id)?.is_some();
            let names = engine.store.references().read()?;
            let is_named = self.options.tags.iter().all(|name| names.get(name) == Some(id));
            // An unchanged build changes nothing, and waits for no disk.
            if !(known && is_named) {
                let work = engine.store.begin()?;
                let mut layers = engine.new_layers(&work)?;
                layers.share(state.top.clone());
                engine.publish_image(&work, layers, &image, None, |lock, id| {
                    let tag = |names: &mut store::Repositories| {
                        self.options.tags.iter().try_for_each(|name| names.tag(name, *id).map(drop))
                    };
                    Ok(engine.store.references().update(lock, tag)?)
                })?;
                work.finish()?;
            }
            vertex.status(&format!("writing image {id}"), 0, Some(0));
            for name in &self.options.tags {
                vertex.status(&format!("naming to {}", name.canonical()), 0, Some(0));
            }
            Ok(Built { image: id, names: self.options.tags.clone() })
        })
    }
}
