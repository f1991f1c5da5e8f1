//! The value of `uidmapping` and `gidmapping`.

use super::{Given, Refused};
use crate::config::IdRange;

/// Triples of the first id in the layers, the first id that it shows as, and how many, all separated by colons
/// (fuse-overlayfs(1): `UID:MAPPED-UID:LEN`, of which the first is what the files have).
pub(super) fn parse(given: &Given) -> Result<Vec<IdRange>, Refused> {
    let refuse = |why: String| Refused::new(given.item, why);
    let text = given.text()?;
    // Podman and Buildah put a colon before each triple, the first one too.
    let text = text.strip_prefix(':').unwrap_or(&text);
    let numbers: Option<Vec<u32>> = text.split(':').map(|number| number.parse().ok()).collect();
    let Some(numbers) = numbers.filter(|numbers| numbers.len().is_multiple_of(3)) else {
        return Err(refuse("wants triples of numbers, LAYER:SHOWN:COUNT[:LAYER:SHOWN:COUNT…]".to_owned()));
    };
    let ranges: Vec<IdRange> = numbers
        .chunks_exact(3)
        .map(|triple| IdRange { outside: triple[0], inside: triple[1], count: triple[2] })
        .collect();
    for (at, range) in ranges.iter().enumerate() {
        let shown = |r: &IdRange| format!("{}:{}:{}", r.outside, r.inside, r.count);
        let fits = |first: u32| {
            range.count > 0 && first.checked_add(range.count - 1).is_some_and(|last| last < u32::MAX)
        };
        if !fits(range.inside) || !fits(range.outside) {
            return Err(refuse(format!("{} is no range of ids", shown(range))));
        }
        // What two ranges have in common could be mapped either way.
        if let Some(other) = ranges[..at].iter().find(|other| overlap(range, other)) {
            return Err(refuse(format!("{} and {} overlap", shown(other), shown(range))));
        }
    }
    Ok(ranges)
}

fn overlap(a: &IdRange, b: &IdRange) -> bool {
    let meet = |x: u32, y: u32| x < y.saturating_add(b.count) && y < x.saturating_add(a.count);
    meet(a.inside, b.inside) || meet(a.outside, b.outside)
}
