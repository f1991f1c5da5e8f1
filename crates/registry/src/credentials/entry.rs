//! One entry of `auths`: the credential of one server.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::members::Members;
use crate::{Credential, Secret};

/// What an entry says.
#[derive(Default, Deserialize)]
struct Entry {
    /// base64 of `user:password`.
    auth: Option<String>,
    /// Read for files of old; never written.
    username: Option<String>,
    /// The same.
    password: Option<String>,
    /// What a token server takes instead of user and password.
    identitytoken: Option<String>,
    /// What the registry itself takes.
    registrytoken: Option<String>,
}

/// The credential of an entry; `None` if it holds nothing, as the entries beside a credential helper do. A token counts
/// more than a password, as for Docker.
///
/// # Errors
/// What is wrong, without any part of it: an entry is secret.
pub(super) fn read(entry: &RawValue) -> Result<Option<Credential>, &'static str> {
    let entry: Option<Entry> =
        serde_json::from_str(entry.get()).map_err(|_| "is not an object with texts in it")?;
    let entry = entry.unwrap_or_default();
    let given = |text: Option<String>| text.filter(|text| !text.is_empty());
    if let Some(token) = given(entry.registrytoken) {
        return Ok(Some(Credential::RegistryToken(Secret::new(token))));
    }
    if let Some(token) = given(entry.identitytoken) {
        return Ok(Some(Credential::IdentityToken(Secret::new(token))));
    }
    if let Some(auth) = given(entry.auth) {
        return decode(&auth).map(Some).ok_or("has an auth that is not base64 of user:password");
    }
    let password = Secret::new(entry.password.unwrap_or_default());
    Ok(given(entry.username).map(|user| Credential::Basic { user, password }))
}

fn decode(auth: &str) -> Option<Credential> {
    let auth: String = auth.split(['\n', '\r']).collect();
    let text = String::from_utf8(STANDARD.decode(auth).ok()?).ok()?;
    let (user, password) = text.split_once(':').filter(|(user, _)| !user.is_empty())?;
    // Old versions of Docker padded the text with zeros.
    let password = Secret::new(password.trim_matches('\0'));
    Some(Credential::Basic { user: user.to_owned(), password })
}

/// The entry `old` with another credential, or without one. An identity token stands beside the name of its `user`,
/// without which podman does not look at the entry.
pub(super) fn write(
    old: Option<&RawValue>,
    credential: Option<&Credential>,
    user: Option<&str>,
) -> serde_json::Result<Members> {
    // What is no object has nothing to keep.
    let mut members = old.and_then(|old| Members::parse(old.get()).ok()).unwrap_or_default();
    let encode = |user: &str, password: &str| STANDARD.encode(format!("{user}:{password}"));
    let (auth, identity, registry) = match credential {
        None => (None, None, None),
        Some(Credential::Basic { user, password }) => (Some(encode(user, password.reveal())), None, None),
        Some(Credential::IdentityToken(token)) => (user.map(|user| encode(user, "")), Some(token), None),
        Some(Credential::RegistryToken(token)) => (None, None, Some(token)),
    };
    let texts = [
        ("auth", auth.as_deref()),
        ("username", None),
        ("password", None),
        ("identitytoken", identity.map(Secret::reveal)),
        ("registrytoken", registry.map(Secret::reveal)),
    ];
    for (name, text) in texts {
        match text {
            Some(text) => members.set_text(name, text)?,
            None => {
                members.remove(name);
            }
        }
    }
    Ok(members)
}
