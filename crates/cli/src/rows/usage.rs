//! What takes the space, a row for each kind of thing.

use engine::df::DiskUsage;
use model::size;

use crate::output::listing::{Cell, Column, Named, Row};

/// A kind of thing.
#[derive(Debug, PartialEq, Eq)]
pub struct UsageRow {
    kind: &'static str,
    total: usize,
    active: usize,
    size: u64,
    reclaimable: u64,
    /// Whether the part that can be reclaimed is shown in percent, too.
    percent: bool,
}

/// The formats that have a name.
pub const NAMED: Named = Named {
    table: r"{{.Type}}\t{{.TotalCount}}\t{{.Active}}\t{{.Size}}\t{{.Reclaimable}}",
    quiet: "{{.Type}}",
    raw: "type: {{.Type}}\ntotal: {{.TotalCount}}\nactive: {{.Active}}\nsize: {{.Size}}\nreclaimable: {{.Reclaimable}}\n",
    raw_quiet: "{{.Type}}",
};

impl UsageRow {
    /// Docker's four kinds, and what Docker has not if there is some: compressed layers that were kept, and garbage that
    /// Docker does not find when it prunes.
    pub fn all(usage: &DiskUsage) -> Vec<Self> {
        let nothing = |kind| Self { kind, total: 0, active: 0, size: 0, reclaimable: 0, percent: false };
        let cache = &usage.build_cache;
        let build_cache = Self {
            total: cache.snapshots,
            size: cache.size,
            reclaimable: cache.size,
            ..nothing("Build Cache")
        };
        let mut rows = vec![Self::images(usage), Self::containers(usage), Self::volumes(usage), build_cache];
        if usage.blobs.count > 0 {
            let (total, size) = (usage.blobs.count, usage.blobs.size);
            rows.push(Self { total, size, reclaimable: size, percent: true, ..nothing("Kept Blobs") });
        }
        if usage.garbage > 0 {
            let (size, reclaimable) = (usage.garbage, usage.garbage);
            rows.push(Self { size, reclaimable, percent: true, ..nothing("Garbage") });
        }
        rows
    }

    /// What containers stand on stays. (Docker shows shared layers as reclaimable even then, moby.md §12.4.)
    fn images(usage: &DiskUsage) -> Self {
        let used = usage.images.iter().filter(|image| image.containers.is_some_and(|count| count > 0));
        Self {
            kind: "Images",
            total: usage.images.len(),
            active: used.count(),
            size: usage.layers_size,
            reclaimable: usage.layers_size.saturating_sub(usage.layers_active),
            percent: true,
        }
    }

    fn containers(usage: &DiskUsage) -> Self {
        let is_active = |state: &str| matches!(state, "running" | "paused" | "restarting");
        let (active, stopped): (Vec<_>, Vec<_>) =
            usage.containers.iter().partition(|container| is_active(&container.state));
        let reclaimable: u64 = stopped.iter().filter_map(|container| container.size_rw).sum();
        Self {
            kind: "Containers",
            total: usage.containers.len(),
            active: active.len(),
            size: reclaimable + active.iter().filter_map(|container| container.size_rw).sum::<u64>(),
            reclaimable,
            percent: true,
        }
    }

    fn volumes(usage: &DiskUsage) -> Self {
        let unused = usage.volumes.iter().filter(|volume| volume.links == 0);
        Self {
            kind: "Local Volumes",
            total: usage.volumes.len(),
            active: usage.volumes.len() - unused.clone().count(),
            size: usage.volumes.iter().map(|volume| volume.size).sum(),
            reclaimable: unused.map(|volume| volume.size).sum(),
            percent: true,
        }
    }

    fn reclaimable(&self) -> String {
        let bytes = size::human(self.reclaimable);
        if !self.percent || self.size == 0 {
            return bytes;
        }
        format!("{bytes} ({}%)", u128::from(self.reclaimable) * 100 / u128::from(self.size))
    }
}

impl Row for UsageRow {
    const TYPE: &'static str = "*formatter.diskUsageImagesContext";
    const COLUMNS: &'static [Column<Self>] = &[
        Column { name: "Type", header: "TYPE", value: Cell::Text(|row| row.kind.to_owned()) },
        Column { name: "TotalCount", header: "TOTAL", value: Cell::Text(|row| row.total.to_string()) },
        Column { name: "Active", header: "ACTIVE", value: Cell::Text(|row| row.active.to_string()) },
        Column { name: "Size", header: "SIZE", value: Cell::Text(|row| size::human(row.size)) },
        Column { name: "Reclaimable", header: "RECLAIMABLE", value: Cell::Text(Self::reclaimable) },
    ];
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::listing::Listing;
    use engine::df::{BuildCacheUsage, VolumeUsage};
    use engine::images::ImageSummary;
    use model::ImageId;
    use std::collections::BTreeMap;

    fn list(usage: &DiskUsage) -> String {
        Listing::parse("", false, &NAMED).unwrap().render(UsageRow::all(usage)).unwrap()
    }

    #[test]
    fn an_empty_store_is_dockers_table() {
        assert_eq!(
            list(&DiskUsage::default()),
            "\
TYPE            TOTAL     ACTIVE    SIZE      RECLAIMABLE
Images          0         0         0B        0B
Containers      0         0         0B        0B
Local Volumes   0         0         0B        0B
Build Cache     0         0         0B        0B
"
        );
    }

    #[test]
    fn what_containers_stand_on_stays() {
        let image = |size, shared, containers| ImageSummary {
            id: ImageId::of(b"{}"),
            parent: None,
            tags: Vec::new(),
            digests: Vec::new(),
            created: None,
            size,
            shared_size: Some(shared),
            containers: Some(containers),
            labels: BTreeMap::new(),
        };
        let usage = DiskUsage {
            images: vec![image(3000, 1000, 1), image(1500, 1000, 0)],
            layers_size: 3500,
            layers_active: 3000,
            build_cache: BuildCacheUsage { snapshots: 3, size: 7 },
            volumes: vec![
                VolumeUsage { name: "a".into(), links: 0, size: 6, ..VolumeUsage::default() },
                VolumeUsage { name: "b".into(), links: 2, size: 4, ..VolumeUsage::default() },
            ],
            blobs: engine::df::BlobUsage { count: 2, size: 9 },
            garbage: 10,
            ..DiskUsage::default()
        };
        assert_eq!(
            list(&usage),
            "\
TYPE            TOTAL     ACTIVE    SIZE      RECLAIMABLE
Images          2         1         3.5kB     500B (14%)
Containers      0         0         0B        0B
Local Volumes   2         1         10B       6B (60%)
Build Cache     3         0         7B        7B
Kept Blobs      2         0         9B        9B (100%)
Garbage         0         0         10B       10B (100%)
"
        );
    }
}
