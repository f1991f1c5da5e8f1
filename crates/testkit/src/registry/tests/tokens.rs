//! Who may do what.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Answered, Auth, Client, Fault, Server, Setup, Trouble, ten};
use crate::registry::scopes;

/// An `Authorization` of a user with a password.
fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

fn bearer(answer: &Answered) -> String {
    format!("Bearer {}", answer.json()["token"].as_str().unwrap())
}

/// A server that wants tokens of one user's.
fn with_tokens() -> (Server, String) {
    ten(Setup { auth: Auth::bearer("ann", "secret"), ..Setup::default() })
}

const PULL: &str = "/token?service=testkit&scope=repository%3Aa%2Fb%3Apull";

#[test]
fn basic_wants_the_password() {
    let (server, blob) = ten(Setup { auth: Auth::basic("ann", "secret"), ..Setup::default() });
    let mut client = Client::of(&server);
    let refused = client.get(&blob);
    assert_eq!((refused.status, refused.header("WWW-Authenticate")), (401, r#"Basic realm="testkit""#));
    let mut status = |given: &str| client.ask("GET", &blob, &[("Authorization", given)], b"").status;
    assert_eq!(status(&basic("ann", "guess")), 401);
    assert_eq!(status(&basic("ann", "secret")), 200);
}

#[test]
fn a_token_is_good_for_what_it_was_asked_for() {
    let (server, blob) = with_tokens();
    let mut client = Client::of(&server);
    let challenge = client.get(&blob);
    let expected = format!(
        r#"Bearer realm="http://{}/token",service="testkit",scope="repository:a/b:pull""#,
        server.address()
    );
    assert_eq!((challenge.status, challenge.header("WWW-Authenticate")), (401, &*expected));
    assert_eq!(client.get(PULL).status, 401, "a token for nobody");
    let user = basic("ann", "secret");
    let token = bearer(&client.ask("GET", PULL, &[("Authorization", &user)], b""));
    let mut status =
        |method: &str, target: &str| client.ask(method, target, &[("Authorization", &token)], b"").status;
    assert_eq!(status("GET", &blob), 200);
    assert_eq!(status("HEAD", &blob), 200);
    assert_eq!(status("GET", "/v2/"), 200);
    assert_eq!(status("POST", "/v2/a/b/blobs/uploads/"), 401);
    assert_eq!(status("GET", "/v2/a/tags/list"), 401);
}

#[test]
fn a_token_expires() {
    let auth = Auth::Bearer { user: "ann".into(), password: "secret".into(), lifetime: Duration::ZERO };
    let (server, blob) = ten(Setup { auth, ..Setup::default() });
    let mut client = Client::of(&server);
    let answer = client.ask("GET", PULL, &[("Authorization", &basic("ann", "secret"))], b"");
    assert_eq!(answer.json()["expires_in"], 0);
    assert_eq!(client.ask("GET", &blob, &[("Authorization", &bearer(&answer))], b"").status, 401);
}

#[test]
fn a_token_expires_when_asked_to() {
    let (server, blob) = with_tokens();
    let token = server.issuer().issue(scopes("repository:a/b:pull,push"), Duration::from_secs(3600));
    let token = format!("Bearer {token}");
    server.fault(Fault::on("GET", "", Trouble::Expire).skip(1));
    let mut client = Client::of(&server);
    let mut status = || client.ask("GET", &blob, &[("Authorization", &token)], b"").status;
    assert_eq!([status(), status(), status()], [200, 401, 401]);
}

#[test]
fn nobody_gets_a_token_to_pull_only() {
    let auth = Auth::bearer("ann", "secret");
    let (server, blob) = ten(Setup { auth, anonymous: true, says_lifetime: false, ..Setup::default() });
    let mut client = Client::of(&server);
    let answer = client.get(&format!("{PULL},push"));
    assert!(answer.json()["expires_in"].is_null());
    let token = bearer(&answer);
    assert_eq!(client.ask("GET", &blob, &[("Authorization", &token)], b"").status, 200);
    let begin = client.ask("POST", "/v2/a/b/blobs/uploads/", &[("Authorization", &token)], b"");
    assert_eq!(begin.status, 401);
    assert_eq!(client.ask("GET", PULL, &[("Authorization", &basic("ann", "guess"))], b"").status, 401);
}

#[test]
fn an_identity_token_stands_for_the_password() {
    let (server, blob) = with_tokens();
    let mut client = Client::of(&server);
    let mut post = |form: &str| client.ask("POST", "/token", &[], form.as_bytes());
    assert_eq!(post("grant_type=password&username=ann&password=guess").status, 401);
    let first = post("grant_type=password&username=ann&password=secret&access_type=offline");
    let identity = first.json()["refresh_token"].as_str().unwrap().to_owned();
    let form = format!("grant_type=refresh_token&refresh_token={identity}&scope=repository:a/b:pull");
    let token = bearer(&post(&form));
    assert_eq!(post("grant_type=refresh_token&refresh_token=guess").status, 401);
    assert_eq!(client.ask("GET", &blob, &[("Authorization", &token)], b"").status, 200);
}

#[test]
fn another_server_gives_out_the_tokens() {
    let (issuing, _) = with_tokens();
    let issuer = Some(issuing.issuer());
    let (server, blob) = ten(Setup { auth: Auth::bearer("", ""), issuer, ..Setup::default() });
    let mut client = Client::of(&server);
    let challenge = client.get(&blob);
    assert!(challenge.header("WWW-Authenticate").contains(&issuing.address()), "{challenge:?}");
    let user = basic("ann", "secret");
    let token = bearer(&Client::of(&issuing).ask("GET", PULL, &[("Authorization", &user)], b""));
    assert_eq!(client.ask("GET", &blob, &[("Authorization", &token)], b"").status, 200);
}
