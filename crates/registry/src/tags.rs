//! The tags of a repository.

use serde::Deserialize;
use ureq::http::Method;

use crate::endpoint::Endpoint;
use crate::{Error, Repository, Result, headers};

/// The longest page, in bytes, and the most pages.
const PAGE: u64 = 4 << 20;
const PAGES: usize = 10_000;
/// The most tags.
const TAGS: usize = 1_000_000;

#[derive(Deserialize)]
struct Page {
    /// Go writes an empty list as null.
    tags: Option<Vec<String>>,
}

impl Repository {
    /// All tags, in the server's order, each once. Mirrors are not asked: they may know only some.
    ///
    /// # Errors
    /// [`Error::is_not_found`] if there is no such repository.
    pub fn tags(&self) -> Result<Vec<String>> {
        let what = self.what("tags");
        let mut tags: Vec<String> = Vec::new();
        let mut url = None;
        for _ in 0..PAGES {
            let (page, next) = self.client.retry(|| {
                let endpoint: &Endpoint = &self.origin;
                let mut call = self.call(endpoint, what.clone(), Method::GET, "tags/list", &[200])?;
                call.url = url.clone().unwrap_or(call.url);
                let answer = self.wire().send(endpoint, &mut call)?;
                let next = match answer.headers("link").find_map(headers::next_link) {
                    Some(link) => {
                        Some(answer.url.join(link).filter(|next| endpoint.owns(next)).ok_or_else(|| {
                            Error::protocol(&what, format!("the next page, {link:?}, is not on this server"))
                        })?)
                    }
                    None => None,
                };
                let page = serde_json::from_slice::<Page>(&answer.bytes(&what, PAGE)?);
                let page =
                    page.map_err(|e| Error::protocol(&what, format!("the list cannot be read: {e}")))?;
                Ok((page, next))
            })?;
            let page = page.tags.unwrap_or_default();
            // Some servers name a next page behind the last one, for ever.
            let is_last = page.is_empty() || next.is_none() || next == url;
            tags.extend(page);
            if is_last || tags.len() > TAGS {
                break;
            }
            url = next;
        }
        let mut seen = std::collections::HashSet::new();
        tags.retain(|tag| seen.insert(tag.clone()));
        Ok(tags)
    }
}
