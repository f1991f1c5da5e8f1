//! Container names: the grammar of given ones, and made-up ones for containers that get none.

use crate::{Error, Result};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{fmt, str::FromStr};

/// A container's name: two or more of `[a-zA-Z0-9_.-]`, the first one a letter or digit.
///
/// Docker writes it with a `/` in front into its files and answers, see [`ContainerName::with_slash`]; here
/// it has none.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContainerName(String);

impl ContainerName {
    /// Reads a name, with or without one `/` in front.
    ///
    /// # Errors
    /// [`Error::ContainerName`] with Docker's text.
    pub fn parse(text: &str) -> Result<Self> {
        let name = text.strip_prefix('/').unwrap_or(text);
        let valid = name.len() >= 2
            && name.starts_with(|c: char| c.is_ascii_alphanumeric())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'));
        if valid { Ok(ContainerName(name.to_owned())) } else { Err(Error::ContainerName(text.to_owned())) }
    }

    /// Makes up a name, `adjective_person`, from a random number. After `attempt` names turned out to be
    /// taken it adds a digit, later a longer number, so that 3,600 pairs of words are not the limit.
    pub fn random(random: u64, attempt: u32) -> Self {
        let pick = |words: &[&'static str], number: u64| words[(number % words.len() as u64) as usize];
        let adjective = pick(&ADJECTIVES, random);
        let person = pick(&PEOPLE, random >> 20);
        let number = random >> 40;
        let suffix = match attempt {
            0 => String::new(),
            1 | 2 => (number % 10).to_string(),
            _ => number.to_string(),
        };
        ContainerName(format!("{adjective}_{person}{suffix}"))
    }

    /// The name without `/`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `/name`, as it stands in `config.v2.json` and in the output of `inspect`.
    pub fn with_slash(&self) -> String {
        format!("/{}", self.0)
    }
}

impl fmt::Display for ContainerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for ContainerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for ContainerName {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        ContainerName::parse(text)
    }
}

impl Serialize for ContainerName {
    /// With the `/`, as Docker stores it.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.with_slash())
    }
}

impl<'de> Deserialize<'de> for ContainerName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        ContainerName::parse(&text).map_err(serde::de::Error::custom)
    }
}

const ADJECTIVES: [&str; 60] = [
    "airy", "ample", "apt", "ardent", "balmy", "blithe", "breezy", "brisk", "buoyant", "candid", "cheery",
    "chipper", "civil", "comfy", "crisp", "dapper", "deft", "droll", "earnest", "fluent", "frank", "fresh",
    "genial", "gentle", "glad", "hearty", "humble", "jaunty", "jovial", "keen", "limber", "lively", "lucid",
    "mellow", "merry", "mild", "neat", "nimble", "patient", "placid", "plucky", "prompt", "quiet", "ready",
    "robust", "serene", "sincere", "snug", "spry", "steady", "sturdy", "subtle", "sunny", "supple", "tidy",
    "tranquil", "upbeat", "vivid", "warm", "witty",
];

/// Women and men of science and engineering, by surname.
const PEOPLE: [&str; 60] = [
    "agnodice",
    "anning",
    "archimedes",
    "bernoulli",
    "blackett",
    "bolyai",
    "cannon",
    "carver",
    "cassini",
    "celsius",
    "chatelet",
    "cori",
    "cuvier",
    "dirac",
    "drebbel",
    "eddington",
    "eratosthenes",
    "fourier",
    "fraunhofer",
    "gibbs",
    "guericke",
    "halley",
    "hero",
    "herschel",
    "hooke",
    "huygens",
    "ibnsina",
    "joule",
    "kirch",
    "kirchhoff",
    "kwolek",
    "lagrange",
    "lavoisier",
    "leavitt",
    "linnaeus",
    "lyell",
    "maxwell",
    "mendel",
    "minkowski",
    "napier",
    "nernst",
    "ockham",
    "oersted",
    "onnes",
    "planck",
    "pliny",
    "ptolemy",
    "rayleigh",
    "rubin",
    "sommerville",
    "steno",
    "tesla",
    "thales",
    "torricelli",
    "tull",
    "vesalius",
    "volta",
    "watt",
    "young",
    "zeeman",
];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn grammar() {
        for good in ["c1", "0a", "a_b.c-d", "Web", "/c1", "a-"] {
            assert_eq!(ContainerName::parse(good).unwrap().as_str(), good.trim_start_matches('/'));
        }
        for bad in ["", "a", "/", "/a", "//ab", "_ab", ".ab", "-ab", "a b", "a/b", "aü", "ab\n"] {
            let message = ContainerName::parse(bad).unwrap_err().to_string();
            assert_eq!(
                message,
                format!("Invalid container name ({bad}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed")
            );
        }
    }

    #[test]
    fn stored_with_a_slash() {
        let name = ContainerName::parse("web").unwrap();
        assert_eq!(serde_json::to_string(&name).unwrap(), "\"/web\"");
        assert_eq!(serde_json::from_str::<ContainerName>("\"/web\"").unwrap(), name);
    }

    #[test]
    fn every_word_stands_once() {
        for words in [ADJECTIVES, PEOPLE] {
            assert_eq!(words.iter().collect::<BTreeSet<_>>().len(), words.len());
        }
    }

    proptest! {
        #[test]
        fn made_up_names_are_valid(random: u64, attempt in 0u32..6) {
            let name = ContainerName::random(random, attempt);
            prop_assert_eq!(ContainerName::parse(name.as_str()).unwrap(), name);
        }

        #[test]
        fn parsing_never_panics(text: String) {
            let _ = ContainerName::parse(&text);
        }
    }
}
