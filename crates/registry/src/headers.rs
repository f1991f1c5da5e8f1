//! Values of headers.

use std::time::{Duration, SystemTime};

/// `Content-Range: bytes <first>-<last>/<total>`: first, last, and the total if it is known (RFC 9110 §14.4).
pub(crate) fn content_range(value: &str) -> Option<(u64, u64, Option<u64>)> {
    let (range, total) = value.trim().strip_prefix("bytes")?.trim_start().split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    let total = match total.trim() {
        "*" => None,
        total => Some(total.parse().ok()?),
    };
    (first <= last && total.is_none_or(|total| last < total)).then_some((first, last, total))
}

/// `Range: <first>-<last>` of an upload's answer: how many bytes the server has. Some write `bytes=` before it.
pub(crate) fn upload_range(value: &str) -> Option<u64> {
    let (first, last) = value.trim().trim_start_matches("bytes=").split_once('-')?;
    let last: u64 = last.trim().parse().ok()?;
    // An upload that has nothing yet says 0-0, as one does that has one byte.
    (first.trim() == "0").then(|| last.saturating_add(1))
}

/// The target of `Link: <…>; rel="next"` (RFC 8288).
pub(crate) fn next_link(value: &str) -> Option<&str> {
    let mut rest = value;
    loop {
        let (target, after) = rest.split_once('<')?.1.split_once('>')?;
        let parameters = after.split('<').next().unwrap_or_default();
        let is_next = parameters.split([';', ',']).any(|parameter| {
            let (key, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let relations = value.trim().trim_matches('"');
            key.trim().eq_ignore_ascii_case("rel")
                && relations.split(' ').any(|r| r.eq_ignore_ascii_case("next"))
        });
        if is_next {
            return Some(target);
        }
        rest = after;
    }
}

/// `Retry-After`, a number of seconds or a date (RFC 9110 §10.2.3). Zero if the date has passed.
pub(crate) fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = jiff::fmt::rfc2822::parse(value).ok()?.timestamp();
    Some(SystemTime::from(at).duration_since(now).unwrap_or_default())
}

/// The text of `Warning: 299 - "…"`, the one form that the distribution specification allows.
pub(crate) fn warning(value: &str) -> Option<String> {
    let quoted = value.trim().strip_prefix("299 - \"")?.strip_suffix('"')?;
    let mut text = String::new();
    let mut chars = quoted.chars();
    while let Some(c) = chars.next() {
        text.extend(if c == '\\' { chars.next() } else { Some(c) });
    }
    Some(text)
}

/// A media type without its parameters.
pub(crate) fn media_type(value: &str) -> &str {
    value.split(';').next().unwrap_or_default().trim()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::UNIX_EPOCH;

    #[test]
    fn ranges_of_answers() {
        assert_eq!(content_range("bytes 0-499/1234"), Some((0, 499, Some(1234))));
        assert_eq!(content_range("bytes 5-5/*"), Some((5, 5, None)));
        for bad in
            ["", "bytes */1234", "bytes 5-4/9", "bytes 0-9/9", "items 0-1/2", "bytes 0-/2", "bytes -1-2/3"]
        {
            assert_eq!(content_range(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn ranges_of_uploads() {
        assert_eq!(upload_range("0-99"), Some(100));
        assert_eq!(upload_range("bytes=0-99"), Some(100));
        for bad in ["", "5-9", "0-", "x-1", "99"] {
            assert_eq!(upload_range(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn the_next_page() {
        let next = Some("/v2/x/tags/list?n=2&last=b");
        for value in [
            r#"</v2/x/tags/list?n=2&last=b>; rel="next""#,
            r#"</v2/x/tags/list?n=2&last=b>;rel=next"#,
            r#"</first>; rel="prev", </v2/x/tags/list?n=2&last=b>; title=x; REL="last next""#,
        ] {
            assert_eq!(next_link(value), next, "{value}");
        }
        for none in ["", "</x>", r#"</x>; rel="prev""#, "/x; rel=next", "<x"] {
            assert_eq!(next_link(none), None, "{none:?}");
        }
    }

    #[test]
    fn when_to_come_back() {
        let now = UNIX_EPOCH + Duration::from_secs(784_111_777 - 30);
        assert_eq!(retry_after("120", now), Some(Duration::from_secs(120)));
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:49:37 GMT", now), Some(Duration::from_secs(30)));
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:49:00 GMT", now), Some(Duration::ZERO));
        for bad in ["", "soon", "-1", "1.5"] {
            assert_eq!(retry_after(bad, now), None, "{bad:?}");
        }
    }

    #[test]
    fn warnings_of_the_one_form() {
        assert_eq!(warning(r#"299 - "a \"tag\" is old""#).as_deref(), Some("a \"tag\" is old"));
        assert_eq!(warning(r#"199 - "x""#), None);
        assert_eq!(warning(r#"299 host "x""#), None);
    }

    #[test]
    fn media_types_lose_their_parameters() {
        assert_eq!(media_type("application/json; charset=utf-8"), "application/json");
    }
}
