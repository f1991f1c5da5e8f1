//! `COPY` and `ADD`: files of the context, of a stage or of an image, straight into a new layer.
//!
//! | file | subject |
//! | --- | --- |
//! | `pick` | which files are meant |
//! | `target` | where they come to lie |
//! | `content` | what they hold: key and archive |
//! | `owner`, `mode` | `--chown`, `--chmod` |
//! | `unpack` | archives that `ADD` unpacks |
//! | `fetch` | what `ADD` fetches |
//!
//! Nothing is mounted, neither the image nor what is copied from: both are read as they lie. Every path is resolved inside
//! its tree, so no link and no `..` leads out of the context.

mod content;
mod fetch;
mod mode;
mod owner;
mod pick;
mod target;
mod unpack;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use archive::tar::Writer;
use dockerfile::Ignore;
use model::{ChainId, Digest, Timestamp};
use sys::{FileKind, Time};

use super::key::{Key, Shape};
use super::time;
use crate::copy::Tree;
use crate::{Engine, Error, Result};
use content::Seen;
use mode::Mode;
use target::{Content, Item, Target};
use unpack::Archive;

pub(super) use fetch::Fetched;
pub(super) use owner::{Owner, owner};
pub(super) use pick::Source;
pub(super) use target::plain;

/// What to copy, with all variables replaced.
#[derive(Debug, Default)]
pub(super) struct Request {
    /// Paths and patterns in the source.
    pub paths: Vec<String>,
    /// Files that stand in the Dockerfile, by name.
    pub texts: Vec<(String, String)>,
    /// Files that were fetched.
    pub fetched: Vec<Fetched>,
    /// Where to, as it was written: a slash at the end counts.
    pub dest: String,
    /// Where `dest` begins if it is relative.
    pub workdir: String,
    pub chown: Option<String>,
    pub chmod: Option<String>,
    /// Whether what is below does not matter.
    pub link: bool,
    /// Whether the directories of a source are kept.
    pub parents: bool,
    pub exclude: Vec<String>,
    /// Whether archives among the paths are unpacked.
    pub unpack: bool,
    /// Whether archives that were fetched are unpacked.
    pub unpack_fetched: bool,
    /// What times become.
    pub epoch: Option<Timestamp>,
    /// What directories get that have no time of their own.
    pub now: Option<Timestamp>,
}

/// A copy that is worked out: all that is needed to make its layer.
pub(super) struct Prepared<'a> {
    /// What is known of the step before a file is read: one half of its key.
    pub shape: Shape,
    /// What is copied from.
    tree: Option<&'a Tree>,
    items: Vec<(PathBuf, Item)>,
    archives: Vec<Archive>,
    below: Option<&'a Tree>,
    epoch: Option<Timestamp>,
}

/// The files of a copy, read.
pub(super) struct Read {
    /// The key of the step.
    pub key: Digest,
    seen: Vec<Seen>,
}

impl Engine {
    /// Works out a copy on top of `below`. No file is read, but for archives to be unpacked.
    ///
    /// # Errors
    /// A path that is not there, what does not go together.
    pub(super) fn prepare_copy<'a>(
        &self,
        request: &Request,
        source: &'a Source<'a>,
        below: Option<&'a Tree>,
        chain: Option<&ChainId>,
    ) -> Result<Prepared<'a>> {
        let owner = request.chown.as_deref().map(|spec| owner(below, spec)).transpose()?;
        let mode = request.chmod.as_deref().map(Mode::parse).transpose()?;
        let fallback = request.epoch.or(request.now).unwrap_or_else(crate::now);
        let below = below.filter(|_| !request.link);
        let made = mode.as_ref().map_or(NEW, |change| change.apply(NEW, true));
        let target = Target::new(below, owner.unwrap_or_default(), made, time(fallback));
        let mut copy = Copy { request, source, target, owner, mode, archives: Vec::new() };
        copy.run()?;
        let Copy { target, archives, .. } = copy;
        let items: Vec<(PathBuf, Item)> = target.items.into_iter().collect();
        let mut key = Key::new("copy", chain);
        key.part(request.epoch.map(|epoch| epoch.to_string()).unwrap_or_default());
        for (path, item) in &items {
            key.part(path.as_os_str().as_encoded_bytes()).part([item.kind as u8]);
        }
        for archive in &archives {
            archive.add_to(&mut key)?;
        }
        let (shape, tree) = (key.shape(), Some(source.tree));
        Ok(Prepared { shape, tree, items, archives, below, epoch: request.epoch })
    }

    /// Works out the directory `path` with those above it, as far as they are missing (`WORKDIR`).
    ///
    /// # Errors
    /// Something in the way is no directory.
    pub(super) fn prepare_directory<'a>(
        &self,
        path: &str,
        owner: Owner,
        epoch: Option<Timestamp>,
        below: Option<&'a Tree>,
        chain: Option<&ChainId>,
    ) -> Result<Prepared<'a>> {
        let mut target = Target::new(below, owner, NEW, time(epoch.unwrap_or_else(crate::now)));
        target.directory(Path::new(path))?;
        let items: Vec<(PathBuf, Item)> = target.items.into_iter().collect();
        let mut key = Key::new("workdir", chain);
        key.part(path);
        key.part(epoch.map(|epoch| epoch.to_string()).unwrap_or_default());
        Ok(Prepared { shape: key.shape(), tree: None, items, archives: Vec::new(), below, epoch })
    }

    /// Works out a copy of what is at `path` of a tree, on top of nothing. No file is read.
    ///
    /// # Errors
    /// Nothing is there.
    pub(super) fn prepare_part<'a>(&self, source: &'a Source<'a>, path: &str) -> Result<Prepared<'a>> {
        let request = Request { paths: vec![path.to_owned()], dest: "/".to_owned(), ..Request::default() };
        self.prepare_copy(&request, source, None, None)
    }
}

impl Prepared<'_> {
    fn items(&self) -> Vec<(&PathBuf, &Item)> {
        self.items.iter().map(|(path, item)| (path, item)).collect()
    }

    /// Reads all that is copied, on all processors.
    ///
    /// # Errors
    /// Files that cannot be read.
    pub fn read(&self, engine: &Engine) -> Result<Read> {
        let seen = engine.see_all(self.tree, &self.items())?;
        let key = self.shape.with(seen.iter().map(|seen| seen.digest));
        Ok(Read { key, seen })
    }

    /// Writes the layer's archive, and answers with the key of the step. Without `read`, each file is read once, here.
    ///
    /// # Errors
    /// A file that cannot be read, or is not what it was.
    pub fn write(&self, engine: &Engine, read: Option<&Read>, out: &mut dyn Write) -> Result<Digest> {
        let mut tar = Writer::new(out);
        let items = self.items();
        let digests = content::write(self.tree, &items, read.map(|read| read.seen.as_slice()), &mut tar)?;
        let mut made = items.iter().map(|(path, _)| (*path).clone()).collect();
        for archive in &self.archives {
            archive.write(engine, self.below, &mut made, self.epoch, &mut tar)?;
        }
        tar.finish()?;
        Ok(self.shape.with(digests))
    }
}

/// The mode of directories that are made.
const NEW: u32 = 0o755;

/// A copy that is being worked out.
struct Copy<'a, 'r> {
    request: &'r Request,
    source: &'a Source<'a>,
    target: Target<'a>,
    owner: Option<Owner>,
    mode: Option<Mode>,
    archives: Vec<Archive>,
}

impl Copy<'_, '_> {
    fn run(&mut self) -> Result<()> {
        let request = self.request;
        for path in &request.paths {
            self.path(path)?;
        }
        for (name, text) in &request.texts {
            let content = Content::Bytes(Arc::from(text.as_bytes()));
            self.file(name, content, 0o644, self.target_time())?;
        }
        for fetched in &request.fetched {
            if request.unpack_fetched && unpack::is_archive(&fetched.file)? {
                let dir = self.target.directory(&self.dest())?;
                self.archives.push(Archive::new(fetched.file.clone(), dir, self.owner));
                continue;
            }
            let content = Content::Spooled(fetched.file.clone(), fetched.size);
            let mtime = fetched.modified.map_or_else(|| self.target_time(), time);
            self.file(&fetched.name, content, 0o600, mtime)?;
        }
        Ok(())
    }

    /// Where to, below the root.
    fn dest(&self) -> PathBuf {
        plain(&Path::new(&self.request.workdir).join(&self.request.dest))
    }

    fn is_directory_by_name(&self) -> bool {
        let dest = &self.request.dest;
        dest.ends_with('/') || dest == "." || dest.ends_with("/.") || dest == ".." || dest.ends_with("/..")
    }

    fn target_time(&self) -> Time {
        time(self.request.epoch.or(self.request.now).unwrap_or_else(crate::now))
    }

    fn path(&mut self, named: &str) -> Result<()> {
        let picked = self.source.pick(named)?;
        let exclude = Ignore::of(self.request.exclude.iter().map(String::as_str))?;
        let exclude = Some(&exclude).filter(|exclude| !exclude.is_empty());
        for picked in picked {
            if self.request.parents {
                self.with_parents(named, &picked, exclude)?;
                continue;
            }
            if picked.is_dir() {
                let dest = self.target.directory(&self.dest())?;
                self.members(&picked.path, &dest, exclude)?;
                continue;
            }
            let name = picked.named.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if self.request.unpack && picked.found.meta.kind == FileKind::File {
                let file = Arc::new(self.open(&picked.path, &picked.found)?);
                if unpack::is_archive(&file)? {
                    let dir = self.target.directory(&self.dest())?;
                    self.archives.push(Archive::new(file, dir, self.owner));
                    continue;
                }
            }
            let at = self.place(&name)?;
            let mut found = picked.found;
            // Two sources that are one file become two files.
            found.meta.nlink = 1;
            let item = self.item(picked.path, found);
            self.target.put(at, item)?;
        }
        Ok(())
    }

    /// `--parents`: the way to the source is kept, from a component `.` on if there is one.
    fn with_parents(&mut self, named: &str, picked: &pick::Picked, exclude: Option<&Ignore>) -> Result<()> {
        let dropped =
            named.split_once("/./").map_or(0, |(before, _)| plain(Path::new(before)).components().count());
        let kept: PathBuf = picked.named.components().skip(dropped).collect();
        let base = self.target.directory(&self.dest())?;
        let (mut at, mut from) = (base, picked.named.components().take(dropped).collect::<PathBuf>());
        for component in kept.parent().unwrap_or(Path::new("")).components() {
            at.push(component);
            from.push(component);
            if let Ok(place) = self.source.tree.find(&from, true)? {
                let item = self.item(place.path, place.found);
                self.target.put(at.clone(), item)?;
            }
        }
        let Some(name) = kept.file_name() else {
            return self.members(&picked.path, &at, exclude);
        };
        at.push(name);
        let item = self.item(picked.path.clone(), picked.found.clone());
        self.target.put(at.clone(), item)?;
        if picked.is_dir() { self.members(&picked.path, &at, exclude) } else { Ok(()) }
    }

    /// Everything in a directory of the source.
    fn members(&mut self, dir: &Path, dest: &Path, exclude: Option<&Ignore>) -> Result<()> {
        let source = self.source;
        source.members(dir, exclude, &mut |member| {
            let item = self.item(member.path, member.found);
            self.target.put(dest.join(member.below), item)
        })
    }

    /// A file that is in no tree.
    fn file(&mut self, name: &str, content: Content, mode: u32, mtime: Time) -> Result<()> {
        let at = self.place(name)?;
        let mode = self.mode.as_ref().map_or(mode, |change| change.apply(mode, false));
        let mtime = self.request.epoch.map_or(mtime, time);
        let owner = self.owner.unwrap_or_default();
        self.target.put(at, Item { content, kind: FileKind::File, mode, owner, mtime })
    }

    /// Where a file of this name goes: into the destination if that is a directory, else it is the destination.
    fn place(&mut self, name: &str) -> Result<PathBuf> {
        let dest = self.dest();
        let in_directory = self.is_directory_by_name() || self.target.find(&dest)?.1 == Some(true);
        if in_directory && name.is_empty() {
            return Err(Error::invalid(
                "cannot determine filename from url: name the file in the destination",
            ));
        }
        if in_directory {
            return Ok(self.target.directory(&dest)?.join(name));
        }
        let Some(leaf) = dest.file_name() else { return Ok(self.target.directory(&dest)?.join(name)) };
        let request = self.request;
        if request.paths.len() + request.texts.len() + request.fetched.len() > 1 {
            // BuildKit lets the last one win.
            return Err(Error::invalid(
                "when more than one source file is copied, the destination must be a directory and end with a /",
            ));
        }
        let parent = self.target.directory(dest.parent().unwrap_or(Path::new("")))?;
        Ok(parent.join(leaf))
    }

    fn item(&self, path: PathBuf, found: changeset::Found) -> Item {
        let meta = &found.meta;
        let kind = meta.kind;
        let own =
            if self.source.has_owners { Owner { uid: meta.uid, gid: meta.gid } } else { Owner::default() };
        let mode = match &self.mode {
            Some(change) if kind != FileKind::Symlink => change.apply(meta.mode, kind == FileKind::Dir),
            _ => meta.mode,
        };
        let mtime = self.request.epoch.map_or(meta.mtime, time);
        Item { content: Content::Tree { path, found }, kind, mode, owner: self.owner.unwrap_or(own), mtime }
    }

    fn open(&self, path: &Path, found: &changeset::Found) -> Result<std::fs::File> {
        let (dir, leaf) = self.source.tree.layers().root(found.layer).parent_nofollow(path)?;
        Ok(sys::dir::open_file(&dir, &leaf)?.into())
    }
}
