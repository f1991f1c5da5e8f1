//! The lines of `info`, in Docker's order and words (moby.md §9.5).

use super::command::Zfs;
use crate::Result;

/// What the pool and the dataset say of themselves.
pub(super) fn lines(parent: &str) -> Result<Vec<(String, String)>> {
    let pool = parent.split('/').next().unwrap_or_default();
    let health = Zfs::health(pool)?;
    let values = Zfs::properties(parent, &["used", "available", "quota", "compression"])?;
    let mut values = values.into_iter();
    let mut next = || values.next().unwrap_or_default();
    let (used, available, quota, compression) = (next(), next(), next(), next());
    let quota = if quota == "0" { "no".to_owned() } else { quota };
    let lines = [
        ("Zpool", pool.to_owned()),
        ("Zpool Health", health),
        ("Parent Dataset", parent.to_owned()),
        ("Space Used By Parent", used),
        ("Space Available", available),
        ("Parent Quota", quota),
        ("Compression", compression),
    ];
    Ok(lines.map(|(name, value)| (name.to_owned(), value)).to_vec())
}
