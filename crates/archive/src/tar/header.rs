//! Header blocks: where the fields are and how numbers and strings are written in them.
//!
//! The layouts are those of POSIX 1003.1-1988 (ustar), GNU tar's manual ("Basic Tar Format") and star.

use std::ops::Range;

use super::{BLOCK, Entry, Kind, Timestamp};
use crate::error::TarFault;

pub(super) type Block = [u8; BLOCK];

pub(super) const ZERO: Block = [0; BLOCK];

pub(super) const NAME: Range<usize> = 0..100;
pub(super) const MODE: Range<usize> = 100..108;
pub(super) const UID: Range<usize> = 108..116;
pub(super) const GID: Range<usize> = 116..124;
pub(super) const SIZE: Range<usize> = 124..136;
pub(super) const MTIME: Range<usize> = 136..148;
pub(super) const CHECKSUM: Range<usize> = 148..156;
pub(super) const FLAG: usize = 156;
pub(super) const LINK: Range<usize> = 157..257;
pub(super) const MAGIC: Range<usize> = 257..265;
pub(super) const UNAME: Range<usize> = 265..297;
pub(super) const GNAME: Range<usize> = 297..329;
pub(super) const DEVMAJOR: Range<usize> = 329..337;
pub(super) const DEVMINOR: Range<usize> = 337..345;
pub(super) const PREFIX: Range<usize> = 345..500;
const STAR_PREFIX: Range<usize> = 345..476;
const STAR_ATIME: Range<usize> = 476..488;
const STAR_CTIME: Range<usize> = 488..500;
const STAR_TRAILER: Range<usize> = 508..512;
const GNU_ATIME: Range<usize> = 345..357;
const GNU_CTIME: Range<usize> = 357..369;
pub(super) const GNU_REAL_SIZE: Range<usize> = 483..495;

pub(super) const USTAR_MAGIC: &[u8; 8] = b"ustar\x0000";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    V7,
    Ustar,
    Star,
    Gnu,
}

/// The numbers of a header that PAX records may replace before they are judged.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Numbers {
    pub size: i64,
    pub uid: i64,
    pub gid: i64,
}

/// Checks the checksum and reads all fields into `entry` (which is cleared first).
pub(super) fn decode(block: &Block, entry: &mut Entry) -> Result<(Format, Numbers), TarFault> {
    let format = format(block)?;
    entry.clear();
    entry.kind = Kind::from_flag(block[FLAG]);
    entry.link.extend_from_slice(string(&block[LINK]));
    // Wider modes occur only in broken archives; the bits that mean something are the low ones.
    entry.mode = number(&block[MODE], "mode")? as u32;
    entry.mtime.secs = number(&block[MTIME], "mtime")?;
    let numbers = Numbers {
        size: number(&block[SIZE], "size")?,
        uid: number(&block[UID], "uid")?,
        gid: number(&block[GID], "gid")?,
    };
    let mut prefix: &[u8] = b"";
    if format != Format::V7 {
        entry.uname.extend_from_slice(string(&block[UNAME]));
        entry.gname.extend_from_slice(string(&block[GNAME]));
        entry.devmajor = number(&block[DEVMAJOR], "devmajor")? as u32;
        entry.devminor = number(&block[DEVMINOR], "devminor")? as u32;
    }
    match format {
        Format::V7 => {}
        Format::Ustar => prefix = string(&block[PREFIX]),
        Format::Star => {
            prefix = string(&block[STAR_PREFIX]);
            entry.atime = Some(seconds(number(&block[STAR_ATIME], "atime")?));
            entry.ctime = Some(seconds(number(&block[STAR_CTIME], "ctime")?));
        }
        Format::Gnu => match (gnu_time(&block[GNU_ATIME]), gnu_time(&block[GNU_CTIME])) {
            (Ok(atime), Ok(ctime)) => (entry.atime, entry.ctime) = (atime, ctime),
            // Go before 1.8 wrote a ustar prefix into GNU headers, over the times; such archives are still about.
            _ => prefix = Some(string(&block[PREFIX])).filter(|p| p.is_ascii()).unwrap_or_default(),
        },
    }
    if !prefix.is_empty() {
        entry.path.extend_from_slice(prefix);
        entry.path.push(b'/');
    }
    entry.path.extend_from_slice(string(&block[NAME]));
    Ok((format, numbers))
}

fn format(block: &Block) -> Result<Format, TarFault> {
    let stored = number_octal(&block[CHECKSUM]).ok_or(TarFault::Checksum)?;
    let (unsigned, signed) = checksums(block);
    if stored != unsigned && stored != signed {
        return Err(TarFault::Checksum);
    }
    Ok(match &block[MAGIC] {
        magic if &magic[..6] == b"ustar\0" && &block[STAR_TRAILER] == b"tar\0" => Format::Star,
        magic if &magic[..6] == b"ustar\0" => Format::Ustar,
        b"ustar  \0" => Format::Gnu,
        _ => Format::V7,
    })
}

/// Sums of all bytes as POSIX (unsigned) and as old Sun tars (signed) compute them, the checksum field taken as
/// spaces.
pub(super) fn checksums(block: &Block) -> (i64, i64) {
    let sum = |bytes: &[u8]| bytes.iter().map(|&b| i64::from(b)).sum::<i64>();
    let high_bits = |bytes: &[u8]| bytes.iter().filter(|&&b| b >= 0x80).count() as i64;
    let (head, tail) = (&block[..CHECKSUM.start], &block[CHECKSUM.end..]);
    let unsigned = sum(head) + sum(tail) + 8 * i64::from(b' ');
    (unsigned, unsigned - 256 * (high_bits(head) + high_bits(tail)))
}

/// A field's bytes up to the first NUL.
pub(super) fn string(field: &[u8]) -> &[u8] {
    field.split(|&b| b == 0).next().unwrap_or_default()
}

/// A numeric field: octal digits, or base-256 if the top bit of the first byte is set. May be negative.
pub(super) fn number(field: &[u8], name: &'static str) -> Result<i64, TarFault> {
    match field.first() {
        Some(first) if first & 0x80 != 0 => number_base256(field),
        _ => number_octal(field),
    }
    .ok_or(TarFault::Number(name))
}

fn number_octal(field: &[u8]) -> Option<i64> {
    let blank = |b: &u8| *b == b' ' || *b == 0;
    let Some(start) = field.iter().position(|b| !blank(b)) else { return Some(0) };
    let end = field.iter().rposition(|b| !blank(b))? + 1;
    let mut value = 0_u64;
    for &digit in string(&field[start..end]) {
        if !(b'0'..=b'7').contains(&digit) || value >> 61 != 0 {
            return None;
        }
        value = value << 3 | u64::from(digit - b'0');
    }
    // Go reads 64 bits and casts: the largest values come out negative, and are then refused as sizes.
    Some(value as i64)
}

/// Two's complement, most significant byte first; the top bit marks the encoding and is not part of the number.
fn number_base256(field: &[u8]) -> Option<i64> {
    let negative = field.first()? & 0x40 != 0;
    let invert = if negative { 0xff } else { 0 };
    let mut value = 0_u64;
    for (i, &byte) in field.iter().enumerate() {
        let byte = (byte ^ invert) & if i == 0 { 0x7f } else { 0xff };
        if value >> 56 != 0 {
            return None;
        }
        value = value << 8 | u64::from(byte);
    }
    let value = i64::try_from(value).ok()?;
    Some(if negative { !value } else { value })
}

fn gnu_time(field: &[u8]) -> Result<Option<Timestamp>, TarFault> {
    if field[0] == 0 {
        return Ok(None);
    }
    Ok(Some(seconds(number(field, "time")?)))
}

fn seconds(secs: i64) -> Timestamp {
    Timestamp { secs, nanos: 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_as_go_reads_them() {
        let ok: &[(&[u8], i64)] = &[
            (b"0000644\0", 0o644),
            (b"\0\0  644 \0", 0o644),
            (b"\0\0\0\0\0\0\0\0", 0),
            (b"        ", 0),
            (b"12\x0034\0", 0o12),
            (b"1777777777777777777777\0", -1),
            (b"\x80\0\0\0\0\0\0\x07", 7),
            (b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff", i64::MAX),
            (b"\xff\xff\xff\xff\xff\xff\xff\xfe", -2),
            (b"\xff\xff\xff\xff\x80\0\0\0\0\0\0\0", i64::MIN),
        ];
        for (field, value) in ok {
            assert_eq!(number(field, "n"), Ok(*value), "{field:?}");
        }
        let bad: &[&[u8]] = &[
            b"0000648\0",
            b"-000644\0",
            b"+644\0",
            b"6 4",
            b"2777777777777777777777\0",
            b"\x80\0\0\0\x80\0\0\0\0\0\0\0",
            b"\x80\0\0\x01\0\0\0\0\0\0\0\0",
            b"\xff\xff\xff\xff\x7f\xff\xff\xff\xff\xff\xff\xff",
        ];
        for field in bad {
            assert_eq!(number(field, "n"), Err(TarFault::Number("n")), "{field:?}");
        }
    }
}
