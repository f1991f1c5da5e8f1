//! The union: its layers, its nodes, and how it is put together from a [`Config`].

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rustix::fs::StatVfs;

use crate::backing::{self, At, Result};
use crate::config::{Config, Options, RedirectDir};
use crate::error::Error;
use crate::identity::Numbers;
use crate::ids::Ids;
use crate::layer::Layer;
use crate::lookup::key_of;
use crate::marks::Marks;
use crate::node::{Body, Dir, LayerIndex, Node, Part, Place, Stack};
use crate::table::{ROOT, Table};
use crate::work::Work;

/// The most layers that a kernel's overlay takes (rule 71), and we.
pub const MAX_LAYERS: usize = 500;

/// A union of directories, ready to be asked. It knows nothing of FUSE.
#[derive(Debug)]
pub struct Union {
    /// How it behaves.
    pub options: Options,
    pub(crate) marks: Marks,
    pub(crate) ids: Ids,
    pub(crate) numbers: Numbers,
    pub(crate) table: Table,
    pub(crate) data_layers: Vec<Layer>,
    /// Whether nothing in a layer can be closed to this process.
    pub(crate) reads_everything: bool,
    layers: Vec<Layer>,
    work: Option<Work>,
}

impl Union {
    /// Opens the layers. Clears the work directory of what a server that was killed left there.
    ///
    /// # Errors
    /// A layer that cannot be opened, an upper directory that is in use or incomplete ([`Error::Volatile`]), and
    /// settings that contradict each other.
    pub fn open(config: &Config) -> std::result::Result<Self, Error> {
        let mut options = config.options.clone();
        let user = options.user_xattrs.unwrap_or_else(|| !may_use_trusted());
        check(config, user)?;
        if user {
            // As the kernel: anybody could set such marks, and so read what its directory keeps from him.
            (options.redirect_dir, options.metacopy) = (RedirectDir::NoFollow, false);
        }
        let marks = Marks::new(user);
        let mut layers = Vec::new();
        let mut work = None;
        if let Some(upper) = &config.upper {
            layers.push(Layer::open_upper(&upper.dir)?);
            work = Some(Work::open(upper, &layers[0], options.volatile)?);
        }
        for lower in &config.lowers {
            layers.push(Layer::open_lower(lower)?);
        }
        let data_layers = config
            .data_lowers
            .iter()
            .map(|path| Layer::open_lower(path))
            .collect::<std::result::Result<_, _>>()?;
        let numbers = Numbers::new(options.xino, layers.iter().map(|layer| layer.device));
        let ids = Ids::new(&options);
        let (table, reads_everything) = (Table::new(), may_use_trusted());
        let union = Self { options, marks, ids, numbers, table, data_layers, reads_everything, layers, work };
        let first = config.upper.as_ref().map(|upper| &upper.dir).or(config.lowers.first());
        let path = first.cloned().unwrap_or_default();
        union.make_root().map_err(|errno| Error::Layer { path, errno })?;
        Ok(union)
    }

    /// The root is the roots of all layers, down to the first opaque one.
    fn make_root(&self) -> Result<()> {
        let mut stack = Stack::default();
        let mut impure = false;
        for (index, layer) in self.layers.iter().enumerate() {
            let dir = backing::open_dir(layer.root.as_fd(), std::ffi::OsStr::new("."))?;
            let marks = self.marks.of_dir(&dir)?;
            impure |= marks.impure && index == 0 && self.has_upper();
            let index = LayerIndex::try_from(index).unwrap_or(LayerIndex::MAX);
            stack.parts.push(Part::new(index, Arc::new(dir), marks));
            // The kernel pays no attention to an opaque mark here (6.18), and neither do we: it would hide an image.
        }
        let top = stack.parts.first().ok_or(rustix::io::Errno::INVAL)?;
        let stat = At::itself(&top.dir).stat()?;
        let lower = stack.parts.iter().find(|part| !self.is_upper(part.layer)).unwrap_or(top);
        let ino = self.numbers.of(&At::itself(&lower.dir).stat()?);
        let place = Place {
            parent: None,
            name: "/".into(),
            layer: 0,
            held: None,
            data: None,
            gone: false,
            adrift: false,
            counted: false,
        };
        let key = key_of(&stat);
        let (root, _) = self.table.find_or_make(key, backing::kind(&stat), 1, |id| {
            let dir = Dir::new(stack);
            dir.impure.store(impure, Ordering::Relaxed);
            Ok(Node::new(id, ino, key, place, Body::Dir(dir)))
        })?;
        debug_assert_eq!(root.id, ROOT);
        Ok(())
    }

    /// The node of a number.
    ///
    /// # Errors
    /// `ESTALE`: the kernel forgot it.
    pub fn node(&self, id: u64) -> Result<Arc<Node>> {
        self.table.get(id)
    }

    /// The kernel forgot a node so many times.
    pub fn forget(&self, id: u64, lookups: u64) {
        self.table.forget(id, lookups);
    }

    /// The node table's size, and its memory given back when it has become small.
    pub fn trim(&self) -> usize {
        self.table.shrink();
        self.table.len()
    }

    /// Whether anything can be changed.
    pub fn has_upper(&self) -> bool {
        self.work.is_some()
    }

    /// Whether a layer is the one that takes the changes.
    pub(crate) fn is_upper(&self, layer: LayerIndex) -> bool {
        layer == 0 && self.work.is_some()
    }

    /// The lower layers with their numbers, topmost first.
    pub(crate) fn lowers(&self) -> impl Iterator<Item = (LayerIndex, &Layer)> {
        (0..).zip(&self.layers).skip(usize::from(self.work.is_some()))
    }

    /// The layers below one.
    pub(crate) fn lowers_below(&self, layer: LayerIndex) -> impl Iterator<Item = (LayerIndex, &Layer)> {
        (0..).zip(&self.layers).skip(usize::from(layer) + 1)
    }

    /// A layer by its number.
    pub(crate) fn layer(&self, layer: LayerIndex) -> Result<&Layer> {
        self.layers.get(usize::from(layer)).ok_or(rustix::io::Errno::STALE)
    }

    /// Where things are built before they appear.
    ///
    /// # Errors
    /// `EROFS`: the union has no upper layer.
    pub(crate) fn work(&self) -> Result<&Work> {
        self.work.as_ref().ok_or(rustix::io::Errno::ROFS)
    }

    /// The part of a directory in the upper layer.
    pub(crate) fn upper_of(&self, stack: &Stack) -> Option<Arc<OwnedFd>> {
        stack.parts.first().filter(|part| self.is_upper(part.layer)).map(|part| Arc::clone(&part.dir))
    }

    /// The parts of a directory below the upper layer.
    pub(crate) fn below_upper<'a>(&self, stack: &'a Stack) -> &'a [Part] {
        match stack.parts.split_first() {
            Some((top, rest)) if self.is_upper(top.layer) => rest,
            _ => &stack.parts,
        }
    }

    /// The space of the file system that takes the changes.
    pub fn statfs(&self) -> Result<StatVfs> {
        rustix::fs::fstatvfs(self.layer(0)?.readable()?)
    }

    /// Makes everything durable that was changed.
    pub fn sync(&self) -> Result<()> {
        match self.options.volatile || !self.has_upper() {
            true => Ok(()),
            false => rustix::fs::syncfs(self.layer(0)?.readable()?),
        }
    }

    /// The union is no longer mounted: a `volatile` upper layer is whole if it can be synced now.
    pub fn close(&self) {
        if let Some(work) = &self.work {
            work.close(self.options.volatile, &self.layers[0]);
        }
    }
}

/// What a union cannot be made of.
fn check(config: &Config, user: bool) -> std::result::Result<(), Error> {
    let no = |why: &str| Err(Error::Config(why.to_owned()));
    if config.lowers.is_empty() {
        return no("a union needs at least one lower directory: lowerdir=DIR[:DIR…]");
    }
    if config.lowers.len() + config.data_lowers.len() > MAX_LAYERS {
        return Err(Error::Config(format!("more than {MAX_LAYERS} lower directories")));
    }
    if user && config.options.redirect_dir.makes() {
        return no(
            "redirect_dir=on cannot be used with user.* attributes: anybody could forge a redirect. Mount as root, or without it",
        );
    }
    if config.options.volatile && config.upper.is_none() {
        return no("volatile needs an upper directory");
    }
    Ok(())
}

/// Whether `trusted.*` attributes can be read: the kernel shows them to the first user namespace's administrator only.
fn may_use_trusted() -> bool {
    matches!(sys::userns::privilege(), Ok(sys::userns::Privilege::Root))
}

/// A directory that nobody should be given through a path that changes: the absolute one.
pub(crate) fn absolute(path: &Path) -> std::path::PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
