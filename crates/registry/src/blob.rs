//! Reading blobs.

use std::io::{self, Read};
use std::sync::Arc;

use model::Digest;
use model::manifest::Descriptor;
use ureq::http::{Method, header};

use crate::answer::{Answer, Stream};
use crate::endpoint::Endpoint;
use crate::{Error, Repository, Result, headers};

/// The longest blob that is fetched into memory, in bytes.
const SMALL: u64 = 16 << 20;

/// The bytes of a blob as they arrive.
///
/// Reading ends at the end that was asked for, or at the end of the blob; if the connection breaks before, or is too
/// slow ([`Options::idle_timeout`](crate::Options::idle_timeout)), reading fails. Nothing is verified, and a server that
/// does not tell a length may send without an end: its reader knows how much he wants.
pub struct Body {
    /// Where in the blob the first byte belongs. 0 if the server ignored the range.
    pub from: u64,
    /// The size of the whole blob, if the server tells.
    pub total: Option<u64>,
    /// Whether the server gives ranges of blobs, as far as this answer tells.
    pub ranges: bool,
    /// How many bytes are still to come, if that is known.
    left: Option<u64>,
    stream: Stream,
    endpoint: Arc<Endpoint>,
}

impl Repository {
    /// Asks for a blob's bytes from `from` up to `to`, or to the end. The answer has begun to arrive when this returns.
    ///
    /// # Errors
    /// [`Error::is_not_found`]; status 416 if there is nothing at `from`.
    pub fn blob(&self, digest: &Digest, from: u64, to: Option<u64>) -> Result<Body> {
        self.read(|endpoint| self.blob_at(endpoint, digest, from, to))
    }

    fn blob_at(&self, endpoint: &Arc<Endpoint>, digest: &Digest, from: u64, to: Option<u64>) -> Result<Body> {
        let path = format!("blobs/{digest}");
        let mut call =
            self.call(endpoint, self.what(format_args!("blob {digest}")), Method::GET, &path, &[200])?;
        let ranged = from > 0 || to.is_some();
        if ranged {
            let last = to.map(|to| to.saturating_sub(1).max(from).to_string()).unwrap_or_default();
            call = call.header(header::RANGE, format!("bytes={from}-{last}"));
            call.expected = &[200, 206];
        }
        let answer = self.wire().send(endpoint, &mut call)?;
        if answer.status == 200 {
            return Ok(Body::whole(answer, ranged, endpoint));
        }
        let range = answer.header("content-range").and_then(headers::content_range);
        match range {
            Some((first, last, total)) if first == from && to.is_none_or(|to| last < to.max(from + 1)) => {
                Ok(Body {
                    from,
                    total,
                    ranges: true,
                    left: Some(last - first + 1),
                    stream: answer.body,
                    endpoint: endpoint.clone(),
                })
            }
            // A range that was not asked for: this server cannot be trusted with ranges.
            _ => {
                drop(answer);
                let mut body = self.blob_at(endpoint, digest, 0, None)?;
                body.ranges = false;
                Ok(body)
            }
        }
    }

    /// Fetches a small blob, such as a configuration: what `wanted` says, at most 16 MiB. Its size and its digest are
    /// verified.
    ///
    /// # Errors
    /// [`Error::Digest`] if wrong bytes come again and again; otherwise as [`blob`](Self::blob).
    pub fn get_blob(&self, wanted: &Descriptor) -> Result<Vec<u8>> {
        let what = self.what(format_args!("blob {}", wanted.digest));
        if wanted.size > SMALL {
            return Err(Error::TooLarge { what, limit: SMALL });
        }
        self.read(|endpoint| {
            let body = self.blob_at(endpoint, &wanted.digest, 0, None)?;
            let mut bytes = Vec::with_capacity(wanted.size as usize);
            let read = body.take(wanted.size + 1).read_to_end(&mut bytes);
            read.map_err(|e| Error::interrupted(&what, e))?;
            let actual = Digest::of(&bytes);
            // Of a longer one only the start was read.
            if actual != wanted.digest || bytes.len() as u64 != wanted.size {
                return Err(Error::Digest { what: what.clone(), expected: wanted.digest, actual });
            }
            Ok(bytes)
        })
    }

    /// Whether the server has a blob, and its size. Mirrors are not asked.
    ///
    /// # Errors
    /// Only such as do not mean that it has not.
    pub fn find_blob(&self, digest: &Digest) -> Result<Option<u64>> {
        let what = self.what(format_args!("blob {digest}"));
        let found = self.client.retry(|| {
            let path = format!("blobs/{digest}");
            let mut call = self.call(&self.origin, what.clone(), Method::HEAD, &path, &[200])?;
            self.wire().send(&self.origin, &mut call)
        });
        match found {
            // Without a length it is there all the same, but its size has to be found out.
            Ok(answer) => match answer.length() {
                Some(size) => Ok(Some(size)),
                None => Ok(self.blob(digest, 0, Some(1))?.total),
            },
            Err(e) if e.is_not_found() => Ok(None),
            Err(e) => Err(e),
        }
    }
}

impl Body {
    fn whole(answer: Answer, ranged: bool, endpoint: &Arc<Endpoint>) -> Self {
        let ranges = !ranged && answer.header("accept-ranges").is_some_and(|value| value.trim() == "bytes");
        let total = answer.length();
        Body { from: 0, total, ranges, left: total, stream: answer.body, endpoint: endpoint.clone() }
    }
}

impl Read for Body {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() || self.left == Some(0) {
            return Ok(0);
        }
        let most = self.left.map_or(buf.len(), |left| left.min(buf.len() as u64) as usize);
        let result = match (self.stream.read(&mut buf[..most]), self.left) {
            (Ok(0), Some(left)) => Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                format!("{left} bytes are missing at the end"),
            )),
            (result, _) => result,
        };
        match &result {
            Ok(n) => {
                if let Some(left) = &mut self.left {
                    *left -= *n as u64;
                    if *left == 0 {
                        // The end of the answer has to be seen for its connection to be used again.
                        let _ = self.stream.read(&mut [0]);
                    }
                }
            }
            Err(_) if self.endpoint.is_mirror => self.endpoint.fail(),
            Err(_) => {}
        }
        result
    }
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Body")
            .field("from", &self.from)
            .field("total", &self.total)
            .field("ranges", &self.ranges)
            .field("left", &self.left)
            .finish_non_exhaustive()
    }
}
