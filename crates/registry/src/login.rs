//! `login`: whether a server believes a credential.

use ureq::http::Method;

use crate::challenge::Challenge;
use crate::endpoint::Endpoint;
use crate::grant::{self, Wanted};
use crate::tokens::{basic, bearer, realm_of};
use crate::wire::{Call, Wire};
use crate::{Client, Credential, Error, Result, Secret};

impl Client {
    /// Whether `server` (as in references: `docker.io`, `localhost:5000`) believes `credential`. A server that wants no
    /// credentials believes any.
    ///
    /// The result is the identity token, if the server gave one: what to keep instead of the password.
    ///
    /// # Errors
    /// [`Error::is_unauthorized`] if it does not believe it.
    pub fn login(&self, server: &str, credential: &Credential) -> Result<Option<Secret>> {
        let endpoint = self.endpoint(server)?;
        self.retry(|| try_login(&self.shared.wire, &endpoint, credential))
    }
}

fn try_login(wire: &Wire, endpoint: &Endpoint, credential: &Credential) -> Result<Option<Secret>> {
    wire.settle(endpoint)?;
    let url = endpoint.url("")?;
    let mut call = Call::new(format!("login to {}", endpoint.server), Method::GET, url.clone(), &[]);
    let answer = wire.exchange(endpoint, &mut call, &url, None)?;
    if answer.status == 200 {
        return Ok(None);
    }
    let challenge = Challenge::best(answer.headers("www-authenticate")).filter(|_| answer.status == 401);
    let (proof, identity) = match (challenge, credential) {
        (Some(Challenge::Basic), Credential::Basic { user, password }) => (basic(user, password), None),
        (Some(Challenge::Bearer { .. }), Credential::RegistryToken(token)) => (bearer(token), None),
        (Some(Challenge::Bearer { realm, service, scope }), _) => {
            let wanted = Wanted { realm: realm_of(endpoint, &realm)?, service, scope, offline: true };
            let grant = grant::ask(wire, endpoint, &wanted, Some(credential))?;
            (bearer(&grant.token), grant.identity)
        }
        (Some(Challenge::Basic), _) => {
            return Err(Error::protocol(&call.what, "the server takes a name and a password, not a token"));
        }
        (None, _) => return Err(answer.into_error(&call.what)),
    };
    answer.drain();
    let answer = wire.exchange(endpoint, &mut call, &url, Some(&proof))?;
    match answer.status {
        200 => Ok(identity),
        _ => Err(answer.into_error(&call.what)),
    }
}
