//! Steps that copy files, and make directories.

use dockerfile::{Add, Copy, Scope, Step};

use super::StageBuilder;
use crate::build::copy::{Fetched, Owner, Prepared, Request, Source, owner};
use crate::build::vertices::Ended;
use crate::copy::Tree;
use crate::{Error, Result};

impl StageBuilder<'_> {
    /// Adds what a copy has worked out.
    fn prepared(&mut self, prepared: &Prepared<'_>, created_by: &str) -> Result<Ended<()>> {
        let engine = self.build.engine;
        let may_be_known =
            !self.build.options.no_cache && engine.store.build_cache().has_prefix(&prepared.shape.hex())?;
        let read = if may_be_known { Some(prepared.read(engine)?) } else { None };
        let known = read.as_ref().map(|read| self.known(&read.key)).transpose()?.flatten();
        self.layer(created_by, known, |growth, made| {
            growth.add(made, |out| prepared.write(engine, read.as_ref(), out))
        })
    }

    pub(super) fn workdir(&mut self, text: String, shown: &str) -> Result<()> {
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

    pub(super) fn copy(&mut self, copy: &Copy, step: &Step, shown: &str) -> Result<()> {
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

    pub(super) fn add(&mut self, add: &Add, shown: &str) -> Result<()> {
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
}

fn expanded(scope: &Scope, word: Option<&str>) -> Result<Option<String>> {
    Ok(word.map(|word| scope.expand(word)).transpose()?)
}

fn all_expanded(scope: &Scope, words: &[String]) -> Result<Vec<String>> {
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
