//! The mounts that a new container gets: from `--volumes-from`, `-v`, `--mount`, and from the volumes of its
//! configuration, in Docker's order.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::Path;

use model::config::ContainerConfig;
use model::mount::{MountPoint, MountType};
use model::{HostConfig, VolumeName};

use super::{DRIVER, require_local, validate};
use crate::{Engine, Error, Result};

/// The mode that Docker records for volumes of `-v` and `--mount` for which none is given.
const SHARED_LABEL: &str = "z";

/// The mounts of a new container, by their path in it.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    /// As they are recorded.
    pub points: BTreeMap<String, MountPoint>,
    /// Labels and options of the volumes among them that do not exist yet, by name.
    pub volumes: BTreeMap<VolumeName, Labels>,
}

/// Labels and options of a volume.
#[derive(Debug, Clone, Default)]
pub(crate) struct Labels {
    pub labels: Option<BTreeMap<String, String>>,
    pub options: Option<BTreeMap<String, String>>,
}

impl Engine {
    /// Works out the mounts of a container of this configuration.
    pub(crate) fn wanted_mounts(&self, config: &ContainerConfig, host: &HostConfig) -> Result<Wanted> {
        let mut wanted = Wanted::default();
        self.mounts_of_others(host, &mut wanted)?;
        let mut given: BTreeMap<String, MountPoint> = BTreeMap::new();
        for text in host.binds.iter().flatten() {
            add(&mut given, host, MountPoint::parse(text, &host.volume_driver)?)?;
        }
        for mount in &host.mounts {
            let mut point = MountPoint::of(mount.clone())?;
            if point.kind == MountType::Bind {
                point.skip_mountpoint_creation =
                    !mount.bind_options.as_ref().is_some_and(|options| options.create_mountpoint);
                require_source(&point)?;
            }
            add(&mut given, host, point)?;
        }
        for point in given.values_mut().filter(|point| point.kind == MountType::Volume) {
            let name = wanted.volume(point)?;
            point.source = self.store.volumes().path(&name).to_string_lossy().into_owned();
            if point.mode.is_empty() {
                SHARED_LABEL.clone_into(&mut point.mode);
            }
        }
        wanted.points.extend(given);
        for target in config.volumes.iter().flatten().map(|(target, _)| target) {
            let mut point = MountPoint::anonymous(target)?;
            if wanted.points.contains_key(&point.destination) || host.tmpfs.contains_key(&point.destination) {
                continue;
            }
            host.volume_driver.clone_into(&mut point.driver);
            wanted.volume(&mut point)?;
            wanted.points.insert(point.destination.clone(), point);
        }
        Ok(wanted)
    }

    /// `--volumes-from CONTAINER[:MODE]`.
    fn mounts_of_others(&self, host: &HostConfig, wanted: &mut Wanted) -> Result<()> {
        for text in host.volumes_from.iter().flatten() {
            let (name, mode) = text.split_once(':').unwrap_or((text, ""));
            if name.is_empty() || !matches!(mode, "" | "ro" | "rw" | "z" | "Z") {
                return Err(Error::invalid(format!("invalid volumes-from specification: '{text}'")));
            }
            let container = self.find_container(name)?;
            for (path, mut point) in self.store.containers().get(&container)?.mounts()? {
                point.writable &= mode != "ro";
                if point.kind == MountType::Volume {
                    let volume = VolumeName::parse(&point.name)?;
                    wanted.volumes.entry(volume).or_default();
                }
                wanted.points.insert(path, point);
            }
        }
        Ok(())
    }
}

impl Wanted {
    /// Notes the volume of a mount point. One without a name gets one.
    fn volume(&mut self, point: &mut MountPoint) -> Result<VolumeName> {
        let options = point.spec.volume_options.clone().unwrap_or_default();
        let mut made = Labels {
            labels: options.labels,
            options: options.driver_config.map(|config| config.options).filter(|options| !options.is_empty()),
        };
        let name = if point.name.is_empty() {
            made.labels.get_or_insert_default().insert(model::volume::ANONYMOUS.to_owned(), String::new());
            VolumeName::from_random(sys::process::random())
        } else {
            let name = &point.name;
            VolumeName::parse(name).map_err(|e| Error::invalid(format!("create {name}: {e}")))?
        };
        require_local(&name, &point.driver)?;
        let refuse = |why| Error::invalid(format!("create {name}: {why}"));
        made.options.as_ref().map_or(Ok(()), validate).map_err(refuse)?;
        point.name = name.to_string();
        DRIVER.clone_into(&mut point.driver);
        self.volumes.entry(name.clone()).or_insert(made);
        Ok(name)
    }
}

/// Adds a mount of `-v` or `--mount`; two cannot have one path.
fn add(given: &mut BTreeMap<String, MountPoint>, host: &HostConfig, point: MountPoint) -> Result<()> {
    let duplicate = || Error::invalid(format!("Duplicate mount point: {}", point.destination));
    if host.tmpfs.contains_key(&point.destination) {
        return Err(duplicate());
    }
    match given.entry(point.destination.clone()) {
        Entry::Occupied(_) => Err(duplicate()),
        Entry::Vacant(free) => {
            free.insert(point);
            Ok(())
        }
    }
}

/// `--mount` never makes the source of a bind mount, unless it is told to.
fn require_source(point: &MountPoint) -> Result<()> {
    if !point.skip_mountpoint_creation || Path::new(&point.source).exists() {
        return Ok(());
    }
    let source = &point.source;
    Err(Error::invalid(format!(
        "invalid mount config for type \"bind\": bind source path does not exist: {source}"
    )))
}
