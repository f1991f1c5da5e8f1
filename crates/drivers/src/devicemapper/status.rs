//! The lines of `info`, in the words and the order of Docker 20.10 (moby.md §9.7).

use std::path::{Path, PathBuf};

use model::size::human;
use sys::block;

use super::ThinDevices;
use super::metadata::BASE;
use super::pool::{Pool, Usage};
use crate::Result;

impl ThinDevices {
    /// Makes nothing: of a pool that was never used there is little to say.
    pub(super) fn status_lines(&self) -> Result<Vec<(String, String)>> {
        let mut lines = Lines(vec![("Pool Name".to_owned(), self.pool_name())]);
        let base = self.metadata.device(BASE)?;
        let pool = if base.is_some() { Some(self.pool()?) } else { None };
        let usage = pool.as_ref().map(|pool| pool.usage()).transpose()?;
        let parts = pool.as_ref().map(|pool| Parts::of(pool)).transpose()?.unwrap_or_default();
        if let Some(usage) = usage {
            lines.size("Pool Blocksize", usage.block);
        } else {
            lines.size("Pool Blocksize", u64::from(self.options.block_sectors) * 512);
        }
        lines.size("Base Device Size", base.map_or(self.options.base_size.0, |base| base.size));
        lines.text("Backing Filesystem", self.metadata.set()?.base_fs);
        lines.text("Udev Sync Supported", "true");
        if let Some(usage) = usage {
            parts.lines(&mut lines);
            self.space(&usage, &parts, &mut lines);
        }
        lines.text("Deferred Removal Enabled", self.options.deferred_removal.to_string());
        lines.text("Deferred Deletion Enabled", self.options.deferred_deletion.to_string());
        let deleted = self.published()?.iter().filter(|(_, device)| device.deleted).count();
        lines.text("Deferred Deleted Device Count", deleted.to_string());
        if let Some(pool) = pool {
            // Docker names its library here; this is the kernel's part, which there is no other of.
            let [major, minor, patch] = pool.control.version()?;
            lines.text("Library Version", format!("{major}.{minor}.{patch} (kernel)"));
        }
        Ok(lines.0)
    }

    fn space(&self, usage: &Usage, parts: &Parts, lines: &mut Lines) {
        for (what, (used, all), block, part) in [
            ("Data", usage.data, usage.block, &parts.data),
            ("Metadata", usage.metadata, 4096, &parts.metadata),
        ] {
            // A sparse file has no more room than its file system.
            let free = (all - used.min(all)) * block;
            let free = part.file.as_deref().and_then(available).map_or(free, |room| room.min(free));
            lines.size(&format!("{what} Space Used"), used * block);
            lines.size(&format!("{what} Space Total"), all * block);
            lines.size(&format!("{what} Space Available"), free);
        }
        lines.size("Thin Pool Minimum Free Space", usage.data.1 * self.options.min_free / 100 * usage.block);
    }
}

/// What the pool is made of.
#[derive(Default)]
struct Parts {
    data: Part,
    metadata: Part,
}

#[derive(Default)]
struct Part {
    device: Option<PathBuf>,
    file: Option<PathBuf>,
}

impl Parts {
    /// From the table: `METADATA DATA …`, as `major:minor`.
    fn of(pool: &Pool) -> Result<Self> {
        let text = pool.control.table(&pool.name)?.map(|target| target.text).unwrap_or_default();
        let mut words = text.split(' ').map(|word| {
            let (major, minor) = word.split_once(':')?;
            Some((major.parse().ok()?, minor.parse().ok()?))
        });
        let mut part = || match words.next().flatten() {
            Some(numbers) => Part { device: block::node(numbers).ok(), file: block::backing_file(numbers) },
            None => Part::default(),
        };
        let metadata = part();
        Ok(Self { data: part(), metadata })
    }

    fn lines(&self, lines: &mut Lines) {
        let parts = [("Data", &self.data), ("Metadata", &self.metadata)];
        for (what, part) in parts {
            let device = part.device.as_ref().map(|path| path.display().to_string());
            lines.text(&format!("{what} file"), device.unwrap_or_default());
        }
        for (what, part) in parts {
            if let Some(file) = &part.file {
                lines.text(&format!("{what} loop file"), file.display().to_string());
            }
        }
    }
}

fn available(file: &Path) -> Option<u64> {
    sys::process::fs_info(file).ok().map(|info| info.available)
}

struct Lines(Vec<(String, String)>);

impl Lines {
    fn text(&mut self, name: &str, value: impl Into<String>) {
        self.0.push((name.to_owned(), value.into()));
    }

    fn size(&mut self, name: &str, bytes: u64) {
        self.text(name, human(bytes));
    }
}
