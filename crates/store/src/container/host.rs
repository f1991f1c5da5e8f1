//! `hostconfig.json`, as read and as for a new container.

use serde_json::{Map, Value};

use super::{HOST_CONFIG, encode, object, object_text};
use crate::error::Result;
use crate::finding::Damage;

/// `hostconfig.json`: what a container gets from the host.
#[derive(Debug, Clone, PartialEq)]
pub struct HostConfig {
    document: Map<String, Value>,
}

impl HostConfig {
    /// What Docker 28.5 writes for `docker create` without options. The cgroup namespace of such a container is its
    /// own on a host with cgroup v2 and the host's on one with v1.
    pub fn new(cgroup_v2: bool) -> Self {
        let cgroupns_mode = if cgroup_v2 { "private" } else { "host" }.to_owned();
        Self::of(&model::HostConfig { cgroupns_mode, ..model::HostConfig::default() })
    }

    /// The document of a new container.
    pub fn of(config: &model::HostConfig) -> Self {
        // All keys are strings, so it has a JSON form.
        Self { document: object(serde_json::to_value(config).unwrap_or_default()) }
    }

    pub(crate) fn parse(bytes: Vec<u8>) -> Result<Self, Damage> {
        let text = object_text(HOST_CONFIG, bytes)?;
        let document = serde_json::from_str(&text).map_err(|e| Damage::invalid(HOST_CONFIG, e))?;
        Ok(Self { document })
    }

    /// What the document says. As in Go, `null` and what is not there are the default.
    ///
    /// # Errors
    /// [`model::Error::Json`] for a field of another type than Docker's.
    pub fn view(&self) -> Result<model::HostConfig> {
        let set = self.document.iter().filter(|(_, value)| !value.is_null());
        let set: Map<String, Value> = set.map(|(key, value)| (key.clone(), value.clone())).collect();
        let read = serde_json::from_value(Value::Object(set));
        Ok(read.map_err(|e| model::Error::Json { what: HOST_CONFIG, why: e.to_string() })?)
    }

    /// The document as it is stored: Go's JSON, and a newline.
    ///
    /// # Errors
    /// None that a document that was read or made here can cause.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        encode(&self.document)
    }

    /// A field.
    pub fn field(&self, name: &str) -> Option<&Value> {
        self.document.get(name)
    }

    /// Sets a field; one that is there keeps its place.
    pub fn set(&mut self, name: &str, value: Value) {
        self.document.insert(name.to_owned(), value);
    }

    /// The whole document.
    pub fn document(&self) -> &Map<String, Value> {
        &self.document
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_reads_what_was_written_and_nulls() {
        let mut config = model::HostConfig { memory: 5, ..model::HostConfig::default() };
        config.binds = Some(vec!["a:/b".to_owned()]);
        let mut document = HostConfig::of(&config);
        assert_eq!(document.view().unwrap(), config);
        // A `null` in a field that is no list: older daemons write some.
        document.set("Devices", Value::Null);
        document.set("Dns", Value::Null);
        document.set("KernelMemory", Value::from(0));
        assert_eq!(document.view().unwrap(), config);
        document.set("Memory", Value::from("much"));
        assert!(document.view().is_err());
    }
}
