//! Asking a token server for a token (the distribution project's token specification; RFC 6749 §6 for identity tokens).

use std::time::Duration;

use serde::Deserialize;
use ureq::http::{Method, header};

use crate::endpoint::Endpoint;
use crate::tokens::basic;
use crate::url::{Url, encode};
use crate::wire::{Call, Payload, Wire};
use crate::{Credential, Error, Result, Secret};

/// How we call ourselves at token servers.
const CLIENT_ID: &str = "layercake";
/// The longest answer, in bytes.
const LIMIT: u64 = 1 << 20;
/// How long a token is good if its server does not say.
const LIFETIME: Duration = Duration::from_secs(60);
/// No token is believed to be good for longer.
const LONGEST_LIFETIME: f64 = 86400.0;

/// What is asked for.
pub(crate) struct Wanted {
    /// The token server.
    pub realm: Url,
    /// What it is to call the registry.
    pub service: String,
    /// What the token has to allow.
    pub scope: String,
    /// Whether an identity token is wanted, too.
    pub offline: bool,
}

/// What was given.
pub(crate) struct Grant {
    pub token: Secret,
    /// How long the token is good, from when it was asked for.
    pub lifetime: Duration,
    /// What later tokens can be asked for with.
    pub identity: Option<Secret>,
}

#[derive(Deserialize)]
struct Reply {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<f64>,
    refresh_token: Option<String>,
}

/// Asks the token server that `endpoint` named. With an identity token by POST, else by GET, with name and password if
/// there are any.
///
/// # Errors
/// [`Error::Status`] if the token server refuses, [`Error::Protocol`] if its answer has no token.
pub(crate) fn ask(
    wire: &Wire,
    endpoint: &Endpoint,
    wanted: &Wanted,
    credential: Option<&Credential>,
) -> Result<Grant> {
    let what = format!("token of {} for {}", wanted.realm.shown(), endpoint.server);
    let scopes = || wanted.scope.split(' ').filter(|scope| !scope.is_empty());
    let form;
    let (mut call, proof) = match credential {
        Some(Credential::IdentityToken(identity)) => {
            let fields = [
                ("grant_type", "refresh_token"),
                ("service", &wanted.service),
                ("client_id", CLIENT_ID),
                ("scope", &wanted.scope),
                ("refresh_token", identity.reveal()),
            ];
            form = fields.map(|(key, value)| format!("{key}={}", encode(value))).join("&");
            let call = Call::new(what, Method::POST, wanted.realm.clone(), &[200])
                .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
                .payload(Payload::Bytes(form.as_bytes()));
            (call, None)
        }
        _ => {
            let mut url = wanted.realm.clone();
            if !wanted.service.is_empty() {
                url = url.with_query("service", &wanted.service);
            }
            for scope in scopes() {
                url = url.with_query("scope", scope);
            }
            if wanted.offline {
                url = url.with_query("offline_token", "true").with_query("client_id", CLIENT_ID);
            }
            let proof = match credential {
                Some(Credential::Basic { user, password }) => {
                    url = url.with_query("account", user);
                    Some(basic(user, password))
                }
                _ => None,
            };
            (Call::new(what, Method::GET, url, &[200]), proof)
        }
    };
    let url = call.url.clone();
    let answer = wire.exchange(endpoint, &mut call, &url, proof.as_ref())?;
    if answer.status != 200 {
        return Err(answer.into_error(&call.what));
    }
    let reply = serde_json::from_slice::<Reply>(&answer.bytes(&call.what, LIMIT)?);
    let reply = reply.map_err(|e| Error::protocol(&call.what, format!("the answer cannot be read: {e}")))?;
    let token = reply.token.filter(|token| !token.is_empty()).or(reply.access_token);
    let token = token.filter(|token| token.bytes().all(|b| b.is_ascii_graphic()) && !token.is_empty());
    let lifetime = reply.expires_in.filter(|seconds| *seconds > 0.0);
    Ok(Grant {
        token: Secret::new(token.ok_or_else(|| Error::protocol(&call.what, "the answer has no token"))?),
        lifetime: lifetime.map_or(LIFETIME, |seconds| Duration::from_secs_f64(seconds.min(LONGEST_LIFETIME))),
        identity: reply.refresh_token.filter(|token| !token.is_empty()).map(Secret::new),
    })
}
