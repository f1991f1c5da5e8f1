//! Who uses a layer, an image or a name, without reading the whole store.
//!
//! Docker's files only point downwards: from a container to its image, from an image to its layers. Going the other
//! way would mean to read ten thousand files. So we keep an index of empty files, `layercake/index/<driver>/`
//! (`docs/format/layercake-private.md`):
//!
//! ```text
//! layers/<chain hex>/{layer,image,container,build}-<hex>
//! images/<image hex>/{image,container}-<hex>
//! names/<name>/container-<hex>
//! removing/<name in layerdb/sha256>
//! stamp
//! ```
//!
//! **Invariant.** While `stamp` holds the present generation ([`generation`]), every use that the real files show has
//! its marker. Markers are made before the thing is published and removed after it is gone, all under the commit
//! lock; so a process killed in between leaves a marker too many, never one too few. Each answer is checked against
//! the real file, so a marker too many does no harm. Markers are not synced: a new boot is a new generation.
//!
//! A stale index is not used. Readers then look through the real files; [`DataRoot::commit`] builds it anew.

mod marker;

use model::{ChainId, ContainerId, ImageId};
use sys::OwnedFd;

use crate::commit::CommitLock;
use crate::error::Result;
use crate::generation;
use crate::root::DataRoot;
use crate::small::{absent, find_dir, find_text, names_in, os, rmdir_if_empty};

pub(crate) use marker::Marker;
pub use marker::User;
use marker::{Table, bare, create, is_plain};

const STAMP: &str = "stamp";
const REMOVING: &str = "removing";

/// The index of back references.
#[derive(Debug, Clone, Copy)]
pub struct Backrefs<'a> {
    pub(crate) root: &'a DataRoot,
}

impl Backrefs<'_> {
    /// Who uses this layer directly, sorted.
    ///
    /// # Errors
    /// System calls.
    pub fn of_layer(&self, chain: &ChainId) -> Result<Vec<User>> {
        self.users(Table::Layers, &chain.hex(), usize::MAX, |user| self.stands_on(user, chain))
    }

    /// Whether anybody uses this layer. Stops at the first who does.
    ///
    /// # Errors
    /// System calls.
    pub fn layer_in_use(&self, chain: &ChainId) -> Result<bool> {
        Ok(!self.users(Table::Layers, &chain.hex(), 1, |user| self.stands_on(user, chain))?.is_empty())
    }

    fn stands_on(&self, user: &User, chain: &ChainId) -> Result<bool> {
        let below = match user {
            User::Layer(child) => self.root.layers().parent_of(child)?,
            User::Image(image) => self.root.images().top_layer(image)?,
            User::Container(id) => self.root.mounts().parent_of(id)?,
            User::Build(key) => self.root.build_cache().find(key)?.map(|record| record.chain),
        };
        Ok(below == Some(*chain))
    }

    /// Images that have this one as their parent, and containers created from it, sorted.
    ///
    /// # Errors
    /// System calls.
    pub fn of_image(&self, id: &ImageId) -> Result<Vec<User>> {
        self.users(Table::Images, &id.hex(), usize::MAX, |user| match user {
            User::Layer(_) | User::Build(_) => Ok(false),
            User::Image(child) => {
                Ok(self.root.images().exists(child)? && self.root.images().parent(child)? == Some(*id))
            }
            User::Container(container) => {
                let document = self.root.containers().find_sound(container)?;
                Ok(document.is_some_and(|c| self.is_ours(&c) && c.image() == Some(*id)))
            }
        })
    }

    /// The containers of this driver that have the name, given with or without its slash. More than one only in a
    /// damaged store.
    ///
    /// # Errors
    /// System calls.
    pub fn of_name(&self, name: &str) -> Result<Vec<ContainerId>> {
        let users = self.users(Table::Names, bare(name), usize::MAX, |user| match user {
            User::Container(id) => {
                let document = self.root.containers().find_sound(id)?;
                Ok(document.is_some_and(|c| self.is_ours(&c) && bare(c.name()) == bare(name)))
            }
            _ => Ok(false),
        })?;
        let container = |user| if let User::Container(id) = user { Some(id) } else { None };
        Ok(users.into_iter().filter_map(container).collect())
    }

    /// Docker, too, sees only the containers of the driver that it runs with.
    fn is_ours(&self, container: &crate::Container) -> bool {
        container.driver() == self.root.driver()
    }

    /// Those of the possible users of `key` that really use it, up to `limit`.
    fn users(
        &self,
        table: Table,
        key: &str,
        limit: usize,
        uses: impl Fn(&User) -> Result<bool>,
    ) -> Result<Vec<User>> {
        let mut found = Vec::new();
        for user in self.candidates(table, key)? {
            if uses(&user)? {
                found.push(user);
            }
            if found.len() == limit {
                break;
            }
        }
        found.sort_unstable();
        Ok(found)
    }

    fn candidates(&self, table: Table, key: &str) -> Result<Box<dyn Iterator<Item = User>>> {
        let indexed = table != Table::Names || is_plain(key);
        if let (true, Some(index)) = (indexed, self.current()?) {
            let Some(table) = find_dir(&index, table.dir())? else { return Ok(Box::new(std::iter::empty())) };
            let Some(key) = find_dir(&table, key)? else { return Ok(Box::new(std::iter::empty())) };
            let files = sys::dir::list(key)?.into_iter();
            return Ok(Box::new(files.filter_map(|file| User::parse(file.name.to_str()?))));
        }
        let key = key.to_owned();
        let fits = move |marker: &Marker| marker.table == table && marker.key == key;
        Ok(Box::new(self.scan(table)?.into_iter().filter(fits).map(|marker| marker.user)))
    }

    /// The index, if it is up to date.
    fn current(&self) -> Result<Option<OwnedFd>> {
        let Some(all) = &self.root.dirs.index else { return Ok(None) };
        let Some(index) = find_dir(all, self.root.driver())? else { return Ok(None) };
        let stamp = find_text(&index, STAMP)?;
        Ok((stamp.as_deref() == Some(generation::stamp(self.root.path()).trim())).then_some(index))
    }

    /// The index, up to date. The caller holds the commit lock.
    pub(crate) fn open_or_rebuild(&self) -> Result<OwnedFd> {
        if let Some(index) = self.current()? {
            return Ok(index);
        }
        let all = self.root.writable(&self.root.dirs.index)?;
        let index = sys::dir::ensure(all, os(self.root.driver()), 0o700)?;
        // Without a stamp it counts for nothing, so an interrupted rebuild starts over.
        absent(sys::dir::unlink(&index, os(STAMP)))?;
        sys::tree::clear(&index)?;
        marker::add_all(&index, self.scan_all()?)?;
        let removing = sys::dir::ensure(&index, os(REMOVING), 0o700)?;
        for name in names_in(self.root.dirs.layers.as_ref())? {
            if crate::layers::is_removing(&name) {
                create(&removing, &name)?;
            }
        }
        let stamp = generation::stamp(self.root.path());
        let aside = self.root.writable(&self.root.dirs.private)?;
        sys::atomic::replace_by(aside, &index, os(STAMP), 0o600, stamp.as_bytes())?;
        Ok(index)
    }

    /// Every use that the real files show.
    fn scan_all(&self) -> Result<Vec<Marker>> {
        Ok([self.scan_layers()?, self.scan_parents()?, self.scan_containers()?].concat())
    }

    /// Every use of one kind of thing that the real files show, and maybe others.
    fn scan(&self, table: Table) -> Result<Vec<Marker>> {
        match table {
            Table::Layers => self.scan_layers(),
            Table::Images => Ok([self.scan_parents()?, self.scan_containers()?].concat()),
            Table::Names => self.scan_containers(),
        }
    }

    fn scan_layers(&self) -> Result<Vec<Marker>> {
        let mut found = Vec::new();
        for child in self.root.layers().list()? {
            let parent = self.root.layers().parent_of(&child)?;
            found.extend(parent.map(|parent| Marker::of_layer(&parent, User::Layer(child))));
        }
        for image in self.root.images().list()? {
            let top = self.root.images().top_layer(&image)?;
            found.extend(top.map(|top| Marker::of_layer(&top, User::Image(image))));
        }
        for container in self.root.mounts().list()? {
            let parent = self.root.mounts().parent_of(&container)?;
            found.extend(parent.map(|parent| Marker::of_layer(&parent, User::Container(container))));
        }
        for record in self.root.build_cache().list()? {
            found.push(Marker::of_layer(&record.chain, User::Build(record.key)));
        }
        Ok(found)
    }

    fn scan_parents(&self) -> Result<Vec<Marker>> {
        let mut found = Vec::new();
        for child in self.root.images().list()? {
            let parent = self.root.images().parent(&child)?;
            found.extend(parent.map(|parent| Marker::of_image(&parent, User::Image(child))));
        }
        Ok(found)
    }

    /// Names and images of containers: both stand in the same document.
    fn scan_containers(&self) -> Result<Vec<Marker>> {
        let mut found = Vec::new();
        for id in self.root.containers().list()? {
            if let Some(container) = self.root.containers().find_sound(&id)?
                && self.is_ours(&container)
            {
                found.push(Marker::of_name(container.name(), id));
                found.extend(container.image().map(|image| Marker::of_image(&image, User::Container(id))));
            }
        }
        Ok(found)
    }

    /// Names in the layerdb that were on their way out when they were noted. `None` if only the layerdb can tell.
    pub(crate) fn removing(&self) -> Result<Option<Vec<String>>> {
        let Some(index) = self.current()? else { return Ok(None) };
        names_in(find_dir(index, REMOVING)?.as_ref()).map(Some)
    }

    /// Removes the note of a layer that is gone.
    pub(crate) fn forget_removing(&self, name: &str) -> Result<()> {
        if let Some(index) = self.current()?
            && let Some(dir) = find_dir(index, REMOVING)?
        {
            absent(sys::dir::unlink(dir, os(name)))?;
        }
        Ok(())
    }
}

impl CommitLock<'_> {
    /// Makes a marker; one that is there already is as good.
    pub(crate) fn add(&self, marker: &Marker) -> Result<()> {
        marker::add(&self.index, marker)
    }

    /// Removes a marker. One that stays behind does no harm.
    pub(crate) fn remove(&self, marker: &Marker) {
        let table = find_dir(&self.index, marker.table.dir());
        if let Ok(Some(table)) = table
            && let Ok(Some(key)) = find_dir(&table, &marker.key)
        {
            let _ = sys::dir::unlink(&key, os(&marker.user.file_name()));
            rmdir_if_empty(&table, &marker.key);
        }
    }

    /// Notes that a name in the layerdb is on its way out.
    pub(crate) fn note_removing(&self, name: &str) -> Result<()> {
        create(&sys::dir::ensure(&self.index, os(REMOVING), 0o700)?, name)
    }
}
