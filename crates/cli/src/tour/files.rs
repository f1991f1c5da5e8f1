//! What `ls`, `getfattr` and `mount` would print: the tour needs no other program, so it looks for itself.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use jiff::{Timestamp, tz::TimeZone};

/// The names in a directory as `ls` prints them, in one line.
pub fn ls(dir: &Path) -> io::Result<String> {
    Ok(names(dir)?.join("  "))
}

/// A directory as `ls -ln` prints it, with long IDs shortened.
pub fn ls_ln(dir: &Path) -> io::Result<String> {
    long(dir, names(dir)?)
}

/// What `ls -lnA` prints: hidden names, too.
pub fn ls_lna(dir: &Path) -> io::Result<String> {
    long(dir, all_names(dir)?)
}

fn long(dir: &Path, names: Vec<String>) -> io::Result<String> {
    let mut rows = Vec::new();
    let mut blocks = 0;
    for name in names {
        let path = dir.join(&name);
        let meta = fs::symlink_metadata(&path)?;
        blocks += meta.blocks();
        let target = if meta.is_symlink() {
            format!(" -> {}", fs::read_link(&path)?.display())
        } else {
            String::new()
        };
        rows.push((meta, format!("{name}{target}")));
    }
    Ok(format!("total {}\n{}", blocks / 2, lines(&rows)))
}

/// The attributes of OverlayFS on a file, as `getfattr -d` prints them.
pub fn overlay_attributes(path: &Path) -> io::Result<String> {
    let file = fs::File::open(path)?;
    let names = sys::xattr::list_fd(&file).map_err(io::Error::other)?;
    let mut text = String::new();
    for name in names.iter().filter(|name| sys::xattr::is_overlay(name)) {
        let value = sys::xattr::get_fd(&file, name).map_err(io::Error::other)?.unwrap_or_default();
        text += &format!("{}={:?}\n", name.to_string_lossy(), String::from_utf8_lossy(&value));
    }
    Ok(text)
}

/// Cuts the 64 digits of an ID down to 12.
pub fn shorten(text: &str) -> String {
    let mut short = String::new();
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')).count();
        if digits == 64 {
            short += &rest[..12];
            short.push('…');
            rest = &rest[64..];
            continue;
        }
        let end = digits + rest[digits..].chars().next().map_or(0, char::len_utf8);
        short += &rest[..end];
        rest = &rest[end..];
    }
    short
}

fn names(dir: &Path) -> io::Result<Vec<String>> {
    let mut names = all_names(dir)?;
    names.retain(|name| !name.starts_with('.'));
    Ok(names)
}

fn all_names(dir: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

/// Rows with aligned columns.
fn lines(rows: &[(Metadata, String)]) -> String {
    let columns: Vec<[String; 4]> = rows
        .iter()
        .map(|(meta, _)| {
            [meta.nlink().to_string(), meta.uid().to_string(), meta.gid().to_string(), size(meta)]
        })
        .collect();
    let width = |n: usize| columns.iter().map(|row| row[n].len()).max().unwrap_or(0);
    let widths = [width(0), width(1), width(2), width(3)];
    let mut text = String::new();
    for ((meta, name), column) in rows.iter().zip(&columns) {
        text += &mode(meta);
        for (cell, width) in column.iter().zip(widths) {
            text += &format!(" {cell:>width$}");
        }
        text += &format!(" {} {}\n", time(meta.mtime()), shorten(name));
    }
    text
}

/// A size; of a device its number.
fn size(meta: &Metadata) -> String {
    if meta.file_type().is_char_device() || meta.file_type().is_block_device() {
        let device = meta.rdev();
        return format!("{}, {}", rustix::fs::major(device), rustix::fs::minor(device));
    }
    meta.len().to_string()
}

fn mode(meta: &Metadata) -> String {
    let kind = meta.file_type();
    let letter = if kind.is_dir() {
        'd'
    } else if kind.is_symlink() {
        'l'
    } else if kind.is_char_device() {
        'c'
    } else {
        '-'
    };
    let bits = "rwxrwxrwx".chars().enumerate();
    let bits = bits.map(|(n, bit)| if meta.mode() & (0o400 >> n) == 0 { '-' } else { bit });
    std::iter::once(letter).chain(bits).collect()
}

/// Month, day, and the time of day, or the year if that was more than half a year ago.
fn time(seconds: i64) -> String {
    const HALF_A_YEAR: i64 = 31_556_952 / 2;
    let recent = Timestamp::now().as_second() - seconds < HALF_A_YEAR;
    let time = Timestamp::from_second(seconds).unwrap_or_default().to_zoned(TimeZone::system());
    time.strftime(if recent { "%b %e %H:%M" } else { "%b %e  %Y" }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_ids_are_shortened() {
        let id = "0123456789abcdef".repeat(4);
        assert_eq!(shorten(&format!("../{id}-init/diff é")), "../0123456789ab…-init/diff é");
        assert_eq!(shorten("sha256:abc deadbeef"), "sha256:abc deadbeef");
        assert_eq!(shorten(&format!("{id}0")), format!("{id}0"));
    }
}
