//! A server, and how it is reached.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::url::Url;
use crate::{Error, Result};

/// Docker Hub, as references name it, and the host that speaks for it (moby.md §6.2).
const HUB: &str = "docker.io";
const HUB_HOST: &str = "registry-1.docker.io";

/// A server that repositories are on.
#[derive(Debug)]
pub(crate) struct Endpoint {
    /// Whom credentials are asked for.
    pub server: String,
    /// `host[:port]`.
    pub host: String,
    /// What comes before `/v2/`, without a slash at the end.
    prefix: String,
    /// Whether its certificate is not verified.
    pub insecure: bool,
    /// Whether it stands in for another.
    pub is_mirror: bool,
    /// Whether it speaks TLS; for an insecure server this is found out.
    https: OnceLock<bool>,
    /// A mirror that failed is not asked again.
    failed: AtomicBool,
}

impl Endpoint {
    /// The server that references name `domain`.
    ///
    /// # Errors
    /// [`Error::Setting`] if that is no `host[:port]`.
    pub fn of_domain(domain: &str, insecure: bool) -> Result<Self> {
        let host = if domain == HUB { HUB_HOST } else { domain };
        if Url::of_server(true, host).is_none() {
            return Err(Error::setting(format!("server {domain:?}"), "not a host"));
        }
        let https = if insecure { OnceLock::new() } else { true.into() };
        Ok(Endpoint {
            server: domain.to_owned(),
            host: host.to_owned(),
            prefix: String::new(),
            insecure,
            is_mirror: false,
            https,
            failed: AtomicBool::new(false),
        })
    }

    /// A mirror of Docker Hub at `address`.
    pub fn of_mirror(address: &Url, insecure: bool) -> Self {
        let prefix = address.to_string();
        let prefix = prefix.split("://").nth(1).unwrap_or_default().split('?').next().unwrap_or_default();
        let prefix = prefix[address.authority().len()..].trim_end_matches('/').to_owned();
        Endpoint {
            server: address.authority().to_owned(),
            host: address.authority().to_owned(),
            prefix,
            insecure,
            is_mirror: true,
            https: address.is_https().into(),
            failed: AtomicBool::new(false),
        }
    }

    /// Whether references with this `domain` are of Docker Hub.
    pub fn is_hub(domain: &str) -> bool {
        domain == HUB
    }

    /// Whether it speaks TLS, if that is known.
    pub fn https(&self) -> Option<bool> {
        self.https.get().copied()
    }

    /// It does, or it does not. The first to find out decides.
    pub fn settle(&self, https: bool) {
        let _ = self.https.set(https);
    }

    /// The address of `/v2/<path>`, with or without TLS.
    pub fn url_by(&self, https: bool, path: &str) -> Result<Url> {
        let url =
            Url::of_server(https, &self.host).and_then(|url| url.join(&format!("{}/v2/{path}", self.prefix)));
        url.ok_or_else(|| Error::setting(format!("server {:?}", self.host), "cannot be addressed"))
    }

    /// The address of `/v2/<path>`.
    pub fn url(&self, path: &str) -> Result<Url> {
        self.url_by(self.https().unwrap_or(true), path)
    }

    /// Whether `url` is on this very server, and no less safe: only then our credentials may go there.
    pub fn owns(&self, url: &Url) -> bool {
        let https = self.https().unwrap_or(true);
        let own = Url::of_server(url.is_https(), &self.host);
        (url.is_https() || !https) && own.is_some_and(|own| own.authority() == url.authority())
    }

    /// Whether it has failed before.
    pub fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    /// It has failed.
    pub fn fail(&self) {
        self.failed.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn addresses() {
        let hub = Endpoint::of_domain("docker.io", false).unwrap();
        assert_eq!(
            hub.url("library/x/tags/list").unwrap().to_string(),
            format!("https://{HUB_HOST}/v2/library/x/tags/list")
        );
        assert_eq!(hub.server, "docker.io");
        let mirror = Endpoint::of_mirror(&url("https://mirror.example:5000/hub/"), false);
        assert_eq!(mirror.url("").unwrap().to_string(), "https://mirror.example:5000/hub/v2/");
        let plain = Endpoint::of_mirror(&url("http://mirror.example"), false);
        assert_eq!(plain.url("").unwrap().to_string(), "http://mirror.example/v2/");
        assert!(Endpoint::of_domain("a/b", false).is_err());
    }

    #[test]
    fn credentials_go_only_to_the_server_itself() {
        let safe = Endpoint::of_domain("reg.example", false).unwrap();
        assert!(safe.owns(&url("https://reg.example/v2/")));
        assert!(safe.owns(&url("https://REG.example:443/v2/")));
        for other in [
            "http://reg.example/v2/",
            "https://reg.example:5000/",
            "https://reg.example.evil.example/",
            "https://cdn.example/",
        ] {
            assert!(!safe.owns(&url(other)), "{other}");
        }
        let insecure = Endpoint::of_domain("127.0.0.1:5000", true).unwrap();
        assert!(!insecure.owns(&url("http://127.0.0.1:5000/")), "before it is known to speak no TLS");
        insecure.settle(false);
        assert!(insecure.owns(&url("http://127.0.0.1:5000/")));
        assert!(!insecure.owns(&url("http://127.0.0.1:5001/")));
    }
}
