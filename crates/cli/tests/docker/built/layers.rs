//! The base image and the context of the builds, and what is in a layer.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Cursor, Read};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, SystemTime};

/// When the context's files were changed: a time that no build gives to anything.
const CHANGED: u64 = 1_600_000_000;

/// A root with a shell.
pub fn base(busybox: &[u8]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    let header = |kind, mode, size| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(size);
        header.set_mtime(CHANGED);
        header.set_uid(0);
        header.set_gid(0);
        header
    };
    for dir in ["bin/", "dev/", "etc/", "proc/", "sys/", "tmp/"] {
        let mut header = header(tar::EntryType::Directory, if dir == "tmp/" { 0o1777 } else { 0o755 }, 0);
        archive.append_data(&mut header, dir, &[][..]).unwrap();
    }
    let mut program = header(tar::EntryType::Regular, 0o755, busybox.len() as u64);
    archive.append_data(&mut program, "bin/busybox", busybox).unwrap();
    for name in ["sh", "cat", "ls", "mkdir", "rm", "touch", "chmod", "chown", "ln", "env", "id", "mv"] {
        let mut link = header(tar::EntryType::Symlink, 0o777, 0);
        archive.append_link(&mut link, format!("bin/{name}"), "busybox").unwrap();
    }
    for (name, content) in [
        ("etc/passwd", "root:x:0:0::/:/bin/sh\nann:x:1001:1002::/:/bin/sh\n"),
        ("etc/group", "root:x:0:\nstaff:x:50:\n"),
    ] {
        let mut file = header(tar::EntryType::Regular, 0o644, content.len() as u64);
        archive.append_data(&mut file, name, content.as_bytes()).unwrap();
    }
    archive.into_inner().unwrap()
}

/// Files of all kinds in a new directory.
pub fn make_context(root: &Path) {
    for dir in ["", "dir", "dir/sub", "dir/empty", "more"] {
        fs::create_dir(root.join(dir)).unwrap();
    }
    for (name, content, mode) in [
        ("one", "1\n", 0o644),
        ("two", "22\n", 0o755),
        ("dir/a.txt", "a\n", 0o600),
        ("dir/b.md", "b\n", 0o644),
        ("dir/sub/c.txt", "c\n", 0o644),
        ("more/one", "other\n", 0o640),
        ("more/[x]", "brackets\n", 0o644),
        ("with space", "s\n", 0o644),
    ] {
        fs::write(root.join(name), content).unwrap();
        fs::set_permissions(root.join(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    symlink("a.txt", root.join("dir/link")).unwrap();
    symlink("dir", root.join("to-dir")).unwrap();
    archive_file(&root.join("packed.tar"));
    set_times(root);
}

/// An archive for `ADD`.
fn archive_file(path: &Path) {
    let mut archive = tar::Builder::new(File::create(path).unwrap());
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o640);
    header.set_uid(7);
    header.set_gid(8);
    header.set_size(2);
    header.set_mtime(CHANGED);
    archive.append_data(&mut header, "in/packed.txt", &b"p\n"[..]).unwrap();
    archive.into_inner().unwrap();
}

fn set_times(path: &Path) {
    let metadata = fs::symlink_metadata(path).unwrap();
    if metadata.is_symlink() {
        return;
    }
    if metadata.is_dir() {
        fs::read_dir(path).unwrap().for_each(|entry| set_times(&entry.unwrap().path()));
    }
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(CHANGED);
    File::open(path).unwrap().set_modified(time).unwrap();
}

/// The tree that layers make, lowest first: for each path all but times, of which only those of the context's files can be
/// the same. A directory that has no entry is as any other.
pub fn tree(layers: &[Vec<u8>]) -> BTreeMap<String, String> {
    let mut tree = BTreeMap::new();
    for layer in layers {
        let added = entries(layer);
        for (path, _) in &added {
            let (dir, name) = path.rsplit_once('/').map_or(("", path.as_str()), |(dir, name)| (dir, name));
            if let Some(gone) = name.strip_prefix(".wh.") {
                let all_in_it = name == ".wh..wh..opq";
                let gone = if all_in_it {
                    dir.to_owned()
                } else {
                    format!("{dir}/{gone}").trim_start_matches('/').to_owned()
                };
                tree.retain(|at: &String, _| {
                    (*at != gone || all_in_it) && !at.starts_with(&format!("{gone}/"))
                });
            }
        }
        for (path, entry) in added.into_iter().filter(|(path, _)| !path.contains(".wh.")) {
            for (at, _) in path.match_indices('/') {
                tree.entry(path[..at].to_owned()).or_insert_with(|| "Directory 755 0:0".to_owned());
            }
            tree.insert(path, entry);
        }
    }
    tree
}

fn entries(layer: &[u8]) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for entry in tar::Archive::new(Cursor::new(layer)).entries().unwrap() {
        let mut entry = entry.unwrap();
        let header = entry.header().clone();
        let path = entry.path().unwrap().to_string_lossy().trim_end_matches('/').to_owned();
        let link = entry.link_name().unwrap().map(|to| format!(" -> {}", to.display())).unwrap_or_default();
        let (mut content, mut kept) = (String::new(), "");
        if header.entry_type() == tar::EntryType::Regular {
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            content = format!(" {:?}", String::from_utf8_lossy(&bytes[..bytes.len().min(200)]));
            kept = if header.mtime().unwrap() == CHANGED { " as in the context" } else { "" };
        }
        let (mode, uid, gid) =
            (header.mode().unwrap() & 0o7777, header.uid().unwrap(), header.gid().unwrap());
        all.push((path, format!("{:?} {mode:o} {uid}:{gid}{link}{content}{kept}", header.entry_type())));
    }
    all
}
