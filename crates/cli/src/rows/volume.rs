//! Volumes, as `system df -v` shows them.

use engine::df::VolumeUsage;
use model::size;

use crate::output::listing::{Cell, Column, Named, Row};

/// A volume.
#[derive(Debug)]
pub struct VolumeRow(pub VolumeUsage);

/// The formats that have a name.
pub const NAMED: Named =
    Named { table: r"{{.Name}}\t{{.Links}}\t{{.Size}}", quiet: "{{.Name}}", raw: "", raw_quiet: "" };

impl Row for VolumeRow {
    const TYPE: &'static str = "*formatter.volumeContext";
    const COLUMNS: &'static [Column<Self>] = &[
        Column { name: "Name", header: "VOLUME NAME", value: Cell::Text(|row| row.0.name.clone()) },
        Column { name: "Links", header: "LINKS", value: Cell::Text(|row| row.0.links.to_string()) },
        Column { name: "Size", header: "SIZE", value: Cell::Text(|row| size::human(row.0.size)) },
    ];
}
