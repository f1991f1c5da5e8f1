//! Other ways to a server: mirrors and proxies.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use model::Reference;
use model::manifest::media_type;
use registry::{At, Client, Options, Proxy};
use testkit::registry::{Auth, Fault, Server, Setup, Trouble};

use crate::{Known, client, name, noise, options, read};

/// A proxy that connects everybody to one server, or nobody.
struct Connect {
    address: String,
    /// What it was asked to connect to.
    targets: Arc<Mutex<Vec<String>>>,
}

impl Connect {
    fn start(to: Option<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = Connect { address: listener.local_addr().unwrap().to_string(), targets: Arc::default() };
        let targets = proxy.targets.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (targets, to) = (targets.clone(), to.clone());
                std::thread::spawn(move || serve(stream, &targets, to.as_deref()));
            }
        });
        proxy
    }

    fn targets(&self) -> Vec<String> {
        self.targets.lock().unwrap().clone()
    }
}

fn serve(mut stream: TcpStream, targets: &Mutex<Vec<String>>, to: Option<&str>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut head = String::new();
    while reader.read_line(&mut head).is_ok_and(|n| n > 2) {}
    targets.lock().unwrap().push(head.split(' ').nth(1).unwrap_or_default().to_owned());
    let Some(to) = to else {
        let _ = stream.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
        return;
    };
    let mut server = TcpStream::connect(to).unwrap();
    stream.write_all(b"HTTP/1.1 200 Connected\r\n\r\n").unwrap();
    let mut back = (server.try_clone().unwrap(), stream);
    let copier = std::thread::spawn(move || {
        let _ = std::io::copy(&mut back.0, &mut back.1);
        let _ = back.1.shutdown(std::net::Shutdown::Both);
    });
    let _ = std::io::copy(&mut reader, &mut server);
    let _ = server.shutdown(std::net::Shutdown::Both);
    let _ = copier.join();
}

fn with_manifest() -> Server {
    let server = Server::start();
    server.add_manifest("acme/x", "v1", media_type::OCI_MANIFEST, b"{}");
    server
}

#[test]
fn a_server_behind_a_proxy() {
    let server = with_manifest();
    let proxy = Connect::start(Some(server.address()));
    let address = Some(format!("http://{}", proxy.address));
    let through = Options {
        proxy: Proxy { http: address.clone(), https: address, no: None },
        insecure: vec!["registry.test:5000".to_owned()],
        ..options()
    };
    let repository = client(through).repository(&name("registry.test:5000")).unwrap();
    repository.manifest(At::Tag("v1")).unwrap();
    // With TLS first, as for every insecure server.
    assert_eq!(proxy.targets(), ["registry.test:5000", "registry.test:5000"]);
}

#[test]
fn this_machine_is_not_behind_a_proxy() {
    let server = with_manifest();
    let proxy = Connect::start(None);
    let address = Some(format!("http://{}", proxy.address));
    let options = Options { proxy: Proxy { http: address.clone(), https: address, no: None }, ..options() };
    client(options).repository(&name(&server.address())).unwrap().manifest(At::Tag("v1")).unwrap();
    assert!(proxy.targets().is_empty());
}

/// Settings with a mirror of Docker Hub, which itself cannot be reached; and who hears of attempts.
fn mirrored(mirrors: &[&Server]) -> (Options, Connect) {
    let proxy = Connect::start(None);
    let options = Options {
        mirrors: mirrors.iter().map(|mirror| format!("http://{}/", mirror.address())).collect(),
        proxy: Proxy { https: Some(format!("http://{}", proxy.address)), ..Proxy::default() },
        attempts: 2,
        ..options()
    };
    (options, proxy)
}

fn hub(tag: &str) -> Reference {
    Reference::parse(&format!("acme/x:{tag}")).unwrap()
}

#[test]
fn images_of_docker_hub_come_from_its_mirror() {
    let mirror = with_manifest();
    let bytes = noise(1000);
    let digest = mirror.add_blob(&bytes);
    let (options, hub_proxy) = mirrored(&[&mirror]);
    let repository = client(options).repository(&hub("v1")).unwrap();
    repository.manifest(At::Tag("v1")).unwrap();
    assert_eq!(read(repository.blob(&digest, 0, None).unwrap()), bytes);
    assert!(hub_proxy.targets().is_empty());
}

#[test]
fn what_the_mirrors_do_not_have_is_asked_for_at_docker_hub() {
    let (empty, mirror) = (Server::start(), with_manifest());
    let (options, hub_proxy) = mirrored(&[&empty, &mirror]);
    let repository = client(options).repository(&hub("v1")).unwrap();
    repository.manifest(At::Tag("v1")).unwrap();
    let error = repository.manifest(At::Tag("other")).unwrap_err();
    assert!(error.to_string().contains("the proxy refuses"), "{error}");
    assert_eq!(hub_proxy.targets(), ["registry-1.docker.io:443"; 2]);
}

#[test]
fn a_mirror_that_breaks_is_not_asked_again() {
    let (broken, mirror) = (with_manifest(), with_manifest());
    broken.fault(Fault::on("", "/manifests/", Trouble::HangUp { after: 0 }).always());
    let (options, _hub) = mirrored(&[&broken, &mirror]);
    let repository = client(options).repository(&hub("v1")).unwrap();
    for _ in 0..3 {
        repository.manifest(At::Tag("v1")).unwrap();
    }
    assert_eq!(broken.requests_for("", "/manifests/").len(), 1);
    assert_eq!(mirror.requests_for("", "/manifests/").len(), 3);
}

#[test]
fn other_servers_have_no_mirror_and_a_push_none_either() {
    let (server, mirror) = (with_manifest(), with_manifest());
    let (options, hub_proxy) = mirrored(&[&mirror]);
    let client = client(options);
    client.repository(&name(&server.address())).unwrap().manifest(At::Tag("v1")).unwrap();
    let pushing = client.repository(&hub("v1")).unwrap().pushing();
    assert!(pushing.manifest(At::Tag("v1")).is_err());
    assert!(client.repository(&hub("v1")).unwrap().tags().is_err());
    assert!(mirror.requests().is_empty());
    assert_eq!(hub_proxy.targets().len(), 4);
}

#[test]
fn a_mirror_has_credentials_of_its_own() {
    let mirror = Server::start_with(Setup { auth: Auth::basic("me", "secret"), ..Setup::default() });
    mirror.add_manifest("acme/x", "v1", media_type::OCI_MANIFEST, b"{}");
    let known = Known::user("me", "secret");
    let (options, _hub) = mirrored(&[&mirror]);
    let client = Client::new(options, known.clone()).unwrap();
    client.repository(&hub("v1")).unwrap().manifest(At::Tag("v1")).unwrap();
    assert_eq!(*known.asked.lock().unwrap(), [mirror.address()]);
}

#[test]
fn settings_that_cannot_be_used_are_named() {
    let with = |options: Options| Client::new(options, Known::user("", "")).unwrap_err().to_string();
    let mirror = with(Options { mirrors: vec!["mirror.example".into()], ..options() });
    assert!(mirror.contains("mirror.example"), "{mirror}");
    let proxy = Proxy { https: Some("ftp://me:secret@proxy".into()), ..Proxy::default() };
    let proxy = with(Options { proxy, ..options() });
    assert!(proxy.contains("proxy for https") && !proxy.contains("secret"), "{proxy}");
    let insecure = with(Options { insecure: vec!["10.0.0.0/40".into()], ..options() });
    assert!(insecure.contains("10.0.0.0/40"), "{insecure}");
}

#[test]
fn threads_may_share_and_hand_over_everything() {
    fn hand_over<T: Send>() {}
    fn share<T: Send + Sync>() {}
    share::<Client>();
    share::<registry::Repository>();
    hand_over::<registry::Body>();
    hand_over::<registry::Upload>();
    hand_over::<registry::Error>();
}

#[test]
fn a_server_that_wants_tls_is_not_said_to_speak_none() {
    let server = with_manifest();
    // As servers with TLS answer who comes without.
    server.fault(Fault::on("GET", "/v2/", Trouble::Status(400, None)).times(5));
    let repository = client(options()).repository(&name(&server.address())).unwrap();
    let error = repository.manifest(At::Tag("v1")).unwrap_err();
    assert_eq!(error.status(), None, "{error}");
    assert!(server.requests_for("", "/manifests/").is_empty());
}
