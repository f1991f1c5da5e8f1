//! `--limit NAME=VALUE`: what an archive may ask for.

use std::str::FromStr;

use engine::Limits;
use model::size;

/// One limit with its new value.
#[derive(Debug, Clone)]
pub struct Limit {
    name: &'static str,
    value: u64,
}

/// The place of a limit.
type Field = fn(&mut Limits) -> &mut u64;

/// All limits, under the names by which errors call them.
const FIELDS: [(&str, Field); 9] = [
    ("max_output", |limits| &mut limits.decompress.max_output),
    ("max_ratio", |limits| &mut limits.decompress.max_ratio),
    ("ratio_from", |limits| &mut limits.decompress.ratio_from),
    ("max_window", |limits| &mut limits.decompress.max_window),
    ("pax_bytes", |limits| &mut limits.tar.pax_bytes),
    ("long_name_bytes", |limits| &mut limits.tar.long_name_bytes),
    ("sparse_extents", |limits| &mut limits.tar.sparse_extents),
    ("entries", |limits| &mut limits.apply.entries),
    ("bytes", |limits| &mut limits.apply.bytes),
];

impl Limit {
    /// Puts the value into its place.
    pub fn set(&self, limits: &mut Limits) {
        if let Some((_, field)) = FIELDS.iter().find(|(name, _)| *name == self.name) {
            *field(limits) = self.value;
        }
    }
}

impl FromStr for Limit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) = text.split_once('=').ok_or("expected name=value")?;
        let (name, _) = FIELDS.iter().find(|(known, _)| *known == name).ok_or_else(|| {
            let names: Vec<&str> = FIELDS.iter().map(|(name, _)| *name).collect();
            format!("the limits are {}", names.join(", "))
        })?;
        Ok(Self { name, value: size::parse_binary(value).map_err(|err| err.to_string())? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_has_its_place() {
        let mut limits = Limits::default();
        for (n, (name, _)) in FIELDS.iter().enumerate() {
            let limit: Limit = format!("{name}={n}k").parse().unwrap();
            limit.set(&mut limits);
        }
        for (n, (name, field)) in FIELDS.iter().enumerate() {
            assert_eq!(*field(&mut limits), n as u64 * 1024, "{name}");
        }
    }

    #[test]
    fn an_unknown_limit_names_the_known_ones() {
        assert!("nope=1".parse::<Limit>().unwrap_err().starts_with("the limits are max_output, max_ratio, "));
        assert_eq!("max_ratio".parse::<Limit>().unwrap_err(), "expected name=value");
        assert_eq!("max_ratio=x".parse::<Limit>().unwrap_err(), "invalid size: 'x'");
    }
}
