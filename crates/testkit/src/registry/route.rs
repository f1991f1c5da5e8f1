//! Which request is answered by what.

use std::io::{self, BufRead};

use model::Digest;

use super::http::{Answer, Body, Head};
use super::state::Shared;
use super::{auth, blobs, manifests, uploads};

/// What a path names.
enum What<'a> {
    /// `/v2/`
    Root,
    /// `/token`
    Token,
    Tags,
    Manifest(&'a str),
    Blob(&'a str),
    /// Where uploads begin.
    Uploads,
    Upload(&'a str),
    Nothing,
}

/// The repository and what is named in it. A name may contain every word that comes after it in a path.
fn parse(path: &str) -> (&str, What<'_>) {
    let Some(rest) = path.strip_prefix("/v2").and_then(|rest| rest.strip_prefix('/').or(Some(rest))) else {
        return ("", if path == "/token" { What::Token } else { What::Nothing });
    };
    if rest.is_empty() {
        return ("", What::Root);
    }
    if let Some(name) = rest.strip_suffix("/tags/list") {
        return (name, What::Tags);
    }
    if let Some((name, id)) = rest.rsplit_once("/blobs/uploads/") {
        return (name, if id.is_empty() { What::Uploads } else { What::Upload(id) });
    }
    if let Some(name) = rest.strip_suffix("/blobs/uploads") {
        return (name, What::Uploads);
    }
    let mut parts = rest.rsplitn(3, '/');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(at), Some("manifests"), Some(name)) => (name, What::Manifest(at)),
        (Some(at), Some("blobs"), Some(name)) => (name, What::Blob(at)),
        _ => ("", What::Nothing),
    }
}

/// The repository of a request, and what a token must allow there.
pub fn needs(head: &Head) -> (String, &'static [&'static str]) {
    let (name, what) = parse(head.path());
    let actions: &[&str] = match (head.method.as_str(), what) {
        (_, What::Root | What::Token | What::Nothing) => &[],
        (_, What::Uploads | What::Upload(_)) | ("PUT", _) => &["pull", "push"],
        ("DELETE", _) => &["delete"],
        _ => &["pull"],
    };
    (name.to_owned(), actions)
}

/// Answers a request as the setup says.
pub fn answer<R: BufRead>(shared: &Shared, head: &Head, body: &mut Body<'_, R>) -> io::Result<Answer> {
    let (name, what) = parse(head.path());
    if let What::Token = what {
        return Ok(auth::token(shared, head, &body.all()?));
    }
    let (_, actions) = needs(head);
    if let Err(answer) = auth::check(shared, head, name, actions) {
        return Ok(answer);
    }
    let reading = matches!(head.method.as_str(), "GET" | "HEAD");
    Ok(match (head.method.as_str(), what) {
        (_, What::Root) if reading => Answer::new(200).json(&serde_json::json!({})),
        ("GET", What::Tags) => manifests::tags(shared, head, name),
        (_, What::Manifest(at)) if reading => manifests::get(shared, name, at),
        ("PUT", What::Manifest(at)) => manifests::put(shared, head, name, at, body.all()?),
        (_, What::Blob(digest)) if reading => match Digest::parse(digest) {
            Ok(digest) => blobs::get(shared, head, name, &digest),
            Err(e) => Answer::error(400, "DIGEST_INVALID", e),
        },
        ("POST", What::Uploads) => uploads::begin(shared, head, name, body)?,
        (_, What::Upload(id)) => uploads::go_on(shared, head, name, id, body)?,
        (_, What::Nothing) => Answer::error(404, "NAME_UNKNOWN", head.path()),
        _ => Answer::error(405, "UNSUPPORTED", format!("{} {}", head.method, head.path())),
    })
}
