//! Creates containers.

use std::path::Path;

use drivers::LayerKind;
use model::{CacheId, ContainerConfig, ContainerId, ContainerName, HostConfig, MountId, Platform};
use runtime::selinux::{self, Labels, Policy};
use store::{Intent, MountRecord, NewContainer};

use crate::copy::Tree;
use crate::{Engine, Error, Result, init_layer, now};

/// What a container shall be; what is absent comes from the image.
#[derive(Debug, Clone, Default)]
pub struct CreateOptions {
    /// Its name; a random one if absent.
    pub name: Option<String>,
    /// The image, by name or ID.
    pub image: String,
    /// What was asked for; the rest comes from the image. Its entry point is replaced by what is given here, one empty
    /// word removes it. The host name is the short ID if absent, or with the host's network the host's.
    pub config: ContainerConfig,
    /// What it gets from the host. The mode of its cgroup namespace is chosen by the host's cgroups if it is empty.
    pub host: HostConfig,
    /// The platform that the image must be for.
    pub platform: Option<Platform>,
    /// Whether it gets labels where SELinux is enabled, as its security options say.
    pub selinux: bool,
}

/// A new container.
#[derive(Debug, Clone)]
pub struct Created {
    /// Its ID.
    pub id: ContainerId,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// How many random names are tried before one gets digits at its end.
const NAME_ATTEMPTS: u32 = 8;

impl Engine {
    /// Creates a container: its init layer, its writable layer, its documents. Durable when this returns.
    pub fn create(&self, options: &CreateOptions) -> Result<Created> {
        self.attempt(|| self.create_container(options))
    }

    fn create_container(&self, options: &CreateOptions) -> Result<Created> {
        let name =
            options.name.as_deref().filter(|name| !name.is_empty()).map(ContainerName::parse).transpose()?;
        let workdir = options.config.working_dir.as_str();
        if !workdir.is_empty() && !workdir.starts_with('/') {
            let rule = "it needs to be an absolute path";
            return Err(Error::invalid(format!("the working directory '{workdir}' is invalid, {rule}")));
        }
        let size = size_option(&options.host)?;
        let image_id = self.find_image(&options.image)?;
        let image = self.store.images().get(&image_id)?;
        let platform = image.platform();
        let mut warnings = Vec::new();
        check_platform(options, &platform, &mut warnings)?;
        warnings.extend(crate::run::discarded_limits(&options.host, &runtime::Host::probe()?));

        let id = ContainerId::from_random(sys::process::random());
        let config = container_config(options, image.view().config.as_ref(), &id);
        let (path, args) = command(&config)?;
        let labels = if options.selinux { self.labels(&options.host)? } else { Labels::default() };
        let wanted = self.wanted_mounts(&config, &options.host)?;
        let parent = image.chain_id();
        let below = parent.map(|chain| self.store.layers().get(&chain)).transpose()?;

        let work = self.store.begin()?;
        let mount_id = MountId::from_random(sys::process::random());
        work.note(&[Intent::Mount { container: id, mount_id }])?;
        let stage = self.driver.stage()?;
        let workdir = config.working_dir.as_str();
        let prepared =
            self.prepare_container(&stage, &mount_id, below.as_ref().map(|l| &l.cache_id), size, workdir);
        prepared.map_err(|e| self.or_vanished(&below, e))?;
        let tree = Tree::new(self.driver.view(Some(&stage), &mount_id.init().into())?);
        let volumes = self.make_volumes(&work, &id, &wanted, &tree)?;
        let record = MountRecord { mount_id, init_id: Some(mount_id.init()), parent };
        let staged_mount = self.store.mounts().stage(&work, &id, record)?;
        let host = store::HostConfig::of(&host_config(&options.host));
        let created = now();
        let new = |name: &ContainerName| {
            let new = NewContainer {
                id,
                name,
                created,
                path: &path,
                args: &args,
                config: &config,
                image: Some(image_id),
                platform: &platform,
                driver: self.driver.name(),
                network: &options.host.network_mode,
                mounts: &wanted.points,
                process_label: &labels.process,
                mount_label: &labels.mount,
            };
            new.document()
        };
        self.driver.sync_stage(&stage)?;
        if !volumes.is_empty() && sys::meta::of_fd(&stage)?.dev != sys::meta::of_fd(self.store.fd())?.dev {
            self.store.sync()?;
        }

        let lock = self.store.commit()?;
        if !self.store.images().exists(&image_id)? {
            return Err(Error::NoSuchImage(options.image.clone()));
        }
        // Removed and loaded again it would be another directory.
        if let Some(below) = below
            && self.store.layers().find(&below.chain)?.is_none_or(|now| now.cache_id != below.cache_id)
        {
            return Err(Error::LayerVanished(below.chain));
        }
        let name = match name {
            Some(name) => name,
            None => self.random_name()?,
        };
        // Before anything is published that would stay.
        self.store.containers().require_free(&lock, &name, &id)?;
        let staged = self.store.containers().stage(&work, new(&name)?, &host)?;
        staged.sync()?;
        self.driver.publish(&stage, &[mount_id.init().into(), mount_id.into()])?;
        self.store.mounts().publish(&lock, staged_mount)?;
        volumes.publish(self, &lock)?;
        self.store.containers().publish(&lock, staged)?;
        drop(lock);
        stage.remove()?;
        work.finish()?;
        Ok(Created { id, warnings })
    }

    /// Makes the init layer and the writable layer in the stage.
    fn prepare_container(
        &self,
        stage: &drivers::Stage,
        mount_id: &MountId,
        image: Option<&CacheId>,
        size: Option<u64>,
        workdir: &str,
    ) -> Result<()> {
        let init: CacheId = mount_id.init().into();
        let top: CacheId = (*mount_id).into();
        let below = image.map(|id| self.driver.view(None, id)).transpose()?;
        self.driver.prepare(stage, &init, image, LayerKind::Writable { size })?;
        self.apply_archive(stage, &init, &init_layer::archive(below.as_ref())?)?;
        self.driver.prepare(stage, &top, Some(&init), LayerKind::Writable { size })?;
        // As Docker does when it creates a container: the working directory shows in `diff` before the first start.
        if let Some(archive) = init_layer::workdir_archive(workdir, &self.driver.view(Some(stage), &init)?)? {
            self.apply_archive(stage, &top, &archive)?;
        }
        Ok(())
    }

    /// Applies a small archive of our own to a staged layer.
    fn apply_archive(&self, stage: &drivers::Stage, id: &CacheId, archive: &[u8]) -> Result<()> {
        let mut applier = self.driver.applier(stage, id, &self.unpack_options())?;
        let mut parser = archive::tar::Parser::new(self.limits.tar);
        parser.push(archive, &mut applier)?;
        parser.finish(&mut applier)?;
        self.driver.finish(stage, id, applier.finish()?)?;
        Ok(())
    }

    /// The labels of a new container, with categories that no other one has; none where SELinux is not enabled.
    fn labels(&self, host: &HostConfig) -> Result<Labels> {
        let policy = if selinux::is_enabled() { Policy::of_machine(Path::new("/")) } else { None };
        let Some(policy) = policy else { return Ok(Labels::default()) };
        let options = host.security_opt.iter().flatten();
        let mut options: Vec<&str> =
            options.filter_map(|option| option.strip_prefix("label")?.strip_prefix(['=', ':'])).collect();
        if host.privileged {
            options.push("disable");
        }
        let others = self.stored_containers()?;
        loop {
            let random = u32::from_le_bytes(sys::process::random());
            let labels = policy.labels(&options, random).map_err(Error::invalid)?;
            // Whoever gives a level, or a policy without levels, shares it with others.
            let free = others.iter().all(|other| other.mount_label() != labels.mount);
            if free || labels == policy.labels(&options, !random).map_err(Error::invalid)? {
                return Ok(labels);
            }
        }
    }

    fn random_name(&self) -> Result<ContainerName> {
        let seed = u64::from_le_bytes(sys::process::random());
        let names = (0..u32::MAX).map(|attempt| match attempt {
            0..NAME_ATTEMPTS => ContainerName::random(seed.rotate_left(8 * attempt), 0),
            _ => ContainerName::random(seed, attempt),
        });
        for name in names {
            if self.store.backrefs().of_name(name.as_str())?.is_empty() {
                return Ok(name);
            }
        }
        Err(Error::conflict("all random names are in use"))
    }
}

/// The whole configuration of the container: what was asked for, and the rest from the image.
fn container_config(
    options: &CreateOptions,
    image: Option<&ContainerConfig>,
    id: &ContainerId,
) -> ContainerConfig {
    let mut config = ContainerConfig { image: options.image.clone(), ..options.config.clone() };
    if config.hostname.is_empty() {
        // As in Docker: who shares the network shares the name that others know it by.
        let shares = options.host.network_mode == "host";
        config.hostname = if shares { sys::process::hostname() } else { id.short() };
    }
    config.env.get_or_insert_default();
    config.labels.get_or_insert_default();
    if let Some(image) = image {
        config.inherit(image);
    }
    config
}

/// What is up to this host.
fn host_config(given: &HostConfig) -> HostConfig {
    let mut host = given.clone();
    if host.cgroupns_mode.is_empty() {
        let unified = sys::process::has_unified_cgroups();
        host.cgroupns_mode = if unified { "private" } else { "host" }.to_owned();
    }
    if host.privileged {
        (host.masked_paths, host.readonly_paths) = (None, None);
    }
    host
}

/// The program and its arguments.
fn command(config: &ContainerConfig) -> Result<(String, Vec<String>)> {
    let entrypoint = config.entrypoint.iter().flatten().filter(|word| !word.is_empty());
    let mut words: Vec<String> = entrypoint.chain(config.cmd.iter().flatten()).cloned().collect();
    if words.is_empty() {
        return Err(Error::invalid("no command specified"));
    }
    let path = words.remove(0);
    Ok((path, words))
}

pub(crate) fn size_option(host: &HostConfig) -> Result<Option<u64>> {
    let mut size = None;
    for (key, value) in &host.storage_opt {
        match key.to_ascii_lowercase().as_str() {
            "size" => size = Some(model::size::parse_binary(value)?),
            _ => return Err(Error::invalid(format!("unknown option {key}"))),
        }
    }
    Ok(size)
}

fn check_platform(options: &CreateOptions, image: &Platform, warnings: &mut Vec<String>) -> Result<()> {
    let Some(wanted) = &options.platform else {
        let host = Platform::host();
        if image.rank_on(&host).is_none() {
            warnings.push(format!(
                "The requested image's platform ({image}) does not match the detected host platform ({host}) and no specific platform was requested"
            ));
        }
        return Ok(());
    };
    match image.rank_on(wanted) {
        Some(_) => Ok(()),
        None => Err(Error::invalid(format!(
            "image with reference {} was found but its platform ({image}) does not match the specified platform ({wanted})",
            options.image
        ))),
    }
}
