//! The losses, each shown on a few files.

use std::ffi::OsStr;

use sys::{OwnedFd, atomic, dir, file};

use super::*;

fn name(text: &str) -> &OsStr {
    OsStr::new(text)
}

/// Records what `act` does in a directory that has the files `old` and `other`, and the directory `dir`.
fn record(act: impl FnOnce(&OwnedFd)) -> Recording {
    let tmp = tempfile::tempdir().unwrap();
    std::fs::write(tmp.path().join("old"), "old").unwrap();
    std::fs::write(tmp.path().join("other"), "other").unwrap();
    std::fs::create_dir(tmp.path().join("dir")).unwrap();
    let root = dir::open_path(tmp.path()).unwrap();
    Recording::of(tmp.path(), |_| act(&root)).0
}

/// The files at the end, after a loss.
fn left(recording: &Recording, loss: &Loss) -> Vec<(String, String)> {
    let tmp = tempfile::tempdir().unwrap();
    recording.after(recording.len(), loss).write_to(tmp.path());
    let mut found = Vec::new();
    for dir in crate::tree::dirs(tmp.path()) {
        for entry in std::fs::read_dir(&dir).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_file() {
                let path = entry.path();
                let content = std::fs::read_to_string(&path).unwrap();
                found.push((path.strip_prefix(tmp.path()).unwrap().display().to_string(), content));
            }
        }
    }
    found.sort();
    found
}

fn files(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(name, content)| (name.to_string(), content.to_string())).collect()
}

#[test]
fn what_was_not_synced_is_lost_as_the_loss_says() {
    let recording = record(|root| {
        let new = dir::create_file(root, name("new"), 0o644).unwrap();
        file::write_all(&new, b"content").unwrap();
        dir::unlink(root, name("old")).unwrap();
    });
    assert_eq!(recording.losses(recording.len()), [Loss::Nothing, Loss::Content, Loss::Names]);
    assert_eq!(left(&recording, &Loss::Nothing), files(&[("new", "content"), ("other", "other")]));
    assert_eq!(left(&recording, &Loss::Content), files(&[("new", ""), ("other", "other")]));
    assert_eq!(left(&recording, &Loss::Names), files(&[("old", "old"), ("other", "other")]));
}

#[test]
fn a_sync_of_the_file_is_none_of_its_name_and_the_other_way_round() {
    let content = record(|root| {
        let new = dir::create_file(root, name("new"), 0o644).unwrap();
        file::write_all(&new, b"content").unwrap();
        file::sync(&new).unwrap();
    });
    assert_eq!(left(&content, &Loss::Content), left(&content, &Loss::Nothing));
    assert_eq!(left(&content, &Loss::Names), files(&[("old", "old"), ("other", "other")]));
    let names = record(|root| {
        let new = dir::create_file(root, name("new"), 0o644).unwrap();
        file::write_all(&new, b"content").unwrap();
        dir::sync(root).unwrap();
    });
    assert_eq!(left(&names, &Loss::Names), files(&[("new", ""), ("old", "old"), ("other", "other")]));
}

#[test]
fn a_file_is_replaced_whole_or_not_at_all() {
    let recording = record(|root| atomic::write(root, name("old"), 0o644, b"new").unwrap());
    for count in 0..=recording.len() {
        for loss in recording.losses(count) {
            let tmp = tempfile::tempdir().unwrap();
            recording.after(count, &loss).write_to(tmp.path());
            let content = std::fs::read_to_string(tmp.path().join("old")).unwrap();
            assert!(content == "new" || content == "old" && count < recording.len(), "{loss:?}: {content:?}");
        }
    }
}

#[test]
fn content_follows_a_file_through_renames_and_links() {
    let recording = record(|root| {
        let below = dir::open(root, name("dir")).unwrap();
        let new = dir::create_file(&below, name("new"), 0o644).unwrap();
        dir::rename(root, name("dir"), root, name("moved")).unwrap();
        dir::link(&below, name("new"), root, name("link")).unwrap();
        dir::unlink(&below, name("new")).unwrap();
        file::write_all(&new, b"late").unwrap();
    });
    let expected = files(&[("link", "late"), ("old", "old"), ("other", "other")]);
    assert_eq!(left(&recording, &Loss::Nothing), expected);
}

#[test]
fn an_exchange_is_done_whole_or_not_at_all() {
    for (synced, here, there) in [(false, "old", "new"), (true, "new", "old")] {
        let recording = record(|root| {
            let below = dir::open(root, name("dir")).unwrap();
            atomic::create(&below, name("new"), 0o644, b"new").unwrap();
            dir::sync(&below).unwrap();
            dir::exchange(root, name("old"), &below, name("new")).unwrap();
            if synced {
                dir::sync(root).unwrap();
            }
        });
        assert_eq!(
            left(&recording, &Loss::Names),
            files(&[("dir/new", there), ("old", here), ("other", "other")])
        );
    }
}

#[test]
fn a_rename_needs_a_sync_on_one_of_its_sides() {
    for synced in ["", "dir"] {
        let recording = record(|root| {
            let below = dir::open(root, name("dir")).unwrap();
            dir::rename(root, name("old"), &below, name("new")).unwrap();
            dir::sync(if synced.is_empty() { root } else { &below }).unwrap();
        });
        assert_eq!(left(&recording, &Loss::Names), files(&[("dir/new", "old"), ("other", "other")]));
    }
}
