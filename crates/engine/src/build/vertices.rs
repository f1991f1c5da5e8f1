//! The parts of a build that progress shows, each with a number and a name.

use std::sync::atomic::{AtomicU64, Ordering};

use super::options::{BuildEvent, BuildProgress, VertexId};
use crate::{Error, Result};

/// Gives out numbers.
pub(super) struct Vertices<'a> {
    progress: &'a dyn BuildProgress,
    next: AtomicU64,
}

/// A part that goes on.
#[derive(Clone, Copy)]
pub(super) struct Vertex<'a> {
    progress: &'a dyn BuildProgress,
    id: VertexId,
}

/// How a part has ended.
pub(super) enum Ended<T> {
    /// It was done.
    Done(T),
    /// It was known.
    Cached(T),
}

impl<'a> Vertices<'a> {
    pub fn new(progress: &'a dyn BuildProgress) -> Self {
        Self { progress, next: AtomicU64::new(1) }
    }

    /// Shows `work` as a part of this name.
    pub fn show<T>(&self, name: &str, work: impl FnOnce(Vertex<'a>) -> Result<Ended<T>>) -> Result<T> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let vertex = Vertex { progress: self.progress, id };
        self.progress.event(BuildEvent::Started { id, name });
        match work(vertex) {
            Ok(Ended::Done(made)) => {
                self.progress.event(BuildEvent::Done { id });
                Ok(made)
            }
            Ok(Ended::Cached(made)) => {
                self.progress.event(BuildEvent::Cached { id });
                Ok(made)
            }
            Err(Error::BuildCanceled) => {
                self.progress.event(BuildEvent::Canceled { id });
                Err(Error::BuildCanceled)
            }
            Err(e) => {
                self.progress.event(BuildEvent::Failed { id, error: &e.to_string() });
                Err(e)
            }
        }
    }

    /// As [`show`](Self::show), for what is never known beforehand.
    pub fn done<T>(&self, name: &str, work: impl FnOnce(Vertex<'a>) -> Result<T>) -> Result<T> {
        self.show(name, |vertex| work(vertex).map(Ended::Done))
    }

    /// Tells of something that is not wise.
    pub fn warn(&self, rule: &str, message: &str, line: Option<usize>) {
        self.progress.event(BuildEvent::Warning { rule, message, line });
    }
}

impl Vertex<'_> {
    /// What a process of it has written.
    pub fn output(&self, text: &[u8]) {
        self.progress.event(BuildEvent::Output { id: self.id, text });
    }

    /// How far a piece of it is.
    pub fn status(&self, item: &str, done: u64, total: Option<u64>) {
        self.progress.event(BuildEvent::Status { id: self.id, item, done, total });
    }
}
