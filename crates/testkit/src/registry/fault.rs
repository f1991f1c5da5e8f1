//! What a server does wrong, and when.

use std::time::Duration;

use super::Request;

/// Trouble for the next requests that match. Each request meets the first fault of the queue that matches it.
#[derive(Debug, Clone)]
pub struct Fault {
    /// The method; empty for every method.
    pub method: String,
    /// What path and query contain.
    pub path: String,
    /// A header that the request has, and what its value contains; for example `("Range", "bytes=1000-")`.
    pub header: Option<(String, String)>,
    /// How many requests that match pass unharmed before.
    pub skip: usize,
    /// How many meet it.
    pub times: usize,
    /// What happens to them.
    pub what: Trouble,
}

impl Fault {
    /// Trouble for one request with this method (empty: with any), whose path and query contain this.
    pub fn on(method: &str, path: &str, what: Trouble) -> Self {
        Self { method: method.into(), path: path.into(), header: None, skip: 0, times: 1, what }
    }

    /// For so many requests, instead of one.
    pub fn times(mut self, times: usize) -> Self {
        self.times = times;
        self
    }

    /// For every request.
    pub fn always(self) -> Self {
        self.times(usize::MAX)
    }

    /// Not for the first so many.
    pub fn skip(mut self, skip: usize) -> Self {
        self.skip = skip;
        self
    }

    /// Only for requests with a header that contains this.
    pub fn with(mut self, header: &str, contains: &str) -> Self {
        self.header = Some((header.into(), contains.into()));
        self
    }

    pub(super) fn matches(&self, request: &Request) -> bool {
        (self.method.is_empty() || self.method == request.method)
            && request.path.contains(&self.path)
            && self.header.as_ref().is_none_or(|(name, part)| {
                request.header(name).is_some_and(|value| value.contains(part.as_str()))
            })
    }
}

/// What a server does wrong.
#[derive(Debug, Clone)]
pub enum Trouble {
    /// Closes the connection after so many bytes of the answer's body. Its head promises all of them.
    Drop {
        /// How many.
        after: u64,
    },
    /// Closes the connection, without an answer, when so many bytes of the request's body have come.
    HangUp {
        /// How many; 0 for a request without a body.
        after: u64,
    },
    /// Goes silent after so many bytes of the answer's body, until the client goes.
    Stall {
        /// How many.
        after: u64,
    },
    /// Sends the body in pieces of so many bytes, and waits before each.
    Drip {
        /// How many.
        bytes: usize,
        /// How long.
        every: Duration,
    },
    /// A body without an end.
    Endless,
    /// Answers with this status, and with this `Retry-After` (seconds, or a date).
    Status(u16, Option<String>),
    /// Answers with this status, these headers and this body.
    Answer(u16, Vec<(String, String)>, Vec<u8>),
    /// A body that is so many bytes longer than it should be, or shorter, with a head that says the same.
    WrongLength(i64),
    /// A body of the right length with one other byte in the middle.
    WrongBytes,
    /// Half the body, with a head that says the same.
    HalfManifest,
    /// 307 to another address; `{target}` in it stands for the request's path and query.
    Redirect(String),
    /// 401, although the token was good; it is never good again.
    Expire,
    /// The whole body, although a range was asked for.
    NoRanges,
    /// 206 with the bytes from the start, although others were asked for.
    WrongRange,
    /// Another value of a header of the answer; an empty one leaves the header out.
    Header(String, String),
}
