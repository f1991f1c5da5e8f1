//! The file `record`: from where to where, and how far it has come.

use std::path::Path;

use sys::OwnedFd;

use crate::error::{Error, Result};
use crate::finding::Damage;
use crate::root::PRIVATE;
use crate::small::{find_text, os};

const FILE: &str = "record";

/// What a migration is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationRecord {
    /// The driver that had the store.
    pub from: Side,
    /// The driver that gets it.
    pub to: Side,
    /// How far it has come.
    pub state: MigrationState,
}

/// One of the two drivers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Side {
    /// Its name.
    pub driver: String,
    /// Its options, `key=value` each.
    pub options: Vec<String>,
}

/// How far a migration has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MigrationState {
    /// Layers are being moved. The store is the old driver's.
    Moving,
    /// The store is the new driver's, but not everything is in its place yet.
    Switched,
    /// What the old driver had is still there.
    Removing,
}

impl MigrationState {
    const ALL: [Self; 3] = [Self::Moving, Self::Switched, Self::Removing];

    fn word(self) -> &'static str {
        match self {
            Self::Moving => "moving",
            Self::Switched => "switched",
            Self::Removing => "removing",
        }
    }
}

impl MigrationRecord {
    pub(super) fn find(dir: &OwnedFd) -> Result<Option<Self>> {
        let Some(text) = find_text(dir, FILE)? else { return Ok(None) };
        let path = || Path::new(PRIVATE).join(super::DIR).join(FILE);
        let damage = || Damage::invalid(FILE, "it does not say what is migrated");
        Self::parse(&text).map(Some).ok_or_else(|| Error::BrokenFile { path: path(), damage: damage() })
    }

    pub(super) fn write(&self, dir: &OwnedFd) -> Result<()> {
        Ok(sys::atomic::replace(dir, os(FILE), 0o600, self.to_text().as_bytes())?)
    }

    fn parse(text: &str) -> Option<Self> {
        let all = |key: &str| {
            let lines = text.lines().filter_map(|line| line.split_once(' '));
            lines.filter(|(k, _)| *k == key).map(|(_, value)| value.to_owned()).collect::<Vec<_>>()
        };
        let one = |key: &str| all(key).pop();
        let side = |key: &str| Some(Side { driver: one(key)?, options: all(&format!("{key}-option")) });
        let state = one("state")?;
        let state = MigrationState::ALL.into_iter().find(|known| known.word() == state)?;
        Some(Self { from: side("from")?, to: side("to")?, state })
    }

    fn to_text(&self) -> String {
        let mut text = format!("state {}\n", self.state.word());
        for (key, side) in [("from", &self.from), ("to", &self.to)] {
            text += &format!("{key} {}\n", side.driver);
            text.extend(side.options.iter().map(|option| format!("{key}-option {option}\n")));
        }
        text
    }

    /// Whether it leads the same way, and has not come to its end.
    pub(super) fn leads_as(&self, wanted: &Self) -> bool {
        let same = |a: &Side, b: &Side| a.driver == b.driver;
        self.state == wanted.state && same(&self.from, &wanted.from) && same(&self.to, &wanted.to)
    }

    /// What to do about an interrupted migration.
    pub fn advice(&self) -> String {
        let (from, to) = (&self.from.driver, &self.to.driver);
        match self.state {
            MigrationState::Moving => format!(
                "a migration from {from} to {to} was interrupted: `system migrate --to {to}` goes on with it, \
                 `system migrate --abandon` takes it back"
            ),
            MigrationState::Switched | MigrationState::Removing => {
                format!("what the storage driver {from} had before the migration to {to} is not removed yet")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_reads_back_and_half_a_one_does_not() {
        for state in MigrationState::ALL {
            let from = Side { driver: "overlay2".into(), options: Vec::new() };
            let options = vec!["zfs.fsname=tank/a b".into(), "size=1".into()];
            let record = MigrationRecord { from, to: Side { driver: "zfs".into(), options }, state };
            let text = record.to_text();
            assert_eq!(MigrationRecord::parse(&text), Some(record));
            assert_eq!(MigrationRecord::parse(&text[..text.find("to ").unwrap()]), None);
        }
    }
}
