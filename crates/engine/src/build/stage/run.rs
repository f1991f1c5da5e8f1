//! Steps that run something.

use std::path::{Path, PathBuf};

use dockerfile::{Mount, MountKind, Step};

use super::StageBuilder;
use crate::build::copy::plain;
use crate::build::growth::{Growth, Made};
use crate::build::options::BuildNetwork;
use crate::build::run::{Command, Planned, Tree, Watch, secret_id};
use crate::build::vertices::{Ended, Vertex};
use crate::{Error, Result};

impl StageBuilder<'_> {
    pub(super) fn run(&mut self, run: &dockerfile::Run, step: &Step, shown: &str) -> Result<()> {
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
        planned: &[Planned],
        created_by: &str,
        vertex: Vertex<'_>,
    ) -> Result<Ended<()>> {
        let (build, work) = (self.build, self.work);
        let chain = self.growth.chain();
        let key = command.key(chain.as_ref(), build.options, planned);
        let mut known = self.known(&key)?;
        if known.is_none() && !build.options.no_cache && planned.is_empty() {
            known = build.cache_from.find(build.engine, chain.as_ref(), created_by)?;
        }
        self.layer(created_by, known, |growth, made| {
            growth.run(key, made, build.options.epoch, |rootfs| {
                let mounted = build.engine.mount_for_step(work, build.options, planned)?;
                let watch = Watch { vertex, is_over: &|| build.is_over() };
                build.engine.run_step(work, build.options, command, &mounted, rootfs, &watch)
            })
        })
    }

    /// What a `--mount` is of.
    fn plan_mount(&self, asked: Mount, step: &Step, cwd: &str) -> Result<Planned> {
        let target = match (&asked.target, asked.kind) {
            (Some(target), _) => Path::new("/").join(plain(&Path::new(cwd).join(target))),
            (None, MountKind::Secret) => Path::new("/run/secrets").join(secret_id(&asked)),
            (None, _) => PathBuf::from("/"),
        };
        let tree = match (asked.kind, asked.from.as_deref()) {
            (MountKind::Bind, Some(from)) => Tree::Layer(self.layer_of(step, from)?),
            (MountKind::Bind, None) => self.context_mount(&asked)?,
            _ => Tree::None,
        };
        Ok(Planned { asked, target, tree })
    }

    /// A part of the context: itself where the step may only read, and all of it; else a copy, as a layer.
    fn context_mount(&self, asked: &Mount) -> Result<Tree> {
        let build = self.build;
        let source = asked.source.as_deref().unwrap_or("/");
        let context = build.context();
        let part = build.engine.prepare_part(&context, source)?;
        if asked.read_only
            && build.ignore.is_none()
            && let Some(root) = &build.options.context
            && let Ok(place) = build.context.find(&plain(Path::new(source)), true)?
        {
            let path = std::path::absolute(root).map_err(Error::io("find", root))?.join(place.path);
            let digest = part.read(build.engine)?.key;
            return Ok(Tree::Host { path, digest });
        }
        let prepared = build.engine.prepare_part(&context, "/")?;
        let read = prepared.read(build.engine)?;
        if let Some(hit) = build.engine.find_step(&read.key, None)? {
            return Ok(Tree::Layer(Some(hit.layer)));
        }
        let mut growth = Growth::new(build.engine, self.work, None);
        let made = Made { description: "local source for context".into(), created: crate::now() };
        growth.add(&made, |out| prepared.write(build.engine, Some(&read), out))?;
        growth.flush()?;
        Ok(Tree::Layer(growth.top().cloned()))
    }
}
