//! The tree of a container as an archive.

use std::io::Write;
use std::path::Path;

use model::ContainerId;
use model::progress::{Phase, Progress};

use crate::copy::{ToArchive, walk};
use crate::{Engine, Error, Result};

impl Engine {
    /// Writes the container's whole tree as a tar archive, its init layer included, as Docker does: entries in the
    /// order of names, none for the root, no sockets, no volumes. The same tree gives the same bytes. Takes no mount,
    /// and may be done while the container is mounted.
    ///
    /// # Errors
    /// A file that changes while it is being read: `out` then has a part of the archive.
    pub fn export(
        &self,
        container: &ContainerId,
        out: &mut dyn Write,
        progress: &dyn Progress,
    ) -> Result<()> {
        self.with_container(container, || self.export_tree(container, out, progress))
    }

    fn export_tree(
        &self,
        container: &ContainerId,
        out: &mut dyn Write,
        progress: &dyn Progress,
    ) -> Result<()> {
        let tree = self.container_tree(container)?.into_layers();
        let item = container.short();
        progress.start(&item, Phase::Writing, None);
        let mut archive = ToArchive::new(
            Counted { out, count: |bytes| progress.advance(&item, bytes) },
            self.id_map().is_some(),
        );
        walk(&tree, Path::new(""), b"", &mut archive)?;
        archive.finish()?.flush().map_err(Error::io("write", "archive"))?;
        progress.finish(&item);
        Ok(())
    }
}

/// Tells how much was written.
struct Counted<'a, F> {
    out: &'a mut dyn Write,
    count: F,
}

impl<F: FnMut(u64)> Write for Counted<'_, F> {
    fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
        let n = self.out.write(buf)?;
        (self.count)(n as u64);
        Ok(n)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.out.flush()
    }
}
