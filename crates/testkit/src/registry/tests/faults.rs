//! Each trouble does what it says, to the requests that it is meant for.

use std::time::Duration;

use model::Digest;

use super::{Client, Fault, Server, Setup, Trouble, ten};
use std::io::Read;

/// What a client gets of the ten bytes, with the head's length.
fn troubled(what: Trouble) -> (u16, String, Vec<u8>) {
    let (server, blob) = ten(Setup::default());
    server.fault(Fault::on("GET", "/blobs/", what));
    let mut client = Client::of(&server);
    client.send("GET", &blob, &[("Connection", "close"), ("Range", "bytes=1-")], b"");
    let (status, headers) = client.head().unwrap();
    let length = crate::registry::http::find(&headers, "Content-Length").unwrap_or_default().to_owned();
    (status, length, client.rest())
}

#[test]
fn bodies_are_cut_spoilt_and_of_another_length() {
    let whole = b"123456789";
    for (what, length, expected) in [
        (Trouble::Drop { after: 3 }, "9", &b"123"[..]),
        (Trouble::WrongLength(2), "11", b"123456789xx"),
        (Trouble::WrongLength(-2), "7", b"1234567"),
        (Trouble::WrongBytes, "9", b"1234`6789"),
        (Trouble::HalfManifest, "4", b"1234"),
        (Trouble::Drip { bytes: 2, every: Duration::from_millis(1) }, "9", whole),
        (Trouble::Header("content-length".into(), "5".into()), "9", whole),
    ] {
        let text = format!("{what:?}");
        assert_eq!(troubled(what), (206, length.to_owned(), expected.to_vec()), "{text}");
    }
    assert_eq!(troubled(Trouble::NoRanges), (200, "10".into(), b"0123456789".to_vec()));
    assert_eq!(troubled(Trouble::WrongRange), (206, "10".into(), b"0123456789".to_vec()));
}

#[test]
fn other_answers_are_given() {
    let (server, blob) = ten(Setup::default());
    let mut client = Client::of(&server);
    server.fault(Fault::on("", "", Trouble::Status(429, Some("7".into()))));
    server.fault(Fault::on("", "", Trouble::Redirect("http://other{target}".into())));
    server.fault(Fault::on("", "", Trouble::Answer(418, vec![("X".into(), "y".into())], b"tea".to_vec())));
    let busy = client.get(&blob);
    assert_eq!((busy.status, busy.header("Retry-After")), (429, "7"));
    let elsewhere = client.get(&blob);
    assert_eq!((elsewhere.status, elsewhere.header("Location")), (307, &*format!("http://other{blob}")));
    let tea = client.get(&blob);
    assert_eq!((tea.status, tea.header("X"), &tea.body[..]), (418, "y", &b"tea"[..]));
    assert_eq!(client.get(&blob).status, 200);
}

#[test]
fn a_header_of_an_answer_is_another_one_or_none() {
    let (server, blob) = ten(Setup::default());
    let name = "Docker-Content-Digest";
    server.fault(Fault::on("GET", "", Trouble::Header(name.into(), "x".into())));
    server.fault(Fault::on("GET", "", Trouble::Header(name.into(), String::new())));
    let mut client = Client::of(&server);
    assert_eq!(client.get(&blob).header(name), "x");
    assert_eq!(client.get(&blob).header(name), "");
    assert_ne!(client.get(&blob).header(name), "");
}

#[test]
fn a_fault_is_for_the_requests_that_match_it() {
    let (server, blob) = ten(Setup::default());
    server.fault(Fault::on("GET", "/manifests/", Trouble::Status(500, None)).always());
    server.fault(
        Fault::on("GET", "/blobs/", Trouble::Status(503, None)).with("Range", "bytes=1-").skip(1).times(2),
    );
    let mut client = Client::of(&server);
    let mut ask = |range: &str| client.ask("GET", &blob, &[("Range", range)], b"").status;
    assert_eq!(ask("bytes=0-"), 206);
    assert_eq!([1, 2, 3, 4].map(|_| ask("bytes=1-")), [206, 503, 503, 206]);
    for _ in 0..3 {
        assert_eq!(client.get("/v2/a/manifests/1").status, 500);
    }
    server.heal();
    assert_eq!(client.get("/v2/a/manifests/1").status, 404);
    assert_eq!(server.requests_for("GET", "/blobs/").len(), 5);
    server.forget_requests();
    assert_eq!(server.requests(), []);
}

#[test]
fn an_endless_body_goes_on_while_the_client_reads() {
    let (server, blob) = ten(Setup::default());
    server.fault(Fault::on("GET", "/blobs/", Trouble::Endless));
    let mut client = Client::of(&server);
    client.send("GET", &blob, &[], b"");
    client.head().unwrap();
    let mut much = vec![0; 1 << 20];
    client.stream.read_exact(&mut much).unwrap();
    assert!(much.starts_with(b"a\r\n0123456789\r\n4000\r\n\0\0"));
}

#[test]
fn a_stalled_body_comes_no_further_and_is_not_ended() {
    let (server, blob) = ten(Setup::default());
    server.fault(Fault::on("GET", "/blobs/", Trouble::Stall { after: 4 }));
    let mut client = Client::of(&server);
    client.send("GET", &blob, &[], b"");
    client.head().unwrap();
    let mut start = [0; 4];
    client.stream.read_exact(&mut start).unwrap();
    let silence = Duration::from_millis(100);
    client.stream.get_ref().set_read_timeout(Some(silence)).unwrap();
    let e = client.stream.read(&mut [0]).unwrap_err();
    assert_eq!(e.kind(), std::io::ErrorKind::WouldBlock);
}

#[test]
fn an_upload_that_breaks_keeps_what_came() {
    let server = Server::start();
    let mut client = Client::of(&server);
    let begun = client.ask("POST", "/v2/a/blobs/uploads/", &[], b"");
    server.fault(Fault::on("PATCH", "", Trouble::HangUp { after: 4 }));
    client.send("PATCH", begun.header("Location"), &[], b"0123456789");
    assert!(client.head().is_none());
    let mut client = Client::of(&server);
    let stands = client.get(begun.header("Location"));
    assert_eq!((stands.status, stands.header("Range")), (204, "0-3"));
    let patch = &server.requests()[1];
    assert_eq!((patch.received, patch.status), (4, 0));
}

#[test]
fn an_answer_reaches_a_client_that_is_still_sending() {
    let server = Server::start();
    server.fault(Fault::on("POST", "", Trouble::Status(503, None)));
    let mut client = Client::of(&server);
    let at = format!("/v2/a/blobs/uploads/?digest={}", Digest::of(b""));
    client.send("POST", &at, &[], &vec![0; 1 << 20]);
    let answer = client.answer("POST");
    assert_eq!((answer.status, answer.header("Connection")), (503, "close"));
}

#[test]
fn one_waits_for_a_request() {
    let (server, blob) = ten(Setup::default());
    std::thread::scope(|threads| {
        threads.spawn(|| Client::of(&server).get(&blob));
        server.wait_for("answered request", |requests| requests.iter().any(|request| request.status == 200));
    });
}
