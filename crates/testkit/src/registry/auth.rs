//! Who may do what: basic, and bearer with the server's own token endpoint (the distribution project's "Token
//! Authentication Specification", and its OAuth2 form by POST).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Shared;
use super::http::{Answer, Head, pairs};

/// How a server wants to know who asks.
#[derive(Debug, Clone, Default)]
pub enum Auth {
    /// Everybody may do everything.
    #[default]
    None,
    /// A user and his password with each request.
    Basic {
        /// His name.
        user: String,
        /// His password.
        password: String,
    },
    /// A token, for one user with his password.
    Bearer {
        /// His name.
        user: String,
        /// His password.
        password: String,
        /// How long a token is good.
        lifetime: Duration,
    },
}

impl Auth {
    /// Basic, for one user.
    pub fn basic(user: &str, password: &str) -> Self {
        Self::Basic { user: user.into(), password: password.into() }
    }

    /// Tokens that are good for an hour.
    pub fn bearer(user: &str, password: &str) -> Self {
        Self::Bearer { user: user.into(), password: password.into(), lifetime: Duration::from_secs(3600) }
    }

    /// Whether this `Authorization` is the user with his password.
    fn is_user(&self, authorization: Option<&str>) -> bool {
        let (Self::Basic { user, password } | Self::Bearer { user, password, .. }) = self else {
            return true;
        };
        let right = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
        authorization == Some(right.as_str())
    }

    fn is_password(&self, name: &str, word: &str) -> bool {
        matches!(self, Self::Bearer { user, password, .. } if user == name && password == word)
    }
}

/// The name that the server calls itself in challenges.
pub const SERVICE: &str = "testkit";

/// What a token allows: pairs of a repository and an action.
pub type Scopes = BTreeSet<(String, String)>;

/// Who gives out tokens: the server itself, or another one for it.
#[derive(Debug, Clone)]
pub struct Issuer {
    /// The address of the token endpoint, as challenges have it.
    pub realm: String,
    tokens: Arc<Mutex<Tokens>>,
}

/// What was given out.
#[derive(Debug, Default)]
struct Tokens {
    good: BTreeMap<String, (Scopes, Instant)>,
    identities: BTreeSet<String>,
    count: usize,
}

impl Issuer {
    pub(super) fn new(address: &str) -> Self {
        Self { realm: format!("http://{address}/token"), tokens: Arc::default() }
    }

    fn tokens(&self) -> MutexGuard<'_, Tokens> {
        self.tokens.lock().unwrap()
    }

    /// A new token that is good for this, and for so long.
    pub fn issue(&self, scopes: Scopes, lifetime: Duration) -> String {
        let mut tokens = self.tokens();
        tokens.count += 1;
        let token = format!("token-{}", tokens.count);
        tokens.good.insert(token.clone(), (scopes, Instant::now() + lifetime));
        token
    }

    /// A token for the endpoint, instead of a password.
    fn identity(&self) -> String {
        let mut tokens = self.tokens();
        tokens.count += 1;
        let identity = format!("identity-{}", tokens.count);
        tokens.identities.insert(identity.clone());
        identity
    }

    /// Whether a token is still good, and good for this.
    pub(super) fn allows(&self, token: &str, repository: &str, actions: &[&str]) -> bool {
        self.tokens().good.get(token).is_some_and(|(scopes, until)| {
            let allowed = |action: &&str| scopes.contains(&(repository.to_owned(), (*action).to_owned()));
            *until > Instant::now() && (repository.is_empty() || actions.iter().all(allowed))
        })
    }

    /// Makes a token worthless.
    pub(super) fn expire(&self, token: &str) {
        self.tokens().good.remove(token);
    }
}

/// `repository:<name>:<action>,<action>`, any number of them with spaces between. Others allow nothing here.
pub fn scopes(text: &str) -> Scopes {
    let mut scopes = Scopes::new();
    for scope in text.split(' ') {
        let mut parts = scope.splitn(2, ':');
        if let (Some("repository"), Some((name, actions))) =
            (parts.next(), parts.next().and_then(|rest| rest.rsplit_once(':')))
        {
            scopes.extend(actions.split(',').map(|action| (name.to_owned(), action.to_owned())));
        }
    }
    scopes
}

/// Whether a request may do `actions` in `repository`; else what it is told.
pub fn check(shared: &Shared, head: &Head, repository: &str, actions: &[&str]) -> Result<(), Answer> {
    let given = head.header("Authorization");
    match &shared.setup.auth {
        Auth::None => Ok(()),
        auth @ Auth::Basic { .. } if auth.is_user(given) => Ok(()),
        Auth::Basic { .. } => Err(denied().header("WWW-Authenticate", r#"Basic realm="testkit""#)),
        Auth::Bearer { .. } => {
            let token = given.and_then(|given| given.strip_prefix("Bearer "));
            if token.is_some_and(|token| shared.issuer.allows(token, repository, actions)) {
                return Ok(());
            }
            Err(challenge(shared, repository, actions, token.is_some()))
        }
    }
}

/// 401 with the place where a token for this can be had.
pub fn challenge(shared: &Shared, repository: &str, actions: &[&str], had_token: bool) -> Answer {
    let realm = &shared.issuer.realm;
    let mut text = format!(r#"Bearer realm="{realm}",service="{SERVICE}""#);
    if !repository.is_empty() {
        text += &format!(r#",scope="repository:{repository}:{}""#, actions.join(","));
    }
    if had_token {
        text += r#",error="invalid_token""#;
    }
    denied().header("WWW-Authenticate", text)
}

fn denied() -> Answer {
    Answer::error(401, "UNAUTHORIZED", "authentication required")
}

/// The token endpoint: who asks gets what he asks for; without a name, at most to pull, and only if the setup says so.
pub fn token(shared: &Shared, head: &Head, form: &[u8]) -> Answer {
    let form = pairs(&String::from_utf8_lossy(form));
    let field = |name: &str| form.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.as_str());
    let auth = &shared.setup.auth;
    let (asked, known, identity) = match head.method.as_str() {
        "GET" => {
            let given = head.header("Authorization");
            if given.is_some() && !auth.is_user(given) {
                return denied();
            }
            let offline = head.query("offline_token").is_some_and(|value| value == "true");
            (head.queries("scope").join(" "), given.is_some(), offline)
        }
        "POST" if shared.setup.oauth => {
            let known = match field("grant_type") {
                "password" => auth.is_password(field("username"), field("password")),
                "refresh_token" => shared.issuer.tokens().identities.contains(field("refresh_token")),
                _ => return Answer::error(400, "UNSUPPORTED", "grant_type"),
            };
            if !known {
                return denied();
            }
            (field("scope").to_owned(), true, field("access_type") == "offline")
        }
        _ => return Answer::error(404, "UNSUPPORTED", "no such endpoint"),
    };
    let mut scopes = scopes(&asked);
    if !known {
        if !shared.setup.anonymous {
            return denied();
        }
        scopes.retain(|(_, action)| action == "pull");
    }
    let lifetime = match auth {
        Auth::Bearer { lifetime, .. } => *lifetime,
        _ => Duration::from_secs(3600),
    };
    let token = shared.issuer.issue(scopes, lifetime);
    let mut answer = serde_json::json!({ "token": token, "access_token": token });
    if shared.setup.says_lifetime {
        answer["expires_in"] = lifetime.as_secs().into();
    }
    if identity && known {
        answer["refresh_token"] = shared.issuer.identity().into();
    }
    Answer::new(200).json(&answer)
}
