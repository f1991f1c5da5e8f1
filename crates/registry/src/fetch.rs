//! A file of any web server, with the connections, proxies and certificates that registries are reached by (`ADD URL`).

use std::io::Read;

use model::Timestamp;
use ureq::http::Method;

use crate::endpoint::Endpoint;
use crate::url::Url;
use crate::wire::{Call, REDIRECTS};
use crate::{Client, Error, Result};

/// A file as it arrives. Nothing is verified.
pub struct Download {
    /// Its length in bytes, if the server tells.
    pub length: Option<u64>,
    /// When it was changed last, if the server tells.
    pub modified: Option<Timestamp>,
    /// What the server calls it (`Content-Disposition`); one plain name.
    pub file_name: Option<String>,
    body: Box<dyn Read + Send>,
}

impl Read for Download {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        self.body.read(buf)
    }
}

impl std::fmt::Debug for Download {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Download").field("length", &self.length).finish_non_exhaustive()
    }
}

impl Client {
    /// Asks for what is at an address. No credentials are sent. Redirects are followed, but for those from HTTPS to HTTP.
    ///
    /// # Errors
    /// Every answer but 200 is one.
    pub fn fetch(&self, address: &str) -> Result<Download> {
        let what = format!("fetch {address}");
        let invalid = || Error::setting(format!("address {address:?}"), "not http://… or https://…");
        let url = Url::parse(address).ok_or_else(invalid)?;
        self.retry(|| self.fetch_once(&what, url.clone()))
    }

    fn fetch_once(&self, what: &str, mut url: Url) -> Result<Download> {
        for _ in 0..=REDIRECTS {
            let insecure = self.shared.wire.agents.is_insecure(url.authority());
            let endpoint = Endpoint::of_domain(url.authority(), insecure)?;
            let mut call = Call::new(what.to_owned(), Method::GET, url.clone(), &[200]);
            let answer = self.shared.wire.exchange(&endpoint, &mut call, &url, None)?;
            match answer.status {
                200 => {
                    let named = answer.header("content-disposition").and_then(file_name);
                    return Ok(Download {
                        length: answer.length(),
                        modified: answer.header("last-modified").and_then(date),
                        file_name: named,
                        body: Box::new(answer.body),
                    });
                }
                301..=303 | 307 | 308 => {
                    url = answer.location(what)?;
                    answer.drain();
                }
                _ => return Err(answer.into_error(what)),
            }
        }
        Err(Error::protocol(what, "too many redirects"))
    }
}

fn date(text: &str) -> Option<Timestamp> {
    let time = jiff::fmt::rfc2822::parse(text.trim()).ok()?.timestamp();
    Some(Timestamp::from_unix(time.as_second(), 0))
}

/// The name in `attachment; filename="x"`, if it is a plain one.
fn file_name(header: &str) -> Option<String> {
    let part = header.split(';').map(str::trim).find_map(|part| part.strip_prefix("filename="))?;
    let name = part.trim_matches('"');
    let plain = !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '\\', '\0']);
    plain.then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_says_of_a_file() {
        assert_eq!(date("Sun, 06 Nov 1994 08:49:37 GMT").map(|time| time.unix_seconds()), Some(784_111_777));
        assert_eq!(date("yesterday"), None);
        assert_eq!(file_name("attachment; filename=\"a b.txt\"").as_deref(), Some("a b.txt"));
        assert_eq!(file_name("inline; filename=x"), Some("x".to_owned()));
        for bad in ["attachment", "attachment; filename=\"../x\"", "attachment; filename=\"\"", "filename=.."]
        {
            assert_eq!(file_name(bad), None, "{bad}");
        }
    }
}
