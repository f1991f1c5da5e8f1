//! The receiving side of the parser.

use std::io::Read;

use super::{Entry, Limits, Parser};
use crate::error::Error;

/// Receives an archive, split into entries, their payloads, and everything else.
///
/// The bytes of all [`raw`](Sink::raw) and [`data`](Sink::data) calls, one after another, are the archive.
/// Order for each entry: `raw` (its header blocks and extensions, sparse map included), `entry`, `data` (any number
/// of times, together [`Entry::size`] bytes), `end_entry`, then `raw` again (padding). An error of the sink ends the
/// parse.
pub trait Sink {
    /// What the sink fails with; the parser adds its own errors.
    type Error: From<Error>;

    /// Bytes that are no payload: headers, extensions, sparse maps, padding, end blocks, whatever follows them.
    fn raw(&mut self, bytes: &[u8]) -> Result<(), Self::Error>;

    /// An entry begins.
    fn entry(&mut self, entry: &Entry) -> Result<(), Self::Error>;

    /// A piece of the entry's payload, packed if the entry is sparse. Never empty.
    fn data(&mut self, bytes: &[u8]) -> Result<(), Self::Error>;

    /// The payload of the entry is complete.
    fn end_entry(&mut self) -> Result<(), Self::Error>;

    /// The end blocks have been passed (or the archive has none); only `raw` calls with trailing bytes can follow.
    fn end_archive(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }
}

impl<S: Sink + ?Sized> Sink for &mut S {
    type Error = S::Error;

    fn raw(&mut self, bytes: &[u8]) -> Result<(), S::Error> {
        (**self).raw(bytes)
    }

    fn entry(&mut self, entry: &Entry) -> Result<(), S::Error> {
        (**self).entry(entry)
    }

    fn data(&mut self, bytes: &[u8]) -> Result<(), S::Error> {
        (**self).data(bytes)
    }

    fn end_entry(&mut self) -> Result<(), S::Error> {
        (**self).end_entry()
    }

    fn end_archive(&mut self) -> Result<(), S::Error> {
        (**self).end_archive()
    }
}

/// Parses all of `reader` into `sink`.
pub fn parse<R: Read, S: Sink>(mut reader: R, limits: Limits, sink: &mut S) -> Result<(), S::Error> {
    let mut parser = Parser::new(limits);
    let mut buffer = vec![0; 256 << 10];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return parser.finish(sink),
            Ok(n) => parser.push(&buffer[..n], sink)?,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(Error::io("reading tar archive")(e).into()),
        }
    }
}
