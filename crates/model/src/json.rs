//! Reading JSON as strictly, and as leniently, as Docker does.

use crate::{Error, Result};
use serde::{Deserialize, Deserializer};

/// Reads a JSON object. Serde alone would also take an array of the fields' values, which is an object to
/// nobody else.
pub(crate) fn parse_object<'de, T: Deserialize<'de>>(what: &'static str, bytes: &'de [u8]) -> Result<T> {
    if bytes.trim_ascii_start().first() != Some(&b'{') {
        return Err(Error::Json { what, why: "not a JSON object".to_owned() });
    }
    serde_json::from_slice(bytes).map_err(|error| Error::json(what, &error))
}

/// Go reads `null` as "leave the field alone".
pub(crate) fn null_is_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Go reads a single text where it expects a list of words, for configurations from before 2016.
pub(crate) fn word_or_words<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<String>>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Words {
        Many(Vec<String>),
        One(String),
    }
    Ok(Option::deserialize(from)?.map(|words| match words {
        Words::Many(words) => words,
        Words::One(word) => vec![word],
    }))
}
