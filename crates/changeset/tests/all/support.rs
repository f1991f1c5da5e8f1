//! Layers as archives, and the trees that the two kinds of driver make of them.

use std::path::{Path, PathBuf};

use archive::tar;
use changeset::{Applied, Applier, ApplyOptions, Lowers, Marks, Result, Whiteouts, XattrSpace};
use sys::mount::{Branch, Overlay};
use sys::{FileKind, Root, dir};
use testkit::tree;

pub const OVERLAY: Whiteouts = Whiteouts::Overlay(XattrSpace::Trusted);
pub const FILES: Marks = Marks { space: XattrSpace::Trusted, files: true };
pub const BOTH: [Whiteouts; 2] = [OVERLAY, Whiteouts::Delete];

/// Applies an archive to a directory.
pub fn apply_with(target: &Path, archive: &[u8], options: ApplyOptions) -> Result<Applied> {
    let mut applier = Applier::new(dir::open_path(target)?, options)?;
    tar::parse(archive, tar::Limits::default(), &mut applier)?;
    applier.finish()
}

/// Applies an archive to a directory with the usual options.
pub fn apply(target: &Path, archive: &[u8], whiteouts: Whiteouts) -> Result<Applied> {
    apply_with(target, archive, ApplyOptions::new(whiteouts))
}

/// An empty directory for a layer, with a time that does not change from run to run.
pub fn empty(parent: &Path, name: &str) -> PathBuf {
    let path = tree::dir(parent, name);
    tree::settle_times(&path);
    path
}

pub fn root(path: &Path) -> Root {
    Root::open(path).unwrap()
}

/// The directories of a stack of layers as overlay2 keeps them, the nearest first.
pub fn overlay_layers(tmp: &Path, layers: &[Vec<u8>]) -> Result<Vec<PathBuf>> {
    kept_layers(tmp, layers, OVERLAY, XattrSpace::Trusted.into())
}

/// The same as fuse-overlayfs keeps them.
pub fn file_layers(tmp: &Path, layers: &[Vec<u8>]) -> Result<Vec<PathBuf>> {
    kept_layers(&tree::dir(tmp, "files"), layers, Whiteouts::Files, FILES)
}

fn kept_layers(tmp: &Path, layers: &[Vec<u8>], whiteouts: Whiteouts, marks: Marks) -> Result<Vec<PathBuf>> {
    let mut dirs: Vec<PathBuf> = Vec::new();
    for (index, layer) in layers.iter().enumerate() {
        let target = empty(tmp, &format!("layer{index}"));
        let applied = apply(&target, layer, whiteouts)?;
        applied.pending.settle(&root(&target), &lowers_with(&dirs, marks))?;
        dirs.insert(0, target);
    }
    Ok(dirs)
}

pub fn lowers(dirs: &[PathBuf]) -> Lowers {
    lowers_with(dirs, XattrSpace::Trusted.into())
}

pub fn lowers_with(dirs: &[PathBuf], marks: Marks) -> Lowers {
    Lowers::new(dirs.iter().map(|dir| root(dir)).collect(), marks)
}

/// What a view shows, without what is in the files.
pub fn listing(view: &Lowers) -> Vec<String> {
    let mut lines = Vec::new();
    let mut rest = vec![PathBuf::new()];
    while let Some(path) = rest.pop() {
        let meta = view.lookup(&path).unwrap().unwrap().meta;
        let size = if meta.kind == FileKind::Dir { 0 } else { meta.size };
        lines.push(format!(
            "{path:?} {:?} {:o} {} {} {size} {:?}",
            meta.kind, meta.mode, meta.uid, meta.gid, meta.mtime
        ));
        if meta.kind == FileKind::Dir {
            rest.extend(view.list(&path).unwrap().into_keys().map(|name| path.join(name)));
        }
    }
    lines.sort();
    lines
}

/// The tree of a stack of layers as vfs keeps it.
pub fn whole_tree(tmp: &Path, layers: &[Vec<u8>]) -> Result<PathBuf> {
    let target = empty(tmp, "vfs");
    for layer in layers {
        apply(&target, layer, Whiteouts::Delete)?;
    }
    Ok(target)
}

/// Mounts layers by the kernel's overlay in a mount namespace of this thread. With an upper it is writable.
pub fn mount(tmp: &Path, layers: &[PathBuf], upper: Option<&Path>) -> PathBuf {
    sys::mount::private_namespace().unwrap();
    let merged = tree::dir(tmp, "merged");
    // A mount without an upper takes two layers at least.
    let bottom = empty(tmp, "bottom");
    let branch = |path: &Path| Branch {
        fd: dir::open_path(path).unwrap(),
        path: path.strip_prefix(tmp).unwrap().to_owned(),
    };
    let lowers = layers.iter().map(|layer| layer.as_path()).chain([bottom.as_path()]).map(branch).collect();
    let upper = upper.map(|upper| (branch(upper), branch(&tree::dir(tmp, "work"))));
    let options = vec![("index", Some("off")), ("redirect_dir", Some("off")), ("metacopy", Some("off"))];
    Overlay { lowers, upper, options, home: tmp }.mount(&merged).unwrap();
    merged
}

/// Lists the tree that the layers make, after checking that the kernel's overlay and a whole tree show the same.
pub fn same_tree(layers: &[Vec<u8>]) -> Vec<String> {
    let tmp = tempfile::tempdir().unwrap();
    let dirs = overlay_layers(tmp.path(), layers).unwrap();
    let merged = tree::dump(&mount(tmp.path(), &dirs, None));
    let tree = whole_tree(tmp.path(), layers).unwrap();
    let whole = tree::dump(&tree);
    assert_eq!(merged, whole, "the overlay (left) and the whole tree (right) differ");
    let files = listing(&lowers_with(&file_layers(tmp.path(), layers).unwrap(), FILES));
    assert_eq!(
        files,
        listing(&Lowers::tree(root(&tree))),
        "marks as files (left) and the whole tree (right) differ"
    );
    whole
}

/// The names in a listing, without the root.
pub fn names(dump: &[String]) -> Vec<String> {
    dump.iter().skip(1).map(|line| line.split('"').nth(1).unwrap().to_owned()).collect()
}

/// The message with which both kinds of driver refuse the last of these layers.
pub fn refused(layers: &[Vec<u8>]) -> String {
    let tmp = tempfile::tempdir().unwrap();
    let overlay = overlay_layers(tmp.path(), layers).expect_err("the overlay took it").to_string();
    let whole = whole_tree(tmp.path(), layers).expect_err("the whole tree took it").to_string();
    assert_eq!(overlay, whole, "the overlay (left) and the whole tree (right) refuse differently");
    let files = file_layers(tmp.path(), layers).expect_err("marks as files took it").to_string();
    assert_eq!(files, whole, "marks as files (left) and the whole tree (right) refuse differently");
    overlay
}
