//! Ports in filters and flags: `80`, `53/udp`, `8000-8010/tcp`.

use std::collections::BTreeSet;

use super::failure::Failure;
use super::filter::Filters;

/// The ports that all values of a filter mean, as Docker's documents have them: `80/tcp`.
///
/// # Errors
/// In Docker's words, for what is no port.
pub fn of(filters: &Filters, key: &str) -> Result<BTreeSet<String>, Failure> {
    let mut ports = BTreeSet::new();
    for value in filters.values(key) {
        if value.contains(':') {
            return Err(Failure::refused(format_args!("filter for '{key}' should not contain ':': {value}")));
        }
        ports.extend(expand(value).map_err(|why| {
            Failure::refused(format_args!("error while looking up for {key} {value}: {why}"))
        })?);
    }
    Ok(ports)
}

/// The ports that a text means, as Docker's documents have them.
///
/// # Errors
/// Why it is no port, in Go's words.
pub fn expand(text: &str) -> Result<impl Iterator<Item = String>, String> {
    let (range, protocol) = text.split_once('/').unwrap_or((text, ""));
    let protocol = if protocol.is_empty() { "tcp" } else { protocol };
    let (first, last) = parse(range)?;
    Ok((first..=last).map(move |port| format!("{port}/{protocol}")))
}

/// One port, or two with `-` between them. The messages are those of Go's library.
fn parse(range: &str) -> Result<(u16, u16), String> {
    if range.is_empty() {
        return Err("Empty string specified for ports.".to_owned());
    }
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let why = if digits { "value out of range" } else { "invalid syntax" };
        let number = text.parse::<u16>().ok().filter(|_| digits);
        number.ok_or_else(|| format!("strconv.ParseUint: parsing {text:?}: {why}"))
    };
    let mut ends = range.split('-');
    let first = number(ends.next().unwrap_or_default())?;
    let last = ends.next().map_or(Ok(first), number)?;
    if last < first {
        return Err(format!("Invalid range specified for the Port: {range}"));
    }
    Ok((first, last))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ports(values: &[&str]) -> Result<Vec<String>, String> {
        let filters = values.iter().map(|value| format!("publish={value}").parse().unwrap());
        let filters = Filters::new(filters, &["publish"]).unwrap();
        of(&filters, "publish").map(|ports| ports.into_iter().collect()).map_err(|e| e.message)
    }

    #[test]
    fn ports_ranges_and_protocols() {
        assert_eq!(ports(&[]).unwrap(), [""; 0]);
        assert_eq!(ports(&["80", "53/udp"]).unwrap(), ["53/udp", "80/tcp"]);
        assert_eq!(ports(&["9-10", "80/"]).unwrap(), ["10/tcp", "80/tcp", "9/tcp"]);
        assert_eq!(ports(&["65535"]).unwrap(), ["65535/tcp"]);
    }

    /// As Docker 20.10 and 28.5 said.
    #[test]
    fn errors_are_dockers() {
        for (value, message) in [
            ("80:80", "filter for 'publish' should not contain ':': 80:80"),
            ("", "error while looking up for publish : Empty string specified for ports."),
            ("/tcp", "error while looking up for publish /tcp: Empty string specified for ports."),
            ("9-3", "error while looking up for publish 9-3: Invalid range specified for the Port: 9-3"),
            ("x", r#"error while looking up for publish x: strconv.ParseUint: parsing "x": invalid syntax"#),
            (
                "70000",
                r#"error while looking up for publish 70000: strconv.ParseUint: parsing "70000": value out of range"#,
            ),
        ] {
            assert_eq!(ports(&[value]).unwrap_err(), format!("Error: {message}"));
        }
    }
}
