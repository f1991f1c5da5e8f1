//! Addresses of resources: `http:` and `https:` only (RFC 3986).

use std::fmt;

/// An absolute address, without a fragment. Hosts compare case-insensitively, default ports are left out.
///
/// Shows nothing of its query in `Debug` and [`Url::shown`]: signed addresses have secrets there.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Url {
    https: bool,
    /// `host` or `host:port`; an IPv6 address in brackets.
    authority: String,
    /// Path and query; starts with `/`.
    target: String,
}

impl Url {
    /// Reads an absolute address. `None` if it is none, has another scheme, or names a user.
    pub fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let https = match scheme.to_ascii_lowercase().as_str() {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at(end);
        Some(Url { https, authority: normal_authority(authority, https)?, target: normal_target(target)? })
    }

    /// The root of a server.
    pub fn of_server(https: bool, authority: &str) -> Option<Self> {
        Some(Url { https, authority: normal_authority(authority, https)?, target: "/".to_owned() })
    }

    /// What `reference`, found at this address, refers to (RFC 3986 §5.2).
    pub fn join(&self, reference: &str) -> Option<Self> {
        let reference = reference.split('#').next().unwrap_or_default();
        let scheme_end = reference.find(|c: char| !c.is_ascii_alphanumeric() && !"+-.".contains(c));
        if scheme_end.is_some_and(|end| end > 0 && reference[end..].starts_with(':')) {
            return Url::parse(reference);
        }
        if let Some(rest) = reference.strip_prefix("//") {
            return Url::parse(&format!("{}://{rest}", self.scheme()));
        }
        let (path, query) = self.target.split_once('?').unwrap_or((&self.target, ""));
        let target = match reference.chars().next() {
            None if query.is_empty() => path.to_owned(),
            None => self.target.clone(),
            Some('?') => format!("{path}{reference}"),
            Some('/') => reference.to_owned(),
            Some(_) => format!("{}{reference}", &path[..path.rfind('/')? + 1]),
        };
        Some(Url { target: normal_target(&target)?, ..self.clone() })
    }

    /// The same with `key=value` added to the query.
    pub fn with_query(mut self, key: &str, value: &str) -> Self {
        let separator = match self.target.find('?') {
            None => "?",
            Some(_) if self.target.ends_with(['?', '&']) => "",
            Some(_) => "&",
        };
        self.target += &format!("{separator}{}={}", encode(key), encode(value));
        self
    }

    /// Whether it is reached by TLS.
    pub fn is_https(&self) -> bool {
        self.https
    }

    fn scheme(&self) -> &'static str {
        if self.https { "https" } else { "http" }
    }

    /// `host`, or `host:port` if the port is not the scheme's.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// The host alone; an IPv6 address without brackets.
    pub fn host(&self) -> &str {
        split_port(&self.authority).map_or(self.authority.as_str(), |(host, _)| host)
    }

    /// The port, given or the scheme's.
    pub fn port(&self) -> u16 {
        let port = split_port(&self.authority).and_then(|(_, port)| port);
        port.unwrap_or(default_port(self.https))
    }

    /// The address without its query, for messages.
    pub fn shown(&self) -> String {
        let path = self.target.split('?').next().unwrap_or_default();
        format!("{}://{}{path}", self.scheme(), self.authority)
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme(), self.authority, self.target)
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown())
    }
}

fn default_port(https: bool) -> u16 {
    if https { 443 } else { 80 }
}

/// Host and port of `host`, `host:port`, `[address]` or `[address]:port`; the brackets go. `None` if malformed.
pub(crate) fn split_port(authority: &str) -> Option<(&str, Option<u16>)> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']')?;
            (host, if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) })
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    match port {
        None | Some("") => Some((host, None)),
        Some(port) if port.bytes().all(|b| b.is_ascii_digit()) => Some((host, Some(port.parse().ok()?))),
        Some(_) => None,
    }
}

/// Lower case, without the default port. `None` for what is no `host[:port]`, a user's name included.
fn normal_authority(authority: &str, https: bool) -> Option<String> {
    let (host, port) = split_port(authority)?;
    let bracketed = authority.starts_with('[');
    let fits = |b: u8| match bracketed {
        true => b.is_ascii_hexdigit() || matches!(b, b':' | b'.'),
        false => b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'),
    };
    // A host names a directory of certificates, see `certificates`.
    if host.is_empty() || host.starts_with('.') || !host.bytes().all(fits) {
        return None;
    }
    let host = host.to_ascii_lowercase();
    let host = if bracketed { format!("[{host}]") } else { host };
    Some(match port.filter(|port| *port != default_port(https)) {
        Some(port) => format!("{host}:{port}"),
        None => host,
    })
}

/// Path and query: without a fragment, starting with `/`, without dot segments. `None` if it has what HTTP does not
/// allow there.
fn normal_target(target: &str) -> Option<String> {
    let target = target.split('#').next().unwrap_or_default();
    if !target.bytes().all(|b| b.is_ascii_graphic()) {
        return None;
    }
    let (path, query) = match target.find('?') {
        Some(at) => target.split_at(at),
        None => (target, ""),
    };
    let mut segments: Vec<&str> = Vec::new();
    let mut ends_in_directory = true;
    for segment in path.strip_prefix('/').unwrap_or(path).split('/') {
        ends_in_directory = matches!(segment, "." | "..");
        match segment {
            "." => {}
            ".." => drop(segments.pop()),
            _ => segments.push(segment),
        }
    }
    if ends_in_directory {
        segments.push("");
    }
    Some(format!("/{}{query}", segments.join("/")))
}

/// Percent-encodes all but unreserved characters (RFC 3986 §2.3).
pub(crate) fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(byte.into()),
            _ => encoded += &format!("%{byte:02X}"),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap_or_else(|| panic!("{text:?} is no address"))
    }

    #[test]
    fn addresses_have_one_form() {
        for (given, normal) in [
            ("https://Host", "https://host/"),
            ("HTTPS://host:443/v2/", "https://host/v2/"),
            ("http://host:80?x=1", "http://host/?x=1"),
            ("http://host:5000/a/./b/../c#part", "http://host:5000/a/c"),
            ("https://[2001:DB8::1]:5000/", "https://[2001:db8::1]:5000/"),
            ("https://host:/x", "https://host/x"),
            ("https://host/a//b/", "https://host/a//b/"),
            ("https://host/..", "https://host/"),
        ] {
            assert_eq!(url(given).to_string(), normal);
        }
    }

    #[test]
    fn what_is_no_address_of_a_server_is_refused() {
        for bad in [
            "",
            "host",
            "/v2/",
            "ftp://host/",
            "https://",
            "https:///x",
            "https://user@host/",
            "https://user:pw@host/",
            "https://host:x/",
            "https://host:99999/",
            "https://[::1/",
            "https://[::1]x/",
            "https://../",
            "https://a b/",
            "https://host/a b",
            "https://host/\r\nX: y",
            "https://höst/",
            "file:///x",
        ] {
            assert!(Url::parse(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn references_are_resolved_against_the_address_they_came_from() {
        let base = url("https://host:5000/v2/a/blobs/uploads/?x=1");
        for (reference, resolved) in [
            ("https://cdn.example/blob?sig=1", "https://cdn.example/blob?sig=1"),
            ("//cdn.example/blob", "https://cdn.example/blob"),
            ("/v2/a/blobs/uploads/7?_state=y", "https://host:5000/v2/a/blobs/uploads/7?_state=y"),
            ("7?_state=y", "https://host:5000/v2/a/blobs/uploads/7?_state=y"),
            ("../7", "https://host:5000/v2/a/blobs/7"),
            ("?y=2", "https://host:5000/v2/a/blobs/uploads/?y=2"),
            ("", "https://host:5000/v2/a/blobs/uploads/?x=1"),
            ("#part", "https://host:5000/v2/a/blobs/uploads/?x=1"),
            ("sha256%3Aab", "https://host:5000/v2/a/blobs/uploads/sha256%3Aab"),
            ("/a:b", "https://host:5000/a:b"),
            ("/../../etc", "https://host:5000/etc"),
        ] {
            assert_eq!(base.join(reference).unwrap().to_string(), resolved, "{reference:?}");
        }
        assert_eq!(base.join("ftp://host/"), None);
        assert_eq!(base.join("data:x"), None);
    }

    #[test]
    fn a_query_grows() {
        let grown = |text| url(text).with_query("digest", "sha256:a").to_string();
        assert_eq!(grown("http://h/u"), "http://h/u?digest=sha256%3Aa");
        assert_eq!(grown("http://h/u?_state=x%3D"), "http://h/u?_state=x%3D&digest=sha256%3Aa");
        assert_eq!(grown("http://h/u?"), "http://h/u?digest=sha256%3Aa");
    }

    #[test]
    fn messages_show_no_query() {
        let signed = url("https://cdn.example/blob?signature=secret");
        assert!(!format!("{signed:?} {}", signed.shown()).contains("secret"));
    }

    #[test]
    fn parts() {
        let parts = |text| {
            let url = url(text);
            (url.host().to_owned(), url.port(), url.is_https())
        };
        assert_eq!(parts("https://host/"), ("host".to_owned(), 443, true));
        assert_eq!(parts("http://host:5000/"), ("host".to_owned(), 5000, false));
        assert_eq!(parts("http://[::1]/"), ("::1".to_owned(), 80, false));
    }

    proptest! {
        #[test]
        fn joining_never_panics_and_gives_what_can_be_parsed(text in "\\PC*") {
            if let Some(joined) = url("https://host/a/b?c").join(&text) {
                prop_assert_eq!(Url::parse(&joined.to_string()), Some(joined));
            }
        }
    }
}
