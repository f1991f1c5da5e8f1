//! JSON objects of which one member changes and the text of the others stays as it is.

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::{RawValue, to_raw_value};
use std::fmt;

/// The members of an object, in order. Values are kept as they are spelled, so that a number too long for us or a
/// member that we do not know comes out as it went in.
#[derive(Debug, Clone, Default)]
pub(super) struct Members(Vec<(String, Box<RawValue>)>);

impl Members {
    /// Reads an object; `null` is an empty one, as for Go.
    pub(super) fn parse(text: &str) -> serde_json::Result<Self> {
        serde_json::from_str(text).map(Option::unwrap_or_default)
    }

    /// The keys, in order.
    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(key, _)| key.as_str())
    }

    /// The value of `key`; of several the last, as for every reader of JSON that keeps one.
    pub(super) fn get(&self, key: &str) -> Option<&RawValue> {
        self.0.iter().rev().find(|(name, _)| name == key).map(|(_, value)| &**value)
    }

    /// As [`Members::get`] for a name that Go would find in any mixture of cases.
    pub(super) fn field(&self, name: &str) -> Option<&RawValue> {
        self.get(self.spelling(name))
    }

    /// How this object spells the field `name`.
    pub(super) fn spelling<'a>(&'a self, name: &'a str) -> &'a str {
        let similar = self.keys().filter(|key| key.eq_ignore_ascii_case(name)).last();
        if self.get(name).is_some() { name } else { similar.unwrap_or(name) }
    }

    /// Gives `key` a value, in the place of the old one or behind all others.
    pub(super) fn set(&mut self, key: &str, value: Box<RawValue>) {
        match self.0.iter_mut().rev().find(|(name, _)| name == key) {
            Some((_, old)) => *old = value,
            None => self.0.push((key.to_owned(), value)),
        }
    }

    /// Gives `key` a text.
    pub(super) fn set_text(&mut self, key: &str, text: &str) -> serde_json::Result<()> {
        self.set(key, to_raw_value(text)?);
        Ok(())
    }

    /// Removes `key`; whether it was there.
    pub(super) fn remove(&mut self, key: &str) -> bool {
        let before = self.0.len();
        self.0.retain(|(name, _)| name != key);
        self.0.len() < before
    }

    /// Whether there are no members.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The object as Docker lays it out, a line for each member and a tab for each level; the object itself stands
    /// `depth` levels deep.
    pub(super) fn to_text(&self, depth: usize) -> serde_json::Result<String> {
        if self.is_empty() {
            return Ok("{}".to_owned());
        }
        let indent = "\t".repeat(depth);
        let mut lines = Vec::with_capacity(self.0.len());
        for (key, value) in &self.0 {
            lines.push(format!("{indent}\t{}: {}", serde_json::to_string(key)?, value.get()));
        }
        Ok(format!("{{\n{}\n{indent}}}", lines.join(",\n")))
    }

    /// The same as the value of a member.
    pub(super) fn to_value(&self, depth: usize) -> serde_json::Result<Box<RawValue>> {
        RawValue::from_string(self.to_text(depth)?)
    }
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        from.deserialize_map(Object)
    }
}
