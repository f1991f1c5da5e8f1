//! Maps of sparse files, in GNU tar's four forms (GNU tar manual, "Storing Sparse Files").

use super::header::{Block, Format, GNU_REAL_SIZE, number};
use super::pax::{Records, integer};
use super::{Limits, SparseMap};
use crate::error::TarFault;

/// Bytes of one extent in a header block: offset and length of twelve each.
const ELEMENT: usize = 24;

/// Extents gathered so far, checked for their number only.
#[derive(Debug, Default)]
pub(super) struct Extents {
    list: Vec<(i64, i64)>,
    blocks: u64,
}

impl Extents {
    fn push(&mut self, offset: i64, length: i64, limits: &Limits) -> Result<(), TarFault> {
        self.list.push((offset, length));
        check_count(self.list.len() as u64, limits)
    }

    /// Reads one block of an old GNU map, the header or an extension. Returns whether another one follows.
    pub fn old_gnu(&mut self, block: &Block, header: bool, limits: &Limits) -> Result<bool, TarFault> {
        let (start, count) = if header { (386, 4) } else { (0, 21) };
        for element in block[start..start + count * ELEMENT].chunks_exact(ELEMENT) {
            let (offset, length) = element.split_at(ELEMENT / 2);
            if offset[0] == 0 {
                break;
            }
            self.push(number(offset, "sparse offset")?, number(length, "sparse length")?, limits)?;
        }
        // Extension blocks may be empty; without this an endless row of them would be read.
        self.blocks += 1;
        check_count(self.blocks, limits)?;
        Ok(block[start + count * ELEMENT] != 0)
    }

    /// The map, if the extents ascend without overlap inside the file and add up to the payload.
    pub fn finish(self, real_size: i64, payload: u64) -> Result<SparseMap, TarFault> {
        let real_size = u64::try_from(real_size).map_err(|_| TarFault::Sparse("negative file size"))?;
        let mut extents = Vec::with_capacity(self.list.len());
        let (mut end, mut sum) = (0, 0);
        for (offset, length) in self.list {
            let (Ok(offset), Ok(length)) = (u64::try_from(offset), u64::try_from(length)) else {
                return Err(TarFault::Sparse("negative number"));
            };
            if offset < end {
                return Err(TarFault::Sparse("extents overlap or are out of order"));
            }
            // Cannot overflow: both are below 2⁶³.
            end = offset + length;
            if end > real_size {
                return Err(TarFault::Sparse("an extent ends beyond the file"));
            }
            sum += length;
            if length != 0 {
                extents.push((offset, length));
            }
        }
        if sum != payload {
            return Err(TarFault::Sparse("the extents do not add up to the payload"));
        }
        Ok(SparseMap { extents, real_size })
    }
}

fn check_count(count: u64, limits: &Limits) -> Result<(), TarFault> {
    let limit = limits.sparse_extents;
    if count <= limit {
        return Ok(());
    }
    Err(TarFault::Limit {
        what: "a number of sparse extents",
        size: count,
        limit_name: "sparse_extents",
        limit,
    })
}

/// File size in the header of an old GNU sparse file. Star uses the same type flag with another layout.
pub(super) fn old_gnu_real_size(format: Format, block: &Block) -> Result<i64, TarFault> {
    if format != Format::Gnu {
        return Err(TarFault::Sparse("type S in an archive that is not GNU's"));
    }
    number(&block[GNU_REAL_SIZE], "real size")
}

/// Where the map of a PAX sparse file is.
#[derive(Debug)]
pub(super) enum PaxMap {
    /// In the records themselves (formats 0.0 and 0.1).
    Here(Extents),
    /// In front of the payload (format 1.0).
    InPayload,
}

/// A sparse file that PAX records describe.
#[derive(Debug)]
pub(super) struct PaxSparse<'a> {
    pub name: Option<&'a [u8]>,
    pub real_size: Option<i64>,
    pub map: PaxMap,
}

/// Recognises a sparse file as Go does: by the version records, without them by a map; other versions are plain
/// files.
pub(super) fn from_pax<'a>(
    records: &Records<'a>,
    limits: &Limits,
) -> Result<Option<PaxSparse<'a>>, TarFault> {
    let version = (records.get("GNU.sparse.major"), records.get("GNU.sparse.minor"));
    let has_map = !records.sparse_pairs.is_empty() || records.get("GNU.sparse.map").is_some();
    let map = match version {
        (Some(b"1"), Some(b"0")) => PaxMap::InPayload,
        (Some(b"0"), Some(b"0" | b"1")) => PaxMap::Here(map_in_records(records, limits)?),
        (None, None) if has_map => PaxMap::Here(map_in_records(records, limits)?),
        _ => return Ok(None),
    };
    let size = records.get("GNU.sparse.size").or_else(|| records.get("GNU.sparse.realsize"));
    let real_size =
        size.map(|v| integer(v).ok_or(TarFault::Sparse("file size is not a number"))).transpose()?;
    Ok(Some(PaxSparse { name: records.get("GNU.sparse.name"), real_size, map }))
}

fn map_in_records(records: &Records<'_>, limits: &Limits) -> Result<Extents, TarFault> {
    let count = records.get("GNU.sparse.numblocks").and_then(integer);
    let count = count.ok_or(TarFault::Sparse("number of extents is missing or not a number"))?;
    let mut extents = Extents::default();
    let mut values = Values::default();
    if records.sparse_pairs.is_empty() {
        let map = records.get("GNU.sparse.map").unwrap_or_default();
        for value in map.split(|&b| b == b',').filter(|_| !map.is_empty()) {
            values.push(value, &mut extents, limits)?;
        }
    } else {
        for value in &records.sparse_pairs {
            values.push(value, &mut extents, limits)?;
        }
    }
    if values.offset.is_some() || i64::try_from(extents.list.len()) != Ok(count) {
        return Err(TarFault::Sparse("number of extents does not match the map"));
    }
    Ok(extents)
}

/// Pairs up decimal numbers: offset, length, offset, …
#[derive(Debug, Default)]
struct Values {
    offset: Option<i64>,
}

impl Values {
    fn push(&mut self, text: &[u8], extents: &mut Extents, limits: &Limits) -> Result<(), TarFault> {
        let value = integer(text).ok_or(TarFault::Sparse("not a number"))?;
        match self.offset.take() {
            None => self.offset = Some(value),
            Some(offset) => extents.push(offset, value, limits)?,
        }
        Ok(())
    }
}

/// Reads a map of format 1.0: decimal numbers, one a line, first the number of extents.
#[derive(Debug, Default)]
pub(super) struct MapLines {
    line: Vec<u8>,
    missing: Option<u64>,
    values: Values,
    extents: Extents,
}

impl MapLines {
    /// Reads a block. Returns the extents after the block with the last of them; the rest of it is padding.
    pub fn block(&mut self, block: &Block, limits: &Limits) -> Result<Option<Extents>, TarFault> {
        for &byte in block {
            if byte != b'\n' {
                // The longest number has nineteen digits.
                if self.line.len() == 32 {
                    return Err(TarFault::Sparse("overlong line"));
                }
                self.line.push(byte);
                continue;
            }
            let missing = match self.missing {
                None => {
                    let count = integer(&self.line).and_then(|n| u64::try_from(n).ok());
                    let count = count.ok_or(TarFault::Sparse("bad number of extents"))?;
                    check_count(count, limits)?;
                    count * 2
                }
                Some(missing) => {
                    self.values.push(&self.line, &mut self.extents, limits)?;
                    missing - 1
                }
            };
            self.line.clear();
            self.missing = Some(missing);
            if missing == 0 {
                return Ok(Some(std::mem::take(&mut self.extents)));
            }
        }
        Ok(None)
    }
}
