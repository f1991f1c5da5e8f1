//! Stepping through archives.

use std::io::{self, Cursor, Read};

use archive::tar::{Entry, Kind, Limits, Reader, Writer};

use crate::support::{Block, END, extension, pax};

fn archive() -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    for (name, size) in [("manifest.json", 700), ("empty", 0), ("layer.tar", 100_000), ("last", 512)] {
        let entry = Entry { size, ..Entry::new(name, Kind::Regular) };
        writer.append(&entry, io::repeat(name.as_bytes()[0]).take(size)).unwrap();
    }
    writer.finish().unwrap()
}

/// Names, offsets and payloads of the members whose name `wanted` likes.
fn members<R: Read>(mut reader: Reader<R>, wanted: fn(&str) -> bool) -> Vec<(String, u64, Vec<u8>)> {
    let mut list = Vec::new();
    while let Some(member) = reader.next_member().unwrap() {
        let name = String::from_utf8(member.entry.path).unwrap();
        let mut payload = Vec::new();
        if wanted(&name) {
            reader.read_to_end(&mut payload).unwrap();
            assert_eq!(payload.len() as u64, member.entry.size);
        }
        list.push((name, member.offset, payload));
    }
    assert!(reader.next_member().unwrap().is_none(), "the end is final");
    list
}

#[test]
fn members_are_found_and_read_with_and_without_seeking() {
    let archive = archive();
    for wanted in [(|_| true) as fn(&str) -> bool, |_| false, |name| name.starts_with('l')] {
        let seeking = members(Reader::seekable(Cursor::new(archive.clone()), Limits::default()), wanted);
        let reading = members(Reader::new(&archive[..], Limits::default()), wanted);
        assert_eq!(seeking, reading);
        assert_eq!(seeking.len(), 4);
        for (name, offset, payload) in seeking {
            assert_eq!(archive[offset as usize..][..payload.len()], payload[..], "{name}");
        }
    }
}

#[test]
fn a_payload_may_be_read_in_part() {
    let mut reader = Reader::new(Cursor::new(archive()), Limits::default());
    reader.next_member().unwrap().unwrap();
    reader.read_exact(&mut [0; 10]).unwrap();
    assert_eq!(reader.next_member().unwrap().unwrap().entry.path, b"empty");
}

#[test]
fn offsets_count_extension_headers() {
    let archive = [
        pax(&[("comment", &"x".repeat(600))]),
        extension(b'L', b"long/name\0"),
        Block::gnu("n", b'0').size(3).with(b"abc"),
        END.to_vec(),
    ]
    .concat();
    let mut reader = Reader::seekable(Cursor::new(&archive), Limits::default());
    let member = reader.next_member().unwrap().unwrap();
    assert_eq!(
        (&member.entry.path[..], &archive[member.offset as usize..][..3]),
        (&b"long/name"[..], &b"abc"[..])
    );
    assert!(reader.next_member().unwrap().is_none());
}

#[test]
fn truncated_archives_are_errors_also_when_seeking() {
    let mut archive = archive();
    archive.truncate(5000);
    let step = |mut reader: Reader<Cursor<Vec<u8>>>| -> archive::Result<()> {
        while reader.next_member()?.is_some() {}
        Ok(())
    };
    for reader in [
        Reader::seekable(Cursor::new(archive.clone()), Limits::default()),
        Reader::new(Cursor::new(archive.clone()), Limits::default()),
    ] {
        let error = step(reader).unwrap_err().to_string();
        assert!(error.contains("the archive ends inside a file's payload"), "{error}");
    }
    let mut reader = Reader::new(&archive[..], Limits::default());
    while reader.next_member().unwrap().unwrap().entry.path != b"layer.tar" {}
    assert_eq!(reader.read_to_end(&mut Vec::new()).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
}
