//! A server's answer, as far as all requests share it.

use std::io::{self, Read};
use std::time::{Duration, Instant, SystemTime};

use serde::Deserialize;
use ureq::BodyReader;
use ureq::http::HeaderMap;

use crate::url::Url;
use crate::{Error, Result, headers};

/// How much of a body that nobody wants is read, in bytes, so that its connection can be used again.
const DRAINED: u64 = 64 << 10;
/// The longest body of an error, and the longest text of it that is shown.
const ERROR_BODY: u64 = 64 << 10;
const ERROR_TEXT: usize = 1000;
/// A body has to bring so many bytes in [`Options::idle_timeout`](crate::Options::idle_timeout).
const SLOWEST: u64 = 16 << 10;

/// Status, headers, and a body that is still to be read.
pub(crate) struct Answer {
    pub status: u16,
    /// Where it came from.
    pub url: Url,
    headers: HeaderMap,
    pub body: Stream,
}

impl Answer {
    pub fn new(url: &Url, response: ureq::http::Response<ureq::Body>, idle: Duration) -> Self {
        let (parts, body) = response.into_parts();
        Answer {
            status: parts.status.as_u16(),
            url: url.clone(),
            headers: parts.headers,
            body: Stream { reader: body.into_reader(), idle, waited: Duration::ZERO, got: 0 },
        }
    }

    /// The last value of a header, if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers(name).last()
    }

    /// All values of a header that are text.
    pub fn headers(&self, name: &str) -> impl Iterator<Item = &str> {
        self.headers.get_all(name).iter().filter_map(|value| value.to_str().ok())
    }

    /// The length of the body, if it is told.
    pub fn length(&self) -> Option<u64> {
        self.header("content-length")?.trim().parse().ok()
    }

    /// The digest that the server says the content has. One of another algorithm than ours is none.
    pub fn digest(&self) -> Option<model::Digest> {
        model::Digest::parse(self.header("docker-content-digest")?).ok()
    }

    /// Where the `Location` header leads.
    ///
    /// # Errors
    /// [`Error::Protocol`] if there is none, if it is no address, or if it leads from HTTPS to HTTP.
    pub fn location(&self, what: &str) -> Result<Url> {
        let location = self.header("location");
        let location = location.ok_or_else(|| Error::protocol(what, "the server names no location"))?;
        let target = self.url.join(location);
        let target = target
            .ok_or_else(|| Error::protocol(what, format!("the location {location:?} is no address")))?;
        if self.url.is_https() && !target.is_https() {
            let reason = format!("the server leads from https to {}, which is not followed", target.shown());
            return Err(Error::protocol(what, reason));
        }
        Ok(target)
    }

    /// The whole body.
    ///
    /// # Errors
    /// [`Error::TooLarge`], or [`Error::Transport`] if the body breaks off.
    pub fn bytes(mut self, what: &str, limit: u64) -> Result<Vec<u8>> {
        let length = self.length().unwrap_or(0);
        if length > limit {
            return Err(Error::TooLarge { what: what.to_owned(), limit });
        }
        let mut bytes = Vec::with_capacity(length as usize);
        let read = (&mut self.body).take(limit + 1).read_to_end(&mut bytes);
        read.map_err(|e| Error::interrupted(what, e))?;
        if bytes.len() as u64 > limit {
            Err(Error::TooLarge { what: what.to_owned(), limit })
        } else {
            Ok(bytes)
        }
    }

    /// Reads the rest of a short body, for the connection's sake.
    pub fn drain(self) {
        let _ = io::copy(&mut self.body.take(DRAINED), &mut io::sink());
    }

    /// The error that this answer is.
    pub fn into_error(mut self, what: &str) -> Error {
        let mut body = Vec::new();
        let _ = (&mut self.body).take(ERROR_BODY).read_to_end(&mut body);
        let (codes, message) = reasons(&body);
        let after = self.header("retry-after");
        Error::Status {
            what: what.to_owned(),
            status: self.status,
            codes,
            message,
            retry_after: after.and_then(|value| headers::retry_after(value, SystemTime::now())),
            stale_token: false,
        }
    }
}

/// A body that arrives, and not too slowly.
pub(crate) struct Stream {
    reader: BodyReader<'static>,
    idle: Duration,
    /// How long it has been waited for the last `got` bytes. The time between two reads does not count.
    waited: Duration,
    got: u64,
}

impl Read for Stream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let start = Instant::now();
        let n = self.reader.read(buf).map_err(plain)?;
        self.waited += start.elapsed();
        self.got += n as u64;
        if self.got >= SLOWEST {
            (self.waited, self.got) = (Duration::ZERO, 0);
        } else if n > 0 && self.waited > self.idle {
            let reason = format!("only {} bytes came in {:?}", self.got, self.waited);
            return Err(io::Error::new(io::ErrorKind::TimedOut, reason));
        }
        Ok(n)
    }
}

/// ureq's errors come wrapped.
fn plain(error: io::Error) -> io::Error {
    match error.downcast::<ureq::Error>() {
        Ok(ureq::Error::Io(e)) => e,
        Ok(ureq::Error::Timeout(_)) => io::Error::new(io::ErrorKind::TimedOut, "nothing came for too long"),
        Ok(other) => io::Error::other(other),
        Err(e) => e,
    }
}

/// The body of an error (OCI distribution specification, "Error Codes"), or of a token server's.
#[derive(Deserialize)]
struct Refusal {
    #[serde(default)]
    errors: Vec<Reason>,
    /// Docker Hub's token server.
    details: Option<String>,
    /// RFC 6749 §5.2.
    error_description: Option<String>,
}

#[derive(Deserialize)]
struct Reason {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

/// Codes, and the text that Docker prints for them.
fn reasons(body: &[u8]) -> (Vec<String>, String) {
    let Ok(refusal) = serde_json::from_slice::<Refusal>(body) else { return (Vec::new(), String::new()) };
    let texts = refusal.errors.iter().map(|reason| {
        let code = reason.code.to_lowercase().replace('_', " ");
        if reason.message.is_empty() { code } else { format!("{code}: {}", reason.message) }
    });
    let texts = texts.chain(refusal.details).chain(refusal.error_description);
    let text = texts.collect::<Vec<_>>().join("; ");
    let text = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(ERROR_TEXT).collect();
    (refusal.errors.into_iter().map(|reason| reason.code).collect(), text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_read_as_docker_prints_them() {
        let body =
            br#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown","detail":{"Tag":"x"}}]}"#;
        let (codes, text) = reasons(body);
        assert_eq!(
            (codes[0].as_str(), text.as_str()),
            ("MANIFEST_UNKNOWN", "manifest unknown: manifest unknown")
        );
        assert_eq!(reasons(br#"{"errors":[{"code":"DENIED"}]}"#).1, "denied");
        assert_eq!(
            reasons(br#"{"details":"incorrect username or password"}"#).1,
            "incorrect username or password"
        );
        assert_eq!(reasons(b"<html>").1, "");
        assert_eq!(reasons(b"{}").1, "");
    }

    #[test]
    fn errors_cannot_write_to_the_terminal() {
        let (_, text) = reasons(br#"{"errors":[{"code":"X","message":"a\u001b[2Jb\nc"}]}"#);
        assert_eq!(text, "x: a [2Jb c");
        let long = format!(r#"{{"errors":[{{"code":"X","message":"{}"}}]}}"#, "y".repeat(5000));
        assert_eq!(reasons(long.as_bytes()).1.len(), ERROR_TEXT);
    }
}
