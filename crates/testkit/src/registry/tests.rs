//! The server itself, asked over bare connections.

mod faults;
mod requests;
mod tokens;

use std::io::{BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

use super::http::{self, Headers};
use super::{Auth, Fault, Server, Setup, Trouble};

/// A connection.
struct Client {
    stream: BufReader<TcpStream>,
}

/// An answer; the body is empty if it has no length.
#[derive(Debug)]
struct Answered {
    status: u16,
    headers: Headers,
    body: Vec<u8>,
}

impl Answered {
    fn header(&self, name: &str) -> &str {
        http::find(&self.headers, name).unwrap_or_default()
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

impl Client {
    fn of(server: &Server) -> Self {
        let stream = TcpStream::connect(server.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        Self { stream: BufReader::new(stream) }
    }

    fn write(&mut self, bytes: &[u8]) {
        self.stream.get_mut().write_all(bytes).unwrap();
    }

    /// Sends a request whose body has a length.
    fn send(&mut self, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) {
        let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let length = body.len();
        let head =
            format!("{method} {target} HTTP/1.1\r\nHost: x\r\n{headers}Content-Length: {length}\r\n\r\n");
        self.write(&[head.as_bytes(), body].concat());
    }

    /// Status and headers of an answer; nothing if the server has closed the connection.
    fn head(&mut self) -> Option<(u16, Headers)> {
        let (first, headers) = http::head(&mut self.stream).ok()??;
        Some((first.split(' ').nth(1).unwrap().parse().unwrap(), headers))
    }

    fn answer(&mut self, method: &str) -> Answered {
        let (status, headers) = self.head().unwrap();
        let length = http::find(&headers, "Content-Length").map_or(0, |length| length.parse().unwrap());
        let mut body = vec![0; if method == "HEAD" { 0 } else { length }];
        self.stream.read_exact(&mut body).unwrap();
        Answered { status, headers, body }
    }

    fn ask(&mut self, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Answered {
        self.send(method, target, headers, body);
        self.answer(method)
    }

    fn get(&mut self, target: &str) -> Answered {
        self.ask("GET", target, &[], b"")
    }

    /// What comes until the server closes the connection.
    fn rest(mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        let _ = self.stream.read_to_end(&mut rest);
        rest
    }
}

/// A server with the blob `0123456789`, and where that is.
fn ten(setup: Setup) -> (Server, String) {
    let server = Server::start_with(setup);
    let blob = format!("/v2/a/b/blobs/{}", server.add_blob(b"0123456789"));
    (server, blob)
}
