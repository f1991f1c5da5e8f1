//! The `tar` crate and GNU tar read what we write, and we read what they write.

use std::io::Read;

use archive::tar::{Entry, Kind, SparseMap, Timestamp, Writer};

use crate::support::{parse, run};

#[test]
fn the_tar_crate_reads_our_archives() {
    let entries = [
        Entry { size: 5, mode: 0o4755, uid: 7, ..Entry::new("bin/su", Kind::Regular) },
        Entry { mode: 0o755, ..Entry::new("d/", Kind::Directory) },
        Entry { link: b"bin/su".to_vec(), ..Entry::new("hard", Kind::HardLink) },
        Entry { link: "t".repeat(200).into_bytes(), ..Entry::new("sym", Kind::Symlink) },
        Entry { size: 1, uid: 3_000_000, ..Entry::new("l".repeat(300), Kind::Regular) },
        Entry { mtime: Timestamp { secs: 9, nanos: 5 }, ..Entry::new("\u{fc}", Kind::Regular) },
    ];
    let mut writer = Writer::new(Vec::new());
    for entry in &entries {
        writer.append(entry, &b"hello"[..entry.size as usize]).unwrap();
    }
    let archive = writer.finish().unwrap();
    let mut oracle = tar::Archive::new(&archive[..]);
    let mut count = 0;
    for (theirs, ours) in oracle.entries().unwrap().zip(&entries) {
        let mut theirs = theirs.unwrap();
        assert_eq!(*theirs.path_bytes(), ours.path[..]);
        assert_eq!(*theirs.link_name_bytes().unwrap_or_default(), ours.link[..]);
        assert_eq!(theirs.size(), ours.size);
        assert_eq!(theirs.header().mode().unwrap(), ours.mode);
        assert_eq!(
            theirs.header().entry_type().as_byte(),
            parse(&archive).unwrap().files()[count].0.kind_byte()
        );
        let mut payload = Vec::new();
        theirs.read_to_end(&mut payload).unwrap();
        assert_eq!(payload, b"hello"[..ours.size as usize]);
        count += 1;
    }
    assert_eq!(count, entries.len());
}

trait KindByte {
    fn kind_byte(&self) -> u8;
}

impl KindByte for Entry {
    fn kind_byte(&self) -> u8 {
        match self.kind {
            Kind::HardLink => b'1',
            Kind::Symlink => b'2',
            Kind::Directory => b'5',
            _ => b'0',
        }
    }
}

#[test]
fn we_read_the_tar_crates_archives() {
    let mut builder = tar::Builder::new(Vec::new());
    let long = "x/".repeat(120) + "f";
    for (path, size) in [("short", 3_u64), (long.as_str(), 700)] {
        let mut header = tar::Header::new_gnu();
        header.set_size(size);
        header.set_mode(0o600);
        builder.append_data(&mut header, path, std::io::repeat(b'z').take(size)).unwrap();
    }
    let archive = builder.into_inner().unwrap();
    let files = parse(&archive).unwrap().files();
    let found: Vec<_> = files.iter().map(|(e, d)| (e.path.clone(), e.mode, d.len())).collect();
    assert_eq!(found, [(b"short".to_vec(), 0o600, 3), (long.into_bytes(), 0o600, 700)]);
}

#[test]
fn gnu_tar_unpacks_our_sparse_files() {
    let dir = tempfile::tempdir().unwrap();
    let extents: Vec<(u64, u64)> = (0..100).map(|i| (i * 8192 + 4096, 4096)).collect();
    for real_size in [100 * 8192, 100 * 8192 + 77_777] {
        let map = SparseMap { extents: extents.clone(), real_size };
        let entry =
            Entry { size: 409_600, mode: 0o644, sparse: Some(map), ..Entry::new("dir/holes", Kind::Regular) };
        let mut writer = Writer::new(Vec::new());
        writer.append(&entry, std::io::repeat(b'd')).unwrap();
        std::fs::write(dir.path().join("a.tar"), writer.finish().unwrap()).unwrap();
        if run("tar", &["-xf", "a.tar"], dir.path()).is_none() {
            return;
        }
        let mut expected = vec![0; real_size as usize];
        extents.iter().for_each(|&(at, n)| expected[at as usize..(at + n) as usize].fill(b'd'));
        assert!(std::fs::read(dir.path().join("dir/holes")).unwrap() == expected);
    }
}
