//! Connections: a thread for each, with one request after another.

use std::io::{self, BufReader, Read};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::http::{Answer, Body, Head};
use super::state::Shared;
use super::{Trouble, auth, route, send};

/// How much of a body that nobody read is read for the sake of the connection; beyond that it is closed, as Go's
/// server does.
const DRAINED: u64 = 256 << 10;

/// Takes connections until the server ends.
pub fn accept(shared: &Arc<Shared>, listener: &TcpListener) {
    for stream in listener.incoming() {
        let Ok(stream) = stream else { continue };
        let Some(number) = shared.connect(&stream) else { return };
        let shared = Arc::clone(shared);
        thread::spawn(move || {
            // An error is the client's end, or the one that a fault asked for.
            let _ = connection(&shared, &stream, number);
            let _ = stream.shutdown(Shutdown::Both);
        });
    }
}

/// Serves one connection to its end.
fn connection(shared: &Shared, stream: &TcpStream, connection: usize) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    while let Some(mut head) = Head::read(&mut reader)? {
        let (number, trouble) = shared.record(&head, connection);
        let mut body = Body::new(&head, &mut reader, stream)?;
        if let Some(Trouble::HangUp { after }) = trouble {
            body.limit = Some(after);
        }
        match trouble {
            Some(Trouble::NoRanges) => head.set("Range", ""),
            Some(Trouble::WrongRange) => head.set("Range", "bytes=0-"),
            _ => {}
        }
        let answer = match answer(shared, &head, &mut body, trouble.as_ref()) {
            Ok(answer) => answer,
            Err(e) => {
                shared.answered(number, body.read, 0);
                return Err(e);
            }
        };
        shared.answered(number, body.read, answer.status);
        let rest = body.is_unwanted() || {
            let mut start = body.by_ref().take(DRAINED);
            io::copy(&mut start, &mut io::sink())?;
            body.read(&mut [0])? > 0
        };
        send::answer(stream, &head, answer, trouble.as_ref(), rest)?;
        if rest {
            return part(stream);
        }
        if head.is_last() {
            break;
        }
    }
    Ok(())
}

/// Closes a connection on which the client is still sending, so that the answer reaches him: a plain close would reset
/// it.
fn part(mut stream: &TcpStream) -> io::Result<()> {
    stream.shutdown(Shutdown::Write)?;
    stream.set_read_timeout(Some(Duration::from_millis(500)))?;
    let mut rest = [0; 16 << 10];
    while stream.read(&mut rest)? > 0 {}
    Ok(())
}

/// What a request is answered with, before trouble touches it.
fn answer<R: io::BufRead>(
    shared: &Shared,
    head: &Head,
    body: &mut Body<'_, R>,
    trouble: Option<&Trouble>,
) -> io::Result<Answer> {
    match trouble {
        Some(Trouble::Status(status, wait)) => {
            let answer = Answer::error(*status, "TESTKIT", "as asked for");
            Ok(match wait {
                Some(wait) => answer.header("Retry-After", wait),
                None => answer,
            })
        }
        Some(Trouble::Answer(status, headers, body)) => {
            Ok(Answer { status: *status, headers: headers.clone(), body: body.clone() })
        }
        Some(Trouble::Redirect(to)) => {
            Ok(Answer::new(307).header("Location", to.replace("{target}", &head.target)))
        }
        Some(Trouble::Expire) => {
            if let Some(token) = head.header("Authorization").and_then(|given| given.strip_prefix("Bearer "))
            {
                shared.issuer.expire(token);
            }
            let (repository, actions) = route::needs(head);
            Ok(auth::challenge(shared, &repository, actions, true))
        }
        Some(Trouble::HangUp { .. }) => {
            route::answer(shared, head, body)?;
            // The body was not read, or was shorter than the fault wanted.
            io::copy(body, &mut io::sink())?;
            Err(io::ErrorKind::ConnectionAborted.into())
        }
        _ => route::answer(shared, head, body),
    }
}
