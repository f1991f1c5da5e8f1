//! What the kernel remembers, and how it is made to forget.

use std::ffi::OsStr;
use std::fs;

use fusewire::{Features, NodeId};

use crate::serve;

#[test]
fn an_invalidated_inode_is_asked_for_again() {
    let Some(mounted) = serve(Features::default()) else { return };
    let path = mounted.path("file");
    fs::write(&path, b"before").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"before");
    let node = mounted.node("file");
    mounted.fs.set_data(node, b"afterwards");
    assert_eq!(fs::metadata(&path).unwrap().len(), 6, "remembered for a day");
    mounted.notifier.inval_inode(node, 0, 0).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().len(), 10);
    assert_eq!(fs::read(&path).unwrap(), b"afterwards");
}

#[test]
fn an_invalidated_name_is_looked_up_again_and_its_node_forgotten() {
    let Some(mounted) = serve(Features::default()) else { return };
    let path = mounted.path("file");
    fs::write(&path, b"content").unwrap();
    let node = mounted.node("file");
    assert!(mounted.fs.lookups(node) > 0);
    mounted.notifier.inval_entry(NodeId::ROOT, OsStr::new("file"), false).unwrap();
    // The kernel forgets in the background, at the latest when nothing else is left to do.
    while mounted.fs.lookups(node) > 0 {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    assert_eq!(fs::read(&path).unwrap(), b"content");
}

#[test]
fn invalidating_what_is_not_remembered_is_no_error() {
    let Some(mounted) = serve(Features::default()) else { return };
    fs::metadata(mounted.path("")).unwrap();
    mounted.notifier.inval_inode(NodeId(4711), 0, 0).unwrap();
    mounted.notifier.inval_entry(NodeId::ROOT, OsStr::new("none"), true).unwrap();
}
