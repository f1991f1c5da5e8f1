//! PAX extended headers: records `length key=value\n` (POSIX 1003.1-2001, pax utility).

use std::collections::BTreeMap;

use super::header::Numbers;
use super::{Entry, Timestamp};
use crate::error::TarFault;

pub(super) const XATTR: &[u8] = b"SCHILY.xattr.";
pub(super) const SPARSE: &[u8] = b"GNU.sparse.";

/// The records of one extended header.
#[derive(Debug, Default)]
pub(super) struct Records<'a> {
    /// The last value of each key.
    pub map: BTreeMap<&'a [u8], &'a [u8]>,
    /// Values of `GNU.sparse.offset` and `GNU.sparse.numbytes` in turn: GNU's sparse format 0.0 repeats the keys.
    pub sparse_pairs: Vec<&'a [u8]>,
}

impl<'a> Records<'a> {
    pub fn parse(mut body: &'a [u8]) -> Result<Self, TarFault> {
        let mut records = Records::default();
        while !body.is_empty() {
            let (key, value, rest) = split_record(body).ok_or(TarFault::PaxRecord)?;
            body = rest;
            let turn = records.sparse_pairs.len() % 2;
            match key {
                b"GNU.sparse.offset" | b"GNU.sparse.numbytes" => {
                    let expected: &[u8] = [&b"GNU.sparse.offset"[..], b"GNU.sparse.numbytes"][turn];
                    if key != expected || value.contains(&b',') {
                        return Err(TarFault::Sparse("offsets and lengths out of order"));
                    }
                    records.sparse_pairs.push(value);
                }
                _ => {
                    records.map.insert(key, value);
                }
            }
        }
        Ok(records)
    }

    /// The value of `key`; an empty value counts as none.
    pub fn get(&self, key: &str) -> Option<&'a [u8]> {
        self.map.get(key.as_bytes()).copied().filter(|value| !value.is_empty())
    }

    /// Lets the records override the fields of `entry` and `numbers`. Sparse records are left to the caller.
    pub fn apply(&self, entry: &mut Entry, numbers: &mut Numbers) -> Result<(), TarFault> {
        for (&key, &value) in &self.map {
            if let Some(name) = key.strip_prefix(XATTR) {
                entry.xattrs.push((name.to_vec(), value.to_vec()));
            } else if !is_basic(key) {
                if !key.starts_with(SPARSE) {
                    entry.pax.push((key.to_vec(), value.to_vec()));
                }
            } else if !value.is_empty() {
                set(key, value, entry, numbers).ok_or_else(|| bad_value(key))?;
            }
        }
        Ok(())
    }
}

/// Keys that stand for a field of [`Entry`].
pub(super) fn is_basic(key: &[u8]) -> bool {
    matches!(
        key,
        b"path"
            | b"linkpath"
            | b"uname"
            | b"gname"
            | b"uid"
            | b"gid"
            | b"size"
            | b"mtime"
            | b"atime"
            | b"ctime"
    )
}

fn set(key: &[u8], value: &[u8], entry: &mut Entry, numbers: &mut Numbers) -> Option<()> {
    match key {
        b"path" => replace(&mut entry.path, value),
        b"linkpath" => replace(&mut entry.link, value),
        b"uname" => replace(&mut entry.uname, value),
        b"gname" => replace(&mut entry.gname, value),
        b"uid" => numbers.uid = integer(value)?,
        b"gid" => numbers.gid = integer(value)?,
        b"size" => numbers.size = integer(value)?,
        b"mtime" => entry.mtime = time(value)?,
        b"atime" => entry.atime = Some(time(value)?),
        b"ctime" => entry.ctime = Some(time(value)?),
        _ => {}
    }
    Some(())
}

pub(super) fn replace(field: &mut Vec<u8>, value: &[u8]) {
    field.clear();
    field.extend_from_slice(value);
}

pub(super) fn bad_value(key: &[u8]) -> TarFault {
    TarFault::PaxValue(String::from_utf8_lossy(key).into_owned())
}

/// Key, value and what follows the first record.
fn split_record(body: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = body.iter().position(|&b| b == b' ')?;
    let length = usize::try_from(integer(&body[..space])?).ok()?;
    let record = body.get(..length)?.strip_suffix(b"\n")?.get(space + 1..)?;
    let equals = record.iter().position(|&b| b == b'=')?;
    let (key, value) = (&record[..equals], &record[equals + 1..]);
    valid(key, value).then_some((key, value, &body[length..]))
}

/// Whether a record may be read and written: NUL is allowed only in values that are not names.
pub(super) fn valid(key: &[u8], value: &[u8]) -> bool {
    let text = matches!(key, b"path" | b"linkpath" | b"uname" | b"gname");
    let key_is_good = !(key.is_empty() || key.contains(&b'=') || key.contains(&0));
    key_is_good && (!text || !value.contains(&0))
}

/// A decimal number with optional sign.
pub(super) fn integer(value: &[u8]) -> Option<i64> {
    std::str::from_utf8(value).ok()?.parse().ok()
}

/// Seconds with an optional fraction, of which nine digits count.
fn time(value: &[u8]) -> Option<Timestamp> {
    let mut parts = value.splitn(2, |&b| b == b'.');
    let whole = parts.next()?;
    let secs = integer(whole)?;
    let fraction = parts.next().unwrap_or_default();
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digits = fraction.iter().copied().chain(std::iter::repeat(b'0')).take(9);
    let nanos = digits.fold(0, |n, digit| n * 10 + u32::from(digit - b'0'));
    if whole.starts_with(b"-") && nanos != 0 {
        return Some(Timestamp { secs: secs.checked_sub(1)?, nanos: 1_000_000_000 - nanos });
    }
    Some(Timestamp { secs, nanos })
}

/// Writes a time as [`time`] reads it, without trailing zeros.
pub(super) fn format_time(time: Timestamp) -> String {
    if time.nanos == 0 {
        return time.secs.to_string();
    }
    let (sign, secs, nanos) = if time.secs < 0 {
        ("-", (time.secs + 1).unsigned_abs(), 1_000_000_000 - time.nanos)
    } else {
        ("", time.secs.unsigned_abs(), time.nanos)
    };
    format!("{sign}{secs}.{nanos:09}").trim_end_matches('0').to_owned()
}

/// Appends one record to `body`. The length counts its own digits.
pub(super) fn push_record(body: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + rest.to_string().len();
    length = rest + length.to_string().len();
    body.extend_from_slice(length.to_string().as_bytes());
    body.push(b' ');
    body.extend_from_slice(key);
    body.push(b'=');
    body.extend_from_slice(value);
    body.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_cut_as_go_cuts_them() {
        for (body, key, value, rest) in [
            ("6 k=v\n\n", "k", "v", "\n"),
            ("19 path=/etc/hosts\n", "path", "/etc/hosts", ""),
            ("8 a=b=c\nx", "a", "b=c", "x"),
            ("+7 k=v\n", "k", "v", ""),
            ("7 k=\0\0\n", "k", "\0\0", ""),
            ("5 k=\n", "k", "", ""),
        ] {
            let expected = (key.as_bytes(), value.as_bytes(), rest.as_bytes());
            assert_eq!(split_record(body.as_bytes()), Some(expected), "{body:?}");
        }
        for bad in [
            &b"6k=v\n"[..],
            b"7 k=v\n",
            b"5 k=v\n",
            b"6 k:v\n",
            b"4 =v\n",
            b"5 =vv\n",
            b"-6 k=v\n",
            b"99999999999999999999 k=v\n",
            b"1 k=v\n",
            b"0 k=v\n",
            b"9 path=\0\n",
            b"7 k\0=v\n",
            b"6 ",
            b" ",
        ] {
            assert_eq!(split_record(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn times_round_trip_and_malformed_ones_are_refused() {
        for (text, secs, nanos) in [
            ("1350244992.023960108", 1350244992, 23960108),
            ("1350244992.02396", 1350244992, 23960000),
            ("-1.5", -2, 500_000_000),
            ("-0.25", -1, 750_000_000),
            ("0", 0, 0),
            ("-7", -7, 0),
        ] {
            let parsed = time(text.as_bytes()).unwrap();
            assert_eq!((parsed.secs, parsed.nanos), (secs, nanos), "{text}");
            assert_eq!(format_time(parsed), text);
        }
        assert_eq!(time(b"1.0123456789999").unwrap().nanos, 12345678);
        assert_eq!(time(b"3.").unwrap(), Timestamp { secs: 3, nanos: 0 });
        for bad in [
            &b""[..],
            b".5",
            b"1.-5",
            b"1.5x",
            b"x",
            b"1 ",
            b"9999999999999999999",
            b"-9223372036854775808.5",
        ] {
            assert_eq!(time(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn length_counts_its_own_digits() {
        for n in 0..300 {
            let mut body = Vec::new();
            push_record(&mut body, b"k", &vec![b'v'; n]);
            let (key, value, rest) = split_record(&body).unwrap();
            assert_eq!((key, value.len(), rest.len()), (&b"k"[..], n, 0));
        }
    }
}
