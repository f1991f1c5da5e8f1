//! `repositories.json`: the names of images (moby.md §6.2; `docs/format/references.md`).

use std::collections::BTreeMap;

use model::{ImageId, Reference};
use serde::{Deserialize, Serialize};
use sys::OwnedFd;

use crate::commit::CommitLock;
use crate::error::{Error, Result};
use crate::finding::{Damage, Finding, Subject};
use crate::root::DataRoot;
use crate::small::{os, replace};

const FILE: &str = "repositories.json";
const MODE: u32 = 0o600;

/// The names of images.
#[derive(Debug, Clone, Copy)]
pub struct References<'a> {
    pub(crate) root: &'a DataRoot,
}

/// The content of `repositories.json`, read at one moment.
///
/// Names and ids are kept as they stand; those that are not valid are not shown, but stay in the file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repositories {
    /// Familiar name, to familiar reference, to image id. Go writes maps sorted by their keys' bytes; so does this.
    #[serde(rename = "Repositories", default, deserialize_with = "null_is_empty")]
    map: BTreeMap<String, BTreeMap<String, String>>,
}

impl References<'_> {
    /// Reads the file; one that is absent has no names in it.
    ///
    /// # Errors
    /// [`Error::BrokenFile`] if it is not what it should be, system calls.
    pub fn read(&self) -> Result<Repositories> {
        let Some(image) = &self.root.dirs.image else { return Ok(Repositories::default()) };
        let Some(bytes) = sys::atomic::find(image, os(FILE))? else { return Ok(Repositories::default()) };
        serde_json::from_slice(&bytes).map_err(|e| Error::BrokenFile {
            path: self.root.path().join(self.root.image_path(FILE)),
            damage: Damage::invalid(FILE, e),
        })
    }

    /// Reads, changes and writes the file. Durable when this returns; untouched if `change` fails or changes nothing.
    ///
    /// # Errors
    /// Those of `change` and of [`References::read`], system calls.
    pub fn update<T>(
        &self,
        lock: &CommitLock<'_>,
        change: impl FnOnce(&mut Repositories) -> Result<T>,
    ) -> Result<T> {
        let image = self.root.writable(&self.root.dirs.image)?;
        let mut names = self.read()?;
        let before = names.clone();
        let answer = change(&mut names)?;
        if names != before {
            replace(lock, image, FILE, MODE, &model::gojson::to_vec(&names)?)?;
            sys::dir::sync(image)?;
        }
        Ok(answer)
    }

    /// Names what is wrong: a file that cannot be read, names that are none, images that are not there.
    ///
    /// # Errors
    /// System calls.
    pub fn check(&self) -> Result<Vec<Finding>> {
        let path = self.root.image_path(FILE);
        let finding = |name: &str, damage| Finding {
            path: path.clone(),
            subject: Subject::Reference(name.to_owned()),
            damage,
        };
        let names = match self.read() {
            Ok(names) => names,
            Err(Error::BrokenFile { damage, .. }) => return Ok(vec![finding("", damage)]),
            Err(e) => return Err(e),
        };
        let mut findings = Vec::new();
        for (repository, references) in &names.map {
            for (name, id) in references {
                let damage = match parse_entry(repository, name, id) {
                    Ok((_, id)) if self.root.images().exists(&id)? => continue,
                    Ok((_, id)) => Damage::ImageMissing(id),
                    Err(why) => Damage::Invalid { file: FILE, why },
                };
                findings.push(finding(name, damage));
            }
        }
        Ok(findings)
    }
}

/// Whether the file is there.
pub(crate) fn exists(image: &OwnedFd) -> Result<bool> {
    Ok(sys::meta::find(image, os(FILE))?.is_some())
}

/// Creates the file with no names in it, as Docker does at its start.
pub(crate) fn create(lock: &CommitLock<'_>) -> Result<()> {
    let image = lock.root.writable(&lock.root.dirs.image)?;
    replace(lock, image, FILE, MODE, &model::gojson::to_vec(&Repositories::default())?)
}

impl Repositories {
    /// The image that `reference` names; without tag and digest it names `latest`, with both only the digest counts.
    pub fn get(&self, reference: &Reference) -> Option<ImageId> {
        let key = stored(reference.clone());
        self.map.get(&key.familiar_name())?.get(&key.familiar())?.parse().ok()
    }

    /// All names with their images, sorted by their text.
    pub fn iter(&self) -> impl Iterator<Item = (Reference, ImageId)> {
        self.map
            .iter()
            .flat_map(|(repository, names)| {
                names.iter().map(move |(name, id)| parse_entry(repository, name, id))
            })
            .filter_map(std::result::Result::ok)
    }

    /// The names of an image, sorted by their text.
    pub fn of_image(&self, id: &ImageId) -> Vec<Reference> {
        let mut names: Vec<_> = self.iter().filter(|(_, image)| image == id).map(|(name, _)| name).collect();
        names.sort_by_cached_key(Reference::familiar);
        names
    }

    /// The names of all images, those of each sorted by their text: for a listing of all images at once.
    pub fn by_image(&self) -> BTreeMap<ImageId, Vec<Reference>> {
        let mut all: BTreeMap<ImageId, Vec<Reference>> = BTreeMap::new();
        for (name, id) in self.iter() {
            all.entry(id).or_default().push(name);
        }
        all.values_mut().for_each(|names| names.sort_by_cached_key(Reference::familiar));
        all
    }

    /// Lets a tag (`latest` if there is none) name `id`, and answers with the image that it named before.
    ///
    /// # Errors
    /// [`Error::TagOfDigest`], [`Error::AmbiguousTag`].
    pub fn tag(&mut self, reference: &Reference, id: ImageId) -> Result<Option<ImageId>> {
        if reference.digest().is_some() {
            return Err(Error::TagOfDigest);
        }
        self.insert(reference, id)
    }

    /// Lets a digest reference name `id`. A tag in it is left out.
    ///
    /// # Errors
    /// [`Error::OverwriteDigest`] if it names another image, [`Error::AmbiguousTag`].
    pub fn add_digest(&mut self, reference: &Reference, id: ImageId) -> Result<()> {
        match (reference.digest(), self.get(reference)) {
            (Some(digest), Some(old)) if old != id => Err(Error::OverwriteDigest(*digest)),
            _ => self.insert(reference, id).map(|_| ()),
        }
    }

    /// Removes one name, and with the last tag that a repository has for the image also that repository's digest
    /// references to it (moby.md §6.2). Answers with what was removed, the given name first; empty if it was not
    /// there.
    pub fn remove(&mut self, reference: &Reference) -> Vec<Reference> {
        let key = stored(reference.clone());
        let Some(id) = self.get(&key) else { return Vec::new() };
        self.delete(&key);
        let mut removed = vec![key];
        if removed[0].digest().is_none() {
            let repository = removed[0].familiar_name();
            let rest: Vec<_> =
                self.of_image(&id).into_iter().filter(|r| r.familiar_name() == repository).collect();
            if rest.iter().all(|r| r.digest().is_some()) {
                rest.iter().for_each(|r| self.delete(r));
                removed.extend(rest);
            }
        }
        removed
    }

    /// Removes an entry by its text as it stands in the file, valid or not: for repairs. Says whether it was there.
    pub fn remove_entry(&mut self, name: &str) -> bool {
        let before: usize = self.map.values().map(BTreeMap::len).sum();
        self.map.values_mut().for_each(|names| _ = names.remove(name));
        self.map.retain(|_, names| !names.is_empty());
        before != self.map.values().map(BTreeMap::len).sum::<usize>()
    }

    fn insert(&mut self, reference: &Reference, id: ImageId) -> Result<Option<ImageId>> {
        let key = stored(reference.clone());
        if key.familiar_name() == "sha256" {
            return Err(Error::AmbiguousTag);
        }
        let old = self.map.entry(key.familiar_name()).or_default().insert(key.familiar(), id.to_string());
        Ok(old.and_then(|old| old.parse().ok()))
    }

    fn delete(&mut self, key: &Reference) {
        if let Some(names) = self.map.get_mut(&key.familiar_name()) {
            names.remove(&key.familiar());
            if names.is_empty() {
                self.map.remove(&key.familiar_name());
            }
        }
    }
}

/// The form that is stored: `latest` if there is neither tag nor digest, and the digest alone if there are both.
fn stored(reference: Reference) -> Reference {
    match (reference.tag(), reference.digest()) {
        (Some(_), Some(digest)) => reference.without_tag_and_digest().with_digest(*digest),
        _ => reference.with_default_tag(),
    }
}

fn parse_entry(repository: &str, name: &str, id: &str) -> Result<(Reference, ImageId), String> {
    let reference = Reference::parse(name).map_err(|e| e.to_string())?;
    let id = id.parse().map_err(|e: model::Error| e.to_string())?;
    if reference.familiar_name() != repository || reference.is_name_only() {
        return Err(format!("{name:?} is no name of the repository {repository:?}"));
    }
    Ok((reference, id))
}

fn null_is_empty<'de, D: serde::Deserializer<'de>, T: Default + Deserialize<'de>>(
    from: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const B: &str = "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

    fn name(text: &str) -> Reference {
        text.parse().unwrap()
    }

    fn json(names: &Repositories) -> String {
        String::from_utf8(model::gojson::to_vec(names).unwrap()).unwrap()
    }

    #[test]
    fn the_file_is_dockers() {
        let mut names = Repositories::default();
        assert_eq!(json(&names), r#"{"Repositories":{}}"#);
        names.tag(&name("docker.io/library/busybox"), A.parse().unwrap()).unwrap();
        names.tag(&name("acme/x:1.0"), B.parse().unwrap()).unwrap();
        names.add_digest(&name(&format!("busybox:1@{B}")), A.parse().unwrap()).unwrap();
        let expected = format!(
            r#"{{"Repositories":{{"acme/x":{{"acme/x:1.0":"{B}"}},"busybox":{{"busybox:latest":"{A}","busybox@{B}":"{A}"}}}}}}"#
        );
        assert_eq!(json(&names), expected);
        assert_eq!(serde_json::from_str::<Repositories>(&expected).unwrap(), names);
    }

    #[test]
    fn a_tag_moves_and_a_digest_stays() {
        let (a, b): (ImageId, ImageId) = (A.parse().unwrap(), B.parse().unwrap());
        let mut names = Repositories::default();
        assert_eq!(names.tag(&name("x"), a).unwrap(), None);
        assert_eq!(names.tag(&name("x:latest"), b).unwrap(), Some(a));
        let pinned = name(&format!("x@{A}"));
        names.add_digest(&pinned, a).unwrap();
        names.add_digest(&pinned, a).unwrap();
        assert!(matches!(names.add_digest(&pinned, b), Err(Error::OverwriteDigest(_))));
        assert!(matches!(names.tag(&pinned, a), Err(Error::TagOfDigest)));
        assert!(matches!(names.tag(&name("sha256:x"), a), Err(Error::AmbiguousTag)));
        assert_eq!(names.get(&name(&format!("x:other@{A}"))), Some(a));
    }

    #[test]
    fn the_last_tag_takes_the_digests_of_its_repository_along() {
        let a: ImageId = A.parse().unwrap();
        let mut names = Repositories::default();
        for tag in ["x:1", "x:2", "y:1"] {
            names.tag(&name(tag), a).unwrap();
        }
        names.add_digest(&name(&format!("x@{B}")), a).unwrap();
        names.add_digest(&name(&format!("y@{B}")), a).unwrap();
        assert_eq!(names.remove(&name("x:1")), [name("x:1")]);
        assert_eq!(names.remove(&name("x:1")), []);
        assert_eq!(names.remove(&name("x:2")), [name("x:2"), name(&format!("x@{B}"))]);
        assert_eq!(names.remove(&name(&format!("y@{B}"))), [name(&format!("y@{B}"))]);
        assert_eq!(names.of_image(&a), [name("y:1")]);
        names.remove(&name("y:1"));
        assert_eq!(json(&names), r#"{"Repositories":{}}"#);
    }

    #[test]
    fn what_is_not_valid_is_not_shown_and_not_lost() {
        let text = format!(
            r#"{{"Repositories":{{"UP":{{"UP:1":"{A}"}},"x":{{"x:1":"nonsense","x:2":"{A}","y:1":"{A}"}},"z":{{}}}}}}"#
        );
        let mut names: Repositories = serde_json::from_str(&text).unwrap();
        assert_eq!(names.iter().map(|(n, _)| n.familiar()).collect::<Vec<_>>(), ["x:2"]);
        assert_eq!(json(&names), text);
        assert!(names.remove_entry("x:1") && names.remove_entry("UP:1") && !names.remove_entry("x:1"));
        assert_eq!(json(&names), format!(r#"{{"Repositories":{{"x":{{"x:2":"{A}","y:1":"{A}"}}}}}}"#));
        for odd in ["{}", r#"{"Repositories":null}"#, r#"{"Repositories":{},"More":1}"#] {
            assert_eq!(serde_json::from_str::<Repositories>(odd).unwrap(), Repositories::default());
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>, key in "[a-z:@/]{0,9}", value in "[a-f0-9:]{0,9}") {
            let _ = serde_json::from_slice::<Repositories>(&bytes).map(|names| names.by_image());
            let text = serde_json::json!({"Repositories": {&key: {&key: value}}}).to_string();
            let names: Repositories = serde_json::from_str(&text).unwrap();
            proptest::prop_assert_eq!(json(&names), text);
        }
    }
}
