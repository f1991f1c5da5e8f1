//! Stepping through an archive.

use std::io::{self, BufReader, Read, Seek};

use super::{BLOCK, Entry, Limits, Parser, Sink};
use crate::error::{Error, Result, TarFault};

/// Steps through the members of an archive and reads the payloads one wants, for archives of files such as those of
/// `docker save`. [`Read`] gives the payload of the current member; what is not read of it is passed over by
/// seeking, or by reading where the input cannot seek.
#[derive(Debug)]
pub struct Reader<R> {
    input: BufReader<R>,
    parser: Parser,
    pass_over: fn(&mut BufReader<R>, u64) -> io::Result<()>,
    done: bool,
}

/// A member of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its header.
    pub entry: Entry,
    /// Where its payload of [`Entry::size`] bytes starts, in bytes from the start of the archive.
    pub offset: u64,
}

impl<R: Read> Reader<R> {
    /// Reads an archive from a stream.
    pub fn new(input: R, limits: Limits) -> Self {
        Self::with(input, limits, |input, n| {
            let copied = io::copy(&mut input.take(n), &mut io::sink())?;
            if copied < n { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
        })
    }

    fn with(input: R, limits: Limits, pass_over: fn(&mut BufReader<R>, u64) -> io::Result<()>) -> Self {
        Reader { input: BufReader::new(input), parser: Parser::new(limits), pass_over, done: false }
    }

    /// The next member, or `None` after the last. Trailing bytes are not read.
    pub fn next_member(&mut self) -> Result<Option<Member>> {
        let left = self.parser.payload_left();
        if left > 0 {
            (self.pass_over)(&mut self.input, left).map_err(|e| self.read_error(e))?;
            self.parser.skip(left, &mut Step::default())?;
        }
        let mut step = Step::default();
        let mut block = [0; BLOCK];
        while !self.done && step.entry.is_none() {
            let wanted = BLOCK - (self.parser.position() % BLOCK as u64) as usize;
            let n = self.fill(&mut block[..wanted])?;
            self.parser.push(&block[..n], &mut step)?;
            if n < wanted {
                self.parser.finish(&mut step)?;
            }
            self.done = step.ended;
        }
        Ok(step.entry.map(|entry| Member { entry, offset: self.parser.position() }))
    }

    /// Fills `buf` as far as the input goes.
    fn fill(&mut self, buf: &mut [u8]) -> Result<usize> {
        let mut filled = 0;
        while filled < buf.len() {
            match self.input.read(&mut buf[filled..]) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(self.read_error(e)),
            }
        }
        Ok(filled)
    }

    fn read_error(&self, error: io::Error) -> Error {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            return Error::Tar { at: self.parser.position(), fault: TarFault::Truncated("a file's payload") };
        }
        Error::io("reading tar archive")(error)
    }
}

impl<R: Read + Seek> Reader<R> {
    /// Reads an archive from the current position of a file, seeking over payloads.
    pub fn seekable(input: R, limits: Limits) -> Self {
        Self::with(input, limits, |input, n| {
            // A seek beyond the end succeeds; reading the last byte tells a truncated archive.
            let last = i64::try_from(n - 1).map_err(|_| io::ErrorKind::UnexpectedEof)?;
            input.seek_relative(last)?;
            input.read_exact(&mut [0])
        })
    }
}

impl<R: Read> Read for Reader<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let left = self.parser.payload_left();
        let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(buf.len());
        if wanted == 0 {
            return Ok(0);
        }
        let n = self.input.read(&mut buf[..wanted])?;
        if n == 0 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                self.read_error(io::ErrorKind::UnexpectedEof.into()),
            ));
        }
        self.parser.skip(n as u64, &mut Step::default()).map_err(io::Error::other)?;
        Ok(n)
    }
}

/// What one block brought.
#[derive(Debug, Default)]
struct Step {
    entry: Option<Entry>,
    ended: bool,
}

impl Sink for Step {
    type Error = Error;

    fn raw(&mut self, _: &[u8]) -> Result<()> {
        Ok(())
    }

    fn entry(&mut self, entry: &Entry) -> Result<()> {
        self.entry = Some(entry.clone());
        Ok(())
    }

    fn data(&mut self, _: &[u8]) -> Result<()> {
        Ok(())
    }

    fn end_entry(&mut self) -> Result<()> {
        Ok(())
    }

    fn end_archive(&mut self) -> Result<()> {
        self.ended = true;
        Ok(())
    }
}
