//! What follows from the switch: each step can be done again, and none needs what a later one takes away.

use std::path::Path;

use serde_json::Value;
use sys::OwnedFd;

use super::{Migration, MigrationState, NEW, OLD};
use crate::container::CONFIG;
use crate::containers::FILE_MODE;
use crate::error::Result;
use crate::small::{absent, find_dir, names, names_in, os};

impl Migration {
    /// Puts everything in its place. The caller has the commit lock.
    pub(super) fn roll_forward(&mut self) -> Result<()> {
        self.bring_in("image", &self.record.to.driver)?;
        self.bring_in("", &self.record.to.driver)?;
        self.hand_over_containers()?;
        self.hand_over_build_steps()?;
        // Made anew by the next commit, from what is there then.
        self.forget()?;
        self.take_away("image", &self.record.from.driver)?;
        self.take_away("", &self.record.from.driver)?;
        self.advance(MigrationState::Removing)
    }

    /// The directory `name` below `parent` of the new data root takes its place in the store. What is there already has
    /// nothing in it that anybody misses: that was made sure of before the switch.
    fn bring_in(&self, parent: &str, name: &str) -> Result<()> {
        let Some(new) = find_dir(&self.dir, NEW)? else { return Ok(()) };
        let Some(from) = find_below(&new, parent)? else { return Ok(()) };
        if sys::meta::find(&from, os(name))?.is_none() {
            return Ok(());
        }
        let to = ensure_below(&self.root, parent, 0o700)?;
        // Others may open the data root for this driver, and make its empty directories again.
        while let Err(e) = sys::dir::rename_noreplace(&from, os(name), &to, os(name)) {
            if !e.is_exists() {
                return Err(e.into());
            }
            self.set_aside(&to, name)?;
        }
        for dir in [&to, &from] {
            sys::dir::sync(dir)?;
        }
        Ok(())
    }

    /// The old driver's directory `name` below `parent` leaves the store.
    fn take_away(&self, parent: &str, name: &str) -> Result<()> {
        let Some(from) = find_below(&self.root, parent)? else { return Ok(()) };
        if sys::meta::find(&from, os(name))?.is_none() {
            return Ok(());
        }
        let to = ensure_below(&sys::dir::ensure(&self.dir, os(OLD), 0o700)?, parent, 0o700)?;
        if sys::meta::find(&to, os(name))?.is_some() {
            // A crash came between this step and the note that all is done, and then somebody made it again.
            return self.set_aside(&from, name);
        }
        sys::dir::rename_noreplace(&from, os(name), &to, os(name))?;
        for dir in [&to, &from] {
            sys::dir::sync(dir)?;
        }
        Ok(())
    }

    /// Moves something to where it is removed with the rest.
    pub(super) fn set_aside(&self, parent: &OwnedFd, name: &str) -> Result<()> {
        let aside = sys::dir::ensure(&self.dir, os(OLD), 0o700)?;
        let aside = sys::dir::ensure(&aside, os("aside"), 0o700)?;
        let unique = format!("{:016x}", u64::from_le_bytes(sys::process::random()));
        absent(sys::dir::rename_noreplace(parent, os(name), &aside, os(&unique)))?;
        Ok(())
    }

    /// Containers say which driver they belong to.
    fn hand_over_containers(&self) -> Result<()> {
        let Some(containers) = find_dir(&self.root, "containers")? else { return Ok(()) };
        for id in names(&containers)? {
            let Some(bytes) = sys::atomic::find_below(&containers, &Path::new(&id).join(CONFIG))? else {
                continue;
            };
            let Some(text) = self.handed_over(&bytes)? else { continue };
            let Some(dir) = find_dir(&containers, &id)? else { continue };
            sys::atomic::replace_by(&self.private, &dir, os(CONFIG), FILE_MODE, &text)?;
            sys::dir::sync(&dir)?;
        }
        Ok(())
    }

    /// A container's document with the new driver; `None` if it is none, or not one of the old driver.
    fn handed_over(&self, bytes: &[u8]) -> Result<Option<Vec<u8>>> {
        let text = String::from_utf8_lossy(bytes);
        let Ok(Value::Object(mut document)) = serde_json::from_str(&text) else { return Ok(None) };
        if document.get("Driver").and_then(Value::as_str) != Some(&self.record.from.driver) {
            return Ok(None);
        }
        document.insert("Driver".to_owned(), self.record.to.driver.as_str().into());
        Ok(Some(crate::container::encode(&document)?))
    }

    /// The records of builds hold for whoever has the layers.
    fn hand_over_build_steps(&self) -> Result<()> {
        let Some(build) = find_dir(&self.private, "build")? else { return Ok(()) };
        let Some(steps) = find_dir(&build, "steps")? else { return Ok(()) };
        let (from, to) = (&self.record.from.driver, &self.record.to.driver);
        if sys::meta::find(&steps, os(from))?.is_none() {
            return Ok(());
        }
        if sys::meta::find(&steps, os(to))?.is_some() {
            self.set_aside(&steps, to)?;
        }
        sys::dir::rename(&steps, os(from), &steps, os(to))?;
        Ok(sys::dir::sync(&steps)?)
    }

    /// What was only remembered, and is not true any more.
    fn forget(&self) -> Result<()> {
        for dir in ["index", "suspect"] {
            let Some(dir) = find_dir(&self.private, dir)? else { continue };
            for driver in [&self.record.from.driver, &self.record.to.driver] {
                sys::tree::remove(&dir, os(driver))?;
            }
        }
        let sizes = find_dir(&self.private, "sizes")?;
        for name in names_in(sizes.as_ref())? {
            if let Some(sizes) = &sizes {
                absent(sys::dir::unlink(sizes, os(&name)))?;
            }
        }
        Ok(())
    }
}

fn find_below(dir: &OwnedFd, name: &str) -> Result<Option<OwnedFd>> {
    if name.is_empty() { Ok(Some(sys::dir::reopen(dir)?)) } else { find_dir(dir, name) }
}

fn ensure_below(dir: &OwnedFd, name: &str, mode: u32) -> Result<OwnedFd> {
    Ok(if name.is_empty() { sys::dir::reopen(dir)? } else { sys::dir::ensure(dir, os(name), mode)? })
}
