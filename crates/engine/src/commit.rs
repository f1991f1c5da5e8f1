//! Makes an image of a container.

use std::io::{BufWriter, Write};

use model::config::Commit;
use model::progress::Silent;
use model::{ContainerId, DiffId, ImageId, Platform, Reference};

use crate::{Engine, Error, Result, VERSION, now};

/// What the new image shall say.
#[derive(Debug, Clone, Default)]
pub struct CommitOptions {
    /// Its name.
    pub reference: Option<Reference>,
    /// Who made it.
    pub author: String,
    /// Why.
    pub message: String,
    /// Dockerfile instructions to apply to the configuration.
    pub changes: Vec<String>,
}

impl Engine {
    /// Makes an image of the container's image and the container's changes. A container that changed nothing adds no
    /// layer. Durable when this returns.
    pub fn commit(&self, container: &ContainerId, options: &CommitOptions) -> Result<ImageId> {
        self.with_container(container, || self.attempt(|| self.commit_container(container, options)))
    }

    fn commit_container(&self, container: &ContainerId, options: &CommitOptions) -> Result<ImageId> {
        let document = self.store.containers().get(container)?;
        let mount = self.store.mounts().get(container)?;
        let parent_id = document.image();
        let parent = parent_id.map(|id| self.store.images().get(&id)).transpose()?;
        let below = mount.parent.map(|chain| self.store.layers().get(&chain)).transpose()?;

        let container_config = document.config();
        let mut config = container_config.clone();
        dockerfile::changes::apply(&mut config, &options.changes)?;
        config.inherit(container_config);

        let work = self.store.begin()?;
        let mut layers = self.new_layers(&work)?;
        // The driver writes the changes as an archive, and the archive is unpacked as a new layer: one way for all
        // drivers, and the layer is what a load of it would give.
        let (reader, writer) =
            std::io::pipe().map_err(Error::io("make a pipe for", "the container's changes"))?;
        let (written, unpacked) = std::thread::scope(|scope| {
            let producer = scope.spawn(move || self.write_diff(&mount, writer));
            let unpacked = layers.unpack("of the container", Box::new(reader), None, below.as_ref(), &Silent);
            (producer.join().unwrap_or_else(|_| Err(Error::thread("writing", "the changes"))), unpacked)
        });
        // A failed unpack closes the pipe, which the other side sees as an error, too: the first cause counts.
        let layer = match (written, unpacked) {
            (Err(e), Ok(_)) => return Err(e),
            (_, unpacked) => unpacked?.unwrap_or(DiffId::EMPTY),
        };
        let host = Platform::host();
        let image = Commit {
            parent: parent.as_ref(),
            layer,
            container,
            container_config,
            config: &config,
            author: &options.author,
            comment: &options.message,
            created: now(),
            docker_version: VERSION,
            platform: &host,
        };
        let image = image.author()?;
        let id = self.publish_image(&work, layers, &image, options.reference.as_ref(), |lock, id| {
            self.store.images().set_built_locally(lock, id)?;
            if let Some(parent) = &parent_id {
                self.store.images().set_parent(lock, id, parent)?;
            }
            Ok(())
        })?;
        work.finish()?;
        Ok(id)
    }

    fn write_diff(&self, mount: &store::MountRecord, out: impl Write) -> Result<()> {
        let mut out = BufWriter::with_capacity(256 << 10, out);
        let parent = self.mount_parent(mount)?;
        self.driver.diff(&mount.mount_id.into(), parent.as_ref(), &mut out)?;
        out.flush().map_err(Error::io("write", "the container's changes"))
    }
}
