//! What proves to each server who asks: passwords, and tokens that are kept until they expire.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use crate::agents::lock;
use crate::challenge::Challenge;
use crate::endpoint::Endpoint;
use crate::grant::{self, Wanted};
use crate::scope::{self, Need};
use crate::url::Url;
use crate::wire::Wire;
use crate::{Credential, Credentials, Error, Result, Secret};

/// A token is renewed so long before it expires, or when a quarter of its time is left, whichever is later.
const MARGIN: Duration = Duration::from_secs(15);

/// What servers want to see.
pub(crate) struct Tokens {
    pub credentials: Arc<dyn Credentials>,
    /// What each server wants for a place.
    modes: Mutex<HashMap<(String, String), Mode>>,
    /// What a server asked for, together with what we knew to need, by server and that.
    scopes: Mutex<HashMap<(String, Need), String>>,
    tokens: Mutex<HashMap<TokenKey, Arc<Mutex<Option<Token>>>>>,
}

#[derive(Clone)]
enum Mode {
    /// The whole `Authorization` header.
    Basic(Secret),
    Bearer {
        realm: Url,
        service: String,
    },
}

#[derive(PartialEq, Eq, Hash)]
struct TokenKey {
    server: String,
    place: String,
    realm: Url,
    service: String,
    scope: String,
}

struct Token {
    /// The whole `Authorization` header.
    header: Secret,
    /// When it is to be replaced; a `registrytoken` never is.
    until: Option<Instant>,
}

impl Token {
    fn is_fresh(&self) -> bool {
        self.until.is_none_or(|until| Instant::now() < until)
    }
}

/// The header that proves a name and a password.
pub(crate) fn basic(user: &str, password: &Secret) -> Secret {
    let pair = BASE64_STANDARD.encode(format!("{user}:{}", password.reveal()));
    Secret::new(format!("Basic {pair}"))
}

/// The header that proves with a token.
pub(crate) fn bearer(token: &Secret) -> Secret {
    Secret::new(format!("Bearer {}", token.reveal()))
}

/// The address of the token server that `endpoint` names.
///
/// # Errors
/// [`Error::Protocol`] if it is no address, or plain HTTP although the registry is reached by TLS.
pub(crate) fn realm_of(endpoint: &Endpoint, realm: &str) -> Result<Url> {
    let what = format!("token server of {}", endpoint.server);
    let url = Url::parse(realm).ok_or_else(|| Error::protocol(&what, format!("{realm:?} is no address")))?;
    if endpoint.https() != Some(false) && !url.is_https() {
        let reason = format!("{} is not https, as the registry is; nothing is sent there", url.shown());
        return Err(Error::protocol(&what, reason));
    }
    Ok(url)
}

impl Tokens {
    pub fn new(credentials: Arc<dyn Credentials>) -> Self {
        Tokens { credentials, modes: Mutex::default(), scopes: Mutex::default(), tokens: Mutex::default() }
    }

    /// The `Authorization` header for a request to `endpoint` that needs this; none as long as the server has not
    /// asked for one.
    ///
    /// # Errors
    /// Of the token server, and of the credentials.
    pub fn proof(&self, wire: &Wire, endpoint: &Endpoint, need: &Need) -> Result<Option<Secret>> {
        let mode = lock(&self.modes).get(&(endpoint.host.clone(), need.place.clone())).cloned();
        match mode {
            None => Ok(None),
            Some(Mode::Basic(header)) => Ok(Some(header)),
            Some(Mode::Bearer { realm, service }) => {
                self.token(wire, endpoint, realm, service, need, None).map(Some)
            }
        }
    }

    /// Meets the `challenge` of a 401 that came although `stale` was sent, or because nothing was. Whether there is
    /// something else to send now.
    ///
    /// # Errors
    /// Of the token server, and of the credentials; [`Error::Protocol`] for a token server that is less safe.
    pub fn renew(
        &self,
        wire: &Wire,
        endpoint: &Endpoint,
        need: &Need,
        challenge: Option<Challenge>,
        stale: Option<&Secret>,
    ) -> Result<bool> {
        match challenge {
            None => Ok(false),
            Some(Challenge::Basic) => {
                let credential = self.credentials.get(&need.place)?;
                let Some(Credential::Basic { user, password }) = credential else { return Ok(false) };
                let header = basic(&user, &password);
                if stale == Some(&header) {
                    return Ok(false);
                }
                lock(&self.modes).insert((endpoint.host.clone(), need.place.clone()), Mode::Basic(header));
                Ok(true)
            }
            Some(Challenge::Bearer { realm, service, scope: theirs }) => {
                let realm = realm_of(endpoint, &realm)?;
                let merged = scope::merge(&need.scope, &theirs);
                if merged != need.scope {
                    lock(&self.scopes).insert((endpoint.host.clone(), need.clone()), merged);
                }
                let mode = Mode::Bearer { realm: realm.clone(), service: service.clone() };
                lock(&self.modes).insert((endpoint.host.clone(), need.place.clone()), mode);
                let header = self.token(wire, endpoint, realm, service, need, stale)?;
                Ok(stale != Some(&header))
            }
        }
    }

    /// A token that is not `stale`: one that is kept, or a new one. Who needs the same one at the same time waits.
    fn token(
        &self,
        wire: &Wire,
        endpoint: &Endpoint,
        realm: Url,
        service: String,
        need: &Need,
        stale: Option<&Secret>,
    ) -> Result<Secret> {
        let merged = lock(&self.scopes).get(&(endpoint.host.clone(), need.clone())).cloned();
        let scope = merged.unwrap_or_else(|| need.scope.clone());
        let key =
            TokenKey { server: endpoint.host.clone(), place: need.place.clone(), realm, service, scope };
        let want = Wanted {
            realm: key.realm.clone(),
            service: key.service.clone(),
            scope: key.scope.clone(),
            offline: false,
        };
        let slot = lock(&self.tokens).entry(key).or_default().clone();
        let mut slot = lock(&slot);
        if let Some(token) = &*slot
            && token.is_fresh()
            && stale != Some(&token.header)
        {
            return Ok(token.header.clone());
        }
        let credential = self.credentials.get(&need.place)?;
        if let Some(Credential::RegistryToken(token)) = credential {
            let header = bearer(&token);
            *slot = Some(Token { header: header.clone(), until: None });
            return Ok(header);
        }
        let asked = Instant::now();
        let grant = grant::ask(wire, endpoint, &want, credential.as_ref())?;
        let header = bearer(&grant.token);
        let until = asked + grant.lifetime.saturating_sub(MARGIN.min(grant.lifetime / 4));
        *slot = Some(Token { header: header.clone(), until: Some(until) });
        Ok(header)
    }
}
