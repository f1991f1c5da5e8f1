//! Manifests, indexes and tags.

use model::Digest;
use serde_json::{Value, json};

use super::http::{Answer, Head};
use super::state::{Shared, State};

/// Answers GET and HEAD of a manifest.
pub fn get(shared: &Shared, repository: &str, at: &str) -> Answer {
    let Some((digest, (media_type, bytes))) = shared.state().find_manifest(repository, at) else {
        return Answer::error(404, "MANIFEST_UNKNOWN", at);
    };
    Answer::new(200)
        .header("Content-Type", media_type)
        .header("Docker-Content-Digest", digest)
        .header("ETag", format!("\"{digest}\""))
        .body(bytes)
}

/// Answers PUT: what the manifest names must be there.
pub fn put(shared: &Shared, head: &Head, repository: &str, at: &str, bytes: Vec<u8>) -> Answer {
    let Ok(document) = serde_json::from_slice::<Value>(&bytes) else {
        return Answer::error(400, "MANIFEST_INVALID", "not JSON");
    };
    let media_type = head.header("Content-Type").unwrap_or_default();
    if document["mediaType"].as_str().is_some_and(|own| own != media_type) {
        return Answer::error(400, "MANIFEST_INVALID", format!("{media_type} is not what the document says"));
    }
    let digest = Digest::of(&bytes);
    if at.contains(':') && at != digest.to_string() {
        return Answer::error(400, "DIGEST_INVALID", format!("it is {digest}"));
    }
    let mut state = shared.state();
    if let Some(unknown) = missing(&state, repository, &document) {
        return Answer::error(404, "MANIFEST_BLOB_UNKNOWN", unknown);
    }
    state.add_manifest(repository, media_type, bytes);
    if !at.contains(':') {
        state.tags.insert((repository.to_owned(), at.to_owned()), digest);
    }
    Answer::new(201)
        .header("Location", format!("/v2/{repository}/manifests/{digest}"))
        .header("Docker-Content-Digest", digest)
}

/// The first digest in a manifest or an index that the repository does not have.
fn missing(state: &State, repository: &str, document: &Value) -> Option<String> {
    let blobs = [&document["config"]].into_iter().chain(document["layers"].as_array().into_iter().flatten());
    let has_blob = |digest: &str| {
        Digest::parse(digest).is_ok_and(|digest| state.find_blob(repository, &digest).is_some())
    };
    let has_manifest = |digest: &str| state.find_manifest(repository, digest).is_some();
    let digest = |descriptor: &Value| descriptor["digest"].as_str().map(str::to_owned);
    let manifests = document["manifests"].as_array().into_iter().flatten();
    blobs
        .filter_map(digest)
        .find(|digest| !has_blob(digest))
        .or_else(|| manifests.filter_map(digest).find(|digest| !has_manifest(digest)))
}

/// Answers `tags/list`, in pages that name the next one (OCI distribution specification, "Listing Tags").
pub fn tags(shared: &Shared, head: &Head, repository: &str) -> Answer {
    let state = shared.state();
    let last = head.query("last");
    let tags = state.tags.keys().filter(|(name, _)| name == repository).map(|(_, tag)| tag.as_str());
    let left: Vec<&str> = tags.filter(|tag| last.as_deref().is_none_or(|last| *tag > last)).collect();
    if left.is_empty() && last.is_none() {
        return Answer::error(404, "NAME_UNKNOWN", repository);
    }
    let asked = head.query("n").and_then(|n| n.parse().ok()).unwrap_or(usize::MAX);
    let page = &left[..left.len().min(asked).min(shared.setup.page)];
    let answer = Answer::new(200).json(&json!({ "name": repository, "tags": page }));
    match page.last() {
        Some(last) if page.len() < left.len() => {
            let n = page.len();
            answer.header("Link", format!(r#"</v2/{repository}/tags/list?last={last}&n={n}>; rel="next""#))
        }
        _ => answer,
    }
}
