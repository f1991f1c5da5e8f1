//! Containers that are mounted.

use std::path::PathBuf;
use std::rc::Rc;

use model::ContainerId;

use super::Show;
use crate::output::listing::{Cell, Column, Named, Row};

/// A mounted container.
#[derive(Debug)]
pub struct MountRow {
    /// The container.
    pub id: ContainerId,
    /// Where its tree is.
    pub path: PathBuf,
    /// How to show it.
    pub show: Rc<Show>,
}

/// The formats that have a name; plain, it is the list that `podman mount` prints.
pub const NAMED: Named =
    Named { table: r"{{.ID}}\t{{.MountPoint}}", quiet: "{{.ID}}  {{.MountPoint}}", raw: "", raw_quiet: "" };

impl Row for MountRow {
    const TYPE: &'static str = "mount";
    const COLUMNS: &'static [Column<Self>] = &[
        Column {
            name: "ID",
            header: "CONTAINER ID",
            value: Cell::Text(|row| row.show.container_id(&row.id)),
        },
        Column {
            name: "MountPoint",
            header: "MOUNT POINT",
            value: Cell::Text(|row| row.path.display().to_string()),
        },
    ];
}
