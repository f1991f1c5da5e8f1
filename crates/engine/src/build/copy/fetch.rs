//! What `ADD` fetches: `http:` and `https:` addresses.

use std::fs::File;
use std::io::{Read, Write};
use std::sync::Arc;

use archive::digest::Sha256;
use model::{Digest, Timestamp};
use registry::Client;
use store::Work;

use crate::build::vertices::Vertex;
use crate::{Error, Result};

/// A file that was fetched.
#[derive(Debug, Clone)]
pub(in crate::build) struct Fetched {
    /// What the address, or the server, calls it; empty if neither does.
    pub name: String,
    pub file: Arc<File>,
    /// Bytes.
    pub size: u64,
    /// When the server says that it was changed last.
    pub modified: Option<Timestamp>,
}

impl Fetched {
    /// Whether a source of `ADD` is an address.
    pub fn is_remote(source: &str) -> bool {
        source.starts_with("http://") || source.starts_with("https://") || is_git(source)
    }

    /// Fetches `url`, and compares it with `checksum`.
    ///
    /// # Errors
    /// It cannot be had, or is something else.
    pub fn get(
        client: &Client,
        work: &Work<'_>,
        url: &str,
        checksum: Option<&str>,
        vertex: Vertex<'_>,
    ) -> Result<Self> {
        if is_git(url) {
            return Err(Error::invalid(format!(
                "ADD {url}: git repositories are not fetched: clone it, and COPY from the clone"
            )));
        }
        let wanted = checksum.map(Digest::parse).transpose()?;
        let mut answer = client.fetch(url)?;
        let mut file = work.scratch()?;
        let (mut hash, mut size) = (Sha256::new(), 0);
        let mut buffer = vec![0; 256 << 10];
        loop {
            let n = answer.read(&mut buffer).map_err(Error::io("fetch", url))?;
            if n == 0 {
                break;
            }
            file.write_all(&buffer[..n]).map_err(Error::io("write", url))?;
            hash.update(&buffer[..n]);
            size += n as u64;
            vertex.status(url, size, answer.length);
        }
        let found = Digest::from(hash.finish());
        if let Some(wanted) = wanted
            && wanted != found
        {
            return Err(Error::invalid(format!("digest mismatch {url}: {found} (expected: {wanted})")));
        }
        let name = answer.file_name.or_else(|| name_of(url)).unwrap_or_default();
        Ok(Self { name, file: Arc::new(file), size, modified: answer.modified })
    }
}

fn is_git(source: &str) -> bool {
    let path = source.split(['#', '?']).next().unwrap_or_default();
    source.starts_with("git@")
        || source.starts_with("git://")
        || source.starts_with("ssh://")
        || (source.starts_with("http") && path.ends_with(".git"))
}

/// The last component of an address's path.
fn name_of(url: &str) -> Option<String> {
    let path = url.split(['#', '?']).next()?.split_once("://")?.1.split_once('/')?.1;
    path.rsplit('/')
        .next()
        .filter(|name| !name.is_empty() && *name != "." && *name != "..")
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_named_by_the_address() {
        assert_eq!(name_of("https://h.example/a/b.tgz?x=/y#z").as_deref(), Some("b.tgz"));
        assert_eq!(name_of("https://h.example/"), None);
        assert_eq!(name_of("https://h.example"), None);
        assert_eq!(name_of("https://h.example/a/.."), None);
    }

    #[test]
    fn repositories_are_known_by_their_addresses() {
        for git in ["https://h.example/x.git#main", "git@h.example:x.git", "git://h.example/x"] {
            assert!(Fetched::is_remote(git) && is_git(git), "{git}");
        }
        assert!(!is_git("https://h.example/x.tar") && Fetched::is_remote("https://h.example/x.tar"));
        assert!(!Fetched::is_remote("dir/http"));
    }
}
