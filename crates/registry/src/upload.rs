//! Writing blobs (OCI distribution specification, "Pushing Blobs").

use std::io::Read;

use model::Digest;
use ureq::http::{Method, header};

use crate::answer::Answer;
use crate::scope::{self, Need};
use crate::url::Url;
use crate::wire::{Call, Payload};
use crate::{Error, Repository, Result, headers};

const BYTES: &str = "application/octet-stream";

/// A blob that is being sent. What was sent is nobody's until [`finish`](Self::finish).
#[derive(Debug)]
pub struct Upload {
    repository: Repository,
    what: String,
    location: Url,
    /// How many bytes the server has.
    sent: u64,
}

impl Repository {
    /// Begins to send a blob.
    ///
    /// # Errors
    /// [`Error::is_denied`], [`Error::is_unauthorized`].
    pub fn upload(&self) -> Result<Upload> {
        self.client.retry(|| {
            let answer = self.begin("blobs/uploads/", self.need(&self.origin, true), &[202])?;
            self.upload_of(answer)
        })
    }

    /// Asks the server to take a blob from `from`, another repository of its own (a path, such as `library/x`).
    ///
    /// `None`: it has. Else it has begun an upload instead.
    ///
    /// # Errors
    /// [`Error::is_denied`], [`Error::is_unauthorized`].
    pub fn mount(&self, digest: &Digest, from: &str) -> Result<Option<Upload>> {
        let mut need = self.need(&self.origin, true);
        need.scope = scope::merge(&need.scope, &scope::repository(from, false));
        let path = format!(
            "blobs/uploads/?mount={}&from={}",
            crate::url::encode(&digest.to_string()),
            crate::url::encode(from)
        );
        self.client.retry(|| {
            let answer = self.begin(&path, need.clone(), &[201, 202])?;
            if answer.status == 201 {
                answer.drain();
                return Ok(None);
            }
            self.upload_of(answer).map(Some)
        })
    }

    /// Sends a small blob.
    ///
    /// # Errors
    /// [`Error::is_denied`], [`Error::is_unauthorized`].
    pub fn put_blob(&self, digest: &Digest, bytes: &[u8]) -> Result<()> {
        self.client.retry(|| {
            let answer = self.begin("blobs/uploads/", self.need(&self.origin, true), &[202])?;
            let upload = self.upload_of(answer)?;
            upload.put(digest, bytes)
        })
    }

    fn begin(&self, path: &str, need: Need, expected: &'static [u16]) -> Result<Answer> {
        let call = self.call(&self.origin, self.what("upload"), Method::POST, path, expected)?;
        self.wire().send(&self.origin, &mut call.need(need).payload(Payload::Bytes(&[])))
    }

    fn upload_of(&self, answer: Answer) -> Result<Upload> {
        let what = self.what("upload");
        let location = answer.location(&what)?;
        answer.drain();
        Ok(Upload { repository: self.clone(), what, location, sent: 0 })
    }
}

impl Upload {
    fn call<'a>(&self, method: Method, url: Url, expected: &'static [u16]) -> Call<'a> {
        Call::new(self.what.clone(), method, url, expected)
            .need(self.repository.need(&self.repository.origin, true))
    }

    fn send_call(&self, call: &mut Call<'_>) -> Result<Answer> {
        self.repository.wire().send(&self.repository.origin, call)
    }

    /// Sends all of `body`, as it can be read; its length need not be known. Returns the number of bytes sent. May be
    /// called again with what follows.
    ///
    /// # Errors
    /// [`Error::Input`] if `body` cannot be read. Other errors may be transient, but `body` has been read: begin another
    /// upload. Use nothing but [`cancel`](Self::cancel) after an error.
    pub fn send(&mut self, body: &mut dyn Read) -> Result<u64> {
        let mut call = self
            .call(Method::PATCH, self.location.clone(), &[202, 201, 204])
            .header(header::CONTENT_TYPE, BYTES)
            .payload(Payload::Stream(body))
            .patient();
        let answer = self.send_call(&mut call)?;
        let sent = call.sent;
        self.sent += sent;
        let got = answer.header("range").and_then(headers::upload_range);
        // An upload without bytes has no range that could say so.
        if let Some(got) = got.filter(|got| *got != self.sent && self.sent > 0) {
            let reason = format!("{} bytes were sent, but the server has {got}", self.sent);
            return Err(Error::Protocol { what: call.what, reason });
        }
        if answer.header("location").is_some() {
            self.location = answer.location(&self.what)?;
        }
        answer.drain();
        Ok(sent)
    }

    /// Makes what was sent the blob `digest`. Durable as far as the server's promise goes.
    ///
    /// # Errors
    /// The server refuses if the bytes have another digest.
    pub fn finish(self, digest: &Digest) -> Result<()> {
        let mut backoff = self.repository.backoff();
        let mut lost = false;
        loop {
            let error = match self.put(digest, &[]) {
                Ok(()) => return Ok(()),
                // The upload is gone because the server has finished it, and only its answer was lost.
                Err(e) if lost && !e.is_transient() && self.repository.find_blob(digest)?.is_some() => {
                    return Ok(());
                }
                Err(e) => e,
            };
            lost |= matches!(error, Error::Transport { .. } | Error::Status { status: 500.., .. });
            match backoff.again(&error) {
                Some(wait) => std::thread::sleep(wait),
                None => return Err(error),
            }
        }
    }

    /// Sends the last bytes and finishes.
    fn put(&self, digest: &Digest, bytes: &[u8]) -> Result<()> {
        let url = self.location.clone().with_query("digest", &digest.to_string());
        let mut call = self
            .call(Method::PUT, url, &[201, 204])
            .header(header::CONTENT_TYPE, BYTES)
            .payload(Payload::Bytes(bytes))
            .patient();
        let answer = self.send_call(&mut call)?;
        match answer.digest().filter(|stored| stored != digest) {
            Some(actual) => Err(Error::Digest { what: call.what, expected: *digest, actual }),
            None => {
                answer.drain();
                Ok(())
            }
        }
    }

    /// Tells the server that nothing more will come. Whether it listens does not matter: it forgets by itself.
    pub fn cancel(self) {
        let mut call = self.call(Method::DELETE, self.location.clone(), &[200, 202, 204]);
        if let Ok(answer) = self.send_call(&mut call) {
            answer.drain();
        }
    }
}
