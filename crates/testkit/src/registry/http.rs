//! The server's half of HTTP/1.1, as far as a registry needs it (RFC 9112).

use std::io::{self, BufRead, Read, Write};
use std::net::TcpStream;

/// The first lines of a request.
#[derive(Debug, Clone)]
pub struct Head {
    pub method: String,
    /// Path and query, as they were sent.
    pub target: String,
    pub headers: Headers,
}

impl Head {
    /// Reads the head of the next request; nothing when the client has closed the connection.
    pub fn read(reader: &mut impl BufRead) -> io::Result<Option<Self>> {
        let Some((first, headers)) = head(reader)? else { return Ok(None) };
        let mut words = first.split(' ');
        let (Some(method), Some(target), Some("HTTP/1.1")) = (words.next(), words.next(), words.next())
        else {
            return Err(io::Error::other(format!("not a request of HTTP/1.1: {first:?}")));
        };
        Ok(Some(Self { method: method.into(), target: target.into(), headers }))
    }

    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// Changes a header, if there is one; an empty value removes it.
    pub fn set(&mut self, name: &str, value: &str) {
        for (_, old) in self.headers.iter_mut().filter(|(key, _)| key.eq_ignore_ascii_case(name)) {
            value.clone_into(old);
        }
        self.headers.retain(|(_, value)| !value.is_empty());
    }

    /// The path without the query.
    pub fn path(&self) -> &str {
        self.target.split_once('?').map_or(&self.target, |(path, _)| path)
    }

    /// The values of a name in the query, decoded.
    pub fn queries(&self, name: &str) -> Vec<String> {
        let query = self.target.split_once('?').map_or("", |(_, query)| query);
        pairs(query).into_iter().filter(|(key, _)| key == name).map(|(_, value)| value).collect()
    }

    /// The first value of a name in the query, decoded.
    pub fn query(&self, name: &str) -> Option<String> {
        self.queries(name).into_iter().next()
    }

    /// Whether the client will send no other request on this connection.
    pub fn is_last(&self) -> bool {
        self.header("Connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }
}

/// Names and values, in the order and the case in which they were sent.
pub type Headers = Vec<(String, String)>;

/// Reads a first line and the headers; nothing at the end of the stream.
pub fn head(reader: &mut impl BufRead) -> io::Result<Option<(String, Headers)>> {
    let Some(first) = line(reader)? else { return Ok(None) };
    let mut headers = Headers::new();
    loop {
        let line = line(reader)?.ok_or(io::ErrorKind::UnexpectedEof)?;
        if line.is_empty() {
            return Ok(Some((first, headers)));
        }
        let (name, value) = line.split_once(':').ok_or_else(|| io::Error::other(line.clone()))?;
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
}

/// The value of a header, whose name is written in any case.
pub fn find<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

/// The names and values of a query or a form, decoded.
pub fn pairs(query: &str) -> Vec<(String, String)> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(k, v)| (decode(k), decode(v)))
        .collect()
}

fn decode(text: &str) -> String {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let [first, after @ ..] = rest {
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match (first, digits.and_then(|digits| u8::from_str_radix(digits, 16).ok())) {
            (b'%', Some(byte)) => (bytes.push(byte), rest = &after[2..]),
            (b'+', _) => (bytes.push(b' '), rest = after),
            _ => (bytes.push(*first), rest = after),
        };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A line without its end; nothing at the end of the stream.
fn line(reader: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = String::new();
    if reader.by_ref().take(64 << 10).read_line(&mut line)? == 0 {
        return Ok(None);
    }
    Ok(Some(line.trim_end_matches(['\r', '\n']).to_owned()))
}

/// The body of a request. The server says that it wants it (`Expect: 100-continue`) when it is first read.
pub struct Body<'a, R> {
    reader: &'a mut R,
    left: Left,
    wanted: Option<TcpStream>,
    /// After so many more bytes reading fails.
    pub limit: Option<u64>,
    /// How many bytes came.
    pub read: u64,
}

/// How much of a body is still to come.
enum Left {
    Bytes(u64),
    /// Of the present chunk; none before the first and between two.
    Chunk(u64),
    Nothing,
}

impl<'a, R: BufRead> Body<'a, R> {
    pub fn new(head: &Head, reader: &'a mut R, writer: &TcpStream) -> io::Result<Self> {
        let left = if head.header("Transfer-Encoding").is_some_and(|how| how.eq_ignore_ascii_case("chunked"))
        {
            Left::Chunk(0)
        } else {
            let length = head.header("Content-Length").unwrap_or("0");
            Left::Bytes(length.parse().map_err(|_| io::Error::other(format!("a body of {length} bytes")))?)
        };
        let wanted = match head.header("Expect") {
            Some(_) => Some(writer.try_clone()?),
            None => None,
        };
        Ok(Self { reader, left, wanted, limit: None, read: 0 })
    }

    /// Whether the client still waits for a word that it may send the body.
    pub fn is_unwanted(&self) -> bool {
        self.wanted.is_some()
    }

    /// The whole body.
    pub fn all(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// The length of the next chunk; 0 at the end, with what follows it read.
    fn next_chunk(&mut self) -> io::Result<u64> {
        let text = line(self.reader)?.ok_or(io::ErrorKind::UnexpectedEof)?;
        let digits = text.split(';').next().unwrap_or_default().trim();
        let length = u64::from_str_radix(digits, 16).map_err(|_| io::Error::other(text.clone()))?;
        if length == 0 {
            while line(self.reader)?.is_some_and(|trailer| !trailer.is_empty()) {}
        }
        Ok(length)
    }
}

impl<R: BufRead> Read for Body<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some(mut writer) = self.wanted.take() {
            writer.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        if let Left::Chunk(0) = self.left {
            self.left = match self.next_chunk()? {
                0 => Left::Nothing,
                length => Left::Chunk(length),
            };
        }
        let (Left::Bytes(left) | Left::Chunk(left)) = &mut self.left else { return Ok(0) };
        if self.limit == Some(0) {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        let most = (*left).min(self.limit.unwrap_or(u64::MAX)).min(buffer.len() as u64) as usize;
        if most == 0 {
            // A buffered reader would wait for something to come.
            return Ok(0);
        }
        let count = self.reader.read(&mut buffer[..most])?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        *left -= count as u64;
        self.read += count as u64;
        if let Some(limit) = &mut self.limit {
            *limit -= count as u64;
        }
        if let Left::Chunk(0) = self.left {
            line(self.reader)?;
        }
        Ok(count)
    }
}

/// An answer to be sent.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    pub status: u16,
    pub headers: Headers,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn new(status: u16) -> Self {
        Self { status, ..Self::default() }
    }

    /// Adds a header, or replaces the one with this name.
    pub fn header(mut self, name: &str, value: impl ToString) -> Self {
        self.headers.retain(|(key, _)| !key.eq_ignore_ascii_case(name));
        self.headers.push((name.to_owned(), value.to_string()));
        self
    }

    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    pub fn json(self, value: &serde_json::Value) -> Self {
        self.header("Content-Type", "application/json").body(value.to_string())
    }

    /// An error as the distribution specification has it ("Error Codes").
    pub fn error(status: u16, code: &str, message: impl ToString) -> Self {
        let error = serde_json::json!({ "code": code, "message": message.to_string(), "detail": null });
        Self::new(status).json(&serde_json::json!({ "errors": [error] }))
    }

    /// The status line, the headers, and the empty line.
    pub fn head(&self) -> String {
        let mut text = format!("HTTP/1.1 {} {}\r\n", self.status, reason(self.status));
        for (name, value) in &self.headers {
            text += &format!("{name}: {value}\r\n");
        }
        text + "\r\n"
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        206 => "Partial Content",
        307 => "Temporary Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        416 => "Range Not Satisfiable",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        _ => "As Asked For",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_decoded() {
        let form = pairs("scope=repository%3Aa%2Fb%3Apull&service=a+b&empty=&alone");
        let form: Vec<_> = form.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        assert_eq!(
            form,
            [("scope", "repository:a/b:pull"), ("service", "a b"), ("empty", ""), ("alone", "")]
        );
    }
}
