//! What containers use.

use std::rc::Rc;

use engine::run::Sample;
use model::{ContainerId, size};

use super::Show;
use crate::output::listing::{Cell, Column, Named, Row};

/// A container, and what it uses.
#[derive(Debug)]
pub struct StatsRow {
    /// The container.
    pub id: ContainerId,
    /// Its name.
    pub name: String,
    /// Two samples; `None` if it does not run.
    pub samples: Option<(Sample, Sample)>,
    /// How to show it.
    pub show: Rc<Show>,
}

/// The formats that have a name.
pub const NAMED: Named = Named {
    table: r"{{.Container}}\t{{.Name}}\t{{.CPUPerc}}\t{{.MemUsage}}\t{{.MemPerc}}\t{{.NetIO}}\t{{.BlockIO}}\t{{.PIDs}}",
    quiet: "",
    raw: "",
    raw_quiet: "",
};

impl StatsRow {
    /// A value of the later sample; Docker shows two dashes for a container that does not run.
    fn of(&self, value: impl FnOnce(&Sample) -> String) -> String {
        self.samples.as_ref().map_or_else(|| "--".to_owned(), |(_, now)| value(now))
    }

    /// A pair, likewise.
    fn pair(&self, value: impl FnOnce(&Sample) -> (String, String)) -> String {
        let (first, second) = match &self.samples {
            Some((_, now)) => value(now),
            None => ("--".to_owned(), "--".to_owned()),
        };
        format!("{first} / {second}")
    }
}

fn bytes(count: u64) -> String {
    size::human_with_precision(count, 3)
}

fn id(row: &StatsRow) -> String {
    row.show.container_id(&row.id)
}

impl Row for StatsRow {
    const TYPE: &'static str = "*container.statsContext";
    const COLUMNS: &'static [Column<Self>] = &[
        Column {
            name: "BlockIO",
            header: "BLOCK I/O",
            value: Cell::Text(|row| row.pair(|now| (bytes(now.usage.read), bytes(now.usage.written)))),
        },
        Column {
            name: "CPUPerc",
            header: "CPU %",
            value: Cell::Text(|row| match &row.samples {
                Some((before, now)) => format!("{:.2}%", now.processor_since(before)),
                None => "--".to_owned(),
            }),
        },
        Column { name: "Container", header: "CONTAINER ID", value: Cell::Text(id) },
        Column { name: "ID", header: "CONTAINER ID", value: Cell::Text(id) },
        Column {
            name: "MemPerc",
            header: "MEM %",
            value: Cell::Text(|row| row.of(|now| format!("{:.2}%", now.memory_share()))),
        },
        Column {
            name: "MemUsage",
            header: "MEM USAGE / LIMIT",
            value: Cell::Text(|row| {
                row.pair(|now| (size::binary(now.usage.memory), size::binary(now.usage.memory_limit)))
            }),
        },
        Column { name: "Name", header: "NAME", value: Cell::Text(|row| row.name.clone()) },
        Column {
            name: "NetIO",
            header: "NET I/O",
            value: Cell::Text(|row| row.pair(|now| (bytes(now.usage.received), bytes(now.usage.sent)))),
        },
        Column {
            name: "PIDs",
            header: "PIDS",
            value: Cell::Text(|row| row.of(|now| now.usage.pids.to_string())),
        },
    ];
}
