//! The imagedb: image configurations under their digests, and what is known of images besides (moby.md §6.1;
//! `docs/format/imagedb.md`).

use model::{ChainId, ImageConfig, ImageId, Timestamp};
use sys::OwnedFd;

use crate::backrefs::{Marker, User};
use crate::commit::CommitLock;
use crate::error::{Error, Result};
use crate::finding::{Damage, Finding, Subject};
use crate::root::DataRoot;
use crate::small::{absent, find_dir, find_text, names_in, os, replace, rmdir_if_empty};
use crate::work::Work;

const PARENT: &str = "parent";
const LAST_UPDATED: &str = "lastUpdated";
const BUILT_LOCALLY: &str = "builtLocally";
/// What findings call the file with the configuration.
const CONFIG: &str = "configuration";

/// The images.
#[derive(Debug, Clone, Copy)]
pub struct Images<'a> {
    pub(crate) root: &'a DataRoot,
}

/// An image that is not published yet.
#[derive(Debug)]
pub struct StagedImage<'a> {
    work: &'a Work<'a>,
    name: String,
    config: ImageConfig,
}

impl StagedImage<'_> {
    /// Its configuration.
    pub fn config(&self) -> &ImageConfig {
        &self.config
    }
}

impl Images<'_> {
    /// Reads an image's configuration. The file is hashed, always: one whose content has changed is refused.
    ///
    /// # Errors
    /// [`Error::NoImage`], [`Error::BrokenImage`], system calls.
    pub fn get(&self, id: &ImageId) -> Result<ImageConfig> {
        self.find(id)?.ok_or(Error::NoImage(*id))
    }

    /// As [`Images::get`], `None` if the image is not in the store.
    ///
    /// # Errors
    /// [`Error::BrokenImage`], system calls.
    pub fn find(&self, id: &ImageId) -> Result<Option<ImageConfig>> {
        let Some(content) = &self.root.dirs.content else { return Ok(None) };
        let Some(bytes) = sys::atomic::find(content, os(&id.hex()))? else { return Ok(None) };
        let broken = |damage| Error::BrokenImage { id: *id, damage };
        let actual = ImageId::of(&bytes);
        if actual != *id {
            return Err(broken(Damage::WrongDigest { expected: actual }));
        }
        ImageConfig::parse(bytes).map(Some).map_err(|e| broken(Damage::invalid(CONFIG, e)))
    }

    /// Whether the store has a configuration of this name, sound or not.
    ///
    /// # Errors
    /// System calls.
    pub fn exists(&self, id: &ImageId) -> Result<bool> {
        let Some(content) = &self.root.dirs.content else { return Ok(false) };
        Ok(sys::meta::find(content, os(&id.hex()))?.is_some())
    }

    /// All images, sorted by id. Nothing but the directory is read.
    ///
    /// # Errors
    /// System calls.
    pub fn list(&self) -> Result<Vec<ImageId>> {
        let names = names_in(self.root.dirs.content.as_ref())?;
        Ok(names.iter().filter_map(|name| ImageId::from_hex(name).ok()).collect())
    }

    /// The image whose id starts with `prefix`, given with or without `sha256:`; `None` if there is none.
    ///
    /// # Errors
    /// [`Error::ManyIds`] if there are several, system calls.
    pub fn find_by_prefix(&self, prefix: &str) -> Result<Option<ImageId>> {
        let hex = prefix.strip_prefix("sha256:").unwrap_or(prefix);
        if let Ok(id) = ImageId::from_hex(hex) {
            return Ok(self.exists(&id)?.then_some(id));
        }
        if hex.is_empty() || hex.len() > 64 {
            return Ok(None);
        }
        let names = names_in(self.root.dirs.content.as_ref())?;
        let starting = names.iter().filter(|name| name.starts_with(hex));
        let mut matching = starting.filter_map(|name| ImageId::from_hex(name).ok());
        match (matching.next(), matching.next()) {
            (first, None) => Ok(first),
            _ => Err(Error::ManyIds(prefix.to_owned())),
        }
    }

    /// Writes a configuration aside (0600). Durable when this returns, as far as it goes.
    ///
    /// # Errors
    /// [`model::Error`] if it is no valid image; system calls.
    pub fn stage<'a>(&self, work: &'a Work<'a>, bytes: Vec<u8>) -> Result<StagedImage<'a>> {
        let config = ImageConfig::parse(bytes)?;
        config.validate()?;
        let name = work.next_name("image");
        sys::atomic::create(work.fd(), os(&name), 0o600, config.bytes())?;
        Ok(StagedImage { work, name, config })
    }

    /// Publishes a staged image whose layers are published, and makes their names durable before its own. Durable
    /// when this returns. An image that the store has already is written again, which heals it if it was damaged.
    ///
    /// # Errors
    /// [`Error::NoLayer`] if its topmost layer is not in the store, system calls.
    pub fn publish(&self, lock: &CommitLock<'_>, staged: StagedImage<'_>) -> Result<ImageId> {
        let content = self.root.writable(&self.root.dirs.content)?;
        let id = staged.config.id();
        if let Some(top) = staged.config.chain_id() {
            if !self.root.layers().exists(&top)? {
                return Err(Error::NoLayer(top));
            }
            lock.add(&Marker::of_layer(&top, User::Image(id)))?;
            self.root.layers().sync()?;
        }
        sys::dir::rename(staged.work.fd(), os(&staged.name), content, os(&id.hex()))?;
        sys::dir::sync(content)?;
        Ok(id)
    }

    /// Removes an image and its metadata; its names and whatever else uses it have to be gone. Durable when this
    /// returns. An image that is not there is no error.
    ///
    /// # Errors
    /// System calls.
    pub fn remove(&self, lock: &CommitLock<'_>, id: &ImageId) -> Result<()> {
        let content = self.root.writable(&self.root.dirs.content)?;
        let (top, parent) = (self.top_layer(id)?, self.parent(id)?);
        absent(sys::dir::unlink(content, os(&id.hex())))?;
        sys::dir::sync(content)?;
        let metadata = self.root.writable(&self.root.dirs.metadata)?;
        sys::tree::remove(metadata, os(&id.hex()))?;
        sys::dir::sync(metadata)?;
        if let Some(top) = top {
            lock.remove(&Marker::of_layer(&top, User::Image(*id)));
        }
        if let Some(parent) = parent {
            lock.remove(&Marker::of_image(&parent, User::Image(*id)));
        }
        Ok(())
    }

    /// The image that this one was built or committed on, if that is known. It need not be in the store.
    ///
    /// # Errors
    /// System calls. A damaged value counts as none, as for Docker.
    pub fn parent(&self, id: &ImageId) -> Result<Option<ImageId>> {
        Ok(self.metadata(id, PARENT)?.and_then(|text| text.parse().ok()))
    }

    /// Writes down the parent. Durable when this returns.
    ///
    /// # Errors
    /// System calls.
    pub fn set_parent(&self, lock: &CommitLock<'_>, id: &ImageId, parent: &ImageId) -> Result<()> {
        lock.add(&Marker::of_image(parent, User::Image(*id)))?;
        self.set_metadata(lock, id, PARENT, parent.to_string().as_bytes())
    }

    /// When the image last got a name.
    ///
    /// # Errors
    /// System calls. A damaged value counts as none.
    pub fn last_updated(&self, id: &ImageId) -> Result<Option<Timestamp>> {
        Ok(self.metadata(id, LAST_UPDATED)?.and_then(|text| text.parse().ok()))
    }

    /// Writes down when the image got a name. Durable when this returns.
    ///
    /// # Errors
    /// System calls.
    pub fn set_last_updated(&self, lock: &CommitLock<'_>, id: &ImageId, time: Timestamp) -> Result<()> {
        self.set_metadata(lock, id, LAST_UPDATED, time.to_string().as_bytes())
    }

    /// Whether the image was made here (Docker 25 and later).
    ///
    /// # Errors
    /// System calls.
    pub fn built_locally(&self, id: &ImageId) -> Result<bool> {
        Ok(self.metadata(id, BUILT_LOCALLY)?.is_some_and(|text| text == "\u{1}"))
    }

    /// Writes down that the image was made here. Durable when this returns.
    ///
    /// # Errors
    /// System calls.
    pub fn set_built_locally(&self, lock: &CommitLock<'_>, id: &ImageId) -> Result<()> {
        self.set_metadata(lock, id, BUILT_LOCALLY, &[1])
    }

    /// Names what is wrong with images and their metadata.
    ///
    /// # Errors
    /// System calls.
    pub fn check(&self) -> Result<Vec<Finding>> {
        let mut findings = Vec::new();
        for name in names_in(self.root.dirs.content.as_ref())? {
            let path = self.root.image_path("imagedb/content/sha256").join(&name);
            match ImageId::from_hex(&name) {
                Ok(id) => {
                    let damage = self.damage(&id)?;
                    findings.extend(damage.map(|damage| Finding {
                        path,
                        subject: Subject::Image(id),
                        damage,
                    }));
                }
                Err(_) => {
                    let temporary = name.starts_with(sys::atomic::TEMP_PREFIX);
                    let damage = if temporary { Damage::Temporary } else { Damage::Unknown };
                    findings.push(Finding { path, subject: Subject::Leftover, damage });
                }
            }
        }
        for name in names_in(self.root.dirs.metadata.as_ref())? {
            let path = self.root.image_path("imagedb/metadata/sha256").join(&name);
            match ImageId::from_hex(&name) {
                Ok(id) if self.exists(&id)? => {}
                Ok(id) => {
                    findings.push(Finding { path, subject: Subject::Image(id), damage: Damage::Orphan })
                }
                Err(_) => {
                    findings.push(Finding { path, subject: Subject::Leftover, damage: Damage::Unknown })
                }
            }
        }
        Ok(findings)
    }

    fn damage(&self, id: &ImageId) -> Result<Option<Damage>> {
        match self.find(id) {
            Ok(Some(config)) => match config.chain_id() {
                Some(top) if !self.root.layers().exists(&top)? => Ok(Some(Damage::LayerMissing(top))),
                _ => Ok(None),
            },
            Ok(None) => Ok(None),
            Err(Error::BrokenImage { damage, .. }) => Ok(Some(damage)),
            Err(e) => Err(e),
        }
    }

    /// The image's topmost layer. A damaged image has none: Docker does not take it for an image either.
    pub(crate) fn top_layer(&self, id: &ImageId) -> Result<Option<ChainId>> {
        match self.find(id) {
            Ok(config) => Ok(config.and_then(|config| config.chain_id())),
            Err(Error::BrokenImage { .. }) => Ok(None),
            Err(e) => Err(e),
        }
    }

    fn metadata(&self, id: &ImageId, key: &str) -> Result<Option<String>> {
        let Some(metadata) = &self.root.dirs.metadata else { return Ok(None) };
        let Some(dir) = find_dir(metadata, &id.hex())? else { return Ok(None) };
        find_text(dir, key)
    }

    fn set_metadata(&self, lock: &CommitLock<'_>, id: &ImageId, key: &str, value: &[u8]) -> Result<()> {
        let metadata: &OwnedFd = self.root.writable(&self.root.dirs.metadata)?;
        let dir = sys::dir::ensure(metadata, os(&id.hex()), 0o700)?;
        replace(lock, &dir, key, 0o600, value).inspect_err(|_| rmdir_if_empty(metadata, &id.hex()))?;
        sys::dir::sync(&dir)?;
        Ok(sys::dir::sync(metadata)?)
    }
}
