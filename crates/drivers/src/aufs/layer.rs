//! One layer: its list of ancestors, and its files.

use std::ffi::OsStr;
use std::path::PathBuf;

use model::CacheId;
use sys::{Errno, FileKind, OwnedFd, Root, atomic, dir, meta};

use super::{Aufs, DIFF, LAYERS, NAME, layer_name};
use crate::{Damage, Error, Finding, Result, Stage};

/// Where a layer is.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place<'a> {
    Published,
    Staged(&'a Stage),
}

/// A layer that is there.
#[derive(Debug)]
pub(super) struct Layer {
    pub(super) id: CacheId,
    /// Its list of ancestors, as it is in the file.
    list: Vec<u8>,
    /// The directory with its files' directory.
    dir: OwnedFd,
    /// The name of its files' directory there.
    name: String,
    path: PathBuf,
}

impl Layer {
    /// A finding about this layer.
    pub(super) fn finding(&self, damage: Damage) -> Finding {
        Finding { driver: NAME, layer: Some(self.id.clone()), damage }
    }

    /// The layers below it, nearest first.
    pub(super) fn ancestors(&self) -> Result<Vec<CacheId>> {
        let damaged = |why| self.finding(Damage::Ancestors { why, parent: None }).into();
        parse(&self.list).map_err(damaged)
    }
}

/// A list of ancestors as Docker reads it: a line each, empty lines are nothing.
fn parse(list: &[u8]) -> Result<Vec<CacheId>, &'static str> {
    let text = std::str::from_utf8(list).map_err(|_| "is not text")?;
    let ids = text.lines().filter(|line| !line.is_empty());
    ids.map(|id| CacheId::parse(id).ok().filter(|id| layer_name(id).is_ok()))
        .collect::<Option<_>>()
        .ok_or("names something that is no layer")
}

/// The list of these ancestors.
pub(super) fn list_text(ancestors: &[CacheId]) -> String {
    ancestors.iter().map(|id| format!("{id}\n")).collect()
}

impl Aufs {
    pub(super) fn published(&self, id: &CacheId) -> Result<Layer> {
        self.layer_in(Place::Published, id)?.ok_or_else(|| Error::NoLayer(id.clone()))
    }

    pub(super) fn staged(&self, stage: &Stage, id: &CacheId) -> Result<Layer> {
        self.layer_in(Place::Staged(stage), id)?.ok_or_else(|| Error::NoLayer(id.clone()))
    }

    /// The layer in the stage, else the published one.
    pub(super) fn find(&self, stage: Option<&Stage>, id: &CacheId) -> Result<Layer> {
        match stage {
            Some(stage) if stage.contains(id)? => self.staged(stage, id),
            _ => self.published(id),
        }
    }

    /// A layer is there if its list is.
    pub(super) fn layer_in(&self, place: Place<'_>, id: &CacheId) -> Result<Option<Layer>> {
        let name = layer_name(id)?;
        let (list, dir, files, path) = match place {
            Place::Published => (
                atomic::find(&self.layers, name)?,
                dir::reopen(&self.diff)?,
                id.to_string(),
                self.path.join(DIFF).join(name),
            ),
            Place::Staged(stage) => match dir::open(stage.fd(), name) {
                Ok(own) => {
                    let path = stage.path().join(name).join(DIFF);
                    (atomic::find(&own, OsStr::new(LAYERS))?, own, DIFF.to_owned(), path)
                }
                Err(e) if e.is_not_found() => return Ok(None),
                Err(e) => return Err(e.into()),
            },
        };
        Ok(list.map(|list| Layer { id: id.clone(), list, dir, name: files, path }))
    }

    /// The root of a layer's own files.
    pub(super) fn files(&self, layer: &Layer) -> Result<Root> {
        match dir::open(&layer.dir, OsStr::new(&layer.name)) {
            Ok(fd) => Ok(Root::from_fd(fd, &layer.path)),
            Err(e) if matches!(e.errno, Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {
                Err(layer.finding(Damage::NoDiff).into())
            }
            Err(e) => Err(e.into()),
        }
    }

    /// All layers; those too of which a crash left the files alone.
    pub(super) fn list_layers(&self) -> Result<Vec<CacheId>> {
        let mut ids = Vec::new();
        for (dir, wanted) in [(&self.layers, FileKind::File), (&self.diff, FileKind::Dir)] {
            for entry in dir::list(dir)? {
                let kind = match entry.kind {
                    Some(kind) => Some(kind),
                    None => meta::find(dir, &entry.name)?.map(|found| found.kind),
                };
                let id = entry.name.to_str().and_then(|name| CacheId::parse(name).ok());
                ids.extend(id.filter(|id| kind == Some(wanted) && layer_name(id).is_ok()));
            }
        }
        ids.sort_unstable();
        ids.dedup();
        Ok(ids)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_reads_back_and_empty_lines_are_nothing() {
        let ids = ["b", "a-init", "0"].map(|id| CacheId::parse(id).unwrap());
        assert_eq!(list_text(&ids), "b\na-init\n0\n");
        assert_eq!(parse(list_text(&ids).as_bytes()).unwrap(), ids);
        assert_eq!(parse(b"\nb\n\na-init\n0").unwrap(), ids);
        assert_eq!(parse(b"").unwrap(), []);
    }

    #[test]
    fn what_leads_elsewhere_is_no_ancestor() {
        for list in [&b"../x\n"[..], b"a\n.layercake\n", b"x-removing\n", b"\xff\n", b"a\0b\n"] {
            assert!(parse(list).is_err(), "{list:?}");
        }
    }
}
