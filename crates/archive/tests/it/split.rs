//! tar-split records. Test vectors: moby.md §5.1 (from Docker's store).

use std::collections::HashMap;
use std::io::{Read, Write};

use archive::tar::{self, Entry, Kind, Limits, SparseMap, Writer};
use archive::tar_split::{Item, Packer, TAIL_SEGMENT_BYTES, Unpacker, gunzip, gzip};
use archive::{Crc64, Error, Result};
use proptest::prelude::*;

use crate::support::{Block, END, extension, parse, records};

pub fn pack(archive: &[u8]) -> Result<Vec<u8>> {
    let mut packer = Packer::new(Vec::new());
    tar::parse(archive, Limits::default(), &mut packer)?;
    packer.finish()
}

/// Puts an archive together from records and payloads by name, as Docker does.
pub fn assemble(records: &[u8], payloads: &HashMap<Vec<u8>, Vec<u8>>) -> Vec<u8> {
    let mut archive = Vec::new();
    for item in Unpacker::new(records) {
        match item.unwrap() {
            Item::Segment(bytes) => archive.extend(bytes),
            Item::File { size: 0, crc, .. } => assert_eq!(crc, None),
            Item::File { name, size, crc } => {
                let payload = &payloads[&name];
                let mut sum = Crc64::new();
                sum.update(payload);
                assert_eq!((payload.len() as u64, Some(sum.finish())), (size, crc));
                archive.extend(payload);
            }
        }
    }
    archive
}

/// Payloads as they are on disk: by the name in the archive, sparse files unfolded (and never asked for).
pub fn payloads(archive: &[u8]) -> HashMap<Vec<u8>, Vec<u8>> {
    let files = parse(archive).unwrap().files();
    files
        .into_iter()
        .filter(|(e, _)| e.size > 0 && e.sparse.is_none())
        .map(|(e, data)| (e.path, data))
        .collect()
}

fn file(path: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    let entry = Entry { size: payload.len() as u64, ..Entry::new(path, Kind::Regular) };
    writer.append(&entry, payload).unwrap();
    let mut archive = writer.finish().unwrap();
    archive.truncate(archive.len() - END.len());
    archive
}

fn lines(archive: &[u8]) -> Vec<String> {
    String::from_utf8(pack(archive).unwrap()).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn checksums_of_the_test_vectors() {
    for (payload, expected) in [
        ("a\n", "YUQgAAAAAAA="),
        ("k\n", "YUrAAAAAAAA="),
        ("add\n", "YUNjZCAAAAA="),
        ("repl\n", "YU7+os3wAAA="),
        ("1", "QyAAAAAAAAA="),
    ] {
        let line = &lines(&file(b"f", payload.as_bytes()))[1];
        let size = payload.len();
        assert_eq!(
            *line,
            format!(r#"{{"type":1,"name":"f","size":{size},"payload":"{expected}","position":1}}"#)
        );
    }
}

#[test]
fn names_that_are_not_utf8_are_raw() {
    assert_eq!(
        lines(&file(b"\xff\xfe", b""))[1],
        r#"{"type":1,"name_raw":"//4=","payload":null,"position":1}"#
    );
    assert_eq!(lines(&file(b"", b""))[1], r#"{"type":1,"payload":null,"position":1}"#);
    assert_eq!(
        lines(&file("<&>\u{2028}".as_bytes(), b""))[1],
        r#"{"type":1,"name":"\u003c\u0026\u003e\u2028","payload":null,"position":1}"#
    );
}

#[test]
fn order_of_records_is_dockers() {
    let archive = [file(b"a", b"x"), file(b"d", b""), END.to_vec(), vec![7; TAIL_SEGMENT_BYTES + 1]].concat();
    let records = pack(&archive).unwrap();
    let shape: Vec<String> = Unpacker::new(&records[..])
        .map(|item| match item.unwrap() {
            Item::Segment(bytes) => bytes.len().to_string(),
            Item::File { name, size, .. } => format!("{}:{size}", String::from_utf8_lossy(&name)),
        })
        .collect();
    // Header; payload; padding and header; no payload; end blocks; trailing bytes in two pieces.
    assert_eq!(shape, ["512", "a:1", "1023", "d:0", "1024", "1048576", "1"]);
}

#[test]
fn duplicates_are_refused_by_their_cleaned_names() {
    for (first, second) in [("a", "a"), ("a/b", "./a//b"), ("d/", "d"), ("x/../y", "y"), ("", "./")] {
        let error = pack(&[file_or_dir(first), file_or_dir(second)].concat()).unwrap_err();
        assert!(matches!(error, Error::DuplicatePath { ref path } if path == second), "{error}");
    }
    pack(&[file(b"a", b""), file(b"/a", b"")].concat()).unwrap();
}

fn file_or_dir(path: &str) -> Vec<u8> {
    let kind = if path.ends_with('/') { b'5' } else { b'0' };
    Block::new(path, kind).with(b"")
}

#[test]
fn global_headers_have_an_entry_but_no_duplicates() {
    let global = extension(b'g', &records(&[("comment", "x")]));
    let archive = [global.clone(), global, file(b"f", b"x"), END.to_vec()].concat();
    let packed = lines(&archive);
    assert_eq!(packed[1], r#"{"type":1,"name":"extension","payload":null,"position":1}"#);
    assert_eq!(packed.iter().filter(|line| line.contains(r#""type":1"#)).count(), 2);
    assert!(assemble(&pack(&archive).unwrap(), &payloads(&archive)) == archive);
}

#[test]
fn sparse_files_are_kept_in_segments() {
    let mut writer = Writer::new(Vec::new());
    let map = SparseMap { extents: vec![(1 << 30, 3 << 20)], real_size: 1 << 40 };
    let entry = Entry { size: 3 << 20, sparse: Some(map), ..Entry::new("s", Kind::Regular) };
    writer.append(&entry, std::io::repeat(9)).unwrap();
    writer.append(&Entry { size: 1, ..Entry::new("t", Kind::Regular) }, &b"1"[..]).unwrap();
    let archive = writer.finish().unwrap();
    let packed = pack(&archive).unwrap();
    let longest = Unpacker::new(&packed[..])
        .map(|item| match item.unwrap() {
            Item::Segment(bytes) => bytes.len(),
            Item::File { .. } => 0,
        })
        .max();
    assert_eq!(longest, Some(1 << 20));
    assert!(String::from_utf8_lossy(&packed).contains(r#"{"type":1,"name":"s","payload":null,"#));
    assert!(assemble(&packed, &payloads(&archive)) == archive);
}

#[test]
fn sizes_that_links_and_directories_claim_are_not_recorded() {
    for flag in b'1'..=b'6' {
        let archive = [Block::new("n", flag).size(99).with(b""), END.to_vec()].concat();
        assert_eq!(lines(&archive)[1], r#"{"type":1,"name":"n","payload":null,"position":1}"#);
        assert!(assemble(&pack(&archive).unwrap(), &HashMap::new()) == archive);
    }
}

#[test]
fn gzip_header_is_gos() {
    let mut encoder = gzip(Vec::new());
    encoder.write_all(b"records").unwrap();
    let stored = encoder.finish().unwrap();
    assert_eq!(stored[..8], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0]);
    assert_eq!(stored[9], 255);
    let mut back = String::new();
    gunzip(&stored[..]).read_to_string(&mut back).unwrap();
    assert_eq!(back, "records");
}

#[test]
fn bad_records_are_refused_and_numbered() {
    let good = r#"{"type":2,"payload":"AAAA","position":0}"#;
    for (bad, reason) in [
        ("{", "EOF"),
        ("[]", "invalid"),
        (r#"{"payload":"AA=="}"#, "type"),
        (r#"{"type":3,"payload":null}"#, "unknown type 3"),
        (r#"{"type":2,"payload":"A"}"#, "payload"),
        (r#"{"type":2,"payload":"AA*="}"#, "payload"),
        (r#"{"type":1,"name_raw":"!","payload":null}"#, "name_raw"),
        (r#"{"type":1,"name":"f","size":1,"payload":null}"#, "without checksum"),
        (r#"{"type":1,"name":"f","size":1,"payload":"AAAA"}"#, "eight bytes"),
        (r#"{"type":1,"name":"f","size":-1,"payload":null}"#, "negative"),
        (r#"{"type":1,"name":"f","size":1e99,"payload":null}"#, "size"),
        ("{\"type\":1,\"name\":\"\u{0}\",\"payload\":null}", "control character"),
    ] {
        let text = format!("{good}\n{bad}\n");
        let mut unpacker = Unpacker::new(text.as_bytes());
        assert_eq!(unpacker.next().unwrap().unwrap(), Item::Segment(vec![0; 3]));
        let error = unpacker.next().unwrap().unwrap_err().to_string();
        assert!(error.starts_with("tar-split record 1: "), "{error}");
        if !["invalid", "size"].contains(&reason) {
            assert!(error.contains(reason), "{bad}: {error}");
        }
    }
}

#[test]
fn unknown_keys_and_escapes_are_read() {
    let text = "{\"position\":5,\"later\":[1],\"type\":1,\"name\":\"\\u003ca\\n\",\"payload\":null}\n";
    let item = Unpacker::new(text.as_bytes()).next().unwrap().unwrap();
    assert_eq!(item, Item::File { name: b"<a\n".to_vec(), size: 0, crc: None });
}

#[test]
fn overlong_lines_are_refused_without_being_read_whole() {
    let endless = std::io::repeat(b'a').take(1 << 40);
    let error = Unpacker::new(endless).next().unwrap().unwrap_err();
    assert!(error.to_string().contains("too long"));
}

proptest! {
    #[test]
    fn archives_come_back_byte_by_byte(
        files in proptest::collection::btree_map("[a-zé<&\"]{1,150}", proptest::collection::vec(any::<u8>(), 0..1500), 0..8),
        tail in proptest::collection::vec(any::<u8>(), 0..700),
        ended: bool,
    ) {
        let mut archive: Vec<u8> = files.iter().flat_map(|(name, data)| file(name.as_bytes(), data)).collect();
        if ended {
            archive.extend(END);
            archive.extend(tail);
        }
        let records = pack(&archive).unwrap();
        prop_assert!(assemble(&records, &payloads(&archive)) == archive);
        for (i, line) in records.split(|b| *b == b'\n').filter(|l| !l.is_empty()).enumerate() {
            let json: serde_json::Value = serde_json::from_slice(line).unwrap();
            prop_assert_eq!(&json["position"], i as u64);
        }
    }
}
