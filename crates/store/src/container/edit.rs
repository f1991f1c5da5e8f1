//! Changes of a container's document: how it fares.

use model::{ContainerId, Timestamp};
use serde_json::{Map, Value, json};

use super::{CONFIG, Container};
use crate::commit::CommitLock;
use crate::containers::Containers;
use crate::error::{Error, Result};
use crate::small::replace;

/// How a container fares from now on. What is not said here stays as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Its process runs.
    Started {
        /// Its process ID.
        pid: u32,
        /// Since when.
        at: Timestamp,
        /// Files of its own that were made for it: their fields in the document, and their paths.
        files: Vec<(&'static str, String)>,
    },
    /// Its process has ended.
    Ended {
        /// With what.
        code: i32,
        /// When.
        at: Timestamp,
        /// Whether the kernel killed it for want of memory.
        out_of_memory: bool,
    },
    /// It could not be started.
    NotStarted {
        /// Docker's exit code for that.
        code: i32,
        /// Why.
        error: String,
    },
    /// Somebody asked it to end.
    StopRequested,
}

impl Container {
    /// The document with a change.
    ///
    /// # Errors
    /// As [`Container::document`].
    pub fn changed(&self, change: &Change) -> Result<Self> {
        let mut document = self.document()?;
        change.write(&mut document);
        Self::new(*self.id(), &document)
    }
}

impl Change {
    fn write(&self, document: &mut Map<String, Value>) {
        let mut state = |fields: &[(&str, Value)]| {
            if let Some(state) = document.get_mut("State").and_then(Value::as_object_mut) {
                fields.iter().for_each(|(key, value)| drop(state.insert((*key).to_owned(), value.clone())));
            }
        };
        match self {
            Self::Started { pid, at, files } => {
                state(&[
                    ("Running", true.into()),
                    ("Paused", false.into()),
                    ("Restarting", false.into()),
                    ("OOMKilled", false.into()),
                    ("Dead", false.into()),
                    ("Pid", (*pid).into()),
                    ("ExitCode", 0.into()),
                    ("Error", "".into()),
                    ("StartedAt", at.to_string().into()),
                ]);
                document.insert("HasBeenStartedBefore".to_owned(), true.into());
                document.insert("HasBeenManuallyStopped".to_owned(), false.into());
                for (field, path) in files {
                    document.insert((*field).to_owned(), json!(path));
                }
            }
            Self::Ended { code, at, out_of_memory } => state(&[
                ("Running", false.into()),
                ("Paused", false.into()),
                ("Restarting", false.into()),
                ("OOMKilled", (*out_of_memory).into()),
                ("Pid", 0.into()),
                ("ExitCode", (*code).into()),
                ("FinishedAt", at.to_string().into()),
            ]),
            Self::NotStarted { code, error } => state(&[
                ("Running", false.into()),
                ("Pid", 0.into()),
                ("ExitCode", (*code).into()),
                ("Error", error.as_str().into()),
            ]),
            Self::StopRequested => {
                document.insert("HasBeenManuallyStopped".to_owned(), true.into());
            }
        }
    }
}

impl Containers<'_> {
    /// Changes a container's document, and returns what it says then. The content is durable when this returns; after a
    /// power cut the document is the old one or the new one.
    ///
    /// # Errors
    /// As [`Containers::get`]; system calls.
    pub fn change(&self, lock: &CommitLock<'_>, id: &ContainerId, change: &Change) -> Result<Container> {
        let changed = self.get(id)?.changed(change)?;
        let dir = self.dir(id)?.ok_or(Error::NoContainer(*id))?;
        replace(lock, &dir, CONFIG, crate::containers::FILE_MODE, changed.as_bytes())?;
        Ok(changed)
    }
}
