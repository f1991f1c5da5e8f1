//! One request: its way over redirects, and what it does about 401.

use std::io::{self, Read};
use std::sync::Mutex;
use std::time::Duration;

use ureq::http::{Method, Request, header};
use ureq::{Agent, AsSendBody, SendBody};

use crate::agents::{Agents, lock};
use crate::answer::Answer;
use crate::challenge::Challenge;
use crate::endpoint::Endpoint;
use crate::error::Cause;
use crate::scope::Need;
use crate::tokens::Tokens;
use crate::url::Url;
use crate::{Credentials, Error, Options, Result, Secret, headers};

/// How many redirects are followed.
pub(crate) const REDIRECTS: usize = 5;
/// How long a server may think about a whole blob or manifest that it was given.
const PATIENCE: Duration = Duration::from_secs(600);
/// How many different warnings are kept.
const WARNINGS: usize = 32;

/// What a request carries.
pub(crate) enum Payload<'a> {
    Nothing,
    Bytes(&'a [u8]),
    /// Of unknown length; can be sent once.
    Stream(&'a mut dyn Read),
}

/// A request.
pub(crate) struct Call<'a> {
    /// Operation and subject, for errors.
    pub what: String,
    pub method: Method,
    pub url: Url,
    pub headers: Vec<(header::HeaderName, String)>,
    pub payload: Payload<'a>,
    pub need: Need,
    /// The statuses that are no errors.
    pub expected: &'static [u16],
    /// Whether the server may take its time to answer.
    pub patient: bool,
    /// How many bytes of a stream were sent.
    pub sent: u64,
}

impl<'a> Call<'a> {
    pub fn new(what: String, method: Method, url: Url, expected: &'static [u16]) -> Self {
        Call {
            what,
            method,
            url,
            headers: Vec::new(),
            payload: Payload::Nothing,
            need: Need::default(),
            expected,
            patient: false,
            sent: 0,
        }
    }

    pub fn header(mut self, name: header::HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub fn payload(mut self, payload: Payload<'a>) -> Self {
        self.payload = payload;
        self
    }

    pub fn need(mut self, need: Need) -> Self {
        self.need = need;
        self
    }

    pub fn patient(mut self) -> Self {
        self.patient = true;
        self
    }

    /// Whether an answer with this status sends the same request elsewhere.
    fn follows(&self, status: u16) -> bool {
        match status {
            301..=303 => matches!(self.method, Method::GET | Method::HEAD),
            307 | 308 => !matches!(self.payload, Payload::Stream(_)),
            _ => false,
        }
    }
}

/// Connections, tokens and settings, which all requests share.
pub(crate) struct Wire {
    pub options: Options,
    pub agents: Agents,
    pub tokens: Tokens,
    warnings: Mutex<Vec<String>>,
}

impl Wire {
    pub fn new(options: Options, credentials: std::sync::Arc<dyn Credentials>) -> Result<Self> {
        let agents = Agents::new(&options)?;
        Ok(Wire { options, agents, tokens: Tokens::new(credentials), warnings: Mutex::default() })
    }

    /// The warnings of the servers since the last time.
    pub fn take_warnings(&self) -> Vec<String> {
        std::mem::take(&mut *lock(&self.warnings))
    }

    /// Finds out whether an insecure server speaks TLS, as Docker does: it is asked with TLS first.
    ///
    /// # Errors
    /// Neither way leads to it.
    pub fn settle(&self, endpoint: &Endpoint) -> Result<()> {
        if endpoint.https().is_some() {
            return Ok(());
        }
        let ask = |https: bool| {
            let url = endpoint.url_by(https, "")?;
            let mut call = Call::new(format!("Get \"{url}\""), Method::GET, url.clone(), &[]);
            self.exchange(endpoint, &mut call, &url, None)
        };
        let tls_error = match ask(true) {
            Ok(answer) => {
                endpoint.settle(true);
                answer.drain();
                return Ok(());
            }
            Err(e) => e,
        };
        let answer = ask(false)?;
        // What servers that want TLS say to those who come without.
        if answer.status == 400 {
            return Err(tls_error);
        }
        endpoint.settle(false);
        answer.drain();
        Ok(())
    }

    /// Sends `call` to `endpoint`, follows redirects, gets a token if one is wanted, and another one once if the first
    /// is refused.
    ///
    /// # Errors
    /// Every status that `call` does not expect is one.
    pub fn send(&self, endpoint: &Endpoint, call: &mut Call<'_>) -> Result<Answer> {
        let mut url = call.url.clone();
        let mut renewed = false;
        let mut asked_bare = false;
        let mut redirects = 0;
        loop {
            let own = endpoint.owns(&url);
            let proof = if own { self.tokens.proof(self, endpoint, &call.need)? } else { None };
            let answer = self.exchange(endpoint, call, &url, proof.as_ref())?;
            let status = answer.status;
            if call.expected.contains(&status) {
                return Ok(answer);
            }
            if status == 401 && own && !renewed {
                // To ask without a token first is usual, and says nothing of the one that another thread has got meanwhile.
                renewed = proof.is_some() || std::mem::replace(&mut asked_bare, true);
                let challenge = Challenge::best(answer.headers("www-authenticate"));
                let again = self.tokens.renew(self, endpoint, &call.need, challenge, proof.as_ref())?;
                if again && !matches!(call.payload, Payload::Stream(_)) {
                    answer.drain();
                    continue;
                }
                let mut error = answer.into_error(&call.what);
                if let Error::Status { stale_token, .. } = &mut error {
                    *stale_token = again;
                }
                return Err(error);
            }
            if !call.follows(status) {
                return Err(answer.into_error(&call.what));
            }
            redirects += 1;
            if redirects > REDIRECTS {
                return Err(Error::protocol(&call.what, "too many redirects"));
            }
            url = answer.location(&call.what)?;
            answer.drain();
        }
    }

    /// One request and its answer, whatever that is.
    pub fn exchange(
        &self,
        endpoint: &Endpoint,
        call: &mut Call<'_>,
        url: &Url,
        proof: Option<&Secret>,
    ) -> Result<Answer> {
        let agent = self.agents.get(url, endpoint)?;
        let mut request = Request::builder().method(call.method.clone()).uri(url.to_string());
        for (name, value) in &call.headers {
            request = request.header(name, value);
        }
        if let Some(proof) = proof {
            request = request.header(header::AUTHORIZATION, proof.reveal());
        }
        let malformed = |e: ureq::http::Error| Error::protocol(&call.what, e.to_string());
        let patience = call.patient.then(|| self.options.idle_timeout.max(PATIENCE));
        let result = match &mut call.payload {
            Payload::Nothing => run(&agent, request.body(SendBody::none()).map_err(malformed)?, patience),
            Payload::Bytes(bytes) => {
                request = request.header(header::CONTENT_LENGTH, bytes.len());
                let mut reader: &[u8] = bytes;
                run(&agent, request.body(SendBody::from_reader(&mut reader)).map_err(malformed)?, patience)
            }
            Payload::Stream(reader) => {
                let mut feed = Feed { reader, sent: 0, failed: None };
                let request = request.body(SendBody::from_reader(&mut feed)).map_err(malformed)?;
                let result = run(&agent, request, patience);
                call.sent = feed.sent;
                if let Some(source) = feed.failed {
                    return Err(Error::Input { what: call.what.clone(), source });
                }
                result
            }
        };
        let response = result.map_err(|e| transport(&call.what, e))?;
        let answer = Answer::new(url, response, self.options.idle_timeout);
        self.note_warnings(endpoint, &answer);
        Ok(answer)
    }

    fn note_warnings(&self, endpoint: &Endpoint, answer: &Answer) {
        for text in answer.headers("warning").filter_map(headers::warning) {
            let text = format!("{}: {}", endpoint.server, text.replace(char::is_control, " "));
            let mut warnings = lock(&self.warnings);
            if warnings.len() < WARNINGS && !warnings.contains(&text) {
                warnings.push(text);
            }
        }
    }
}

fn run(
    agent: &Agent,
    request: Request<impl AsSendBody>,
    patience: Option<Duration>,
) -> Result<ureq::http::Response<ureq::Body>, ureq::Error> {
    let request = match patience {
        None => request,
        Some(_) => agent
            .configure_request(request)
            .timeout_per_read(patience)
            .timeout_recv_response(patience)
            .build(),
    };
    agent.run(request)
}

/// Fills whole buffers from a reader, as each becomes a chunk, and keeps its error.
struct Feed<'a> {
    reader: &'a mut dyn Read,
    sent: u64,
    failed: Option<io::Error>,
}

impl Read for Feed<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buf.len() {
            match self.reader.read(&mut buf[filled..]) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => {
                    self.failed = Some(e);
                    return Err(io::ErrorKind::Other.into());
                }
            }
        }
        self.sent += filled as u64;
        Ok(filled)
    }
}

/// No answer: why, and whether there may be one the next time.
fn transport(what: &str, error: ureq::Error) -> Error {
    let (transient, source): (bool, Cause) = match error {
        ureq::Error::Io(e) => {
            let text = e.to_string();
            let lookup = text.starts_with("failed to lookup");
            let transient = match e.kind() {
                // So rustls reports certificates that it does not accept.
                io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => false,
                // getaddrinfo tells a name that does not exist from a server that does not answer by its text only.
                _ => !lookup || text.contains("emporary") || text.contains("ry again"),
            };
            (transient, e.into())
        }
        ureq::Error::Timeout(ureq::Timeout::Connect) => {
            (true, "the connection could not be made in time".into())
        }
        ureq::Error::Timeout(_) => (true, "nothing came for too long".into()),
        ureq::Error::ConnectionFailed => (true, ureq::Error::ConnectionFailed.into()),
        ureq::Error::ConnectProxyFailed(e) => (true, format!("the proxy refuses: {e}").into()),
        ureq::Error::HostNotFound => (false, "no such host".into()),
        other => (false, other.into()),
    };
    Error::Transport { what: what.to_owned(), transient, source }
}
