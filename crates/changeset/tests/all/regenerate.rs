//! The archive that a layer came from, and what became of it.

use std::path::Path;

use archive::tar::{self, Entry, Sink};
use archive::tar_split::Packer;
use changeset::regenerate::regenerate;
use changeset::verify::{Fault, verify};
use changeset::{Applier, ApplyOptions, Error, Whiteouts};
use testkit::archive::Builder;

use crate::support::{BOTH, OVERLAY, empty, root};

/// Feeds a layer's records and its directory at the same time.
struct Both {
    packer: Packer<Vec<u8>>,
    applier: Applier,
}

impl Sink for Both {
    type Error = Error;

    fn raw(&mut self, bytes: &[u8]) -> Result<(), Error> {
        Ok(self.packer.raw(bytes)?)
    }

    fn entry(&mut self, entry: &Entry) -> Result<(), Error> {
        self.packer.entry(entry)?;
        self.applier.entry(entry)
    }

    fn data(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.packer.data(bytes)?;
        self.applier.data(bytes)
    }

    fn end_entry(&mut self) -> Result<(), Error> {
        self.packer.end_entry()?;
        self.applier.end_entry()
    }

    fn end_archive(&mut self) -> Result<(), Error> {
        Ok(self.packer.end_archive()?)
    }
}

/// Applies an archive and returns its tar-split records.
pub fn register(target: &Path, archive: &[u8], whiteouts: Whiteouts) -> Vec<u8> {
    let options = ApplyOptions { devices: sys::process::euid() == 0, ..ApplyOptions::new(whiteouts) };
    let applier = Applier::new(sys::dir::open_path(target).unwrap(), options).unwrap();
    let mut both = Both { packer: Packer::new(Vec::new()), applier };
    tar::parse(archive, tar::Limits::default(), &mut both).unwrap();
    both.applier.finish().unwrap();
    both.packer.finish().unwrap()
}

fn comes_back(archive: &[u8]) {
    for whiteouts in BOTH {
        let tmp = tempfile::tempdir().unwrap();
        let target = empty(tmp.path(), "t");
        let records = register(&target, archive, whiteouts);
        let mut again = Vec::new();
        regenerate(&records[..], &root(&target), &mut again).unwrap();
        assert!(again == archive, "the archive came back differently, {whiteouts:?}");
        assert_eq!(verify(&records[..], &root(&target), true).unwrap(), []);
    }
}

#[test]
fn what_was_accepted_comes_back() {
    comes_back(&Builder::new().build());
    comes_back(
        &Builder::new()
            .dir("./")
            .dir("./d/")
            .file("./d/f", "content")
            .file("../up", "contained")
            .file("/abs", "lute")
            .file("d/empty", "")
            .symlink("s", "d")
            .file("s/through", "a link of the layer")
            .hardlink("hard", "/d/f")
            .file("d/.wh.gone", "")
            .file("d/.wh..wh..opq", "")
            .file(".wh..wh.aufs", "")
            .file_with("x", "attributes", |e| {
                e.xattrs = vec![(b"trusted.overlay.opaque".to_vec(), b"y".to_vec())]
            })
            .file(b"\xff\xfe", "raw name")
            .file("n".repeat(250), "long name")
            .build(),
    );
    let mut trailing = Builder::new().file("f", "x").build();
    trailing.extend_from_slice(b"trailing garbage");
    comes_back(&trailing);
}

#[test]
fn sparse_files_come_back() {
    comes_back(
        &Builder::new()
            .sparse("s", &[(4096, b"data"), (1 << 22, b"more")], 1 << 23)
            .sparse("hole", &[], 1 << 20)
            .file("after", "x")
            .build(),
    );
}

#[test]
fn changed_files_are_named() {
    let layer = Builder::new()
        .file("same", "same")
        .file("content", "content")
        .file("shorter", "shorter")
        .file("gone", "gone")
        .file("to-link", "to-link")
        .file("d/to-dir", "to-dir")
        .symlink("link", "a")
        .dir("dir/")
        .sparse("sparse", &[(4096, b"data")], 8192)
        .sparse("hole", &[(4096, b"data")], 8192)
        .build();
    let tmp = tempfile::tempdir().unwrap();
    let target = empty(tmp.path(), "t");
    let records = register(&target, &layer, OVERLAY);
    let at = |name: &str| target.join(name);
    std::fs::write(at("content"), "CONTENT").unwrap();
    std::fs::write(at("shorter"), "short").unwrap();
    std::fs::remove_file(at("gone")).unwrap();
    std::fs::remove_file(at("to-link")).unwrap();
    std::os::unix::fs::symlink("same", at("to-link")).unwrap();
    std::fs::remove_file(at("d/to-dir")).unwrap();
    std::fs::create_dir(at("d/to-dir")).unwrap();
    std::fs::remove_file(at("link")).unwrap();
    std::os::unix::fs::symlink("b", at("link")).unwrap();
    std::fs::remove_dir(at("dir")).unwrap();
    std::fs::write(at("dir"), "").unwrap();
    for (name, place) in [("sparse", 4096), ("hole", 17)] {
        let file = std::fs::File::options().write(true).open(at(name)).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&file, b"DATA", place).unwrap();
    }
    let found: Vec<_> = verify(&records[..], &root(&target), true)
        .unwrap()
        .into_iter()
        .map(|difference| (difference.path.display().to_string(), difference.fault))
        .collect();
    let expected = [
        ("content", Fault::Content),
        ("shorter", Fault::Size { expected: 7, found: 5 }),
        ("gone", Fault::Missing),
        ("to-link", Fault::Kind),
        ("d/to-dir", Fault::Kind),
        ("link", Fault::Target),
        ("dir/", Fault::Kind),
        ("sparse", Fault::Content),
        ("hole", Fault::Content),
    ];
    assert_eq!(found, expected.map(|(path, fault)| (path.to_owned(), fault)));
    let error = regenerate(&records[..], &root(&target), &mut Vec::new()).unwrap_err();
    assert_eq!(error.to_string(), "file integrity checksum failed for \"content\": its content was changed");
}

#[test]
fn what_replaced_a_file_is_not_read() {
    // A link, or a FIFO that would block for ever.
    let tmp = tempfile::tempdir().unwrap();
    std::fs::write(tmp.path().join("secret"), "content").unwrap();
    for replace in [
        |target: &Path| std::os::unix::fs::symlink("../secret", target.join("f")).unwrap(),
        |target: &Path| {
            let fd = sys::dir::open_path(target).unwrap();
            sys::dir::mknod(fd, "f".as_ref(), sys::FileKind::Fifo, 0o600, 0, 0).unwrap();
        },
    ] {
        let target = tempfile::tempdir_in(tmp.path()).unwrap();
        let records = register(target.path(), &Builder::new().file("f", "content").build(), OVERLAY);
        std::fs::remove_file(target.path().join("f")).unwrap();
        replace(target.path());
        let mut out = Vec::new();
        let error = regenerate(&records[..], &root(target.path()), &mut out).unwrap_err();
        assert!(matches!(error, Error::Integrity { fault: Fault::Kind, .. }), "{error}");
        assert!(!out.windows(7).any(|w| w == b"content"));
    }
}

#[test]
fn records_that_name_files_outside_reach_nothing() {
    let tmp = tempfile::tempdir().unwrap();
    std::fs::write(tmp.path().join("secret"), "content").unwrap();
    let target = empty(tmp.path(), "t");
    let other = empty(tmp.path(), "o");
    // Records of an honest layer, used on a directory where the same name leads nowhere.
    let records = register(&other, &Builder::new().file("../secret", "content").build(), OVERLAY);
    let error = regenerate(&records[..], &root(&target), &mut Vec::new()).unwrap_err();
    assert!(matches!(error, Error::Integrity { fault: Fault::Missing, .. }), "{error}");
}
