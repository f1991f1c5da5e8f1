//! The files of one layer's directory (moby.md §8.1, §9.4).
//!
//! | entry | mode | what |
//! | --- | --- | --- |
//! | `diff/` | 0755 | the layer's own tree |
//! | `link` | 0644 | its short name: `l/<link>` leads to `../<id>/diff` |
//! | `lower` | 0644 | the short names of its lowers as `l/<link>`, nearest first, joined by `:`; a base has none |
//! | `work/` | [`Union::WORK_MODE`] | the union's; a base has none |
//! | `committed` | 0600 | empty; another layer is built on this one |
//! | `merged/` | 0700 | where it is mounted, while it is |
//!
//! With `userns-remap` (moby.md §2) `diff`, `work` and `merged` belong to user and group 0 of containers; the rest is
//! root's, and the directory of containers' group 0, which may pass through it.

use std::ffi::OsStr;
use std::path::PathBuf;

use model::{CacheId, LinkId};
use sys::{Errno, OwnedFd, Root, atomic, dir, meta};

#[cfg(doc)]
use super::Union;
use crate::mountpoint::MountPoint;
use crate::{Damage, Result};

pub(super) const DIFF: &str = "diff";
pub(super) const LINK: &str = "link";
pub(super) const LOWER: &str = "lower";
pub(super) const WORK: &str = "work";
pub(super) const COMMITTED: &str = "committed";
pub(super) const MERGED: &str = "merged";
/// The directory of short names.
pub(super) const LINKS: &str = "l";

/// One layer's directory, published or staged.
#[derive(Debug)]
pub(super) struct Layer {
    /// The driver that it is of.
    pub(super) driver: &'static str,
    pub(super) id: CacheId,
    pub(super) fd: OwnedFd,
    /// The same directory with the owners that containers see, if those on the disk are others.
    pub(super) shown: Option<OwnedFd>,
    pub(super) path: PathBuf,
}

impl Layer {
    /// A finding about this layer.
    pub(super) fn finding(&self, damage: Damage) -> crate::Finding {
        crate::Finding { driver: self.driver, layer: Some(self.id.clone()), damage }
    }

    /// Where its tree is mounted.
    pub(super) fn mount_point(&self) -> MountPoint<'_> {
        MountPoint { dir: &self.fd, name: OsStr::new(MERGED), path: self.path.join(MERGED) }
    }

    fn damaged(&self, damage: Damage) -> crate::Error {
        self.finding(damage).into()
    }

    /// Its short name.
    pub(super) fn link(&self) -> Result<LinkId> {
        self.find_link()?.map_err(|why| self.damaged(Damage::Link(why)))
    }

    /// Its short name, or what is wrong with it.
    pub(super) fn find_link(&self) -> Result<Result<LinkId, &'static str>> {
        Ok(match read(&self.fd, LINK)? {
            None => Err("missing"),
            Some(text) if text.trim().is_empty() => Err("empty"),
            Some(text) => LinkId::parse(text.trim()).map_err(|_| "not a link id"),
        })
    }

    /// The short names of its lowers, nearest first; `None` for a base.
    pub(super) fn lower(&self) -> Result<Option<Vec<LinkId>>> {
        let parsed = self.find_lower()?;
        parsed.map_err(|why| self.damaged(Damage::Lower { why, parent: None }))
    }

    /// The short names of its lowers, or what is wrong with them.
    pub(super) fn find_lower(&self) -> Result<Result<Option<Vec<LinkId>>, &'static str>> {
        let Some(text) = read(&self.fd, LOWER)? else { return Ok(Ok(None)) };
        Ok(parse_lower(&text).map(Some))
    }

    /// Whether another layer is built on this one.
    pub(super) fn is_committed(&self) -> Result<bool> {
        Ok(meta::find(&self.fd, OsStr::new(COMMITTED))?.is_some())
    }

    /// Marks that another layer is built on this one. Docker mounts it read-only from then on.
    pub(super) fn commit(&self) -> Result<()> {
        match atomic::create_unsynced(&self.fd, OsStr::new(COMMITTED), 0o600, b"") {
            Err(e) if e.errno != Errno::EXIST => Err(e.into()),
            _ => Ok(()),
        }
    }

    /// Its own tree.
    pub(super) fn root(&self) -> Result<Root> {
        match dir::open(self.shown.as_ref().unwrap_or(&self.fd), OsStr::new(DIFF)) {
            Ok(fd) => Ok(Root::from_fd(fd, self.path.join(DIFF))),
            Err(e) if matches!(e.errno, Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {
                Err(self.damaged(Damage::NoDiff))
            }
            Err(e) => Err(e.into()),
        }
    }
}

/// The content of `lower` for these lowers.
pub(super) fn lower_text(links: &[LinkId]) -> String {
    links.iter().map(|link| format!("{LINKS}/{link}")).collect::<Vec<_>>().join(":")
}

/// Reads what [`lower_text`] writes, with white space where Docker would overlook it.
fn parse_lower(text: &str) -> Result<Vec<LinkId>, &'static str> {
    if text.trim().is_empty() {
        return Err("is empty");
    }
    let token = |token: &str| token.trim().strip_prefix("l/").and_then(|link| LinkId::parse(link).ok());
    text.split(':').map(token).collect::<Option<_>>().ok_or("names something that is no layer")
}

/// The content of the symbolic link `l/<link>` of the layer `id`.
pub(super) fn target(id: &CacheId) -> String {
    format!("../{id}/{DIFF}")
}

/// The layer that a symbolic link in `l/` leads to, if it has the form of one.
pub(super) fn parse_target(target: &OsStr) -> Option<CacheId> {
    let id = target.to_str()?.strip_prefix("../")?.strip_suffix("/diff")?;
    CacheId::parse(id).ok()
}

/// A small text file, `None` if it is not there. What is not UTF-8 becomes something that does not parse.
fn read(fd: &OwnedFd, name: &str) -> Result<Option<String>> {
    Ok(atomic::find(fd, OsStr::new(name))?.map(|data| String::from_utf8_lossy(&data).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_chain_reads_back(bytes: Vec<[u8; 17]>) {
            let links: Vec<LinkId> = bytes.into_iter().map(LinkId::from_random).collect();
            let expected = if links.is_empty() { Err("is empty") } else { Ok(links.clone()) };
            prop_assert_eq!(parse_lower(&lower_text(&links)), expected);
        }

        #[test]
        fn nothing_but_layers_is_read(text: String, links in "[l/A-Z2-7:. ]{0,90}") {
            for text in [text, links] {
                if let Ok(links) = parse_lower(&text) {
                    let plain: String = text.chars().filter(|c| !c.is_whitespace()).collect();
                    prop_assert_eq!(lower_text(&links), plain);
                }
                if let Some(id) = parse_target(OsStr::new(&text)) {
                    prop_assert_eq!(target(&id), text);
                }
            }
        }
    }

    fn layer(files: &[(&str, &str)]) -> (tempfile::TempDir, Layer) {
        let tmp = tempfile::tempdir().unwrap();
        for (name, content) in files {
            std::fs::write(tmp.path().join(name), content).unwrap();
        }
        let fd = dir::open_path(tmp.path()).unwrap();
        let id = CacheId::parse("x").unwrap();
        let layer = Layer { driver: "test", id, fd, shown: None, path: tmp.path().into() };
        (tmp, layer)
    }

    #[test]
    fn docker_reads_values_with_white_space_around_them() {
        let (a, b) = ("A".repeat(26), "B".repeat(26));
        let (_tmp, layer) = layer(&[("link", &format!(" {a}\n")), ("lower", &format!("l/{b}: l/{a} \n"))]);
        assert_eq!(layer.link().unwrap().to_string(), a);
        let lower = layer.lower().unwrap().unwrap();
        assert_eq!(lower_text(&lower), format!("l/{b}:l/{a}"));
    }

    /// moby.md §8.3: an empty `link` makes Docker mount the link directory as a layer.
    #[test]
    fn an_empty_link_and_what_it_does_to_the_child_are_refused() {
        let a = "A".repeat(26);
        for link in ["", "\n", "..", "l", "a/../../b"] {
            assert!(layer(&[("link", link)]).1.link().is_err(), "{link:?}");
        }
        for lower in [
            "",
            " ",
            "l",
            "l/",
            "l:l/AAAA",
            &format!("l:l/{a}"),
            &format!("l/{a}:"),
            &format!("/l/{a}"),
            "l/../../x",
            &a,
        ] {
            assert!(layer(&[("lower", lower)]).1.lower().is_err(), "{lower:?}");
        }
        assert_eq!(layer(&[]).1.lower().unwrap(), None);
        assert!(layer(&[]).1.link().is_err());
    }

    #[test]
    fn only_a_sibling_s_diff_is_a_target() {
        let id = CacheId::parse("0qx3kfyo3v5u0jmkhyqoe2b8d").unwrap();
        assert_eq!(parse_target(OsStr::new(&target(&id))), Some(id));
        for bad in ["../../etc/diff", "/x/diff", "../x", "x/diff", "..//diff", "../x/../diff"] {
            assert_eq!(parse_target(OsStr::new(bad)), None, "{bad}");
        }
    }
}
