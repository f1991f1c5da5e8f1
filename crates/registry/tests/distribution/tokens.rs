//! Who asks: passwords, tokens, identity tokens; and that nobody else hears of them.

use std::sync::Arc;
use std::time::Duration;

use model::Digest;
use model::manifest::media_type;
use registry::{At, Client, Credential, Credentials, Secret};
use testkit::registry::{Auth, Fault, Server, Setup, Trouble};

use crate::{Known, client, noise, options, repository, repository_by};

fn with(setup: Setup) -> Server {
    let server = Server::start_with(setup);
    server.add_manifest("acme/x", "v1", media_type::OCI_MANIFEST, b"{}");
    server
}

fn client_of(credentials: Arc<dyn Credentials>) -> Client {
    Client::new(options(), credentials).unwrap()
}

fn bearer() -> Setup {
    Setup { auth: Auth::bearer("me", "secret"), ..Setup::default() }
}

fn basic() -> Setup {
    Setup { auth: Auth::basic("me", "secret"), ..Setup::default() }
}

fn tokens(server: &Server) -> usize {
    server.requests_for("", "/token").len()
}

#[test]
fn a_password_with_each_request_once_the_server_wants_it() {
    let server = with(basic());
    let known = Known::user("me", "secret");
    let client = client_of(known.clone());
    let repository = repository_by(&client, &server);
    for _ in 0..3 {
        repository.manifest(At::Tag("v1")).unwrap();
    }
    let statuses: Vec<_> = server.requests_for("GET", "/manifests/").iter().map(|r| r.status).collect();
    assert_eq!(statuses, [401, 200, 200, 200]);
    assert_eq!(*known.asked.lock().unwrap(), [format!("{}/acme/x", server.address())]);
}

#[test]
fn a_wrong_password_is_not_tried_twice() {
    for setup in [basic(), bearer()] {
        let server = with(setup);
        let client = client_of(Known::user("me", "wrong"));
        let error = repository_by(&client, &server).manifest(At::Tag("v1")).unwrap_err();
        assert!(error.is_unauthorized(), "{error}");
        let with_password = server.requests().iter().filter(|r| r.header("authorization").is_some()).count();
        assert_eq!(with_password, 1);
    }
}

#[test]
fn one_token_for_many_requests() {
    let server = with(bearer());
    let client = client_of(Known::user("me", "secret"));
    let repository = repository_by(&client, &server);
    for _ in 0..3 {
        repository.manifest(At::Tag("v1")).unwrap();
    }
    assert_eq!(tokens(&server), 1);
    let asked = &server.requests_for("GET", "/token")[0];
    assert!(asked.path.contains("service=testkit"), "{}", asked.path);
    assert!(asked.path.contains("scope=repository%3Aacme%2Fx%3Apull"), "{}", asked.path);
    assert!(!asked.path.contains("push"), "{}", asked.path);
    // The password goes to the token server only.
    let with_password = server
        .requests()
        .iter()
        .filter(|r| r.header("authorization").is_some_and(|h| h.starts_with("Basic")))
        .count();
    assert_eq!(with_password, 1);
}

#[test]
fn many_threads_need_one_token() {
    let server = with(bearer());
    let client = client_of(Known::user("me", "secret"));
    let repository = repository_by(&client, &server);
    repository.find_manifest(At::Tag("v1")).unwrap();
    server.forget_requests();
    let pushing = repository.pushing();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| pushing.manifest(At::Tag("v1")).unwrap());
        }
    });
    assert_eq!(tokens(&server), 1);
}

#[test]
fn a_token_for_nobody_in_particular() {
    let server = with(Setup { anonymous: true, ..bearer() });
    repository(&server).manifest(At::Tag("v1")).unwrap();
    let asked = &server.requests_for("GET", "/token")[0];
    assert_eq!(asked.header("authorization"), None);
    // It does not allow to push.
    let error = repository(&server).put_blob(&Digest::of(b"x"), b"x").unwrap_err();
    assert!(error.is_unauthorized(), "{error}");
}

#[test]
fn a_push_asks_for_the_right_to_push() {
    let server = with(bearer());
    let client = client_of(Known::user("me", "secret"));
    repository_by(&client, &server).put_blob(&Digest::of(b"x"), b"x").unwrap();
    assert!(server.requests_for("GET", "/token")[0].path.contains("pull%2Cpush"));
    assert_eq!(tokens(&server), 1);
}

#[test]
fn a_push_needs_one_token_also_for_what_it_reads() {
    let server = with(bearer());
    let client = client_of(Known::user("me", "secret"));
    let repository = repository_by(&client, &server).pushing();
    repository.find_blob(&Digest::of(b"x")).unwrap();
    repository.put_blob(&Digest::of(b"x"), b"x").unwrap();
    assert_eq!(tokens(&server), 1);
}

#[test]
fn a_mount_asks_for_the_right_to_read_the_other_repository() {
    let server = with(bearer());
    let digest = server.add_blob_to("acme/base", b"content");
    let client = client_of(Known::user("me", "secret"));
    let repository = repository_by(&client, &server);
    assert!(repository.mount(&digest, "acme/base").unwrap().is_none());
    let path = &server.requests_for("GET", "/token").last().unwrap().path.clone();
    assert!(path.contains("repository%3Aacme%2Fbase%3Apull"), "{path}");
}

#[test]
fn a_token_that_the_server_forgot_is_replaced_once() {
    let server = with(bearer());
    let client = client_of(Known::user("me", "secret"));
    let repository = repository_by(&client, &server);
    repository.manifest(At::Tag("v1")).unwrap();
    server.fault(Fault::on("GET", "/manifests/", Trouble::Expire));
    repository.manifest(At::Tag("v1")).unwrap();
    assert_eq!(tokens(&server), 2);
    server.fault(Fault::on("GET", "/manifests/", Trouble::Expire).always());
    assert!(repository.manifest(At::Tag("v1")).unwrap_err().is_unauthorized());
    assert_eq!(tokens(&server), 3);
}

#[test]
fn a_token_is_renewed_before_it_expires() {
    let lifetime = Duration::from_secs(1);
    let auth = Auth::Bearer { user: "me".into(), password: "secret".into(), lifetime };
    let server = with(Setup { auth, ..bearer() });
    let client = client_of(Known::user("me", "secret"));
    let repository = repository_by(&client, &server);
    repository.manifest(At::Tag("v1")).unwrap();
    std::thread::sleep(Duration::from_millis(800));
    server.forget_requests();
    repository.manifest(At::Tag("v1")).unwrap();
    // Nothing was refused.
    let refused = server.requests().iter().filter(|request| request.status == 401).count();
    assert_eq!((refused, tokens(&server)), (0, 1));
}

#[test]
fn a_token_that_expires_while_a_blob_is_sent_costs_that_upload_only() {
    let server = with(bearer());
    let client = client_of(Known::user("me", "secret"));
    let repository = repository_by(&client, &server);
    let bytes = noise(1000);
    let digest = Digest::of(&bytes);
    server.fault(Fault::on("PATCH", "/uploads/", Trouble::Expire));
    let error = repository.upload().unwrap().send(&mut &bytes[..]).unwrap_err();
    assert!(error.is_unauthorized() && error.is_transient(), "{error}");
    let mut upload = repository.upload().unwrap();
    upload.send(&mut &bytes[..]).unwrap();
    upload.finish(&digest).unwrap();
    assert_eq!(server.blob(&digest).unwrap(), bytes);
}

#[test]
fn a_busy_token_server_is_asked_again() {
    let server = with(bearer());
    server.fault(Fault::on("GET", "/token", Trouble::Status(503, None)).times(2));
    server.fault(Fault::on("GET", "/token", Trouble::Drop { after: 3 }));
    let client = client_of(Known::user("me", "secret"));
    repository_by(&client, &server).manifest(At::Tag("v1")).unwrap();
}

#[test]
fn token_servers_that_answer_nonsense() {
    for body in ["", "{}", "[]", r#"{"token":""}"#, r#"{"token":"a\r\nX: y"}"#] {
        let server = with(bearer());
        server.fault(
            Fault::on("GET", "/token", Trouble::Answer(200, Vec::new(), body.as_bytes().to_vec())).always(),
        );
        let error = repository(&server).manifest(At::Tag("v1")).unwrap_err();
        assert!(error.to_string().starts_with("token of http://"), "{body:?}: {error}");
    }
}

#[test]
fn login_tells_whether_a_password_is_right() {
    for setup in [basic(), bearer()] {
        let server = with(setup);
        let right = Credential::Basic { user: "me".into(), password: Secret::new("secret") };
        let wrong = Credential::Basic { user: "me".into(), password: Secret::new("wrong") };
        let client = client(options());
        client.login(&server.address(), &right).unwrap();
        let error = client.login(&server.address(), &wrong).unwrap_err();
        assert!(error.is_unauthorized(), "{error}");
        assert!(!format!("{error:?}").contains("wrong"), "{error:?}");
    }
    let open = with(Setup::default());
    let any = Credential::Basic { user: "any".into(), password: Secret::new("any") };
    assert_eq!(client(options()).login(&open.address(), &any).unwrap(), None);
}

#[test]
fn login_gets_an_identity_token_and_a_pull_uses_it() {
    let server = with(bearer());
    let password = Credential::Basic { user: "me".into(), password: Secret::new("secret") };
    let identity = client(options()).login(&server.address(), &password).unwrap().expect("an identity token");
    server.forget_requests();
    let client = client_of(Known::credential(Credential::IdentityToken(identity.clone())));
    repository_by(&client, &server).manifest(At::Tag("v1")).unwrap();
    assert_eq!(server.requests_for("POST", "/token").len(), 1);
    assert!(server.requests_for("GET", "/token").is_empty());
    client.login(&server.address(), &Credential::IdentityToken(identity)).unwrap();
    let wrong = Credential::IdentityToken(Secret::new("wrong"));
    assert!(client.login(&server.address(), &wrong).unwrap_err().is_unauthorized());
}

#[test]
fn a_registry_token_is_used_as_it_is() {
    let server = with(bearer());
    let scopes = testkit::registry::scopes("repository:acme/x:pull");
    let token = server.issuer().issue(scopes, Duration::from_secs(100));
    let client = client_of(Known::credential(Credential::RegistryToken(Secret::new(token))));
    repository_by(&client, &server).manifest(At::Tag("v1")).unwrap();
    assert_eq!(tokens(&server), 0);
}

#[test]
fn credentials_that_cannot_be_had_are_an_error() {
    struct Broken;
    impl Credentials for Broken {
        fn get(&self, server: &str) -> registry::Result<Option<Credential>> {
            Err(registry::Error::credentials(server, "the helper is gone"))
        }
    }
    let server = with(basic());
    let error = repository_by(&client_of(Arc::new(Broken)), &server).manifest(At::Tag("v1")).unwrap_err();
    assert_eq!(error.to_string(), format!("credentials for {}/acme/x: the helper is gone", server.address()));
}
