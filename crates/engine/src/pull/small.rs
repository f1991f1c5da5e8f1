//! Blobs that are small enough to be held in memory.

use std::io::Read;

use model::Digest;
use model::manifest::Descriptor;
use registry::{Backoff, Error, Repository, Result};

/// Fetches a blob that is as long as its descriptor says, and compares it with its digest.
pub(super) fn fetch(
    repository: &Repository,
    mut backoff: Backoff,
    descriptor: &Descriptor,
) -> Result<Vec<u8>> {
    loop {
        match attempt(repository, descriptor) {
            Ok(bytes) => return Ok(bytes),
            Err(e) => match backoff.again(&e) {
                Some(wait) => std::thread::sleep(wait),
                None => return Err(e),
            },
        }
    }
}

fn attempt(repository: &Repository, descriptor: &Descriptor) -> Result<Vec<u8>> {
    let what = || format!("blob {}", descriptor.digest);
    let body = repository.blob(&descriptor.digest, 0, None)?;
    let mut bytes = Vec::new();
    body.take(descriptor.size).read_to_end(&mut bytes).map_err(|e| Error::interrupted(what(), e))?;
    let actual = Digest::of(&bytes);
    if actual != descriptor.digest {
        return Err(Error::Digest { what: what(), expected: descriptor.digest, actual });
    }
    Ok(bytes)
}
