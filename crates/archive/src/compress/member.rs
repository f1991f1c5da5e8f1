//! Our gzip members: each says in its header how long it is, so a reader of ours can take it whole.
//!
//! The length stands in an extra field (RFC 1952 §2.3.1.1), which other readers pass over. Whole members are inflated
//! by a decoder that needs no window and no state, several times as fast as a stream can be.

use std::io::{self, BufRead, Cursor, Read};

use flate2::bufread::MultiGzDecoder;
use libdeflater::{Compressor, Crc, Decompressor};

/// Everything before the length: gzip, deflate, an extra field follows; no time, no level, system unknown; eight bytes
/// of extra field, one subfield `LC` with four bytes.
const HEADER: [u8; 16] = [0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 255, 8, 0, b'L', b'C', 4, 0];
/// The header with the length of the whole member.
const HEADER_BYTES: usize = HEADER.len() + 4;
/// CRC and length of the content.
const TRAILER_BYTES: usize = 8;
/// A longer member or content is not ours, whatever it says.
const LONGEST: usize = 16 << 20;

/// A member with all of `content`.
pub(super) fn pack(compressor: &mut Compressor, content: &[u8]) -> io::Result<Vec<u8>> {
    let mut member = vec![0; HEADER_BYTES + compressor.deflate_compress_bound(content.len()) + TRAILER_BYTES];
    let length =
        compressor.deflate_compress(content, &mut member[HEADER_BYTES..]).map_err(io::Error::other)?;
    member.truncate(HEADER_BYTES + length);
    let mut crc = Crc::new();
    crc.update(content);
    member.extend(crc.sum().to_le_bytes());
    // RFC 1952: modulo 2^32. A block is shorter.
    member.extend((content.len() as u32).to_le_bytes());
    let length = (member.len() as u32).to_le_bytes();
    member[..HEADER.len()].copy_from_slice(&HEADER);
    member[HEADER.len()..HEADER_BYTES].copy_from_slice(&length);
    Ok(member)
}

/// Reads gzip: our members whole, from the first other one on everything as a stream.
pub(super) enum Reader<R> {
    /// At the start of a member, or in the content of one.
    Members(Members<R>),
    /// In a stream that ends where the input ends.
    Stream(Box<MultiGzDecoder<io::Chain<Cursor<Vec<u8>>, R>>>),
    /// At the end.
    End,
}

/// Our members, one after the other.
pub(super) struct Members<R> {
    input: R,
    decoder: Decompressor,
    member: Vec<u8>,
    content: Vec<u8>,
    at: usize,
    is_first: bool,
}

impl<R: BufRead> Reader<R> {
    /// Reads `input` to its end.
    pub fn new(input: R) -> Self {
        let (member, content) = (Vec::new(), Vec::new());
        Self::Members(Members { input, decoder: Decompressor::new(), member, content, at: 0, is_first: true })
    }
}

impl<R: BufRead> Read for Reader<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            let members = match self {
                Self::Members(members) => members,
                Self::Stream(stream) => return stream.read(buf),
                Self::End => return Ok(0),
            };
            let left = &members.content[members.at..];
            if !left.is_empty() || buf.is_empty() {
                let n = left.len().min(buf.len());
                buf[..n].copy_from_slice(&left[..n]);
                members.at += n;
                return Ok(n);
            }
            match members.next()? {
                Next::Member => {}
                Next::Nothing => *self = Self::End,
                Next::Other => {
                    let Self::Members(members) = std::mem::replace(self, Self::End) else { continue };
                    let rest = Cursor::new(members.member).chain(members.input);
                    *self = Self::Stream(Box::new(MultiGzDecoder::new(rest)));
                }
            }
        }
    }
}

/// What follows a member.
enum Next {
    /// Another member of ours; its content is there.
    Member,
    /// The end.
    Nothing,
    /// Something else; its first bytes are in `member`.
    Other,
}

impl<R: BufRead> Members<R> {
    fn next(&mut self) -> io::Result<Next> {
        let is_first = std::mem::replace(&mut self.is_first, false);
        self.member.clear();
        self.take(HEADER_BYTES)?;
        if self.member.is_empty() && !is_first {
            return Ok(Next::Nothing);
        }
        let Some(length) = length_of(&self.member) else { return Ok(Next::Other) };
        self.take(length - HEADER_BYTES)?;
        if self.member.len() < length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let content = self.member.last_chunk().map_or(0, |length| u32::from_le_bytes(*length)) as usize;
        if content > LONGEST {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a gzip member is longer than it may be"));
        }
        self.content.resize(content, 0);
        self.at = 0;
        let done = self.decoder.gzip_decompress(&self.member, &mut self.content);
        match done.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))? {
            n if n == content => Ok(Next::Member),
            _ => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "a gzip member has another length than it says",
            )),
        }
    }

    /// Adds so many bytes of the input to `member`, or all that are left.
    fn take(&mut self, bytes: usize) -> io::Result<()> {
        (&mut self.input).take(bytes as u64).read_to_end(&mut self.member).map(drop)
    }
}

/// The length of a member of ours, by its header.
fn length_of(header: &[u8]) -> Option<usize> {
    let length = header.strip_prefix(&HEADER)?.first_chunk()?;
    let length = u32::from_le_bytes(*length) as usize;
    (HEADER_BYTES + TRAILER_BYTES..=LONGEST).contains(&length).then_some(length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use libdeflater::CompressionLvl;

    fn ours(content: &[u8]) -> Vec<u8> {
        pack(&mut Compressor::new(CompressionLvl::new(3).unwrap()), content).unwrap()
    }

    fn plain(content: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut encoder = flate2::bufread::GzEncoder::new(content, flate2::Compression::fast());
        encoder.read_to_end(&mut out).unwrap();
        out
    }

    fn read(stream: &[u8]) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        Reader::new(io::BufReader::with_capacity(7, stream)).read_to_end(&mut out).map(|_| out)
    }

    #[test]
    fn others_read_our_members() {
        let stream = [ours(b"one "), ours(b""), ours(b"two")].concat();
        let mut out = String::new();
        MultiGzDecoder::new(&stream[..]).read_to_string(&mut out).unwrap();
        assert_eq!(out, "one two");
    }

    #[test]
    fn all_orders_of_members_are_read() {
        let (a, b) = (ours(b"our own"), plain(b"not ours"));
        assert_eq!(read(&a).unwrap(), b"our own");
        assert_eq!(read(&b).unwrap(), b"not ours");
        assert_eq!(read(&[&a[..], &b, &a].concat()).unwrap(), b"our ownnot oursour own");
        assert_eq!(read(&[&b[..], &a].concat()).unwrap(), b"not oursour own");
        assert_eq!(read(&[&a[..], &ours(b""), &a].concat()).unwrap(), b"our ownour own");
    }

    #[test]
    fn damage_is_an_error() {
        let member = ours(&b"content ".repeat(40));
        for cut in 1..member.len() {
            assert!(read(&member[..cut]).is_err(), "cut to {cut}");
            assert!(read(&[&member[..], &member[..cut]].concat()).is_err(), "second cut to {cut}");
        }
        for at in 0..member.len() {
            let mut changed = member.clone();
            changed[at] ^= 0x10;
            // Time, level and system mean nothing, nor does a subfield of somebody else, or a length beyond all bounds.
            let harmless = (4..10).contains(&at) || (12..16).contains(&at) || at == 19;
            assert_eq!(read(&changed).is_ok(), harmless, "byte {at}");
        }
        assert!(read(&[&member[..], b"rubbish"].concat()).is_err());
        assert!(read(b"").is_err(), "nothing is no gzip stream");
    }

    #[test]
    fn a_member_cannot_ask_for_memory() {
        let mut member = ours(&[0; 1000]);
        let at = member.len() - 4;
        member[at..].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(read(&member).is_err());
    }
}
