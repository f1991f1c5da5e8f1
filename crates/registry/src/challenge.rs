//! What a server asks for when it answers 401: the `WWW-Authenticate` header (RFC 9110 §11.6.1).

/// A way to prove who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// Name and password with each request.
    Basic,
    /// A token of a token server.
    Bearer {
        /// The token server's address.
        realm: String,
        /// What the token server is to call the registry.
        service: String,
        /// What the token has to allow; empty if the server does not say.
        scope: String,
    },
}

impl Challenge {
    /// The best of the challenges in the `values` of the header: a token before a password.
    pub fn best<'a>(values: impl Iterator<Item = &'a str>) -> Option<Self> {
        let all: Vec<Challenge> = values.flat_map(parse).collect();
        let bearer = all.iter().find(|challenge| matches!(challenge, Challenge::Bearer { .. }));
        bearer.or(all.first()).cloned()
    }
}

/// The challenges in one value of the header that we can meet.
fn parse(value: &str) -> Vec<Challenge> {
    let mut challenges = Vec::new();
    let mut rest = value.trim_start_matches([' ', '\t', ',']);
    while !rest.is_empty() {
        let (scheme, after) = token(rest);
        if scheme.is_empty() {
            break;
        }
        let (parameters, after) = parameters(after);
        rest = after;
        let of = |name: &str| {
            let found = parameters.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
            found.map(|(_, value)| value.clone())
        };
        if scheme.eq_ignore_ascii_case("basic") {
            challenges.push(Challenge::Basic);
        } else if scheme.eq_ignore_ascii_case("bearer")
            && let Some(realm) = of("realm")
        {
            challenges.push(Challenge::Bearer {
                realm,
                service: of("service").unwrap_or_default(),
                scope: of("scope").unwrap_or_default(),
            });
        }
    }
    challenges
}

/// A token at the start of `text`, and what follows it.
fn token(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && !"!#$%&'*+-.^_`|~".contains(c));
    text.split_at(end.unwrap_or(text.len()))
}

/// `key=value, …` up to the next challenge or the end, and what follows.
fn parameters(mut text: &str) -> (Vec<(&str, String)>, &str) {
    let mut parameters = Vec::new();
    loop {
        text = text.trim_start_matches([' ', '\t', ',']);
        let (key, after) = token(text);
        let after = after.trim_start_matches([' ', '\t']);
        // Without a `=` it is the name of the next challenge; `==` ends a token68, which nobody uses here.
        let Some(value) = after.strip_prefix('=').filter(|_| !key.is_empty()) else {
            let next = if key.is_empty() { text.find(',').map_or("", |at| &text[at + 1..]) } else { text };
            return (parameters, next);
        };
        let value = value.trim_start_matches([' ', '\t']);
        let (value, after) = match value.strip_prefix('"') {
            Some(quoted) => unquote(quoted),
            None => {
                let (value, after) = token(value);
                (value.to_owned(), after)
            }
        };
        parameters.push((key, value));
        text = after;
    }
}

/// The text up to the closing quote, backslashes resolved, and what follows the quote.
fn unquote(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (value, &text[at + 1..]),
            '\\' => value.extend(chars.next().map(|(_, c)| c)),
            _ => value.push(c),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bearer(realm: &str, service: &str, scope: &str) -> Option<Challenge> {
        Some(Challenge::Bearer { realm: realm.into(), service: service.into(), scope: scope.into() })
    }

    fn best(value: &str) -> Option<Challenge> {
        Challenge::best([value].into_iter())
    }

    #[test]
    fn a_token_server_with_all_parameters() {
        let value = r#"Bearer realm="https://auth.example/token",service="reg.example",scope="repository:a/b:pull,push""#;
        assert_eq!(
            best(value),
            bearer("https://auth.example/token", "reg.example", "repository:a/b:pull,push")
        );
    }

    #[test]
    fn spelling_does_not_matter() {
        let value = r#" bEARER  REALM = "https://a/\"x\\" , service=reg , error="invalid_token","#;
        assert_eq!(best(value), bearer("https://a/\"x\\", "reg", ""));
    }

    #[test]
    fn a_token_is_better_than_a_password() {
        let expected = bearer("https://a/", "s", "");
        assert_eq!(best(r#"Basic realm="x, y", Bearer realm="https://a/",service=s"#), expected);
        assert_eq!(best(r#"Bearer realm="https://a/",service=s, Basic realm="x""#), expected);
        let two = [r#"Basic realm="x""#, r#"Bearer realm="https://a/",service="s""#];
        assert_eq!(Challenge::best(two.into_iter()), expected);
    }

    #[test]
    fn what_we_cannot_meet_is_skipped() {
        assert_eq!(best(r#"Negotiate, Basic realm="x""#), Some(Challenge::Basic));
        assert_eq!(best(r#"Negotiate dG9rZW4=, Basic"#), Some(Challenge::Basic));
        assert_eq!(best(r#"Digest realm="x", nonce="y""#), None);
        assert_eq!(best(r#"Bearer service="no realm""#), None);
        assert_eq!(best(""), None);
        assert_eq!(best(r#""quoted""#), None);
    }

    proptest! {
        #[test]
        fn any_header_is_read_to_an_end(value in "[Bb]earer [a-z=\", \\\\]*|\\PC*") {
            let _ = best(&value);
        }
    }
}
