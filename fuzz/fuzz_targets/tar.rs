//! Any bytes: no panic, no lost byte, the same events whatever the pieces; what is accepted can be packed, put
//! together again, and (entry by entry) written and read back.
#![no_main]

mod seal;

use archive::tar::{Entry, Kind, Limits, Parser, Sink, Writer};
use archive::tar_split::{Item, Packer, Unpacker};
use archive::{Error, Result};
use libfuzzer_sys::fuzz_target;

/// Bytes of the archive, and entries with their payloads.
#[derive(Default, PartialEq, Debug)]
struct Events {
    bytes: Vec<u8>,
    files: Vec<(Entry, Vec<u8>)>,
    ended: usize,
}

impl Sink for Events {
    type Error = Error;

    fn raw(&mut self, bytes: &[u8]) -> Result<()> {
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn entry(&mut self, entry: &Entry) -> Result<()> {
        assert_eq!(self.ended, self.files.len());
        self.files.push((entry.clone(), Vec::new()));
        Ok(())
    }

    fn data(&mut self, bytes: &[u8]) -> Result<()> {
        self.bytes.extend_from_slice(bytes);
        self.files.last_mut().expect("an entry").1.extend_from_slice(bytes);
        Ok(())
    }

    fn end_entry(&mut self) -> Result<()> {
        self.ended += 1;
        let (entry, payload) = self.files.last().expect("an entry");
        assert_eq!(entry.size, payload.len() as u64);
        Ok(())
    }
}

fn events(archive: &[u8], chunk: usize) -> Result<Events> {
    let mut parser = Parser::new(Limits::default());
    let mut events = Events::default();
    for piece in archive.chunks(chunk) {
        parser.push(piece, &mut events)?;
    }
    parser.finish(&mut events)?;
    Ok(events)
}

fn check_map(entry: &Entry) {
    let Some(map) = &entry.sparse else { return };
    let mut end = 0;
    for &(offset, length) in &map.extents {
        assert!(offset >= end && length > 0);
        end = offset + length;
    }
    assert!(end <= map.real_size);
}

fn put_together(archive: &[u8], found: &Events) {
    let mut packer = Packer::new(Vec::new());
    match archive::tar::parse(archive, Limits::default(), &mut packer) {
        Err(Error::DuplicatePath { .. }) => return,
        packed => packed.expect("accepted before"),
    }
    let mut assembled = Vec::new();
    let mut payloads = found.files.iter().filter(|(e, _)| e.size > 0 && e.sparse.is_none());
    for item in Unpacker::new(&packer.finish().expect("written to memory")[..]) {
        match item.expect("our own records") {
            Item::Segment(bytes) => assembled.extend(bytes),
            Item::File { size: 0, .. } => {}
            Item::File { name, .. } => {
                let (entry, payload) = payloads.next().expect("a payload for each record");
                assert_eq!(entry.path, name);
                assembled.extend(payload);
            }
        }
    }
    assert!(assembled == archive);
}

fn write_again(entry: &Entry, payload: &[u8]) {
    let mut writer = Writer::new(Vec::new());
    // Ustar and PAX cannot hold all that GNU's formats can.
    if writer.append(entry, payload).is_err() {
        return;
    }
    let again = events(&writer.finish().expect("written to memory"), 512).expect("our own archive");
    // Records that stand for nothing (empty names, numbers in odd spelling) are not kept.
    if entry.kind != Kind::GlobalHeader {
        assert_eq!(again.files, [(entry.clone(), payload.to_vec())]);
    }
}

fuzz_target!(|bytes: &[u8]| {
    let archive = &seal::seal(bytes)[..];
    let Ok(found) = events(archive, 4096) else {
        assert!(events(archive, 77).is_err());
        return;
    };
    assert!(found.bytes == archive);
    assert_eq!(found.ended, found.files.len());
    assert_eq!(found, events(archive, 77).expect("the same for any pieces"));
    put_together(archive, &found);
    for (entry, payload) in &found.files {
        check_map(entry);
        write_again(entry, payload);
    }
});
