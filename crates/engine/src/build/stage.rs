//! One stage: its steps, one after the other.

use std::path::{Path, PathBuf};

use dockerfile::configure::Effect;
use dockerfile::plan::Planned;
use dockerfile::{Add, Base, Copy, Instruction, Mount, MountKind, Origin, Step};
use model::{ChainId, DiffId, Digest};
use store::{LayerRecord, Work};

use super::Build;
use super::cache::Hit;
use super::copy::{Fetched, Owner, Prepared, Request, Source, owner, plain};
use super::growth::{Growth, Made};
use super::options::BuildNetwork;
use super::run::{Command, Planned as PlannedMount, Tree as MountTree};
use super::state::State;
use super::vertices::{Ended, Vertex};
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
            build.stages.wait_for(&[])?;
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

    /// The layer of a step: found again by its key, or made by `make`.
    fn layer(
        &mut self,
        key: Digest,
        created_by: &str,
        hit: Option<Hit>,
        make: impl FnOnce(&mut Growth<'a>, &Made) -> Result<DiffId>,
    ) -> Result<Ended<()>> {
        let build = self.build;
        let chain = self.growth.chain();
        let known = match hit {
            Some(hit) => Some(hit),
            None if build.options.no_cache => None,
            None => build.engine.find_step(&key, chain.as_ref())?,
        };
        if let Some(hit) = known {
            let (diff, created) = (hit.layer.diff, build.options.epoch.unwrap_or(hit.created));
            self.growth.adopt(hit.layer)?;
            self.state.layer(created_by.to_owned(), diff, created);
            return Ok(Ended::Cached(()));
        }
        let created = build.options.epoch.unwrap_or_else(crate::now);
        let made = Made { key, description: created_by.to_owned(), created };
        let diff = make(&mut self.growth, &made)?;
        self.state.layer(created_by.to_owned(), diff, created);
        Ok(Ended::Done(()))
    }

    /// Adds what a copy has worked out.
    fn prepared(&mut self, prepared: &Prepared<'_>, created_by: &str) -> Result<Ended<()>> {
        let engine = self.build.engine;
        self.layer(prepared.key, created_by, None, |growth, made| {
            growth.add(made, |out| prepared.write(engine, out))
        })
    }

    fn workdir(&mut self, text: String, shown: &str) -> Result<()> {
        let config = &self.state.image.config;
        let (path, user) = (config.working_dir.clone(), config.user.clone());
        if path == "/" {
            let name = self.names.next(shown);
            self.state.metadata(text, self.build.options.epoch);
            return self.build.vertices.show(&name, |_| Ok(Ended::Cached(())));
        }
        let name = self.names.next(shown);
        let (build, chain) = (self.build, self.growth.chain());
        let below = self.view()?;
        build.vertices.show(&name, |_| {
            let owner = match user.as_str() {
                "" => Owner::default(),
                user => owner(below.as_ref(), user)?,
            };
            let prepared = build.engine.prepare_directory(
                &path,
                owner,
                build.options.epoch,
                below.as_ref(),
                chain.as_ref(),
            )?;
            self.prepared(&prepared, &text)
        })
    }

    fn copy(&mut self, copy: &Copy, step: &Step, shown: &str) -> Result<()> {
        let scope = &self.state.scope;
        let mut request = Request {
            dest: scope.expand(&copy.dest)?,
            chown: expanded(scope, copy.chown.as_deref())?,
            chmod: expanded(scope, copy.chmod.as_deref())?,
            link: copy.link,
            parents: copy.parents,
            exclude: all_expanded(scope, &copy.exclude)?,
            ..self.request()
        };
        let mut history = vec!["COPY".to_owned()];
        self.sources(&copy.sources, &mut request, &mut history)?;
        let created_by = history_of(history, &request);
        let origin = match &copy.from {
            Some(from) => self.origin(step, from)?,
            None => None,
        };
        let name = self.names.next(shown);
        self.copy_request(&name, &request, origin.as_ref(), copy.from.is_some(), &created_by)
    }

    fn add(&mut self, add: &Add, shown: &str) -> Result<()> {
        let scope = &self.state.scope;
        let mut request = Request {
            dest: scope.expand(&add.dest)?,
            chown: expanded(scope, add.chown.as_deref())?,
            chmod: expanded(scope, add.chmod.as_deref())?,
            link: add.link,
            exclude: all_expanded(scope, &add.exclude)?,
            unpack: add.unpack.unwrap_or(true),
            unpack_fetched: add.unpack.unwrap_or(false),
            ..self.request()
        };
        let checksum = expanded(scope, add.checksum.as_deref())?;
        let mut history = vec!["ADD".to_owned()];
        self.sources(&add.sources, &mut request, &mut history)?;
        let created_by = history_of(history, &request);
        let (remote, local): (Vec<String>, Vec<String>) =
            request.paths.into_iter().partition(|path| Fetched::is_remote(path));
        request.paths = local;
        let name = self.names.next(shown);
        if checksum.is_some() && remote.is_empty() {
            return Err(Error::invalid("checksum requires HTTP(S) or Git sources"));
        }
        for url in &remote {
            let shown = url.clone();
            let (build, work) = (self.build, self.work);
            let fetched = build
                .vertices
                .done(&shown, |vertex| build.images.fetch(work, url, checksum.as_deref(), vertex))?;
            request.fetched.push(fetched);
        }
        self.copy_request(&name, &request, None, false, &created_by)
    }

    fn request(&self) -> Request {
        Request {
            workdir: self.state.image.config.working_dir.clone(),
            epoch: self.build.options.epoch,
            ..Request::default()
        }
    }

    /// Sorts the sources of an instruction, and writes them into its line of the history.
    fn sources(
        &self,
        sources: &[dockerfile::Source],
        request: &mut Request,
        history: &mut Vec<String>,
    ) -> Result<()> {
        let scope = &self.state.scope;
        for source in sources {
            match source {
                dockerfile::Source::Path(path) => {
                    let path = scope.expand(path)?;
                    history.push(path.clone());
                    request.paths.push(path);
                }
                dockerfile::Source::Heredoc(text) => {
                    let data = text.data();
                    let data = if text.expand { scope.expand_document(&data)? } else { data };
                    history.push(format!("<<{}", text.name));
                    request.texts.push((text.name.clone(), data));
                }
            }
        }
        Ok(())
    }

    fn copy_request(
        &mut self,
        name: &str,
        request: &Request,
        origin: Option<&Tree>,
        has_owners: bool,
        created_by: &str,
    ) -> Result<()> {
        let (build, chain) = (self.build, self.growth.chain());
        let below = self.view()?;
        let empty = Tree::new(changeset::Lowers::default());
        build.vertices.show(name, |_| {
            let source = match origin {
                Some(tree) => Source { tree, ignore: None, has_owners },
                None if has_owners => Source { tree: &empty, ignore: None, has_owners },
                None => build.context(),
            };
            let prepared = build.engine.prepare_copy(request, &source, below.as_ref(), chain.as_ref())?;
            self.prepared(&prepared, created_by)
        })
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

    fn run(&mut self, run: &dockerfile::Run, step: &Step, shown: &str) -> Result<()> {
        let build = self.build;
        if run.security.as_deref().is_some_and(|security| security != "sandbox") {
            return Err(Error::invalid(
                "granting entitlement security.insecure is not allowed: layercake runs steps in the sandbox only",
            ));
        }
        if let Some(device) = run.devices.first() {
            return Err(Error::invalid(format!("RUN --device={device} is not supported")));
        }
        let network = match run.network.as_deref() {
            None | Some("default") => build.options.network,
            Some("none") => BuildNetwork::None,
            Some("host") => BuildNetwork::Host,
            Some(other) => return Err(Error::invalid(format!("unsupported network mode {other:?}"))),
        };
        let scope = &self.state.scope;
        let (words, script) = Command::words(run.invocation(), &self.state.image.shell());
        let line = |(name, value): &(String, String)| format!("{name}={value}");
        let command = Command {
            words,
            script,
            env: scope.environment().iter().map(line).collect(),
            proxies: build.given.proxies(),
            cwd: Some(self.state.image.config.working_dir.clone())
                .filter(|dir| !dir.is_empty())
                .unwrap_or_else(|| "/".to_owned()),
            user: self.state.image.config.user.clone(),
            network,
        };
        let asked = run.mounts.iter().map(|flag| flag.resolve(scope)).collect::<Result<Vec<Mount>, _>>()?;
        let arguments: Vec<String> = scope.arguments().iter().map(line).collect();
        let mut text = vec!["RUN".to_owned()];
        if !arguments.is_empty() {
            text.push(format!("|{}", arguments.len()));
            text.extend(arguments);
        }
        text.extend(command.words.iter().cloned());
        let created_by = text.join(" ") + " # buildkit";
        let name = self.names.next(shown);
        build.vertices.show(&name, |vertex| {
            let mut planned = Vec::new();
            for asked in asked {
                planned.push(self.plan_mount(asked, step, &command.cwd)?);
            }
            self.run_command(&command, &planned, &created_by, vertex)
        })
    }

    fn run_command(
        &mut self,
        command: &Command,
        planned: &[PlannedMount],
        created_by: &str,
        vertex: Vertex<'_>,
    ) -> Result<Ended<()>> {
        let (build, work) = (self.build, self.work);
        let chain = self.growth.chain();
        let key = command.key(chain.as_ref(), build.options, planned);
        let hit = match build.options.no_cache || !planned.is_empty() {
            true => None,
            false => build.cache_from.find(build.engine, chain.as_ref(), created_by)?,
        };
        self.layer(key, created_by, hit, |growth, made| {
            growth.run(made, build.options.epoch, |rootfs| {
                let mounted = build.engine.mount_for_step(work, build.options, planned)?;
                build.engine.run_step(work, build.options, command, &mounted, rootfs, vertex)
            })
        })
    }

    /// What a `--mount` is of.
    fn plan_mount(&self, asked: Mount, step: &Step, cwd: &str) -> Result<PlannedMount> {
        let target = match (&asked.target, asked.kind) {
            (Some(target), _) => Path::new("/").join(plain(&Path::new(cwd).join(target))),
            (None, MountKind::Secret) => Path::new("/run/secrets").join(super::run::secret_id(&asked)),
            (None, _) => PathBuf::from("/"),
        };
        let tree = match (asked.kind, asked.from.as_deref()) {
            (MountKind::Bind, Some(from)) => MountTree::Layer(self.layer_of(step, from)?),
            (MountKind::Bind, None) => self.context_mount(&asked)?,
            _ => MountTree::None,
        };
        Ok(PlannedMount { asked, target, tree })
    }

    /// A part of the context: itself where the step may only read, and all of it; else a copy, as a layer.
    fn context_mount(&self, asked: &Mount) -> Result<MountTree> {
        let build = self.build;
        let source = asked.source.as_deref().unwrap_or("/");
        let context = build.context();
        let digest = build.engine.digest_of(&context, source)?;
        if asked.read_only
            && build.ignore.is_none()
            && let Some(root) = &build.options.context
            && let Ok(place) = build.context.find(&plain(Path::new(source)), true)?
        {
            let path = std::path::absolute(root).map_err(Error::io("find", root))?.join(place.path);
            return Ok(MountTree::Host { path, digest });
        }
        let request = Request { paths: vec!["/".to_owned()], dest: "/".to_owned(), ..Request::default() };
        let prepared = build.engine.prepare_copy(&request, &context, None, None)?;
        if let Some(hit) = build.engine.find_step(&prepared.key, None)? {
            return Ok(MountTree::Layer(Some(hit.layer)));
        }
        let mut growth = Growth::new(build.engine, self.work, None);
        let made =
            Made { key: prepared.key, description: "local source for context".into(), created: crate::now() };
        growth.add(&made, |out| prepared.write(build.engine, out))?;
        growth.flush()?;
        Ok(MountTree::Layer(growth.top().cloned()))
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

fn expanded(scope: &dockerfile::Scope, word: Option<&str>) -> Result<Option<String>> {
    Ok(word.map(|word| scope.expand(word)).transpose()?)
}

fn all_expanded(scope: &dockerfile::Scope, words: &[String]) -> Result<Vec<String>> {
    Ok(words.iter().map(|word| scope.expand(word)).collect::<Result<_, _>>()?)
}

/// The line of the history: `COPY --chown=1:1 a b /c/ # buildkit`.
fn history_of(words: Vec<String>, request: &Request) -> String {
    let mut line = words[0].clone();
    if request.parents {
        line += " --parents";
    }
    if let Some(chown) = &request.chown {
        line += &format!(" --chown={chown}");
    }
    if let Some(chmod) = &request.chmod {
        line += &format!(" --chmod={chmod}");
    }
    for word in &words[1..] {
        line += &format!(" {word}");
    }
    line + &format!(" {} # buildkit", request.dest)
}
