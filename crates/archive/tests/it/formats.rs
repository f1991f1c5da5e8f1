//! Archives of every format, from GNU tar, Python's tarfile and by hand.

use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::symlink;

use archive::tar::{Entry, Kind, SparseMap, Timestamp};

use crate::support::{Block, END, Event, extension, parse, pax, records, run};

fn only(archive: &[u8]) -> (Entry, Vec<u8>) {
    let mut files = parse(archive).unwrap().files();
    assert_eq!(files.len(), 1, "{files:?}");
    files.remove(0)
}

#[test]
fn an_empty_input_and_bare_end_blocks_are_empty_archives() {
    for archive in [&[][..], &[0; 512], &END, &[0; 4096]] {
        let events = parse(archive).unwrap();
        assert!(events.files().is_empty());
        assert_eq!(events.0.iter().filter(|e| **e == Event::EndArchive).count(), 1);
    }
}

#[test]
fn ustar_fields_and_prefix() {
    let block = Block::new("name", b'3')
        .put(100, b"0004755\0")
        .put(108, b"0001750\0")
        .put(116, b"0001751\0")
        .put(136, b"13577777777\0")
        .put(157, b"link")
        .put(265, b"user")
        .put(297, b"group")
        .put(329, b"0000010\0")
        .put(337, b"0000377\0")
        .put(345, b"some/prefix");
    let (entry, _) = only(&block.with(b""));
    let expected = Entry {
        mode: 0o4755,
        uid: 0o1750,
        gid: 0o1751,
        mtime: Timestamp { secs: 0o13577777777, nanos: 0 },
        link: b"link".to_vec(),
        devmajor: 8,
        devminor: 255,
        uname: b"user".to_vec(),
        gname: b"group".to_vec(),
        ..Entry::new("some/prefix/name", Kind::CharDevice)
    };
    assert_eq!(entry, expected);
}

#[test]
fn v7_has_no_owner_names_and_no_prefix() {
    let block = Block::new("old/", 0).put(257, &[0; 8]).put(265, b"user").put(345, b"prefix");
    let (entry, _) = only(&block.with(b""));
    assert_eq!(entry, Entry::new("old/", Kind::Directory));
}

#[test]
fn only_a_v7_file_becomes_a_directory_by_its_slash() {
    let (entry, data) = only(&Block::new("d/", b'0').size(3).with(b"abc"));
    assert_eq!((entry.kind, data), (Kind::Regular, b"abc".to_vec()));
    // The directory has no payload, whatever its size says.
    let archive = [Block::new("d/", 0).size(3).with(b""), Block::new("f", b'0').with(b"")].concat();
    let files = parse(&archive).unwrap().files();
    assert_eq!(files.iter().map(|(e, _)| e.kind).collect::<Vec<_>>(), [Kind::Directory, Kind::Regular]);
}

#[test]
fn star_prefix_and_times() {
    let block = Block::new("n", b'0')
        .put(345, b"p")
        .put(476, b"00000000007\0")
        .put(488, b"00000000010\0")
        .put(508, b"tar\0");
    let (entry, _) = only(&block.with(b""));
    assert_eq!(entry.path, b"p/n");
    assert_eq!(entry.atime, Some(Timestamp { secs: 7, nanos: 0 }));
    assert_eq!(entry.ctime, Some(Timestamp { secs: 8, nanos: 0 }));
}

#[test]
fn gnu_times_or_the_prefix_that_old_go_wrote_over_them() {
    let (entry, _) = only(&Block::gnu("n", b'0').put(345, b"00000000007\0").with(b""));
    assert_eq!((&entry.path[..], entry.atime.unwrap().secs, entry.ctime), (&b"n"[..], 7, None));
    let (entry, _) = only(&Block::gnu("n", b'0').put(345, b"prefix/of/old/go").with(b""));
    assert_eq!((&entry.path[..], entry.atime, entry.ctime), (&b"prefix/of/old/go/n"[..], None, None));
}

#[test]
fn checksums_may_be_signed_or_unsigned_sums() {
    let mut block = Block::new("caf\u{e9}", b'0').sealed();
    parse(&block).unwrap();
    let signed: i32 =
        block[..148].iter().chain(&block[156..]).map(|&b| i32::from(b as i8)).sum::<i32>() + 8 * 32;
    block[148..156].copy_from_slice(format!("{signed:06o}\0 ").as_bytes());
    assert_eq!(only(&block).0.path, "caf\u{e9}".as_bytes());
}

#[test]
fn negative_ids_are_wrapped_and_wide_ones_refused() {
    let (entry, _) = only(&Block::gnu("n", b'0').put(108, b"\xff\xff\xff\xff\xff\xff\xff\xfe").with(b""));
    assert_eq!(entry.uid, 4294967294);
    let archive =
        [pax(&[("uid", "4294967295"), ("gid", "3000000")]), Block::new("n", b'0').with(b"")].concat();
    assert_eq!((only(&archive).0.uid, only(&archive).0.gid), (u32::MAX, 3_000_000));
    let archive = [pax(&[("uid", "4294967296")]), Block::new("n", b'0').with(b"")].concat();
    assert!(parse(&archive).unwrap_err().to_string().contains("uid 4294967296"));
}

#[test]
fn pax_records_override_the_header_and_the_last_one_wins() {
    let list = [
        ("path", "first"),
        ("path", "long/name"),
        ("linkpath", "target"),
        ("uname", ""),
        ("mtime", "-1.5"),
        ("atime", "3.000000001"),
        ("size", "4"),
        ("SCHILY.xattr.user.b", "2"),
        ("SCHILY.xattr.user.a", ""),
        ("LIBARCHIVE.xattr.user.b", "Mg=="),
        ("comment", "hi"),
    ];
    let archive = [pax(&list), Block::new("short", b'0').size(999).put(265, b"kept").with(b"data")].concat();
    let (entry, data) = only(&archive);
    let expected = Entry {
        size: 4,
        link: b"target".to_vec(),
        uname: b"kept".to_vec(),
        mtime: Timestamp { secs: -2, nanos: 500_000_000 },
        atime: Some(Timestamp { secs: 3, nanos: 1 }),
        xattrs: vec![(b"user.a".to_vec(), b"".to_vec()), (b"user.b".to_vec(), b"2".to_vec())],
        pax: vec![
            (b"LIBARCHIVE.xattr.user.b".to_vec(), b"Mg==".to_vec()),
            (b"comment".to_vec(), b"hi".to_vec()),
        ],
        ..Entry::new("long/name", Kind::Regular)
    };
    assert_eq!((entry, data), (expected, b"data".to_vec()));
}

#[test]
fn an_empty_pax_value_takes_an_earlier_one_back() {
    let archive = [pax(&[("path", "x"), ("path", "")]), Block::new("header", b'0').with(b"")].concat();
    assert_eq!(only(&archive).0.path, b"header");
}

#[test]
fn a_second_pax_header_replaces_the_first() {
    let archive = [pax(&[("uname", "a")]), pax(&[("gname", "b")]), Block::new("n", b'0').with(b"")].concat();
    let (entry, _) = only(&archive);
    assert_eq!((&entry.uname[..], &entry.gname[..]), (&b""[..], &b"b"[..]));
}

#[test]
fn gnu_long_names_beat_pax_paths() {
    let archive = [
        extension(b'L', b"gnu/name\0junk"),
        extension(b'K', b"gnu/link\0"),
        pax(&[("path", "pax/name"), ("linkpath", "pax/link")]),
        Block::gnu("n", b'2').with(b""),
        Block::gnu("next", b'0').with(b""),
    ]
    .concat();
    let files = parse(&archive).unwrap().files();
    assert_eq!((&files[0].0.path[..], &files[0].0.link[..]), (&b"gnu/name"[..], &b"gnu/link"[..]));
    assert_eq!(files[1].0.path, b"next", "extensions are for one entry only");
}

#[test]
fn global_headers_are_entries_and_change_no_other() {
    let archive = [
        pax(&[("path", "dropped by the global header")]),
        Block::new("pax_global_header", b'g')
            .size(23)
            .with(b"23 comment=global value"[..22].to_vec().as_slice()),
    ]
    .concat();
    assert!(parse(&archive).is_err(), "the record is cut short");
    let body = records(&[("comment", "global value"), ("uid", "7")]);
    let archive = [
        pax(&[("path", "dropped")]),
        Block::new("pax_global_header", b'g').size(body.len() as u64).with(&body),
        Block::new("n", b'0').with(b""),
        END.to_vec(),
    ]
    .concat();
    let files = parse(&archive).unwrap().files();
    let global = Entry {
        pax: vec![(b"comment".to_vec(), b"global value".to_vec())],
        ..Entry::new("pax_global_header", Kind::GlobalHeader)
    };
    assert_eq!(files[0].0, global);
    assert_eq!((&files[1].0.path[..], files[1].0.uid), (&b"n"[..], 0));
}

#[test]
fn unknown_types_keep_their_payload() {
    for (flag, kind) in [(b'7', Kind::Contiguous), (b'V', Kind::Other(b'V')), (0xff, Kind::Other(0xff))] {
        let archive = [Block::new("v", flag).size(3).with(b"abc"), Block::new("n", b'0').with(b"")].concat();
        let files = parse(&archive).unwrap().files();
        assert_eq!((files[0].0.kind, &files[0].1[..], files.len()), (kind, &b"abc"[..], 2));
    }
}

#[test]
fn trailing_bytes_are_raw() {
    let archive = [Block::new("n", b'0').with(b""), END.to_vec(), b"garbage \xff".repeat(1000)].concat();
    let events = parse(&archive).unwrap();
    assert_eq!(events.0.last(), Some(&Event::Raw(b"garbage \xff".repeat(1000))));
    assert_eq!(events.0[events.0.len() - 2], Event::EndArchive);
}

#[test]
fn missing_end_blocks_and_final_padding_are_tolerated() {
    let whole = [Block::new("a", b'0').size(5).with(b"hello")].concat();
    for length in [512 + 5, 512 + 100, 1024, 1024 + 512] {
        let mut archive = whole.clone();
        archive.resize(length, 0);
        assert_eq!(only(&archive).1, b"hello");
    }
}

#[test]
fn old_gnu_sparse_with_extension_blocks() {
    let extents: Vec<(u64, u64)> = (0..4 + 21 + 1).map(|i| (i * 1000, 10)).collect();
    let element = |(offset, length): &(u64, u64)| format!("{offset:011o}\0{length:011o}\0").into_bytes();
    let elements = |list: &[(u64, u64)]| list.iter().flat_map(element).collect::<Vec<u8>>();
    let mut first = elements(&extents[4..25]);
    first.push(1);
    first.resize(512, 0);
    let mut second = elements(&extents[25..]);
    second.resize(512, 0);
    let header = Block::gnu("sparse", b'S')
        .size(260)
        .put(386, &elements(&extents[..4]))
        .put(482, &[1])
        .put(483, format!("{:011o}\0", 30_000).as_bytes());
    let payload: Vec<u8> = (0..260_u32).map(|i| i as u8).collect();
    let archive = [&header.sealed()[..], &first, &second, &payload, &[0; 252], &END].concat();
    let (entry, data) = only(&archive);
    assert_eq!(entry.kind, Kind::Regular);
    assert_eq!((entry.size, entry.file_size()), (260, 30_000));
    assert_eq!(entry.sparse, Some(SparseMap { extents, real_size: 30_000 }));
    assert_eq!(data, payload);
}

#[test]
fn pax_sparse_names_and_sizes() {
    let map_01 = [
        ("GNU.sparse.size", "20"),
        ("GNU.sparse.numblocks", "2"),
        ("GNU.sparse.map", "0,2,10,3"),
        ("GNU.sparse.name", "real"),
    ];
    let map_00 = [
        ("GNU.sparse.size", "20"),
        ("GNU.sparse.numblocks", "2"),
        ("GNU.sparse.offset", "0"),
        ("GNU.sparse.numbytes", "2"),
        ("GNU.sparse.offset", "10"),
        ("GNU.sparse.numbytes", "3"),
        ("path", "real"),
    ];
    for records in [&map_01[..], &map_00] {
        let (entry, data) =
            only(&[pax(records), Block::new("GNUSparseFile.1/x", b'0').size(5).with(b"abcde")].concat());
        assert_eq!(entry.path, b"real");
        assert_eq!(entry.sparse, Some(SparseMap { extents: vec![(0, 2), (10, 3)], real_size: 20 }));
        assert_eq!(data, b"abcde");
        assert!(entry.pax.is_empty());
    }
}

#[test]
fn unknown_sparse_versions_are_plain_files() {
    let list = [("GNU.sparse.major", "2"), ("GNU.sparse.minor", "0"), ("GNU.sparse.map", "x")];
    let (entry, data) = only(&[pax(&list), Block::new("n", b'0').size(3).with(b"abc")].concat());
    assert_eq!((entry.sparse, data), (None, b"abc".to_vec()));
}

/// What the payload of a sparse entry unfolds to.
fn expand(entry: &Entry, packed: &[u8]) -> Vec<u8> {
    let map = entry.sparse.as_ref().expect("a sparse entry");
    let mut file = vec![0; map.real_size as usize];
    let mut packed = packed.iter();
    for &(offset, length) in &map.extents {
        let place = &mut file[offset as usize..(offset + length) as usize];
        place.iter_mut().zip(&mut packed).for_each(|(to, from)| *to = *from);
    }
    file
}

#[test]
fn gnu_tar_writes_sparse_files_in_all_forms() {
    let dir = tempfile::tempdir().unwrap();
    let mut file = File::create(dir.path().join("holes")).unwrap();
    for i in 0..60_u64 {
        file.seek(SeekFrom::Start(i * 65536 + 4096)).unwrap();
        file.write_all(&[b'a' + (i % 26) as u8; 4096]).unwrap();
    }
    file.set_len(8 << 20).unwrap();
    File::create(dir.path().join("only-hole")).unwrap().set_len(1 << 20).unwrap();
    let content = fs::read(dir.path().join("holes")).unwrap();
    let forms: [&[&str]; 4] = [
        &["--format=gnu"],
        &["--format=posix", "--sparse-version=0.0"],
        &["--format=posix", "--sparse-version=0.1"],
        &["--format=posix", "--sparse-version=1.0"],
    ];
    for form in forms {
        let args = [form, &["-S", "--hole-detection=raw", "-cf", "-", "holes", "only-hole"]].concat();
        let Some(archive) = run("tar", &args, dir.path()) else { return };
        let files = parse(&archive).unwrap().files();
        assert_eq!(files.len(), 2, "{form:?}");
        let (entry, packed) = &files[0];
        assert_eq!(entry.path, b"holes");
        assert_eq!(entry.sparse.as_ref().unwrap().extents.len(), 60, "{form:?}");
        assert!(expand(entry, packed) == content, "{form:?}");
        let (entry, packed) = &files[1];
        assert_eq!((&entry.path[..], entry.file_size(), packed.len()), (&b"only-hole"[..], 1 << 20, 0));
    }
}

#[test]
fn gnu_tar_and_python_agree_with_us_on_a_tree() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("t");
    let long = format!("{}/{}", "d".repeat(120), "f".repeat(200));
    fs::create_dir_all(root.join("d".repeat(120))).unwrap();
    fs::write(root.join(&long), b"long").unwrap();
    fs::write(root.join("\u{e4}"), b"umlaut").unwrap();
    fs::write(root.join("empty"), b"").unwrap();
    fs::hard_link(root.join("\u{e4}"), root.join("z-hard")).unwrap();
    symlink("x".repeat(180), root.join("symlink")).unwrap();
    let python = "import sys, tarfile\n\
        t = tarfile.open(fileobj=sys.stdout.buffer, mode='w|', format=getattr(tarfile, sys.argv[1]))\n\
        t.add('t'); t.close()";
    let makers: [(&str, &[&str]); 4] = [
        ("tar", &["--format=gnu", "-cf", "-", "t"]),
        ("tar", &["--format=posix", "-cf", "-", "t"]),
        ("python3", &["-c", python, "GNU_FORMAT"]),
        ("python3", &["-c", python, "PAX_FORMAT"]),
    ];
    for (program, args) in makers {
        let Some(archive) = run(program, args, dir.path()) else { continue };
        let files = parse(&archive).unwrap().files();
        let find = |name: &str| {
            let path = format!("t/{name}").into_bytes();
            files.iter().find(|(e, _)| e.path == path).unwrap_or_else(|| panic!("{program} {args:?}: {name}"))
        };
        assert_eq!(files.len(), 7, "{program} {args:?}");
        assert_eq!(find(&long).1, b"long");
        assert_eq!(find("symlink").0.link, "x".repeat(180).into_bytes());
        assert_eq!(find("symlink").0.kind, Kind::Symlink);
        assert_eq!(find("empty").0.kind, Kind::Regular);
        let kinds = [find("z-hard").0.kind, find("\u{e4}").0.kind];
        assert!(kinds.contains(&Kind::HardLink) && kinds.contains(&Kind::Regular));
    }
}
