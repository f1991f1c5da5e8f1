//! One stage: its steps, one after the other.

mod copy;
mod run;

use dockerfile::configure::Effect;
use dockerfile::plan::Planned;
use dockerfile::{Base, Instruction, Origin, Step};
use model::{ChainId, DiffId, Digest};
use store::{LayerRecord, Work};

use super::Build;
use super::cache::Hit;
use super::copy::Source;
use super::growth::{Growth, Made};
use super::state::State;
use super::vertices::Ended;
use crate::copy::Tree;
use crate::{Error, Result};

/// A stage that is being built.
pub(super) struct StageBuilder<'a> {
    build: &'a Build<'a>,
    planned: &'a Planned,
    work: &'a Work<'a>,
    growth: Growth<'a>,
    state: State,
    names: Names,
}

/// What the steps of a stage are called: `[stage 2/5] RUN make`.
struct Names {
    stage: Option<String>,
    next: usize,
    total: usize,
}

impl Names {
    fn next(&mut self, step: &str) -> String {
        self.next += 1;
        let width = self.total.to_string().len();
        let stage = self.stage.as_ref().map(|name| format!("{name} ")).unwrap_or_default();
        format!("[{stage}{:width$}/{}] {step}", self.next, self.total)
    }
}

impl<'a> StageBuilder<'a> {
    /// Builds a stage whose needs are built.
    pub fn build(build: &Build<'_>, planned: &Planned) -> Result<State> {
        let work = build.engine.store.begin()?;
        let state = StageBuilder::build_with(build, planned, &work)?;
        work.finish()?;
        Ok(state)
    }

    fn build_with(build: &Build<'_>, planned: &Planned, work: &Work<'_>) -> Result<State> {
        let stage = &build.file.stages[planned.index];
        let at_from = |e: Error| e.at(build.file, stage.span);
        let mut names = Names {
            stage: stage
                .name
                .clone()
                .or_else(|| Some(format!("stage-{}", planned.index)))
                .filter(|_| build.file.stages.len() > 1),
            next: 0,
            total: stage.steps.iter().filter(|step| step.instruction.changes_files()).count(),
        };
        let state = Self::base(build, planned, &mut names).map_err(at_from)?;
        let mut state = state;
        let triggers = state.image.config.on_build.take().unwrap_or_default();
        let triggers = dockerfile::triggers(&triggers, stage.span).map_err(|e| at_from(e.into()))?;
        names.total += triggers.iter().filter(|step| step.instruction.changes_files()).count();
        let growth = Growth::new(build.engine, work, state.top.clone());
        let mut builder = StageBuilder { build, planned, work, growth, state, names };
        let result = triggers.iter().chain(&stage.steps).try_for_each(|step| {
            if build.is_over() {
                return Err(Error::BuildCanceled);
            }
            builder.step(step).map_err(|e| e.at(build.file, step.span))
        });
        // Also what a stage that fails has made is worth keeping.
        let flushed = builder.growth.flush();
        result?;
        flushed?;
        let StageBuilder { growth, mut state, .. } = builder;
        state.top = growth.top().cloned();
        Ok(state)
    }

    /// What the stage stands on.
    fn base(build: &Build<'_>, planned: &Planned, names: &mut Names) -> Result<State> {
        let platform = planned.platform.clone().or_else(|| build.options.platform.clone());
        match &planned.base {
            Base::Scratch => {
                let platform = platform.unwrap_or_else(|| build.given.target.clone());
                Ok(State::scratch(platform, |env| build.globals.stage(env)))
            }
            Base::Stage(index) => Ok(State::on_top_of(&build.stages.get(*index)?)),
            Base::Image(name) => {
                names.total += 1;
                let config = build.images.get(&build.vertices, name, platform.as_ref())?;
                let shown = names.next(&format!("FROM {}", name.canonical()));
                build.vertices.done(&shown, |_| {
                    let top = build.top_of(config.chain_id())?;
                    Ok(State::image(&config, top, |env| build.globals.stage(env)))
                })
            }
        }
    }

    fn step(&mut self, step: &Step) -> Result<()> {
        let shown = self.state.scope.shown(step);
        match &step.instruction {
            Instruction::Copy(copy) => self.copy(copy, step, &shown),
            Instruction::Add(add) => self.add(add, &shown),
            Instruction::Run(run) => self.run(run, step, &shown),
            instruction => {
                let effect = self.state.image.apply(instruction, &mut self.state.scope)?;
                match (instruction, effect) {
                    (Instruction::Workdir(_), Effect::Metadata(text)) => self.workdir(text, &shown),
                    (_, Effect::Metadata(text)) => {
                        self.state.metadata(text, self.build.options.epoch);
                        Ok(())
                    }
                    _ => Ok(()),
                }
            }
        }
    }

    /// The tree as it is now.
    fn view(&self) -> Result<Option<Tree>> {
        Ok(self.growth.view()?.map(Tree::new))
    }

    /// What an earlier build made with this key.
    fn known(&self, key: &Digest) -> Result<Option<Hit>> {
        match self.build.options.no_cache {
            true => Ok(None),
            false => self.build.engine.find_step(key, self.growth.chain().as_ref()),
        }
    }

    /// The layer of a step: one that is known, or made by `make`.
    fn layer(
        &mut self,
        created_by: &str,
        known: Option<Hit>,
        make: impl FnOnce(&mut Growth<'a>, &Made) -> Result<DiffId>,
    ) -> Result<Ended<()>> {
        let build = self.build;
        if let Some(hit) = known {
            let (diff, created) = (hit.layer.diff, build.options.epoch.unwrap_or(hit.created));
            self.growth.adopt(hit.layer)?;
            self.state.layer(created_by.to_owned(), diff, created);
            return Ok(Ended::Cached(()));
        }
        let created = build.options.epoch.unwrap_or_else(crate::now);
        let made = Made { description: created_by.to_owned(), created };
        let diff = make(&mut self.growth, &made)?;
        self.state.layer(created_by.to_owned(), diff, created);
        Ok(Ended::Done(()))
    }

    /// The tree of a stage or an image; `None` for an empty one.
    fn origin(&self, step: &Step, from: &str) -> Result<Option<Tree>> {
        let top = self.layer_of(step, from)?;
        let view = top.map(|top| self.build.engine.driver.view(None, &top.cache_id));
        Ok(view.transpose()?.map(Tree::new))
    }

    fn layer_of(&self, step: &Step, from: &str) -> Result<Option<LayerRecord>> {
        let build = self.build;
        match build.file.origin(self.planned.index, step, from)? {
            Origin::Scratch => Ok(None),
            Origin::Stage(index) => Ok(build.stages.get(index)?.top),
            Origin::Image(name) => {
                let config = build.images.get(&build.vertices, &name, Some(&self.state.platform))?;
                build.top_of(config.chain_id())
            }
        }
    }
}

impl Build<'_> {
    /// What `COPY` reads if it is not told otherwise.
    fn context(&self) -> Source<'_> {
        Source { tree: &self.context, ignore: self.ignore.as_ref(), has_owners: false }
    }

    /// The topmost layer of an image of the store.
    fn top_of(&self, chain: Option<ChainId>) -> Result<Option<LayerRecord>> {
        Ok(chain.map(|chain| self.engine.store.layers().get(&chain)).transpose()?)
    }
}
