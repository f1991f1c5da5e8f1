//! Uploads of blobs: at once, in chunks, streamed, or as a mount (OCI distribution specification, "Pushing blobs").

use std::io::{self, BufRead, Read};

use model::Digest;

use super::auth;
use super::http::{Answer, Body, Head};
use super::state::Shared;

/// A blob that comes.
#[derive(Debug, Default)]
pub struct Upload {
    repository: String,
    bytes: Vec<u8>,
    /// Grows with each answer, and is part of the address in it: a client has to use the newest.
    state: usize,
}

/// Answers POST: mounts, takes a whole blob, or begins an upload.
pub fn begin<R: BufRead>(
    shared: &Shared,
    head: &Head,
    repository: &str,
    body: &mut Body<'_, R>,
) -> io::Result<Answer> {
    if let (Some(digest), from) = (head.query("mount"), head.query("from"))
        && let Some(answer) = mount(shared, head, repository, &digest, from.as_deref())
    {
        return Ok(answer);
    }
    if let Some(digest) = head.query("digest") {
        let bytes = body.all()?;
        return Ok(finish(shared, repository, &digest, bytes));
    }
    let mut state = shared.state();
    let id = state.number();
    state.uploads.insert(id, Upload { repository: repository.to_owned(), ..Upload::default() });
    drop(state);
    Ok(where_it_stands(shared, id, 202))
}

/// Makes the blob of another repository one of this one's; nothing if that cannot be.
fn mount(shared: &Shared, head: &Head, repository: &str, digest: &str, from: Option<&str>) -> Option<Answer> {
    let digest = Digest::parse(digest).ok()?;
    let from = from.filter(|_| shared.setup.mounts)?;
    auth::check(shared, head, from, &["pull"]).ok()?;
    let mut state = shared.state();
    state.find_blob(from, &digest)?;
    state.link(repository, digest);
    Some(done(repository, &digest))
}

/// Answers what is asked of an upload that was begun.
pub fn go_on<R: BufRead>(
    shared: &Shared,
    head: &Head,
    repository: &str,
    id: &str,
    body: &mut Body<'_, R>,
) -> io::Result<Answer> {
    let known = id.parse::<usize>().ok().filter(|id| {
        shared.state().uploads.get(id).is_some_and(|upload| {
            upload.repository == repository && head.query("state") == Some(upload.state.to_string())
        })
    });
    let Some(id) = known else {
        return Ok(Answer::error(404, "BLOB_UPLOAD_UNKNOWN", format!("{} {}", head.method, head.target)));
    };
    Ok(match head.method.as_str() {
        "GET" => where_it_stands(shared, id, 204),
        "DELETE" => {
            shared.state().uploads.remove(&id);
            Answer::new(204)
        }
        "PATCH" => {
            if !fits(shared, head, id) {
                return Ok(where_it_stands(shared, id, 416));
            }
            append(shared, id, body)?;
            where_it_stands(shared, id, 202)
        }
        "PUT" => {
            let Some(digest) = head.query("digest") else {
                return Ok(Answer::error(400, "DIGEST_INVALID", "no digest"));
            };
            if !fits(shared, head, id) {
                return Ok(where_it_stands(shared, id, 416));
            }
            append(shared, id, body)?;
            let upload = shared.state().uploads.remove(&id).unwrap_or_default();
            finish(shared, repository, &digest, upload.bytes)
        }
        method => Answer::error(405, "UNSUPPORTED", method),
    })
}

/// Whether a chunk starts where the last one ended. One that does not say where it starts does.
fn fits(shared: &Shared, head: &Head, id: usize) -> bool {
    let Some(range) = head.header("Content-Range") else { return true };
    let first =
        range.trim_start_matches("bytes ").split('-').next().and_then(|first| first.parse::<usize>().ok());
    let state = shared.state();
    first == state.uploads.get(&id).map(|upload| upload.bytes.len())
}

/// What came stays, also when the connection breaks.
fn append<R: BufRead>(shared: &Shared, id: usize, body: &mut Body<'_, R>) -> io::Result<()> {
    let mut piece = vec![0; 64 << 10];
    loop {
        let count = body.read(&mut piece)?;
        if count == 0 {
            return Ok(());
        }
        if let Some(upload) = shared.state().uploads.get_mut(&id) {
            upload.bytes.extend_from_slice(&piece[..count]);
        }
    }
}

/// The answer with an upload's next address and how much of it came.
fn where_it_stands(shared: &Shared, id: usize, status: u16) -> Answer {
    let mut state = shared.state();
    let Some(upload) = state.uploads.get_mut(&id) else {
        return Answer::error(404, "BLOB_UPLOAD_UNKNOWN", id);
    };
    upload.state += 1;
    let path = format!("/v2/{}/blobs/uploads/{id}?state={}", upload.repository, upload.state);
    let location = if shared.setup.absolute { format!("http://{}{path}", shared.address) } else { path };
    Answer::new(status)
        .header("Location", location)
        .header("Docker-Upload-UUID", id)
        .header("Range", format!("0-{}", upload.bytes.len().saturating_sub(1)))
}

/// Takes a blob whose bytes are all there, if it has this digest.
fn finish(shared: &Shared, repository: &str, digest: &str, bytes: Vec<u8>) -> Answer {
    let is = Digest::of(&bytes);
    if digest != is.to_string() {
        return Answer::error(400, "DIGEST_INVALID", format!("{digest} is {is}"));
    }
    shared.state().add_blob(repository, bytes);
    done(repository, &is)
}

fn done(repository: &str, digest: &Digest) -> Answer {
    Answer::new(201)
        .header("Location", format!("/v2/{repository}/blobs/{digest}"))
        .header("Docker-Content-Digest", digest)
}
