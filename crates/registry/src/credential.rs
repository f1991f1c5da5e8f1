//! What proves to a server who we are.

use std::fmt;

use crate::Result;

/// A password or token. Its `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Secret(text.into())
    }

    /// The text itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// What is known for a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// A name and a password.
    Basic {
        /// The name.
        user: String,
        /// The password.
        password: Secret,
    },
    /// A token that the token server gives others for (`identitytoken` in Docker's `config.json`).
    IdentityToken(Secret),
    /// A token for the server itself (`registrytoken`).
    RegistryToken(Secret),
}

/// Where credentials come from.
pub trait Credentials: Send + Sync {
    /// What is known for a repository (`docker.io/library/x`, `localhost:5000/x`) or for a whole server (`docker.io`,
    /// the `host[:port]` of a mirror). Asked again whenever a token is renewed.
    ///
    /// # Errors
    /// [`Error::Credentials`](crate::Error::Credentials) if they are there but cannot be had.
    fn get(&self, place: &str) -> Result<Option<Credential>>;
}

/// No credentials for any server.
#[derive(Debug, Clone, Copy, Default)]
pub struct Anonymous;

impl Credentials for Anonymous {
    fn get(&self, _place: &str) -> Result<Option<Credential>> {
        Ok(None)
    }
}
