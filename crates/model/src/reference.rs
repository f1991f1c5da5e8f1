//! Image names as people write them, and as the store and registries spell them out.
//!
//! The grammar is that of the distribution project:
//!
//! ```text
//! reference = name [":" tag] ["@" digest]
//! name      = [domain "/"] path
//! domain    = host [":" port]        host = labels with dots, or an IPv6 address in brackets
//! path      = component *("/" component)
//! component = [a-z0-9]+ runs, joined by ".", "_", "__" or any number of "-"
//! tag       = [A-Za-z0-9_] and up to 127 of [A-Za-z0-9_.-]
//! ```
//!
//! People leave out `docker.io/` and `library/`. The short form is *familiar*, the long one *canonical*;
//! Docker prints and stores the familiar one (moby.md §6.2).

use crate::{Digest, Error, ImageId, Result, pattern};
use std::{fmt, str::FromStr};

const DEFAULT_DOMAIN: &str = "docker.io";
/// What Docker called the default domain long ago.
const LEGACY_DOMAIN: &str = "index.docker.io";
const OFFICIAL: &str = "library/";
/// The longest path of a repository, in bytes.
const PATH_MAX: usize = 255;

/// The tag of a reference that names none.
pub const DEFAULT_TAG: &str = "latest";

/// The name of an image: a repository, and in it a tag, a digest, both or neither.
///
/// Displays in the familiar form.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    /// Empty in one corner case: a first component that looks like a domain but is none, `a_b.c/x`.
    domain: String,
    path: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

impl Reference {
    /// Reads a name in the familiar or canonical form.
    ///
    /// # Errors
    /// Docker's messages: [`Error::ReferenceFormat`], [`Error::ReferenceUppercase`],
    /// [`Error::ReferenceIsId`], [`Error::ReferenceTooLong`] and those for digests.
    pub fn parse(text: &str) -> Result<Self> {
        if is_hex_id(text) {
            return Err(Error::ReferenceIsId(text.to_owned()));
        }
        let (domain, rest) = split_domain(text);
        let lower_case_part = rest.split(':').next().unwrap_or_default();
        if lower_case_part.chars().any(char::is_uppercase) {
            return Err(Error::ReferenceUppercase(lower_case_part.to_owned()));
        }
        let (rest, digest) = match rest.split_once('@') {
            Some((rest, digest)) => (rest, Some(parse_digest(digest)?)),
            None => (rest.as_str(), None),
        };
        let (path, tag) = match rest.split_once(':') {
            Some((path, tag)) => (path, Some(tag)),
            None => (rest, None),
        };
        if !is_path(path) || !tag.is_none_or(is_tag) {
            return Err(Error::ReferenceFormat);
        }
        let (domain, path) = if is_domain(&domain) {
            (domain, path.to_owned())
        } else if is_component(&domain) {
            (String::new(), format!("{domain}/{path}"))
        } else {
            return Err(Error::ReferenceFormat);
        };
        if path.len() > PATH_MAX {
            return Err(Error::ReferenceTooLong);
        }
        Ok(Reference { domain, path, tag: tag.map(str::to_owned), digest })
    }

    /// Reads what a user may give for an image: a name, a digest `sha256:…`, or 64 hexadecimal digits.
    ///
    /// A prefix of an id also reads as a name; which of the two it is, only the store can tell.
    ///
    /// # Errors
    /// As [`Reference::parse`].
    pub fn parse_any(text: &str) -> Result<AnyReference> {
        if let Ok(digest) = Digest::from_hex(text).or_else(|_| Digest::parse(text)) {
            return Ok(AnyReference::Id(digest.into()));
        }
        Reference::parse(text).map(AnyReference::Named)
    }

    /// The registry, `docker.io` if none was given.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The repository within the registry, `library/busybox` for `busybox`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The tag, if there is one.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest, if there is one.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// Whether there is neither a tag nor a digest.
    pub fn is_name_only(&self) -> bool {
        self.tag.is_none() && self.digest.is_none()
    }

    /// The repository spelled out: `docker.io/library/busybox`.
    pub fn canonical_name(&self) -> String {
        if self.domain.is_empty() { self.path.clone() } else { format!("{}/{}", self.domain, self.path) }
    }

    /// The repository as people write it: `busybox`. The outer keys of `repositories.json`.
    pub fn familiar_name(&self) -> String {
        if self.domain != DEFAULT_DOMAIN {
            return self.canonical_name();
        }
        match self.path.strip_prefix(OFFICIAL) {
            Some(name) if !name.contains('/') => name.to_owned(),
            _ => self.path.clone(),
        }
    }

    /// The whole reference spelled out: `docker.io/library/busybox:1.36`.
    pub fn canonical(&self) -> String {
        self.canonical_name() + &self.suffix()
    }

    /// The whole reference as people write it: `busybox:1.36`. The inner keys of `repositories.json`.
    pub fn familiar(&self) -> String {
        self.familiar_name() + &self.suffix()
    }

    fn suffix(&self) -> String {
        let tag = self.tag.iter().map(|tag| format!(":{tag}"));
        let digest = self.digest.iter().map(|digest| format!("@{digest}"));
        tag.chain(digest).collect()
    }

    /// The same repository with another tag; a digest stays.
    ///
    /// # Errors
    /// [`Error::TagFormat`] if `tag` breaks the grammar.
    pub fn with_tag(&self, tag: &str) -> Result<Self> {
        if !is_tag(tag) {
            return Err(Error::TagFormat);
        }
        Ok(Reference { tag: Some(tag.to_owned()), ..self.clone() })
    }

    /// The same repository with another digest; a tag stays.
    pub fn with_digest(&self, digest: Digest) -> Self {
        Reference { digest: Some(digest), ..self.clone() }
    }

    /// The repository alone.
    pub fn without_tag_and_digest(&self) -> Self {
        Reference { tag: None, digest: None, ..self.clone() }
    }

    /// The same reference, with the tag `latest` if it has neither tag nor digest.
    pub fn with_default_tag(self) -> Self {
        if self.is_name_only() { Reference { tag: Some(DEFAULT_TAG.to_owned()), ..self } } else { self }
    }

    /// Whether `pattern` (see [`pattern`]) matches the familiar form, with or without tag and digest. This
    /// is what `images REPOSITORY[:TAG]` and `--filter reference=` select.
    ///
    /// # Errors
    /// [`Error::Pattern`] if the pattern is malformed.
    pub fn matches(&self, pattern: &str) -> Result<bool> {
        Ok(pattern::matches(pattern, &self.familiar())? || pattern::matches(pattern, &self.familiar_name())?)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.familiar())
    }
}

impl FromStr for Reference {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        Reference::parse(text)
    }
}

/// What a user may give for an image, see [`Reference::parse_any`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum AnyReference {
    /// A name.
    Named(Reference),
    /// A whole image id.
    Id(ImageId),
}

/// Splits off the registry, or adds the default one, and `library/` where it belongs.
fn split_domain(text: &str) -> (String, String) {
    let (domain, path) = match text.split_once('/') {
        Some((LEGACY_DOMAIN, path)) => (DEFAULT_DOMAIN, path),
        Some((first, path)) if looks_like_domain(first) => (first, path),
        _ => (DEFAULT_DOMAIN, text),
    };
    let official = domain == DEFAULT_DOMAIN && !path.contains('/');
    (domain.to_owned(), if official { format!("{OFFICIAL}{path}") } else { path.to_owned() })
}

/// Whether the first of several components is a registry rather than a user's or organisation's name.
fn looks_like_domain(component: &str) -> bool {
    component == "localhost" || component.contains(['.', ':']) || component.chars().any(char::is_uppercase)
}

/// The part behind `@`. It first has to look like a digest, then to be one that we know.
fn parse_digest(text: &str) -> Result<Digest> {
    let (algorithm, hex) = text.split_once(':').ok_or(Error::ReferenceFormat)?;
    let well_formed = algorithm.split(['-', '_', '+', '.']).all(|part| {
        part.starts_with(|c: char| c.is_ascii_alphabetic()) && part.bytes().all(|b| b.is_ascii_alphanumeric())
    });
    if !well_formed || hex.len() < 32 || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(Error::ReferenceFormat);
    }
    match (algorithm, hex.len()) {
        ("sha256", 64) => Digest::from_hex(hex).map_err(|_| Error::DigestFormat),
        ("sha256", _) => Err(Error::DigestLength),
        _ => Err(Error::DigestAlgorithm),
    }
}

fn is_hex_id(text: &str) -> bool {
    Digest::from_hex(text).is_ok()
}

fn is_tag(text: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    (1..=128).contains(&text.len())
        && text.bytes().next().is_some_and(word)
        && text.bytes().all(|b| word(b) || matches!(b, b'.' | b'-'))
}

fn is_path(text: &str) -> bool {
    text.split('/').all(is_component)
}

fn is_component(text: &str) -> bool {
    let alphanumeric = |b: u8| b.is_ascii_digit() || b.is_ascii_lowercase();
    let separators = text.split(|c: char| c.is_ascii_digit() || c.is_ascii_lowercase());
    text.bytes().next().is_some_and(alphanumeric)
        && text.bytes().next_back().is_some_and(alphanumeric)
        && separators
            .filter(|s| !s.is_empty())
            .all(|s| matches!(s, "." | "_" | "__") || s.bytes().all(|b| b == b'-'))
}

fn is_domain(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((address, "")) => return is_ipv6(address),
            Some((address, rest)) if is_ipv6(address) => ("bracketed", rest.strip_prefix(':').unwrap_or("x")),
            _ => return false,
        },
        None => text.split_once(':').unwrap_or((text, "0")),
    };
    let label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    host.split('.').all(label) && !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit())
}

/// Loose, as the grammar is: hexadecimal digits and colons.
fn is_ipv6(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_hexdigit() || b == b':')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HEX: &str = "5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef";

    fn parse(text: &str) -> Reference {
        Reference::parse(text).unwrap_or_else(|error| panic!("{text:?}: {error}"))
    }

    #[test]
    fn familiar_and_canonical_forms() {
        for (given, familiar, canonical) in [
            ("busybox", "busybox", "docker.io/library/busybox"),
            ("busybox:1.36", "busybox:1.36", "docker.io/library/busybox:1.36"),
            ("library/busybox", "busybox", "docker.io/library/busybox"),
            ("docker.io/busybox", "busybox", "docker.io/library/busybox"),
            ("docker.io/library/busybox", "busybox", "docker.io/library/busybox"),
            ("index.docker.io/library/busybox:x", "busybox:x", "docker.io/library/busybox:x"),
            ("index.docker.io/busybox", "busybox", "docker.io/library/busybox"),
            ("acme/x:1.0", "acme/x:1.0", "docker.io/acme/x:1.0"),
            ("library/acme/x", "library/acme/x", "docker.io/library/acme/x"),
            ("localhost/x", "localhost/x", "localhost/x"),
            ("localhost:5000/x:t", "localhost:5000/x:t", "localhost:5000/x:t"),
            ("ghcr.io/a/b/c", "ghcr.io/a/b/c", "ghcr.io/a/b/c"),
            ("Host/x", "Host/x", "Host/x"),
            ("[::1]:5000/x:1", "[::1]:5000/x:1", "[::1]:5000/x:1"),
            ("[fe80::1]/x", "[fe80::1]/x", "[fe80::1]/x"),
            ("a__b/c-d--e.f_g", "a__b/c-d--e.f_g", "docker.io/a__b/c-d--e.f_g"),
            ("a_b.c/x", "a_b.c/x", "a_b.c/x"),
            ("x:_T.a-G", "x:_T.a-G", "docker.io/library/x:_T.a-G"),
        ] {
            let reference = parse(given);
            assert_eq!(reference.familiar(), familiar);
            assert_eq!(reference.canonical(), canonical);
            assert_eq!(reference.to_string(), familiar);
        }
    }

    #[test]
    fn parts() {
        let full = parse(&format!("localhost:5000/a/b:1.0@sha256:{HEX}"));
        assert_eq!((full.domain(), full.path()), ("localhost:5000", "a/b"));
        assert_eq!((full.tag(), full.digest().unwrap().hex().as_str()), (Some("1.0"), HEX));
        assert_eq!(full.without_tag_and_digest().familiar(), "localhost:5000/a/b");
        assert!(!full.is_name_only());
        assert_eq!(parse("x").with_default_tag().familiar(), "x:latest");
        assert_eq!(parse("x:1").with_default_tag().familiar(), "x:1");
        let pinned = parse(&format!("x@sha256:{HEX}")).with_default_tag();
        assert_eq!((pinned.tag(), pinned.familiar()), (None, format!("x@sha256:{HEX}")));
        assert_eq!(parse("x").with_tag("v1").unwrap().familiar(), "x:v1");
        assert_eq!(parse("x").with_tag(":"), Err(Error::TagFormat));
    }

    #[test]
    fn errors_have_dockers_texts() {
        let long = "a/".repeat(127) + "aa";
        for (given, message) in [
            ("", "invalid reference format"),
            (":x", "invalid reference format"),
            ("x:", "invalid reference format"),
            ("x:a b", "invalid reference format"),
            ("-x", "invalid reference format"),
            ("x-", "invalid reference format"),
            ("a..b/c/d", "invalid reference format"),
            ("a___b", "invalid reference format"),
            ("x//y", "invalid reference format"),
            ("/x", "invalid reference format"),
            ("localhost:/x", "invalid reference format"),
            ("[::1/x", "invalid reference format"),
            ("[g]:1/x", "invalid reference format"),
            ("[::1]x/x", "invalid reference format"),
            ("x@sha256:abc", "invalid reference format"),
            ("x@", "invalid reference format"),
            ("x:1:2", "invalid reference format"),
            ("ü", "invalid reference format"),
            (&format!("x:{}", "a".repeat(129)), "invalid reference format"),
            (&format!("x@sha256:{}", &HEX[..40]), "invalid checksum digest length"),
            (&format!("x@sha256:{}", HEX.to_uppercase()), "invalid checksum digest format"),
            (&format!("x@md5:{HEX}"), "unsupported digest algorithm"),
            ("Busybox", "invalid reference format: repository name (library/Busybox) must be lowercase"),
            ("acme/X:1", "invalid reference format: repository name (acme/X) must be lowercase"),
            (HEX, &format!("invalid repository name ({HEX}), cannot specify 64-byte hexadecimal strings")),
            (&long, "repository name must not be more than 255 characters"),
        ] {
            assert_eq!(Reference::parse(given).unwrap_err().to_string(), message, "{given:?}");
        }
    }

    #[test]
    fn any_reference() {
        let id = ImageId::from_hex(HEX).unwrap();
        assert_eq!(Reference::parse_any(HEX), Ok(AnyReference::Id(id)));
        assert_eq!(Reference::parse_any(&format!("sha256:{HEX}")), Ok(AnyReference::Id(id)));
        assert_eq!(Reference::parse_any("5f70bf18a086"), Ok(AnyReference::Named(parse("5f70bf18a086"))));
        assert_eq!(Reference::parse_any("sha256:abc"), Ok(AnyReference::Named(parse("sha256:abc"))));
    }

    #[test]
    fn patterns_match_with_and_without_tag() {
        let reference = parse("acme/tool:1.0");
        for (pattern, expected) in [
            ("acme/tool", true),
            ("acme/tool:1.0", true),
            ("acme/*", true),
            ("*/*", true),
            ("*", false),
            ("acme/tool:2*", false),
            ("docker.io/acme/tool", false),
        ] {
            assert_eq!(reference.matches(pattern), Ok(expected), "{pattern:?}");
        }
        assert_eq!(reference.matches("["), Err(Error::Pattern));
    }

    proptest! {
        #[test]
        fn canonical_round_trips(
            text in "([a-zA-Z0-9.-]{1,6}(:[0-9]{1,3})?/)?[a-z0-9._/-]{1,12}(:[a-zA-Z0-9._-]{1,5})?",
            digest: Option<[u8; 32]>,
        ) {
            if let Ok(mut reference) = Reference::parse(&text) {
                if let Some(bytes) = digest {
                    reference = reference.with_digest(bytes.into());
                }
                prop_assert_eq!(Reference::parse(&reference.canonical()).unwrap(), reference);
            }
        }

        #[test]
        fn familiar_round_trips(text in "([a-z]{2,5}[.][a-z]{2}/)?([a-z]{1,5}/)?[a-z]{1,5}(:[a-z]{1,5})?") {
            let reference = Reference::parse(&text).unwrap();
            prop_assert_eq!(Reference::parse(&reference.to_string()).unwrap(), reference);
        }

        #[test]
        fn parsing_never_panics(text: String, grammar in "[a-zA@:/.\\[\\]_-]{0,20}") {
            let _ = Reference::parse_any(&text);
            let _ = Reference::parse_any(&grammar);
        }
    }
}
