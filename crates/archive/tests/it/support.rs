//! A sink that writes down what it gets, and hand-made header blocks.

use std::process::{Command, Stdio};

use archive::tar::{Entry, Limits, Parser, Sink};
use archive::{Error, Result, TarFault};

/// What a parser delivered. Adjacent pieces are joined, so that lists are equal for any chunk size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    Raw(Vec<u8>),
    Entry(Box<Entry>),
    Data(Vec<u8>),
    EndEntry,
    EndArchive,
}

#[derive(Debug, Default)]
pub struct Recorder(pub Vec<Event>);

impl Recorder {
    /// All bytes, which must be the archive.
    pub fn bytes(&self) -> Vec<u8> {
        let mut all = Vec::new();
        for event in &self.0 {
            if let Event::Raw(bytes) | Event::Data(bytes) = event {
                all.extend_from_slice(bytes);
            }
        }
        all
    }

    /// Entries with their payloads.
    pub fn files(&self) -> Vec<(Entry, Vec<u8>)> {
        let mut files: Vec<(Entry, Vec<u8>)> = Vec::new();
        for event in &self.0 {
            match event {
                Event::Entry(entry) => files.push(((**entry).clone(), Vec::new())),
                Event::Data(bytes) => files.last_mut().unwrap().1.extend_from_slice(bytes),
                _ => {}
            }
        }
        files
    }
}

impl Sink for Recorder {
    type Error = Error;

    fn raw(&mut self, bytes: &[u8]) -> Result<()> {
        match self.0.last_mut() {
            _ if bytes.is_empty() => {}
            Some(Event::Raw(last)) => last.extend_from_slice(bytes),
            _ => self.0.push(Event::Raw(bytes.to_vec())),
        }
        Ok(())
    }

    fn entry(&mut self, entry: &Entry) -> Result<()> {
        self.0.push(Event::Entry(Box::new(entry.clone())));
        Ok(())
    }

    fn data(&mut self, bytes: &[u8]) -> Result<()> {
        assert!(!bytes.is_empty());
        match self.0.last_mut() {
            Some(Event::Data(last)) => last.extend_from_slice(bytes),
            _ => self.0.push(Event::Data(bytes.to_vec())),
        }
        Ok(())
    }

    fn end_entry(&mut self) -> Result<()> {
        self.0.push(Event::EndEntry);
        Ok(())
    }

    fn end_archive(&mut self) -> Result<()> {
        self.0.push(Event::EndArchive);
        Ok(())
    }
}

/// Parses an archive pushed in pieces of `chunk` bytes.
pub fn parse_chunked(archive: &[u8], chunk: usize, limits: Limits) -> Result<Recorder> {
    let mut parser = Parser::new(limits);
    let mut events = Recorder::default();
    for piece in archive.chunks(chunk) {
        parser.push(piece, &mut events)?;
    }
    parser.finish(&mut events)?;
    Ok(events)
}

/// Parses an archive and checks that no byte was lost.
pub fn parse(archive: &[u8]) -> Result<Recorder> {
    let events = parse_chunked(archive, archive.len().max(1), Limits::default())?;
    assert!(events.bytes() == archive, "raw and data bytes are not the archive");
    Ok(events)
}

/// What the parser says against an archive.
pub fn fault(archive: &[u8]) -> TarFault {
    fault_with(archive, Limits::default())
}

pub fn fault_with(archive: &[u8], limits: Limits) -> TarFault {
    match parse_chunked(archive, archive.len().max(1), limits) {
        Err(Error::Tar { fault, .. }) => fault,
        other => panic!("expected a fault, got {other:?}"),
    }
}

/// A header block under construction: a ustar file of size 0.
#[derive(Clone)]
pub struct Block(pub [u8; 512]);

impl Block {
    pub fn new(name: &str, flag: u8) -> Self {
        let mut block = Block([0; 512]);
        block.0[..name.len()].copy_from_slice(name.as_bytes());
        block.0[156] = flag;
        block.0[257..265].copy_from_slice(b"ustar\x0000");
        block
    }

    pub fn gnu(name: &str, flag: u8) -> Self {
        Block::new(name, flag).put(257, b"ustar  \0")
    }

    pub fn put(mut self, at: usize, bytes: &[u8]) -> Self {
        self.0[at..at + bytes.len()].copy_from_slice(bytes);
        self
    }

    pub fn size(self, size: u64) -> Self {
        self.put(124, format!("{size:011o}\0").as_bytes())
    }

    /// The block with its checksum, followed by `body` in whole blocks.
    pub fn with(self, body: &[u8]) -> Vec<u8> {
        let block = self.sealed();
        [&block[..], body, &vec![0; body.len().wrapping_neg() % 512]].concat()
    }

    pub fn sealed(mut self) -> [u8; 512] {
        self.0[148..156].fill(b' ');
        let sum: u32 = self.0.iter().map(|&b| u32::from(b)).sum();
        self.0[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        self.0
    }
}

/// An extension header (type `x`, `g`, `L`, `K`) with its body.
pub fn extension(flag: u8, body: &[u8]) -> Vec<u8> {
    Block::new("extension", flag).size(body.len() as u64).with(body)
}

/// PAX records.
pub fn records(records: &[(&str, &str)]) -> Vec<u8> {
    let mut body = Vec::new();
    for (key, value) in records {
        let rest = key.len() + value.len() + 3;
        let length = (rest..).find(|n| n - n.to_string().len() == rest).unwrap();
        body.extend_from_slice(format!("{length} {key}={value}\n").as_bytes());
    }
    body
}

/// A PAX header with records.
pub fn pax(list: &[(&str, &str)]) -> Vec<u8> {
    extension(b'x', &records(list))
}

pub const END: [u8; 1024] = [0; 1024];

/// Runs a program with `script` as its last argument in `dir` and returns its standard output, or `None`, saying so,
/// where the machine lacks the program.
pub fn run(program: &str, args: &[&str], dir: &std::path::Path) -> Option<Vec<u8>> {
    let output = Command::new(program).args(args).current_dir(dir).stdin(Stdio::null()).output();
    match output {
        Ok(output) => {
            assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
            Some(output.stdout)
        }
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            eprintln!("SKIPPED: this machine has no {program}");
            None
        }
        Err(e) => panic!("{program}: {e}"),
    }
}
