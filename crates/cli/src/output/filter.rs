//! `--filter key=value`: parsing and matching, with Docker's rules and messages.

use regex_lite::Regex;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

/// One `--filter`. Parses as clap's value parser of the option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// In lower case; a negated one ends in `!`, as in `label!=x`.
    key: String,
    value: String,
}

/// What is wrong with a filter, in Docker's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// There is no `=`.
    #[error("bad format of filter (expected name=value)")]
    Format,
    /// The command has no filter of this name.
    #[error("invalid filter '{0}'")]
    Unknown(String),
    /// The filter does not take these values.
    #[error("invalid filter '{key}=[{}]'", values.join(" "))]
    Values {
        /// The filter's name.
        key: String,
        /// All values that it was given.
        values: Vec<String>,
    },
}

impl Filter {
    /// A filter of our own making.
    pub fn new(key: &str, value: &str) -> Self {
        Self { key: key.to_owned(), value: value.to_owned() }
    }

    /// The filter's name, `label!` for a negation.
    pub fn key(&self) -> &str {
        &self.key
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.key, self.value)
    }
}

impl FromStr for Filter {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Self, FilterError> {
        // Docker passes over an empty filter.
        let (key, value) =
            if text.is_empty() { ("", "") } else { text.split_once('=').ok_or(FilterError::Format)? };
        Ok(Self { key: key.trim().to_lowercase(), value: value.trim().to_owned() })
    }
}

/// All filters of a command line. A name may be given several times.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filters(BTreeMap<String, BTreeSet<String>>);

impl Filters {
    /// Gathers `filters`, whose names have to be among `known` (where a negation has its own entry, `label!`).
    ///
    /// # Errors
    /// [`FilterError::Unknown`].
    pub fn new(filters: impl IntoIterator<Item = Filter>, known: &[&str]) -> Result<Self, FilterError> {
        let mut gathered: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for Filter { key, value } in filters {
            if key.is_empty() && value.is_empty() {
                continue;
            }
            if !known.contains(&key.as_str()) {
                return Err(FilterError::Unknown(key));
            }
            gathered.entry(key).or_default().insert(value);
        }
        Ok(Self(gathered))
    }

    /// Whether a filter of this name was given.
    pub fn has(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    /// The values given for a name, sorted; none if it was not given.
    pub fn values(&self, key: &str) -> impl Iterator<Item = &str> {
        self.0.get(key).into_iter().flatten().map(String::as_str)
    }

    fn allows(&self, key: &str, test: impl Fn(&str) -> bool) -> bool {
        !self.has(key) || self.values(key).any(test)
    }

    /// Whether one of the values is `actual`, or none was given.
    pub fn exact(&self, key: &str, actual: &str) -> bool {
        self.allows(key, |value| value == actual)
    }

    /// Whether one of the values is the beginning of `actual`, or none was given.
    pub fn prefix(&self, key: &str, actual: &str) -> bool {
        self.allows(key, |value| actual.starts_with(value))
    }

    /// Whether one of the values equals `actual` or is a regular expression that matches somewhere in it, or none
    /// was given. So `docker ps` finds names and IDs; it passes over an expression that does not compile.
    pub fn regex(&self, key: &str, actual: &str) -> bool {
        self.allows(key, |value| {
            value == actual || Regex::new(value).is_ok_and(|regex| regex.is_match(actual))
        })
    }

    /// Whether `labels` has every `label=…` (a key, or a key and its value) and not every `label!=…`.
    pub fn labels(&self, labels: &BTreeMap<String, String>) -> bool {
        let has = |wanted: &str| match wanted.split_once('=') {
            Some((key, value)) => labels.get(key).is_some_and(|actual| actual == value),
            None => labels.contains_key(wanted),
        };
        self.values("label").all(has) && (!self.has("label!") || !self.values("label!").all(has))
    }

    /// The value of a filter that is true or false, if it was given.
    ///
    /// # Errors
    /// [`FilterError::Values`] for any other value, and for both at once.
    pub fn boolean(&self, key: &str) -> Result<Option<bool>, FilterError> {
        let values: Vec<&str> = self.values(key).collect();
        match values[..] {
            [] => Ok(None),
            ["1" | "true"] | ["1", "true"] => Ok(Some(true)),
            ["0" | "false"] | ["0", "false"] => Ok(Some(false)),
            _ => Err(self.refuse(key)),
        }
    }

    /// The error that says that the values given for `key` are none that it takes.
    pub fn refuse(&self, key: &str) -> FilterError {
        FilterError::Values { key: key.to_owned(), values: self.values(key).map(str::to_owned).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filters(texts: &[&str]) -> Filters {
        let parsed: Vec<Filter> = texts.iter().map(|text| text.parse().unwrap()).collect();
        Filters::new(parsed, &["dangling", "id", "label", "label!", "name", "status"]).unwrap()
    }

    fn labels() -> BTreeMap<String, String> {
        BTreeMap::from([("a".into(), "1".into()), ("b".into(), "x=y".into())])
    }

    #[test]
    fn errors_are_dockers() {
        assert_eq!(
            "x".parse::<Filter>().unwrap_err().to_string(),
            "bad format of filter (expected name=value)"
        );
        let unknown = Filters::new(["x=y".parse().unwrap()], &["name"]).unwrap_err();
        assert_eq!(unknown.to_string(), "invalid filter 'x'");
        let maybe = filters(&["dangling=maybe"]).boolean("dangling").unwrap_err();
        assert_eq!(maybe.to_string(), "invalid filter 'dangling=[maybe]'");
        let both = filters(&["dangling=true", "dangling=false"]).boolean("dangling").unwrap_err();
        assert_eq!(both.to_string(), "invalid filter 'dangling=[false true]'");
    }

    #[test]
    fn names_are_trimmed_and_lowered_and_values_keep_equal_signs() {
        let filters = filters(&[" Label = a=1 ", ""]);
        assert_eq!(filters.values("label").collect::<Vec<_>>(), ["a=1"]);
    }

    #[test]
    fn no_filter_allows_everything() {
        let none = Filters::default();
        assert!(none.exact("status", "x") && none.prefix("id", "x") && none.regex("name", "x"));
        assert!(none.labels(&labels()));
        assert_eq!(none.boolean("dangling"), Ok(None));
    }

    #[test]
    fn values_of_one_name_are_alternatives() {
        let filters = filters(&["status=exited", "status=created", "dangling=1", "id=ab"]);
        assert!(filters.exact("status", "created") && !filters.exact("status", "running"));
        assert!(filters.prefix("id", "abc") && !filters.prefix("id", "cab"));
        assert_eq!(filters.boolean("dangling"), Ok(Some(true)));
    }

    #[test]
    fn names_match_as_regular_expressions() {
        assert!(filters(&["name=b"]).regex("name", "abc"));
        assert!(!filters(&["name=^b"]).regex("name", "abc"));
        assert!(filters(&["name=^(web|db)-[0-9]+$"]).regex("name", "db-12"));
        assert!(!filters(&["name=("]).regex("name", "abc"));
        assert!(filters(&["name=a+b"]).regex("name", "a+b"));
    }

    #[test]
    fn all_labels_have_to_be_there() {
        assert!(filters(&["label=a", "label=b=x=y"]).labels(&labels()));
        assert!(!filters(&["label=a", "label=b=x"]).labels(&labels()));
        assert!(!filters(&["label=c"]).labels(&labels()));
        assert!(filters(&["label!=c"]).labels(&labels()));
        assert!(!filters(&["label!=a=1"]).labels(&labels()));
        assert!(filters(&["label!=a=2"]).labels(&labels()));
    }
}
