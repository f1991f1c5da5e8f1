//! Header blocks and PAX records of an entry, as Go's `archive/tar` writes them.

use std::collections::BTreeMap;

use super::header::{self, Block, ZERO};
use super::{Entry, Kind, SparseMap, Timestamp, padding, pax};

/// What goes into the header fields, after sparse files have got their other name and size.
pub(super) struct Fields<'a> {
    entry: &'a Entry,
    path: Vec<u8>,
    size: i64,
}

impl<'a> Fields<'a> {
    pub fn new(entry: &'a Entry, map: u64) -> Option<Self> {
        let size = i64::try_from(entry.size.checked_add(map)?).ok()?;
        let path =
            if entry.sparse.is_some() { beside(&entry.path, b"GNUSparseFile.0") } else { entry.path.clone() };
        Some(Fields { entry, path, size })
    }

    /// The PAX records, or `None` if a ustar header holds everything.
    pub fn records(&self) -> Result<Option<Vec<u8>>, &'static str> {
        let entry = self.entry;
        check_numbers(entry)?;
        let mut records: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
        let mut put = |key: &str, value: &[u8]| records.insert(key.into(), value.to_vec());
        let mut ustar = true;
        if let Some(map) = &entry.sparse {
            put("GNU.sparse.major", b"1");
            put("GNU.sparse.minor", b"0");
            put("GNU.sparse.name", &entry.path);
            put("GNU.sparse.realsize", map.real_size.to_string().as_bytes());
            ustar = false;
        } else if !fits_string(&self.path, header::NAME.len()) {
            // A name that can be split does not ask for PAX, yet is recorded if something else does.
            ustar = split(&self.path).is_some();
            put("path", &self.path);
        }
        for (key, value, field) in [
            ("linkpath", &entry.link, header::LINK),
            ("uname", &entry.uname, header::UNAME),
            ("gname", &entry.gname, header::GNAME),
        ] {
            if !fits_string(value, field.len()) {
                put(key, value);
                ustar = false;
            }
        }
        for (key, value, field) in [
            ("uid", i64::from(entry.uid), header::UID),
            ("gid", i64::from(entry.gid), header::GID),
            ("size", self.size, header::SIZE),
        ] {
            if !fits_number(value, field.len()) {
                put(key, value.to_string().as_bytes());
                ustar = false;
            }
        }
        if entry.mtime.nanos != 0 || !fits_number(entry.mtime.secs, header::MTIME.len()) {
            put("mtime", pax::format_time(entry.mtime).as_bytes());
            ustar = false;
        }
        for (key, time) in [("atime", entry.atime), ("ctime", entry.ctime)] {
            if let Some(time) = time {
                put(key, pax::format_time(time).as_bytes());
                ustar = false;
            }
        }
        for (name, value) in &entry.xattrs {
            records.insert([pax::XATTR, name].concat(), value.clone());
            ustar = false;
        }
        let global = entry.kind == Kind::GlobalHeader;
        for (key, value) in &entry.pax {
            if global || !(pax::is_basic(key) || key.starts_with(pax::SPARSE)) {
                records.entry(key.clone()).or_insert_with(|| value.clone());
                ustar = false;
            }
        }
        if ustar {
            return Ok(None);
        }
        let mut body = Vec::new();
        for (key, value) in &records {
            if !pax::valid(key, value) {
                return Err("a name contains NUL, or the name of an attribute NUL or an equals sign");
            }
            pax::push_record(&mut body, key, value);
        }
        Ok(Some(body))
    }

    pub fn ustar(&self) -> Block {
        let (prefix, name) = split(&self.path).unwrap_or((b"", &self.path));
        let mut block = self.block(name, &self.entry.link, &self.entry.uname, &self.entry.gname);
        put_string(&mut block[header::PREFIX], prefix);
        seal(&mut block);
        block
    }

    /// The header after an extended header: an approximation for readers that know no PAX.
    pub fn pax(&self) -> Block {
        let [path, link, uname, gname] =
            [&self.path, &self.entry.link, &self.entry.uname, &self.entry.gname].map(|s| ascii(s));
        let mut block = self.block(&path, &link, &uname, &gname);
        seal(&mut block);
        block
    }

    fn block(&self, name: &[u8], link: &[u8], uname: &[u8], gname: &[u8]) -> Block {
        let entry = self.entry;
        let mut block = ZERO;
        block[header::FLAG] = entry.kind.flag();
        put_string(&mut block[header::NAME], name);
        put_string(&mut block[header::LINK], link);
        put_string(&mut block[header::UNAME], uname);
        put_string(&mut block[header::GNAME], gname);
        for (field, value) in [
            (header::MODE, entry.mode.into()),
            (header::UID, entry.uid.into()),
            (header::GID, entry.gid.into()),
            (header::SIZE, self.size),
            (header::MTIME, entry.mtime.secs),
            (header::DEVMAJOR, entry.devmajor.into()),
            (header::DEVMINOR, entry.devminor.into()),
        ] {
            put_number(&mut block[field], value);
        }
        block
    }
}

/// Refuses what neither ustar nor PAX has room for.
fn check_numbers(entry: &Entry) -> Result<(), &'static str> {
    for (what, value, field) in [
        ("the mode is too large", entry.mode, header::MODE),
        ("the device number is too large", entry.devmajor, header::DEVMAJOR),
        ("the device number is too large", entry.devminor, header::DEVMINOR),
    ] {
        if !fits_number(value.into(), field.len()) {
            return Err(what);
        }
    }
    let times = [Some(entry.mtime), entry.atime, entry.ctime];
    if times.into_iter().flatten().any(|Timestamp { nanos, .. }| nanos >= 1_000_000_000) {
        return Err("a time has more than 10^9 nanoseconds");
    }
    Ok(())
}

/// The header of an extension with a body of `size` bytes. The name only tells a user of old tools what the file is.
pub(super) fn extension_block(flag: u8, name: &[u8], size: usize) -> Block {
    let mut name = ascii(name);
    name.truncate(header::NAME.len());
    while name.ends_with(b"/") {
        name.pop();
    }
    let mut block = ZERO;
    block[header::FLAG] = flag;
    put_string(&mut block[header::NAME], &name);
    for field in [header::MODE, header::UID, header::GID, header::MTIME] {
        put_number(&mut block[field], 0);
    }
    put_number(&mut block[header::SIZE], size as i64);
    seal(&mut block);
    block
}

/// The map in front of a payload of `size` bytes, in whole blocks; `None` if it does not describe that payload.
pub(super) fn sparse_map(map: &SparseMap, size: u64) -> Option<Vec<u8>> {
    let mut extents = map.extents.clone();
    let (mut end, mut sum) = (0_u64, 0_u64);
    for &(offset, length) in &extents {
        if offset < end {
            return None;
        }
        end = offset.checked_add(length)?;
        sum += length;
    }
    if end > map.real_size || sum != size || i64::try_from(map.real_size).is_err() {
        return None;
    }
    if end < map.real_size {
        // GNU tar tells the size of a file with a hole at its end by an empty extent there.
        extents.push((map.real_size, 0));
    }
    let mut lines = format!("{}\n", extents.len()).into_bytes();
    for (offset, length) in extents {
        lines.extend_from_slice(format!("{offset}\n{length}\n").as_bytes());
    }
    lines.resize(lines.len() + padding(lines.len() as u64) as usize, 0);
    Some(lines)
}

fn fits_string(value: &[u8], field: usize) -> bool {
    value.len() <= field && is_ascii(value)
}

/// Octal digits and a NUL.
fn fits_number(value: i64, field: usize) -> bool {
    (0..1 << (3 * (field - 1))).contains(&value)
}

fn is_ascii(value: &[u8]) -> bool {
    value.iter().all(|&b| b != 0 && b < 0x80)
}

fn ascii(value: &[u8]) -> Vec<u8> {
    value.iter().copied().filter(|&b| b != 0 && b < 0x80).collect()
}

/// Splits a long name at a slash into prefix and name fields, the prefix as long as possible.
fn split(path: &[u8]) -> Option<(&[u8], &[u8])> {
    let (name, prefix) = (header::NAME.len(), header::PREFIX.len());
    if path.len() <= name || !is_ascii(path) {
        return None;
    }
    let searched = match path.len() {
        n if n > prefix + 1 => prefix + 1,
        n if path.ends_with(b"/") => n - 1,
        n => n,
    };
    let slash = path[..searched].iter().rposition(|&b| b == b'/')?;
    let rest = &path[slash + 1..];
    (slash > 0 && slash <= prefix && !rest.is_empty() && rest.len() <= name).then_some((&path[..slash], rest))
}

/// The path with a directory put in before its last component, cleaned as Go's `path.Join` does.
pub(super) fn beside(path: &[u8], directory: &[u8]) -> Vec<u8> {
    let slash = path.iter().rposition(|&b| b == b'/').map_or(0, |i| i + 1);
    let (dir, file) = path.split_at(slash);
    crate::tar_split::clean(&[dir, directory, b"/", file].concat()).into_owned()
}

/// Writes a string with a NUL after it if there is room. Some readers take a file whose name field ends in a slash
/// for a directory, so a truncated name must not end in one.
fn put_string(field: &mut [u8], value: &[u8]) {
    let n = value.len().min(field.len());
    field[..n].copy_from_slice(&value[..n]);
    if value.len() > n && value[n - 1] == b'/' {
        let end = value[..n].iter().rposition(|&b| b != b'/').map_or(0, |i| i + 1);
        field[end] = 0;
    }
}

/// Writes a number as octal digits with leading zeros, or zero if it does not fit.
fn put_number(field: &mut [u8], value: i64) {
    let value = if fits_number(value, field.len()) { value } else { 0 };
    let digits = field.len() - 1;
    for (i, byte) in field[..digits].iter_mut().rev().enumerate() {
        *byte = b'0' + (value >> (3 * i) & 7) as u8;
    }
    field[digits] = 0;
}

/// Writes magic and checksum.
fn seal(block: &mut Block) {
    block[header::MAGIC].copy_from_slice(header::USTAR_MAGIC);
    let (sum, _) = header::checksums(block);
    let field = &mut block[header::CHECKSUM];
    put_number(&mut field[..7], sum);
    field[7] = b' ';
}
