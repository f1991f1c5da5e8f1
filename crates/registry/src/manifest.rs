//! Manifests and indexes: bounded, verified.

use model::Digest;
use model::manifest::{Descriptor, media_type};
use ureq::http::{Method, header};

use crate::answer::Answer;
use crate::endpoint::Endpoint;
use crate::repository::At;
use crate::wire::{Call, Payload};
use crate::{Error, Repository, Result, headers};

/// The longest manifest, in bytes: what the distribution specification asks servers to accept.
const LIMIT: u64 = 4 << 20;
/// What we understand, and whatever else there is, so that it can be refused by name.
const ACCEPTED: [&str; 5] = [
    media_type::OCI_INDEX,
    media_type::DOCKER_INDEX,
    media_type::OCI_MANIFEST,
    media_type::DOCKER_MANIFEST,
    "*/*",
];

/// A manifest or an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// Type, digest and size. The type is empty if the server only says that it is JSON, or bytes.
    pub descriptor: Descriptor,
    /// The document; its digest is the descriptor's.
    pub bytes: Vec<u8>,
}

impl Repository {
    /// Fetches a manifest or an index of at most 4 MiB. Its digest is verified: the one asked for, else the one that
    /// the server named.
    ///
    /// # Errors
    /// [`Error::is_not_found`]; [`Error::Digest`] if wrong bytes come again and again.
    pub fn manifest(&self, at: At<'_>) -> Result<Fetched> {
        self.read(|endpoint| {
            let mut call = self.manifest_call(endpoint, Method::GET, at)?;
            for accepted in ACCEPTED {
                call = call.header(header::ACCEPT, accepted);
            }
            let answer = self.wire().send(endpoint, &mut call)?;
            let (media_type, named) = (media_type_of(&answer), answer.digest());
            let bytes = answer.bytes(&call.what, LIMIT)?;
            let actual = Digest::of(&bytes);
            let expected = match at {
                At::Digest(digest) => *digest,
                At::Tag(_) => named.unwrap_or(actual),
            };
            if actual != expected {
                return Err(Error::Digest { what: call.what, expected, actual });
            }
            Ok(Fetched { descriptor: Descriptor::new(&media_type, actual, bytes.len() as u64), bytes })
        })
    }

    /// Whether there is such a manifest, and what the server says of it.
    ///
    /// # Errors
    /// Only such as do not mean that there is none.
    pub fn find_manifest(&self, at: At<'_>) -> Result<Option<Descriptor>> {
        let found = self.read(|endpoint| {
            let mut call = self.manifest_call(endpoint, Method::HEAD, at)?;
            for accepted in ACCEPTED {
                call = call.header(header::ACCEPT, accepted);
            }
            let answer = self.wire().send(endpoint, &mut call)?;
            let digest = match at {
                At::Digest(digest) => Some(*digest),
                At::Tag(_) => answer.digest(),
            };
            let known = digest.zip(answer.length());
            Ok(known.map(|(digest, size)| Descriptor::new(&media_type_of(&answer), digest, size)))
        });
        match found {
            Ok(Some(descriptor)) => Ok(Some(descriptor)),
            // The server does not say what it has.
            Ok(None) => self.manifest(at).map(|fetched| Some(fetched.descriptor)),
            Err(e) if e.is_not_found() => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Gives the server a manifest or an index; all blobs and manifests that it names have to be there before. Durable
    /// as far as the server's promise goes.
    ///
    /// # Errors
    /// [`Error::Digest`] if the server says that it got something else.
    pub fn put_manifest(&self, at: At<'_>, media_type: &str, bytes: &[u8]) -> Result<Digest> {
        let actual = Digest::of(bytes);
        self.client.retry(|| {
            let mut call = self
                .manifest_call(&self.origin, Method::PUT, at)?
                .header(header::CONTENT_TYPE, media_type)
                .payload(Payload::Bytes(bytes))
                .need(self.need(&self.origin, true))
                .patient();
            call.expected = &[200, 201, 202, 204];
            let answer = self.wire().send(&self.origin, &mut call)?;
            match answer.digest().filter(|stored| *stored != actual) {
                Some(stored) => Err(Error::Digest { what: call.what, expected: actual, actual: stored }),
                None => {
                    answer.drain();
                    Ok(actual)
                }
            }
        })
    }

    fn manifest_call<'a>(&self, endpoint: &Endpoint, method: Method, at: At<'_>) -> Result<Call<'a>> {
        let what = self.what(format_args!("manifest {at}"));
        if let At::Tag(tag) = at {
            self.name().with_tag(tag).map_err(|e| Error::setting(format!("tag {tag:?}"), e))?;
        }
        self.call(endpoint, what, method, &format!("manifests/{at}"), &[200])
    }
}

/// What the server says that the document is. Types that any document could have say nothing.
fn media_type_of(answer: &Answer) -> String {
    let named = headers::media_type(answer.header("content-type").unwrap_or_default());
    match named {
        "application/json" | "application/octet-stream" | "text/plain" => String::new(),
        named => named.to_owned(),
    }
}
