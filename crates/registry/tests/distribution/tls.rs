//! TLS: whom we believe, who we are, and that nothing falls back to plain HTTP.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use registry::{At, Client, Options, Repository};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use testkit::registry::Server;

use crate::{Known, client, name, options};

/// An authority, and what it signed.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Authority(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for `host` and its key.
    fn sign(&self, host: &str) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![host.to_owned()]).unwrap();
        (params.signed_by(&key, &self.0).unwrap(), key)
    }
}

/// A server that speaks TLS and answers every request with the same.
struct Https {
    address: String,
    /// The heads of the requests.
    requests: Arc<Mutex<Vec<String>>>,
}

impl Https {
    /// With a certificate for `host`; wants certificates of clients, signed by `clients`.
    fn start(authority: &Authority, host: &str, clients: Option<&Authority>, answer: &str) -> Self {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let (certificate, key) = authority.sign(host);
        let config = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .unwrap();
        let config = match clients {
            None => config.with_no_client_auth(),
            Some(clients) => {
                let mut roots = RootCertStore::empty();
                roots.add(CertificateDer::from(clients.0.der().to_vec())).unwrap();
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(roots.into(), provider).build().unwrap();
                config.with_client_cert_verifier(verifier)
            }
        };
        let chain = vec![CertificateDer::from(certificate.der().to_vec())];
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config = Arc::new(config.with_single_cert(chain, key).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Https { address: listener.local_addr().unwrap().to_string(), requests: Arc::default() };
        let (requests, answer) = (server.requests.clone(), answer.to_owned());
        // It ends with the test's process.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let connection = ServerConnection::new(config.clone()).unwrap();
                let mut reader = BufReader::new(StreamOwned::new(connection, stream));
                let mut head = String::new();
                while reader.read_line(&mut head).is_ok_and(|n| n > 2) {}
                if head.is_empty() {
                    continue;
                }
                requests.lock().unwrap().push(head);
                let stream = reader.get_mut();
                let _ = stream.write_all(answer.as_bytes());
                stream.conn.send_close_notify();
                let _ = stream.flush();
            }
        });
        server
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

const MANIFEST: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}";

/// `certs.d` with these files for a server.
fn certs_d(server: &str, files: &[(&str, String)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join(server)).unwrap();
    for (name, content) in files {
        std::fs::write(dir.path().join(server).join(name), content).unwrap();
    }
    dir
}

fn repository(server: &str, certs: &Path) -> Repository {
    let options = Options { certs_dirs: vec!["/nonexistent/certs.d".into(), certs.to_owned()], ..options() };
    client(options).repository(&name(server)).unwrap()
}

#[test]
fn an_authority_of_certs_d_is_believed() {
    let authority = Authority::new();
    let server = Https::start(&authority, "127.0.0.1", None, MANIFEST);
    let certs = certs_d(&server.address, &[("ca.crt", authority.pem()), ("README", "none".to_owned())]);
    assert_eq!(repository(&server.address, certs.path()).manifest(At::Tag("v1")).unwrap().bytes, b"{}");
}

#[test]
fn another_authority_is_not_believed_and_asking_again_does_not_help() {
    let server = Https::start(&Authority::new(), "127.0.0.1", None, MANIFEST);
    let certs = certs_d(&server.address, &[("ca.crt", Authority::new().pem())]);
    let error = repository(&server.address, certs.path()).manifest(At::Tag("v1")).unwrap_err();
    assert!(error.to_string().contains("certificate") && !error.is_transient(), "{error}");
    assert!(server.requests().is_empty());
}

#[test]
fn a_certificate_for_another_host_is_not_believed() {
    let authority = Authority::new();
    let server = Https::start(&authority, "registry.example", None, MANIFEST);
    let certs = certs_d(&server.address, &[("ca.crt", authority.pem())]);
    let error = repository(&server.address, certs.path()).manifest(At::Tag("v1")).unwrap_err();
    assert!(error.to_string().contains("certificate") && !error.is_transient(), "{error}");
}

#[test]
fn a_verified_server_is_not_asked_without_tls() {
    let plain = Server::start();
    let certs = certs_d(&plain.address(), &[("ca.crt", Authority::new().pem())]);
    assert!(repository(&plain.address(), certs.path()).manifest(At::Tag("v1")).is_err());
    assert!(plain.requests().is_empty());
}

#[test]
fn any_certificate_will_do_for_an_insecure_server() {
    let server = Https::start(&Authority::new(), "registry.example", None, MANIFEST);
    // Loopback is insecure by itself.
    let repository = client(options()).repository(&name(&server.address)).unwrap();
    assert_eq!(repository.manifest(At::Tag("v1")).unwrap().bytes, b"{}");
    // A directory of certs.d ends that, a listing is stronger.
    let certs = certs_d(&server.address, &[("ca.crt", Authority::new().pem())]);
    let listed = Options {
        certs_dirs: vec![certs.path().to_owned()],
        insecure: vec!["127.0.0.0/8".to_owned()],
        ..options()
    };
    let repository = client(listed).repository(&name(&server.address)).unwrap();
    assert_eq!(repository.manifest(At::Tag("v1")).unwrap().bytes, b"{}");
}

#[test]
fn a_server_that_wants_to_know_the_client_is_shown_its_certificate() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let server = Https::start(&authority, "127.0.0.1", Some(&clients), MANIFEST);
    let (certificate, key) = clients.sign("me");
    let files = [
        ("ca.crt", authority.pem()),
        ("client.cert", certificate.pem()),
        ("client.key", key.serialize_pem()),
    ];
    let certs = certs_d(&server.address, &files);
    assert_eq!(repository(&server.address, certs.path()).manifest(At::Tag("v1")).unwrap().bytes, b"{}");
    let certs = certs_d(&server.address, &files[..1]);
    assert!(repository(&server.address, certs.path()).manifest(At::Tag("v1")).is_err());
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn certificates_that_cannot_be_used_are_named() {
    let authority = Authority::new();
    let (certificate, key) = authority.sign("me");
    let (_, other) = authority.sign("other");
    for (files, expected) in [
        (vec![("ca.crt", "no certificate".to_owned())], "ca.crt"),
        (vec![("me.cert", certificate.pem())], "its key is missing"),
        (vec![("me.key", key.serialize_pem())], "its certificate (.cert) is missing"),
        (vec![("me.cert", certificate.pem()), ("me.key", other.serialize_pem())], "me.cert"),
        (vec![("me.cert", certificate.pem()), ("me.key", certificate.pem())], "no key in"),
    ] {
        let certs = certs_d("127.0.0.1:1", &files);
        let error = repository("127.0.0.1:1", certs.path()).manifest(At::Tag("v1")).unwrap_err();
        assert!(error.to_string().contains(expected), "{expected}: {error}");
        assert!(!error.is_transient());
    }
}

/// A registry behind TLS whose answers lead to `plain`.
fn leading_away(answer: &str) -> (Https, tempfile::TempDir) {
    let authority = Authority::new();
    let server = Https::start(&authority, "127.0.0.1", None, answer);
    let certs = certs_d(&server.address, &[("ca.crt", authority.pem())]);
    (server, certs)
}

#[test]
fn nothing_goes_to_a_token_server_without_tls_when_the_registry_has_it() {
    let plain = Server::start();
    let challenge = format!(
        "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer realm=\"http://{}/token\",service=\"x\"\r\n\
         Content-Length: 0\r\nConnection: close\r\n\r\n",
        plain.address()
    );
    let (server, certs) = leading_away(&challenge);
    let options = Options { certs_dirs: vec![certs.path().to_owned()], ..options() };
    let client = Client::new(options, Known::user("me", "secret")).unwrap();
    let error = client.repository(&name(&server.address)).unwrap().manifest(At::Tag("v1")).unwrap_err();
    assert!(error.to_string().contains("is not https"), "{error}");
    let error =
        client.login(&server.address, &Known::user("me", "secret").credential.clone().unwrap()).unwrap_err();
    assert!(error.to_string().contains("is not https"), "{error}");
    assert!(plain.requests().is_empty());
}

#[test]
fn a_redirect_from_https_to_http_is_not_followed() {
    let plain = Server::start();
    let redirect = format!(
        "HTTP/1.1 307 Temporary Redirect\r\nLocation: http://{}/v2/\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        plain.address()
    );
    let (server, certs) = leading_away(&redirect);
    let error = repository(&server.address, certs.path()).manifest(At::Tag("v1")).unwrap_err();
    assert!(error.to_string().contains("from https to http://"), "{error}");
    assert!(plain.requests().is_empty());
}

#[test]
fn an_upload_does_not_leave_https() {
    let plain = Server::start();
    let begun = format!(
        "HTTP/1.1 202 Accepted\r\nLocation: http://{}/v2/acme/x/blobs/uploads/1\r\nContent-Length: 0\r\n\
         Connection: close\r\n\r\n",
        plain.address()
    );
    let (server, certs) = leading_away(&begun);
    let error = repository(&server.address, certs.path()).upload().unwrap_err();
    assert!(error.to_string().contains("from https to http://"), "{error}");
    assert!(plain.requests().is_empty());
}
