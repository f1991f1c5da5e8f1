//! Containers.

use std::rc::Rc;

use engine::containers::ContainerSummary;
use model::Reference;

use super::{Show, joined, quoted, short_size};
use crate::output::listing::{Cell, Column, Named, Row};

/// A container.
#[derive(Debug)]
pub struct ContainerRow {
    container: ContainerSummary,
    show: Rc<Show>,
}

/// The formats that have a name.
pub const NAMED: Named = Named {
    table: r"{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}",
    quiet: "{{.ID}}",
    raw: "container_id: {{.ID}}\nimage: {{.Image}}\ncommand: {{.Command}}\ncreated_at: {{.CreatedAt}}\nstate: {{- pad .State 1 0}}\nstatus: {{- pad .Status 1 0}}\nnames: {{.Names}}\nlabels: {{- pad .Labels 1 0}}\nports: {{- pad .Ports 1 0}}\n",
    raw_quiet: "container_id: {{.ID}}",
};

/// The same with `--size`.
pub const NAMED_WITH_SIZE: Named = Named {
    table: r"{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}\t{{.Size}}",
    raw: "container_id: {{.ID}}\nimage: {{.Image}}\ncommand: {{.Command}}\ncreated_at: {{.CreatedAt}}\nstate: {{- pad .State 1 0}}\nstatus: {{- pad .Status 1 0}}\nnames: {{.Names}}\nlabels: {{- pad .Labels 1 0}}\nports: {{- pad .Ports 1 0}}\nsize: {{.Size}}\n",
    ..NAMED
};

/// The table of `system df -v`.
pub const NAMED_FOR_USAGE: Named = Named {
    table: r"{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.LocalVolumes}}\t{{.Size}}\t{{.RunningFor}}\t{{.Status}}\t{{.Names}}",
    ..NAMED
};

impl ContainerRow {
    /// The row of a container.
    pub fn new(container: ContainerSummary, show: &Rc<Show>) -> Self {
        Self { container, show: Rc::clone(show) }
    }

    fn names(&self) -> String {
        let names = &self.container.names;
        // Cut, it is the first name of the container's own; `--link` of old gave it others, `web/db`.
        if self.show.trunc {
            names.iter().find(|name| !name.contains('/')).cloned().unwrap_or_default()
        } else {
            names.join(",")
        }
    }

    fn image(&self) -> String {
        let image = &self.container.image;
        if image.is_empty() {
            return "<no image>".to_owned();
        }
        if !self.show.trunc {
            return image.clone();
        }
        let short = self.container.image_id.map(|id| id.short()).unwrap_or_default();
        if image.strip_prefix("sha256:").unwrap_or(image).get(..12) == Some(short.as_str()) {
            return short;
        }
        match Reference::parse(image) {
            Ok(name) if name.digest().is_none() => name.familiar(),
            Ok(name) => {
                let bare = name.without_tag_and_digest();
                name.tag().and_then(|tag| bare.with_tag(tag).ok()).unwrap_or(bare).familiar()
            }
            Err(_) => image.clone(),
        }
    }

    fn size(&self) -> String {
        let own = short_size(self.container.size_rw.unwrap_or(0));
        match self.container.size_root_fs {
            Some(all) if all > 0 => format!("{own} (virtual {})", short_size(all)),
            _ => own,
        }
    }

    fn mounts(&self) -> String {
        self.container.mounts.iter().map(|mount| self.show.cut(&mount.name, 15)).collect::<Vec<_>>().join(",")
    }
}

impl Row for ContainerRow {
    const TYPE: &'static str = "*formatter.ContainerContext";
    const COLUMNS: &'static [Column<Self>] = &[
        Column {
            name: "ID",
            header: "CONTAINER ID",
            value: Cell::Text(|row| row.show.container_id(&row.container.id)),
        },
        Column { name: "Names", header: "NAMES", value: Cell::Text(Self::names) },
        Column { name: "Image", header: "IMAGE", value: Cell::Text(Self::image) },
        Column {
            name: "Command",
            header: "COMMAND",
            value: Cell::Text(|row| quoted(&row.show.cut(&row.container.command, 20))),
        },
        Column {
            name: "CreatedAt",
            header: "CREATED AT",
            value: Cell::Text(|row| row.container.created.in_words(row.show.zone())),
        },
        Column {
            name: "RunningFor",
            header: "CREATED",
            value: Cell::Text(|row| row.show.ago(row.container.created)),
        },
        // There are no networks here.
        Column { name: "Ports", header: "PORTS", value: Cell::Text(|_| String::new()) },
        Column { name: "State", header: "STATE", value: Cell::Text(|row| row.container.state.clone()) },
        Column { name: "Status", header: "STATUS", value: Cell::Text(|row| row.container.status.clone()) },
        Column { name: "Size", header: "SIZE", value: Cell::Text(Self::size) },
        Column { name: "Labels", header: "LABELS", value: Cell::Text(|row| joined(&row.container.labels)) },
        Column { name: "Label", header: "", value: Cell::Labels(|row| row.container.labels.clone()) },
        Column { name: "Mounts", header: "MOUNTS", value: Cell::Text(Self::mounts) },
        Column {
            name: "LocalVolumes",
            header: "LOCAL VOLUMES",
            value: Cell::Text(|row| row.container.local_volumes.to_string()),
        },
        Column {
            name: "Networks",
            header: "NETWORKS",
            value: Cell::Text(|row| row.container.networks.join(",")),
        },
        Column { name: "Platform", header: "PLATFORM", value: Cell::Optional(|_| None) },
    ];
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::listing::Listing;
    use engine::containers::Mounted;
    use jiff::tz::TimeZone;
    use model::{ContainerId, ImageId, Timestamp};
    use std::collections::BTreeMap;

    fn container(image: &str) -> ContainerSummary {
        ContainerSummary {
            id: ContainerId::parse(&"009e6f2d".repeat(8)).unwrap(),
            names: vec!["web/exited".into(), "exited".into()],
            image: image.into(),
            image_id: Some(ImageId::of(b"{}")),
            command: "sh -c 'echo \"out\"; ls'".into(),
            created: Timestamp::from_unix(1_600_000_000, 5),
            state: "exited".into(),
            status: "Exited (7) About a minute ago".into(),
            exit_code: 7,
            labels: BTreeMap::from([("k".into(), "v".into()), ("a".into(), "b".into())]),
            mounts: ["7fa104795b2646158703336a4f", "/etc"]
                .map(|name| Mounted { name: name.into(), destination: "/mnt".into() })
                .into(),
            local_volumes: 1,
            networks: vec!["bridge".into()],
            health: "none".into(),
            exposed: Vec::new(),
            size_rw: Some(6),
            size_root_fs: Some(1_982_340),
        }
    }

    fn list(format: &str, named: &Named, trunc: bool, image: &str) -> String {
        let show = Show { trunc, now: Timestamp::from_unix(1_600_000_090, 0), zone: TimeZone::UTC.into() };
        let row = ContainerRow::new(container(image), &Rc::new(show));
        Listing::parse(format, false, named).unwrap().render([row]).unwrap()
    }

    #[test]
    fn the_table_is_dockers() {
        assert_eq!(
            list("", &NAMED_WITH_SIZE, true, "busybox:1"),
            "\
CONTAINER ID   IMAGE       COMMAND                    CREATED              STATUS                          PORTS     NAMES     SIZE
009e6f2d009e   busybox:1   \"sh -c 'echo \\\"out\\\"; …\"   About a minute ago   Exited (7) About a minute ago             exited    6B (virtual 1.98MB)
"
        );
    }

    #[test]
    fn json_has_dockers_fields() {
        assert_eq!(
            list("json", &NAMED, true, "busybox:1"),
            r#"{"Command":"\"sh -c 'echo \\\"out\\\"; …\"","CreatedAt":"2020-09-13 12:26:40 +0000 UTC","ID":"009e6f2d009e","Image":"busybox:1","Labels":"a=b,k=v","LocalVolumes":"1","Mounts":"7fa104795b2646…,/etc","Names":"exited","Networks":"bridge","Platform":null,"Ports":"","RunningFor":"About a minute ago","Size":"6B (virtual 1.98MB)","State":"exited","Status":"Exited (7) About a minute ago"}
"#
        );
    }

    #[test]
    fn names_are_whole_without_cutting() {
        assert_eq!(
            list("{{.Names}} {{.Mounts}}", &NAMED, false, "x"),
            "web/exited,exited 7fa104795b2646158703336a4f,/etc\n"
        );
    }

    #[test]
    fn images_are_shown_short() {
        let id = ImageId::of(b"{}");
        let digest = format!("@{id}");
        for (image, shown) in [
            ("", "<no image>"),
            ("docker.io/library/busybox:1", "busybox:1"),
            (&id.to_string(), "44136fa355b3"),
            (&id.hex()[..20], "44136fa355b3"),
            (&format!("a/b{digest}"), "a/b"),
            (&format!("a/b:1{digest}"), "a/b:1"),
            ("Not A Name", "Not A Name"),
        ] {
            assert_eq!(list("{{.Image}}", &NAMED, true, image), format!("{shown}\n"));
        }
    }
}
