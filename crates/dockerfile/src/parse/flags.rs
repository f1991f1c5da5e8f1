//! `--flag=value` in front of an instruction's arguments.

use super::{Raw, suggestion};
use crate::error::{Result, refuse};

/// The flags of one instruction. Each is taken once; [`finish`](Self::finish) refuses what is left.
pub(super) struct Flags {
    left: Vec<(String, Option<String>)>,
    known: Vec<&'static str>,
}

impl Flags {
    /// Splits the flags into names and values.
    pub fn of(raw: &Raw) -> Result<Self> {
        let split = |flag: &String| {
            let flag = flag.strip_prefix("--").unwrap_or(flag);
            match flag.split_once('=') {
                Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                None => (flag.to_owned(), None),
            }
        };
        Ok(Flags { left: raw.flags.iter().map(split).collect(), known: Vec::new() })
    }

    fn take(&mut self, name: &'static str) -> Result<Option<Option<String>>> {
        self.known.push(name);
        let Some(at) = self.left.iter().position(|(other, _)| other == name) else { return Ok(None) };
        let (_, value) = self.left.remove(at);
        match self.left.iter().any(|(other, _)| other == name) {
            true => refuse(format!("duplicate flag specified: --{name}")),
            false => Ok(Some(value)),
        }
    }

    /// The value of a flag that has one.
    pub fn text(&mut self, name: &'static str) -> Result<Option<String>> {
        match self.take(name)? {
            Some(None) => refuse(format!("missing a value on flag: --{name}")),
            Some(value) => Ok(value),
            None => Ok(None),
        }
    }

    /// All values of a flag that may come again.
    pub fn texts(&mut self, name: &'static str) -> Result<Vec<String>> {
        self.known.push(name);
        let mut values = Vec::new();
        while let Some(at) = self.left.iter().position(|(other, _)| other == name) {
            match self.left.remove(at) {
                (_, Some(value)) => values.push(value),
                (_, None) => return refuse(format!("missing a value on flag: --{name}")),
            }
        }
        Ok(values)
    }

    /// A flag that is true when it is given alone.
    pub fn boolean(&mut self, name: &'static str) -> Result<Option<bool>> {
        let Some(value) = self.take(name)? else { return Ok(None) };
        let Some(value) = value else { return Ok(Some(true)) };
        match value.to_lowercase().as_str() {
            "" => refuse(format!("missing a value on flag: --{name}")),
            "true" => Ok(Some(true)),
            "false" => Ok(Some(false)),
            _ => refuse(format!("expecting boolean value for flag --{name}, not: {value}")),
        }
    }

    /// Refuses a flag that nobody took.
    pub fn finish(self) -> Result<()> {
        match self.left.first() {
            Some((name, _)) => refuse(format!("unknown flag: --{name}{}", suggestion(name, &self.known))),
            None => Ok(()),
        }
    }
}
