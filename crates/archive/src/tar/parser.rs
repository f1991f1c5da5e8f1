//! The push parser.

use super::header::{self, Block, Format, Numbers, ZERO};
use super::pax::{self, Records};
use super::sparse::{self, Extents, MapLines, PaxMap};
use super::{BLOCK, Entry, Kind, Limits, Sink, padding};
use crate::error::{Error, TarFault};

/// Splits a tar archive that arrives in pieces of any size. It copies no payload and needs memory for one header
/// and its extensions only.
#[derive(Debug)]
pub struct Parser {
    limits: Limits,
    state: State,
    /// Bytes pushed and skipped so far.
    at: u64,
    /// A block that arrives in several pieces.
    block: Box<Block>,
    filled: usize,
    /// Body of the extension header that is being read.
    body: Vec<u8>,
    /// Extensions for the next entry.
    pax: Option<Vec<u8>>,
    long_name: Vec<u8>,
    long_link: Vec<u8>,
    entry: Entry,
    ended: bool,
}

#[derive(Debug)]
enum State {
    /// A header block is next.
    Header,
    /// The first of two zero blocks has passed.
    SecondZero,
    /// In the body of an extension header: its type flag, missing bytes and the padding after it.
    Extension { flag: u8, left: u64, pad: u64 },
    /// In the extension blocks of an old GNU sparse header.
    OldSparse { extents: Extents, real_size: i64, payload: u64 },
    /// In the map in front of a sparse file's payload. `payload` still counts the map.
    SparseMap { lines: MapLines, real_size: i64, payload: u64 },
    /// In a payload.
    Data { left: u64, pad: u64 },
    /// In padding.
    Padding { left: u64 },
    /// After the end blocks.
    Trailing,
    /// An error was returned.
    Refused,
}

impl Parser {
    /// A parser at the start of an archive.
    pub fn new(limits: Limits) -> Self {
        Parser {
            limits,
            state: State::Header,
            at: 0,
            block: Box::new(ZERO),
            filled: 0,
            body: Vec::new(),
            pax: None,
            long_name: Vec::new(),
            long_link: Vec::new(),
            entry: Entry::default(),
            ended: false,
        }
    }

    /// Parses the next piece of the archive. After an error the parser refuses everything.
    pub fn push<S: Sink>(&mut self, bytes: &[u8], sink: &mut S) -> Result<(), S::Error> {
        self.advance(bytes, sink).inspect_err(|_| self.state = State::Refused)
    }

    /// Takes `bytes` bytes of the payload as passed without seeing them, for callers that seek or splice; the sink
    /// gets no `data` for them. At most [`payload_left`](Self::payload_left).
    pub fn skip<S: Sink>(&mut self, bytes: u64, sink: &mut S) -> Result<(), S::Error> {
        let State::Data { left, pad } = &mut self.state else { return Ok(()) };
        let bytes = bytes.min(*left);
        *left -= bytes;
        self.at += bytes;
        if *left == 0 {
            self.state = State::Padding { left: *pad };
            sink.end_entry()?;
        }
        Ok(())
    }

    /// Bytes of the current entry's payload that have not been pushed yet.
    pub fn payload_left(&self) -> u64 {
        match self.state {
            State::Data { left, .. } => left,
            _ => 0,
        }
    }

    /// Bytes of the archive passed so far.
    pub fn position(&self) -> u64 {
        self.at
    }

    /// Declares the end of the input. A missing end of archive or final padding is no error, as in Go; an end
    /// anywhere else is.
    pub fn finish<S: Sink>(&mut self, sink: &mut S) -> Result<(), S::Error> {
        let truncated = match self.state {
            State::Header | State::SecondZero if self.filled == 0 => None,
            State::Header | State::SecondZero => Some("a header"),
            State::Extension { .. } => Some("an extended header"),
            State::OldSparse { .. } | State::SparseMap { .. } => Some("a sparse map"),
            State::Data { .. } => Some("a file's payload"),
            State::Padding { .. } | State::Trailing => None,
            State::Refused => return Err(self.fault(TarFault::Refused).into()),
        };
        if let Some(inside) = truncated {
            self.state = State::Refused;
            return Err(self.fault(TarFault::Truncated(inside)).into());
        }
        self.end_archive(sink)
    }

    fn end_archive<S: Sink>(&mut self, sink: &mut S) -> Result<(), S::Error> {
        self.state = State::Trailing;
        if std::mem::replace(&mut self.ended, true) {
            return Ok(());
        }
        sink.end_archive()
    }

    fn fault(&self, fault: TarFault) -> Error {
        Error::Tar { at: self.at, fault }
    }

    fn advance<S: Sink>(&mut self, mut bytes: &[u8], sink: &mut S) -> Result<(), S::Error> {
        while !bytes.is_empty() {
            match &mut self.state {
                State::Data { left, pad } => {
                    let piece = take(&mut bytes, left);
                    self.at += piece.len() as u64;
                    sink.data(piece)?;
                    if *left == 0 {
                        self.state = State::Padding { left: *pad };
                        sink.end_entry()?;
                    }
                }
                State::Padding { left: 0 } => self.state = State::Header,
                State::Padding { left } => {
                    let piece = take(&mut bytes, left);
                    self.at += piece.len() as u64;
                    sink.raw(piece)?;
                }
                State::Extension { flag, left, pad } => {
                    let piece = take(&mut bytes, left);
                    self.at += piece.len() as u64;
                    self.body.extend_from_slice(piece);
                    sink.raw(piece)?;
                    if *left == 0 {
                        let (flag, pad) = (*flag, *pad);
                        self.state = State::Padding { left: pad };
                        self.extension(flag, sink)?;
                    }
                }
                State::Trailing => {
                    self.at += bytes.len() as u64;
                    return sink.raw(bytes);
                }
                State::Refused => return Err(self.fault(TarFault::Refused).into()),
                State::Header | State::SecondZero | State::OldSparse { .. } | State::SparseMap { .. } => {
                    if let Some(block) = self.take_block(&mut bytes) {
                        self.whole_block(&block, sink)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// The next whole block, or `None` after all of `bytes` went into an incomplete one.
    fn take_block(&mut self, bytes: &mut &[u8]) -> Option<Block> {
        let wanted = BLOCK - self.filled;
        let (piece, rest) = bytes.split_at(wanted.min(bytes.len()));
        *bytes = rest;
        self.at += piece.len() as u64;
        self.block[self.filled..self.filled + piece.len()].copy_from_slice(piece);
        self.filled = (self.filled + piece.len()) % BLOCK;
        (piece.len() == wanted).then_some(*self.block)
    }

    fn whole_block<S: Sink>(&mut self, block: &Block, sink: &mut S) -> Result<(), S::Error> {
        match std::mem::replace(&mut self.state, State::Refused) {
            State::SecondZero => {
                if *block != ZERO {
                    return Err(self.fault(TarFault::LoneZeroBlock).into());
                }
                sink.raw(block)?;
                self.end_archive(sink)
            }
            State::OldSparse { extents, real_size, payload } => {
                sink.raw(block)?;
                self.old_sparse(extents, block, false, real_size, payload, sink)
            }
            State::SparseMap { mut lines, real_size, payload } => {
                sink.raw(block)?;
                let extents = lines.block(block, &self.limits).map_err(|f| self.fault(f))?;
                let payload = payload - BLOCK as u64;
                match extents {
                    Some(extents) => self.begin_sparse(extents, real_size, payload, sink),
                    None => Ok(self.sparse_map(lines, real_size, payload)?),
                }
            }
            _ if *block == ZERO => {
                self.state = State::SecondZero;
                sink.raw(block)
            }
            _ => self.header(block, sink),
        }
    }

    fn header<S: Sink>(&mut self, block: &Block, sink: &mut S) -> Result<(), S::Error> {
        let decoded = header::decode(block, &mut self.entry);
        let (format, numbers) = decoded.map_err(|f| self.fault(f))?;
        let flag = block[header::FLAG];
        sink.raw(block)?;
        match flag {
            b'x' | b'g' | b'L' | b'K' => self.begin_extension(flag, numbers.size, sink),
            _ => self.file(format, numbers, block, sink),
        }
    }

    fn begin_extension<S: Sink>(&mut self, flag: u8, size: i64, sink: &mut S) -> Result<(), S::Error> {
        let size = u64::try_from(size).map_err(|_| self.fault(TarFault::NegativeSize))?;
        let (what, limit_name, limit) = match flag {
            b'x' | b'g' => ("a PAX header", "pax_bytes", self.limits.pax_bytes),
            _ => ("a long name", "long_name_bytes", self.limits.long_name_bytes),
        };
        if size > limit {
            return Err(self.fault(TarFault::Limit { what, size, limit_name, limit }).into());
        }
        self.body.clear();
        if size == 0 {
            self.state = State::Padding { left: 0 };
            return self.extension(flag, sink);
        }
        self.state = State::Extension { flag, left: size, pad: padding(size) };
        Ok(())
    }

    /// Takes the complete body of an extension header.
    fn extension<S: Sink>(&mut self, flag: u8, sink: &mut S) -> Result<(), S::Error> {
        match flag {
            b'L' => pax::replace(&mut self.long_name, header::string(&self.body)),
            b'K' => pax::replace(&mut self.long_link, header::string(&self.body)),
            b'x' => {
                // Judged now: a bad header counts even if another one replaces it.
                Records::parse(&self.body).map_err(|f| self.fault(f))?;
                let body = self.pax.get_or_insert_default();
                std::mem::swap(body, &mut self.body);
            }
            _ => {
                let mut global = std::mem::take(&mut self.entry);
                // Of the header itself only the name counts.
                global = Entry::new(std::mem::take(&mut global.path), Kind::GlobalHeader);
                let applied = Records::parse(&self.body).and_then(|records| {
                    records.apply(&mut global, &mut Numbers::default())?;
                    Ok(())
                });
                applied.map_err(|f| self.fault(f))?;
                // As in Go, extensions do not reach over a global header.
                self.forget_extensions();
                sink.entry(&global)?;
                sink.end_entry()?;
            }
        }
        Ok(())
    }

    fn forget_extensions(&mut self) {
        self.pax = None;
        self.long_name.clear();
        self.long_link.clear();
    }

    /// A header that is no extension: puts the entry together and decides what follows.
    fn file<S: Sink>(
        &mut self,
        format: Format,
        mut numbers: Numbers,
        block: &Block,
        sink: &mut S,
    ) -> Result<(), S::Error> {
        if self.entry.kind.has_payload() && numbers.size < 0 {
            return Err(self.fault(TarFault::NegativeSize).into());
        }
        let body = self.pax.take().unwrap_or_default();
        // Parsed without error before.
        let records = Records::parse(&body).map_err(|f| self.fault(f))?;
        records.apply(&mut self.entry, &mut numbers).map_err(|f| self.fault(f))?;
        if !self.long_name.is_empty() {
            pax::replace(&mut self.entry.path, &self.long_name);
        }
        if !self.long_link.is_empty() {
            pax::replace(&mut self.entry.link, &self.long_link);
        }
        self.forget_extensions();
        // Before POSIX a directory was a file whose name ends in a slash.
        if block[header::FLAG] == 0 && self.entry.path.ends_with(b"/") {
            self.entry.kind = Kind::Directory;
        }
        self.entry.uid = self.id("uid", numbers.uid)?;
        self.entry.gid = self.id("gid", numbers.gid)?;

        let payload = if self.entry.kind.has_payload() { numbers.size } else { 0 };
        let payload = u64::try_from(payload).map_err(|_| self.fault(TarFault::NegativeSize))?;
        if block[header::FLAG] == b'S' {
            let real_size = sparse::old_gnu_real_size(format, block).map_err(|f| self.fault(f))?;
            return self.old_sparse(Extents::default(), block, true, real_size, payload, sink);
        }
        let Some(found) = sparse::from_pax(&records, &self.limits).map_err(|f| self.fault(f))? else {
            self.entry.size = payload;
            return self.begin(sink);
        };
        if !self.entry.kind.has_payload() {
            return Err(self.fault(TarFault::Sparse("not a regular file")).into());
        }
        if let Some(name) = found.name {
            pax::replace(&mut self.entry.path, name);
        }
        let real_size = found.real_size.unwrap_or(numbers.size);
        match found.map {
            PaxMap::Here(extents) => self.begin_sparse(extents, real_size, payload, sink),
            PaxMap::InPayload => Ok(self.sparse_map(MapLines::default(), real_size, payload)?),
        }
    }

    /// Ids are 32 bits wide. Some writers store small negative ones ("nobody" as -2).
    fn id(&self, field: &'static str, value: i64) -> Result<u32, Error> {
        u32::try_from(value)
            .or_else(|_| i32::try_from(value).map(|v| v as u32))
            .map_err(|_| self.fault(TarFault::Id { field, value }))
    }

    fn old_sparse<S: Sink>(
        &mut self,
        mut extents: Extents,
        block: &Block,
        header: bool,
        real_size: i64,
        payload: u64,
        sink: &mut S,
    ) -> Result<(), S::Error> {
        if extents.old_gnu(block, header, &self.limits).map_err(|f| self.fault(f))? {
            self.state = State::OldSparse { extents, real_size, payload };
            return Ok(());
        }
        self.begin_sparse(extents, real_size, payload, sink)
    }

    /// Expects another block of a map in front of the payload.
    fn sparse_map(&mut self, lines: MapLines, real_size: i64, payload: u64) -> Result<(), Error> {
        if payload < BLOCK as u64 {
            return Err(self.fault(TarFault::Sparse("the map does not fit the payload")));
        }
        self.state = State::SparseMap { lines, real_size, payload };
        Ok(())
    }

    fn begin_sparse<S: Sink>(
        &mut self,
        extents: Extents,
        real_size: i64,
        payload: u64,
        sink: &mut S,
    ) -> Result<(), S::Error> {
        let map = extents.finish(real_size, payload).map_err(|f| self.fault(f))?;
        self.entry.sparse = Some(map);
        self.entry.size = payload;
        self.begin(sink)
    }

    /// All header blocks of the entry are read.
    fn begin<S: Sink>(&mut self, sink: &mut S) -> Result<(), S::Error> {
        let size = self.entry.size;
        sink.entry(&self.entry)?;
        if size == 0 {
            self.state = State::Header;
            return sink.end_entry();
        }
        self.state = State::Data { left: size, pad: padding(size) };
        Ok(())
    }
}

/// Cuts at most `left` bytes off the front of `bytes` and counts them off.
fn take<'a>(bytes: &mut &'a [u8], left: &mut u64) -> &'a [u8] {
    let n = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
    let (piece, rest) = bytes.split_at(n);
    *bytes = rest;
    *left -= n as u64;
    piece
}
