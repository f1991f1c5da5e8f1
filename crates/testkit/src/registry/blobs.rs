//! Blobs, whole or a range (RFC 9110, 14).

use std::ops::Range;

use model::Digest;

use super::http::{Answer, Head};
use super::state::Shared;

/// Answers GET and HEAD of a blob.
pub fn get(shared: &Shared, head: &Head, repository: &str, digest: &Digest) -> Answer {
    let Some(blob) = shared.state().find_blob(repository, digest) else {
        return Answer::error(404, "BLOB_UNKNOWN", digest);
    };
    let answer = Answer::new(200)
        .header("Content-Type", "application/octet-stream")
        .header("Docker-Content-Digest", digest);
    if !shared.setup.ranges {
        return answer.body(&blob[..]);
    }
    let answer = answer.header("Accept-Ranges", "bytes");
    match head.header("Range").map_or(Asked::Whole, |text| asked(text, blob.len())) {
        Asked::Whole => answer.body(&blob[..]),
        Asked::Part(part) => {
            let range = format!("bytes {}-{}/{}", part.start, part.end - 1, blob.len());
            Answer { status: 206, ..answer }.header("Content-Range", range).body(&blob[part])
        }
        Asked::Beyond => Answer::error(416, "RANGE_INVALID", digest)
            .header("Content-Range", format!("bytes */{}", blob.len())),
    }
}

/// What a `Range` means for a blob.
#[derive(Debug, PartialEq)]
enum Asked {
    Whole,
    Part(Range<usize>),
    Beyond,
}

/// Several ranges, and what is no range, is the whole blob.
fn asked(text: &str, length: usize) -> Asked {
    let Some((first, last)) = text.strip_prefix("bytes=").and_then(|range| range.split_once('-')) else {
        return Asked::Whole;
    };
    let range = match (first.parse::<usize>(), last.parse::<usize>()) {
        (Ok(first), Ok(last)) if first <= last => first..length.min(last.saturating_add(1)),
        (Ok(first), Err(_)) if last.is_empty() => first..length,
        (Err(_), Ok(suffix)) if first.is_empty() => length.saturating_sub(suffix)..length,
        _ => return Asked::Whole,
    };
    if range.is_empty() { Asked::Beyond } else { Asked::Part(range) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_rfc_9110_says() {
        for (text, expected) in [
            ("bytes=0-", Asked::Part(0..10)),
            ("bytes=3-5", Asked::Part(3..6)),
            ("bytes=9-100", Asked::Part(9..10)),
            ("bytes=-4", Asked::Part(6..10)),
            ("bytes=10-", Asked::Beyond),
            ("bytes=5-3", Asked::Whole),
            ("bytes=0-1,3-4", Asked::Whole),
            ("lines=1-2", Asked::Whole),
        ] {
            assert_eq!(asked(text, 10), expected, "{text}");
        }
    }
}
