//! Answers on their way to the client, with the trouble that they meet there.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::thread;

use super::Trouble;
use super::http::{Answer, Head};

/// Sends an answer; `last` when the connection is closed after it. An error, when the connection has to be closed.
pub fn answer(
    stream: &TcpStream,
    head: &Head,
    mut answer: Answer,
    trouble: Option<&Trouble>,
    last: bool,
) -> io::Result<()> {
    // What is an error already is not spoilt.
    let trouble = trouble.filter(|_| answer.status < 300);
    if let Some(trouble) = trouble {
        spoil(&mut answer, trouble);
    }
    answer = match trouble {
        Some(Trouble::Endless) => answer.header("Transfer-Encoding", "chunked"),
        _ if answer.status == 204 => answer,
        // The head of an answer to HEAD has the length that the body would have.
        _ => {
            let length = answer.body.len();
            answer.header("Content-Length", length)
        }
    };
    if last {
        answer = answer.header("Connection", "close");
    }
    let mut writer = stream;
    writer.write_all(answer.head().as_bytes())?;
    if head.method == "HEAD" {
        return Ok(());
    }
    let body = &answer.body;
    match trouble {
        Some(Trouble::Drop { after }) if *after < body.len() as u64 => {
            writer.write_all(&body[..*after as usize])?;
            Err(io::ErrorKind::ConnectionAborted.into())
        }
        Some(Trouble::Stall { after }) if *after < body.len() as u64 => {
            writer.write_all(&body[..*after as usize])?;
            // Until the client goes, or the server ends.
            while writer.read(&mut [0; 1024])? > 0 {}
            Err(io::ErrorKind::ConnectionAborted.into())
        }
        Some(Trouble::Drip { bytes, every }) => body.chunks(*bytes).try_for_each(|piece| {
            thread::sleep(*every);
            writer.write_all(piece)
        }),
        Some(Trouble::Endless) => endless(writer, body),
        _ => writer.write_all(body),
    }
}

/// Changes an answer before it is sent.
fn spoil(answer: &mut Answer, trouble: &Trouble) {
    match trouble {
        Trouble::WrongLength(more) => {
            let length = answer.body.len().saturating_add_signed(*more as isize);
            answer.body.resize(length, b'x');
        }
        Trouble::WrongBytes => {
            let middle = answer.body.len() / 2;
            if let Some(byte) = answer.body.get_mut(middle) {
                *byte ^= 0x55;
            }
        }
        Trouble::HalfManifest => answer.body.truncate(answer.body.len() / 2),
        Trouble::Header(name, value) => {
            answer.headers.retain(|(key, _)| !key.eq_ignore_ascii_case(name));
            if !value.is_empty() {
                answer.headers.push((name.clone(), value.clone()));
            }
        }
        _ => {}
    }
}

/// The body, and then zeros until the client goes.
fn endless(mut writer: &TcpStream, body: &[u8]) -> io::Result<()> {
    let zeros = [0; 16 << 10];
    let mut piece = body;
    loop {
        if !piece.is_empty() {
            write!(writer, "{:x}\r\n", piece.len())?;
            writer.write_all(piece)?;
            writer.write_all(b"\r\n")?;
        }
        piece = &zeros;
    }
}
