//! Volumes, as `volume ls` and `system df -v` show them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use engine::df::VolumeUsage;
use engine::volumes::VolumeSummary;
use model::size;

use super::joined;
use crate::output::listing::{Cell, Column, Named, Row};

/// A volume.
#[derive(Debug)]
pub struct VolumeRow {
    name: String,
    labels: BTreeMap<String, String>,
    mountpoint: PathBuf,
    /// How many containers use it, and bytes in it, if that was found out.
    usage: Option<(usize, u64)>,
}

/// The formats of `volume ls` that have a name.
pub const NAMED: Named = Named {
    table: r"{{.Driver}}\t{{.Name}}",
    quiet: "{{.Name}}",
    raw: "name: {{.Name}}\ndriver: {{.Driver}}\n",
    raw_quiet: "name: {{.Name}}",
};

/// The table of `system df -v`.
pub const NAMED_FOR_USAGE: Named =
    Named { table: r"{{.Name}}\t{{.Links}}\t{{.Size}}", quiet: "{{.Name}}", raw: "", raw_quiet: "" };

/// What Docker shows where it did not look.
const NOT_KNOWN: &str = "N/A";

impl VolumeRow {
    /// The row of a volume of `volume ls`.
    pub fn listed(volume: VolumeSummary) -> Self {
        Self {
            name: volume.name.to_string(),
            labels: volume.labels.unwrap_or_default(),
            mountpoint: volume.mountpoint,
            usage: None,
        }
    }

    /// The row of a volume of `system df`.
    pub fn used(volume: VolumeUsage) -> Self {
        Self {
            name: volume.name,
            labels: volume.labels,
            mountpoint: volume.mountpoint,
            usage: Some((volume.links, volume.size)),
        }
    }
}

impl Row for VolumeRow {
    const TYPE: &'static str = "*formatter.volumeContext";
    const COLUMNS: &'static [Column<Self>] = &[
        Column { name: "Availability", header: "AVAILABILITY", value: Cell::Text(|_| NOT_KNOWN.to_owned()) },
        Column { name: "Driver", header: "DRIVER", value: Cell::Text(|_| "local".to_owned()) },
        Column { name: "Group", header: "GROUP", value: Cell::Text(|_| NOT_KNOWN.to_owned()) },
        Column { name: "Labels", header: "LABELS", value: Cell::Text(|row| joined(&row.labels)) },
        Column { name: "Label", header: "", value: Cell::Labels(|row| row.labels.clone()) },
        Column {
            name: "Links",
            header: "LINKS",
            value: Cell::Text(|row| row.usage.map_or(NOT_KNOWN.to_owned(), |(links, _)| links.to_string())),
        },
        Column {
            name: "Mountpoint",
            header: "MOUNTPOINT",
            value: Cell::Text(|row| row.mountpoint.display().to_string()),
        },
        Column { name: "Name", header: "VOLUME NAME", value: Cell::Text(|row| row.name.clone()) },
        Column { name: "Scope", header: "SCOPE", value: Cell::Text(|_| "local".to_owned()) },
        Column {
            name: "Size",
            header: "SIZE",
            value: Cell::Text(|row| row.usage.map_or(NOT_KNOWN.to_owned(), |(_, bytes)| size::human(bytes))),
        },
        Column { name: "Status", header: "STATUS", value: Cell::Text(|_| NOT_KNOWN.to_owned()) },
    ];
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::listing::Listing;

    fn list(format: &str) -> String {
        let row = VolumeRow {
            name: "data".into(),
            labels: BTreeMap::from([("a".into(), "b".into())]),
            mountpoint: "/root/volumes/data/_data".into(),
            usage: None,
        };
        Listing::parse(format, false, &NAMED).unwrap().render([row]).unwrap()
    }

    #[test]
    fn the_table_is_dockers() {
        assert_eq!(list(""), "DRIVER    VOLUME NAME\nlocal     data\n");
    }

    #[test]
    fn json_has_dockers_fields() {
        assert_eq!(
            list("json"),
            "{\"Availability\":\"N/A\",\"Driver\":\"local\",\"Group\":\"N/A\",\"Labels\":\"a=b\",\"Links\":\"N/A\",\"Mountpoint\":\"/root/volumes/data/_data\",\"Name\":\"data\",\"Scope\":\"local\",\"Size\":\"N/A\",\"Status\":\"N/A\"}\n"
        );
    }
}
