//! The image of a container that is created: pulled if it is not there.

use engine::Engine;
use engine::create::{CreateOptions, Created};
use engine::pull::PullOptions;
use model::Reference;

use super::ContainerOptions;
use crate::context::Context;
use crate::output::failure::Failure;
use crate::output::{progress, stdout};
use crate::registry::Servers;

/// When the image is pulled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Pull {
    Always,
    Missing,
    Never,
}

impl ContainerOptions {
    /// Creates the container that [`create`](Self::create) described, and tells what the user should know of it.
    ///
    /// # Errors
    /// The engine's; what there is against a pull.
    pub fn create_in(
        &self,
        engine: &Engine,
        context: &Context,
        options: &CreateOptions,
    ) -> Result<Created, Failure> {
        let mut options = options.clone();
        let asked = !self.log_driver.is_empty();
        context.config()?.complete_logging(asked, &mut options.host.log_config);
        options.selinux = context.config()?.selinux_enabled;
        let options = &options;
        if self.pull == Pull::Always {
            self.pull(engine, context, &options.image)?;
        }
        let created = match engine.create(options) {
            Err(engine::Error::NoSuchImage(_)) if self.pull == Pull::Missing => {
                let name = Reference::parse(&options.image).map_err(Failure::plain)?.with_default_tag();
                if !self.quiet {
                    stdout::complain(format_args!("Unable to find image '{}' locally", name.familiar()));
                }
                self.pull(engine, context, &options.image)?;
                engine.create(options)?
            }
            other => other?,
        };
        created.warnings.iter().for_each(|warning| stdout::complain(format_args!("WARNING: {warning}")));
        Ok(created)
    }

    fn pull(&self, engine: &Engine, context: &Context, image: &str) -> Result<(), Failure> {
        let name = Reference::parse(image).map_err(Failure::plain)?.with_default_tag();
        let connection = Servers::default().connect(context)?;
        let options = PullOptions { platform: self.platform.clone(), ..connection.pull_options() };
        let shown = progress::of_pull_on_stderr(self.quiet);
        let pulled = engine.pull(&connection.client, &name, &options, &*shown);
        // The bars go before anything else is said.
        drop(shown);
        connection.client.take_warnings().iter().for_each(stdout::complain);
        let pulled = pulled?;
        if !self.quiet {
            let status = if pulled.is_new { "Downloaded newer image for" } else { "Image is up to date for" };
            stdout::complain(format_args!("Status: {status} {}", name.familiar()));
        }
        pulled.warning.iter().for_each(stdout::complain);
        Ok(())
    }
}
