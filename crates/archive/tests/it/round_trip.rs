//! What the writer writes, the parser reads; and the writer writes what Go writes.

use archive::tar::{Entry, Kind, Limits, SparseMap, Timestamp, Writer};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;

use crate::support::{Event, parse, parse_chunked};

fn written(files: &[(Entry, Vec<u8>)]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    for (entry, payload) in files {
        writer.append(entry, &payload[..]).unwrap();
    }
    writer.finish().unwrap()
}

fn name(longest: usize) -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![8 => b'a'..=b'z', 2 => Just(b'/'), 1 => Just(b'.'), 1 => 1..=255_u8];
    // A name that is not empty and ends in no slash suits every kind.
    (vec(byte, 0..longest), b'a'..=b'z').prop_map(|(mut name, last)| {
        name.push(last);
        name
    })
}

fn time() -> impl Strategy<Value = Timestamp> {
    (
        prop_oneof![-5..5_i64, any::<i32>().prop_map(i64::from), any::<i64>()],
        prop_oneof![Just(0), 0..1_000_000_000_u32],
    )
        .prop_map(|(secs, nanos)| Timestamp { secs: secs / 2, nanos })
}

fn id() -> impl Strategy<Value = u32> {
    prop_oneof![Just(0), 0..3_000_000_u32, any::<u32>()]
}

fn kind() -> impl Strategy<Value = Kind> {
    use Kind::*;
    let rare = [HardLink, Symlink, CharDevice, BlockDevice, Directory, Fifo, Contiguous, Other(b'Z')];
    prop_oneof![Just(Regular), proptest::sample::select(rare.to_vec())]
}

/// Lengths of holes and of data in turn.
fn sparse() -> impl Strategy<Value = SparseMap> {
    vec((0..3000_u64, 1..700_u64), 0..40).prop_flat_map(|stretches| {
        let mut end = 0;
        let mut extents = Vec::new();
        for (hole, data) in stretches {
            extents.push((end + hole, data));
            end += hole + data;
        }
        prop_oneof![Just(0), 1..100_000_u64]
            .prop_map(move |tail| SparseMap { extents: extents.clone(), real_size: end + tail })
    })
}

prop_compose! {
    fn file()(
        path in name(300),
        kind in kind(),
        mode in 0..0o10000_u32,
        ids in (id(), id()),
        mtime in time(),
        times in option::weighted(0.2, (time(), time())),
        link in prop_oneof![Just(Vec::new()), name(200)],
        device in (0..4096_u32, 0..1_048_576_u32),
        owners in (prop_oneof![Just(Vec::new()), name(40)], prop_oneof![Just(Vec::new()), name(40)]),
        xattrs in btree_map(name(20).prop_map(|n| n.into_iter().filter(|b| *b != b'=').collect()), vec(any::<u8>(), 0..40), 0..3),
        sparse in option::weighted(0.3, sparse()),
        payload in vec(any::<u8>(), 0..2000),
    ) -> (Entry, Vec<u8>) {
        let sparse = sparse.filter(|_| kind.has_payload());
        let payload = match &sparse {
            _ if !kind.has_payload() => Vec::new(),
            None => payload,
            Some(map) => (0..map.extents.iter().map(|e| e.1).sum()).map(|i| i as u8).collect(),
        };
        let entry = Entry {
            path, kind, mode, uid: ids.0, gid: ids.1, size: payload.len() as u64, mtime,
            atime: times.map(|t| t.0), ctime: times.map(|t| t.1), link,
            devmajor: device.0, devminor: device.1, uname: owners.0, gname: owners.1,
            xattrs: xattrs.into_iter().collect(), sparse, pax: Vec::new(),
        };
        (entry, payload)
    }
}

proptest! {
    #[test]
    fn written_archives_read_back(files in vec(file(), 0..6)) {
        let archive = written(&files);
        prop_assert_eq!(archive.len() % 512, 0);
        prop_assert_eq!(parse(&archive).unwrap().files(), files);
    }

    #[test]
    fn chunk_sizes_do_not_matter(files in vec(file(), 0..4), chunk in 1..2000_usize, tail in vec(any::<u8>(), 0..1000)) {
        let archive = [written(&files), tail].concat();
        let whole = parse(&archive).unwrap();
        let pieces = parse_chunked(&archive, chunk, Limits::default()).unwrap();
        prop_assert_eq!(&whole.0, &pieces.0);
        let ends = whole.0.iter().filter(|e| **e == Event::EndEntry).count();
        prop_assert_eq!(ends, files.len());
    }

    #[test]
    fn garbage_is_survived(garbage in vec(any::<u8>(), 0..3000)) {
        let _ = parse_chunked(&garbage, 700, Limits::default());
    }
}

fn regular(path: &str) -> Entry {
    Entry {
        mode: 0o644,
        mtime: Timestamp { secs: 1_600_000_000, nanos: 0 },
        ..Entry::new(path, Kind::Regular)
    }
}

/// Type flag and name field of each header block in an archive of entries without payload.
fn headers(archive: &[u8]) -> Vec<(char, String)> {
    let blocks = archive.chunks(512).filter(|b| &b[257..262] == b"ustar");
    blocks
        .map(|b| (char::from(b[156]), String::from_utf8_lossy(&b[..100]).trim_end_matches('\0').to_owned()))
        .collect()
}

#[test]
fn what_fits_is_plain_ustar() {
    let archive = written(&[(regular("etc/hosts"), Vec::new())]);
    let mut block = [0; 512];
    block[..9].copy_from_slice(b"etc/hosts");
    block[100..148].copy_from_slice(b"0000644\x000000000\x000000000\x0000000000000\x0013727410000\0");
    block[156] = b'0';
    block[257..265].copy_from_slice(b"ustar\x0000");
    block[329..345].copy_from_slice(b"0000000\x000000000\0");
    let sum: u32 = block.iter().map(|&b| u32::from(b)).sum::<u32>() + 8 * 32;
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    assert_eq!(archive, [&block[..], &[0; 1024]].concat());
}

#[test]
fn what_does_not_fit_gets_sorted_pax_records_in_front() {
    let entry = Entry {
        uid: 3_000_000,
        mtime: Timestamp { secs: 1, nanos: 500_000_000 },
        xattrs: vec![
            (b"user.b".to_vec(), b"2".to_vec()),
            (b"security.capability".to_vec(), b"\x01\0".to_vec()),
        ],
        ..regular("srv/\u{fc}")
    };
    let archive = written(&[(entry, Vec::new())]);
    assert_eq!(headers(&archive), [('x', "srv/PaxHeaders.0".into()), ('0', "srv/".into())]);
    let body = "39 SCHILY.xattr.security.capability=\u{1}\0\n\
        25 SCHILY.xattr.user.b=2\n13 mtime=1.5\n15 path=srv/\u{fc}\n15 uid=3000000\n";
    let size = u64::from_str_radix(std::str::from_utf8(&archive[124..135]).unwrap(), 8).unwrap() as usize;
    assert_eq!(std::str::from_utf8(&archive[512..512 + size]).unwrap(), body);
}

#[test]
fn long_names_are_split_like_go_splits_them() {
    let dir = "d".repeat(100);
    for (path, expected) in [
        (format!("{dir}/{}", "f".repeat(100)), vec![('0', "f".repeat(100))]),
        (
            format!("{dir}/{}", "f".repeat(101)),
            vec![('x', format!("{dir}/PaxHeaders.0/x")[..100].into()), ('0', dir.clone())],
        ),
        (format!("{}/f", "d".repeat(155)), vec![('0', "f".into())]),
        (format!("{}/f", "d".repeat(156)), vec![('x', "d".repeat(100)), ('0', "d".repeat(100))]),
        ("f".repeat(100), vec![('0', "f".repeat(100))]),
        ("f".repeat(101), vec![('x', format!("PaxHeaders.0/{}", "f".repeat(87))), ('0', "f".repeat(100))]),
    ] {
        assert_eq!(headers(&written(&[(regular(&path), Vec::new())])), expected, "{path}");
    }
}

#[test]
fn what_tar_cannot_hold_is_refused() {
    let refuse = |entry: Entry, reason: &str| {
        let error = Writer::new(Vec::new()).append_header(&entry).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    };
    refuse(regular("a/"), "slash");
    refuse(regular("a\0b"), "NUL");
    refuse(Entry { devmajor: 1 << 21, ..regular("d") }, "device");
    refuse(Entry { mode: 1 << 21, ..regular("m") }, "mode");
    refuse(Entry { size: 1, ..Entry::new("d", Kind::Directory) }, "payload");
    refuse(Entry { xattrs: vec![(b"a=b".to_vec(), Vec::new())], ..regular("x") }, "equals");
    let map = SparseMap { extents: vec![(0, 5), (4, 1)], real_size: 9 };
    refuse(Entry { size: 6, sparse: Some(map), ..regular("s") }, "sparse map");
}

#[test]
fn payloads_must_have_the_announced_length() {
    let mut writer = Writer::new(Vec::new());
    writer.append_header(&Entry { size: 3, ..regular("f") }).unwrap();
    assert!(writer.data(b"abcd").unwrap_err().to_string().contains("longer"));
    writer.data(b"ab").unwrap();
    assert!(writer.append_header(&regular("g")).unwrap_err().to_string().contains("shorter"));
    assert!(writer.finish().unwrap_err().to_string().contains("shorter"));
    let mut writer = Writer::new(Vec::new());
    assert!(writer.append(&Entry { size: 3, ..regular("f") }, &b"ab"[..]).is_err());
}
