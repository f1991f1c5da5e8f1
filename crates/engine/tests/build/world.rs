//! A store, a context, and builds in it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use changeset::Lowers;
use engine::build::{BuildEvent, BuildOptions, BuildProgress, Built, VertexId};
use engine::{Access, Engine, Options, Result};
use model::{ImageConfig, Reference};
use registry::{Anonymous, Client};
use sys::FileKind;

pub struct World {
    _tmp: tempfile::TempDir,
    pub engine: Engine,
    pub context: PathBuf,
    pub log: Log,
}

/// Runs `test` with a store of each driver that works here.
pub fn on_every_driver(test: impl Fn(&World)) {
    for driver in ["vfs", "overlay2"] {
        if driver == "vfs" || testkit::machine::require_root("the same on overlay2") {
            test(&World::new(driver));
        }
    }
}

/// As [`on_every_driver`], for tests that run processes.
pub fn with_a_runtime(test: impl Fn(&World)) {
    if !testkit::machine::require_root("steps that run") {
        return;
    }
    if runtime::Runtime::find(None).is_err() {
        return testkit::machine::skip("steps that run", "no OCI runtime is installed");
    }
    if !Path::new(BUSYBOX).exists() {
        return testkit::machine::skip("steps that run", "no static busybox is installed");
    }
    on_every_driver(|world| {
        std::fs::copy(BUSYBOX, world.context.join("busybox")).unwrap();
        test(world);
    });
}

const BUSYBOX: &str = "/bin/busybox";

/// A base with a shell, from a context that [`with_a_runtime`] has filled.
pub const SHELL: &str = "FROM scratch\nCOPY busybox /bin/busybox\nCOPY busybox /bin/sh\n";

impl World {
    pub fn new(driver: &str) -> Self {
        sys::process::clear_umask();
        let tmp = tempfile::tempdir().unwrap();
        let context = tmp.path().join("context");
        std::fs::create_dir(&context).unwrap();
        let options = Options { driver: Some(driver.into()), ..Options::new(tmp.path().join("root")) };
        let engine = Engine::open(&options, Access::Write).unwrap();
        Self { _tmp: tmp, engine, context, log: Log::default() }
    }

    /// Writes a file of the context.
    pub fn file(&self, path: &str, content: impl AsRef<[u8]>) {
        use std::os::unix::fs::PermissionsExt;
        let path = testkit::tree::file(&self.context, path, content);
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o644)).unwrap();
    }

    pub fn options(&self, dockerfile: &str) -> BuildOptions {
        BuildOptions {
            name: "Dockerfile".into(),
            dockerfile: dockerfile.into(),
            context: Some(self.context.clone()),
            ..BuildOptions::default()
        }
    }

    pub fn build_with(&self, options: &BuildOptions) -> Result<Built> {
        let client = Client::new(registry::Options::default(), Arc::new(Anonymous)).unwrap();
        self.log.0.lock().unwrap().clear();
        self.engine.build(&client, options, &self.log)
    }

    pub fn build(&self, dockerfile: &str) -> Image {
        let built =
            self.build_with(&self.options(dockerfile)).unwrap_or_else(|e| panic!("{e}\n{:?}", self.log));
        self.image(&built)
    }

    /// The text of a build that fails, and its excerpt.
    pub fn fails(&self, dockerfile: &str) -> (String, String) {
        match self.build_with(&self.options(dockerfile)).unwrap_err() {
            engine::Error::Step { excerpt, source } => (source.to_string(), excerpt),
            engine::Error::Dockerfile(e) => (e.to_string(), e.excerpt),
            other => panic!("without a place: {other}"),
        }
    }

    pub fn image(&self, built: &Built) -> Image {
        let config = self.engine.store().images().get(&built.image).unwrap();
        let top = config.chain_id().map(|chain| self.engine.store().layers().get(&chain).unwrap());
        let lowers = top.map(|top| self.engine.driver().view(None, &top.cache_id).unwrap());
        let mut tree = BTreeMap::new();
        if let Some(lowers) = &lowers {
            list(lowers, Path::new(""), &mut tree);
        }
        Image { config, tree }
    }

    /// What the layer of this number, from 0, adds to those below it.
    pub fn layer(&self, image: &Image, number: usize) -> BTreeSet<String> {
        let chain = model::ChainId::each(image.config.diff_ids()).nth(number).unwrap();
        let record = self.engine.store().layers().get(&chain).unwrap();
        let parent = record.parent.map(|parent| self.engine.store().layers().get(&parent).unwrap().cache_id);
        let changes = self.engine.driver().changes(&record.cache_id, parent.as_ref()).unwrap();
        changes.iter().map(|change| change.path.display().to_string()).collect()
    }

    pub fn tag(name: &str) -> Vec<Reference> {
        vec![Reference::parse(name).unwrap().with_default_tag()]
    }

    /// Everything in the store can be put together again, byte for byte.
    pub fn assert_sound(&self) {
        let report = self.engine.check(engine::check::CheckOptions::default(), &model::Silent);
        let findings = report.unwrap().findings;
        assert!(findings.is_empty(), "{findings:?}");
    }
}

/// An image, read whole.
pub struct Image {
    pub config: ImageConfig,
    /// `d 755 0:0`, `f 644 0:0 content`, `l target` by path.
    pub tree: BTreeMap<String, String>,
}

impl Image {
    pub fn history(&self) -> Vec<&str> {
        self.config.view().history.iter().map(|step| step.created_by.as_str()).collect()
    }

    pub fn at(&self, path: &str) -> &str {
        self.tree.get(path).map_or("nothing", String::as_str)
    }

    pub fn paths(&self) -> Vec<&str> {
        self.tree.keys().map(String::as_str).collect()
    }
}

fn list(lowers: &Lowers, dir: &Path, tree: &mut BTreeMap<String, String>) {
    for (name, found) in lowers.list(dir).unwrap() {
        let path = dir.join(&name);
        let meta = found.meta;
        let (parent, leaf) = lowers.root(found.layer).parent_nofollow(&path).unwrap();
        let about = format!("{:o} {}:{}", meta.mode, meta.uid, meta.gid);
        let line = match meta.kind {
            FileKind::Dir => format!("d {about}"),
            FileKind::Symlink => format!("l {}", sys::dir::read_link(&parent, &leaf).unwrap().display()),
            FileKind::File if meta.size < 100 => {
                let mut text = String::new();
                let fd = sys::dir::open_file(&parent, &leaf).unwrap();
                std::fs::File::from(fd).read_to_string(&mut text).unwrap();
                format!("f {about} {text}")
            }
            FileKind::File => format!("f {about} {} bytes", meta.size),
            kind => format!("{kind:?} {about}"),
        };
        tree.insert(path.display().to_string(), line);
        if meta.kind == FileKind::Dir {
            list(lowers, &path, tree);
        }
    }
}

/// What a build has told.
#[derive(Debug, Default)]
pub struct Log(Mutex<Vec<Told>>);

#[derive(Debug, Clone)]
pub struct Told {
    id: VertexId,
    pub name: String,
    pub cached: bool,
    pub failed: bool,
    pub output: String,
}

impl Log {
    /// The parts whose names hold this, with what became of them.
    pub fn of(&self, name: &str) -> Vec<Told> {
        self.0.lock().unwrap().iter().filter(|told| told.name.contains(name)).cloned().collect()
    }

    /// The names of the steps that were carried out: not found in the cache, and no housekeeping.
    pub fn carried_out(&self) -> Vec<String> {
        let log = self.0.lock().unwrap();
        let steps =
            log.iter().filter(|told| told.name.starts_with('[') && !told.name.starts_with("[internal]"));
        steps
            .filter(|told| !told.cached && !told.name.contains("] FROM"))
            .map(|told| told.name.clone())
            .collect()
    }

    pub fn output(&self) -> String {
        self.0.lock().unwrap().iter().map(|told| told.output.as_str()).collect()
    }
}

impl BuildProgress for Log {
    fn event(&self, event: BuildEvent<'_>) {
        let mut log = self.0.lock().unwrap();
        let mut with = |wanted: VertexId, change: &dyn Fn(&mut Told)| {
            change(log.iter_mut().find(|told| told.id == wanted).unwrap());
        };
        match event {
            BuildEvent::Started { id, name } => {
                let name = name.to_owned();
                log.push(Told { id, name, cached: false, failed: false, output: String::new() });
            }
            BuildEvent::Cached { id } => with(id, &|told| told.cached = true),
            BuildEvent::Failed { id, .. } => with(id, &|told| told.failed = true),
            BuildEvent::Output { id, text } => {
                with(id, &|told| told.output += &String::from_utf8_lossy(text));
            }
            _ => {}
        }
    }
}
