//! Blobs that pulls kept, compared with their digests.

use std::io::Read;

use archive::digest::HashReader;
use model::Digest;
use model::progress::Phase;

use super::{Check, Finding, REPAIR};
use crate::{Error, Result};

impl Check<'_> {
    /// Looks for kept blobs that have changed. A push would send them, and fail.
    pub(super) fn blobs(&mut self) -> Result<()> {
        for (digest, size) in self.engine.store.blobs().list()? {
            let Some((file, _)) = self.engine.store.blobs().find(&digest)? else { continue };
            let item = digest.short();
            self.progress.start(&item, Phase::Verifying, Some(size));
            let mut reader = HashReader::new(file);
            let mut buf = vec![0; 256 << 10];
            loop {
                match reader.read(&mut buf).map_err(Error::io("read", format!("blob {digest}")))? {
                    0 => break,
                    n => self.progress.advance(&item, n as u64),
                }
            }
            self.progress.finish(&item);
            let (_, found, bytes) = reader.finish();
            self.report.bytes += bytes;
            if Digest::from(found) == digest {
                continue;
            }
            let finding = Finding {
                kind: "changed-blob",
                subject: self.engine.store.blobs().path(&digest).display().to_string(),
                message: "the kept blob is not what its name says".to_owned(),
                affects: Vec::new(),
                advice: format!("{REPAIR}: it is removed, and compressed anew when it is pushed"),
                harmful: true,
                repaired: false,
            };
            self.found(finding, |engine| {
                engine.store.blobs().remove(&digest)?;
                Ok(true)
            })?;
        }
        Ok(())
    }
}
