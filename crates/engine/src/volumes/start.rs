//! A container's volumes, bind mounts and tmpfs for its runtime.

use std::fs;
use std::path::Path;

use model::mount::{MountPoint, MountType, TmpfsOptions};
use model::{ContainerId, VolumeName};
use runtime::Mount;

use crate::{Engine, Error, Result};

/// What Docker mounts every tmpfs with.
const TMPFS: [&str; 3] = ["noexec", "nosuid", "nodev"];

impl Engine {
    /// The mounts of a container that is about to start, those that others lie in first. Sources of `-v` that are not
    /// there are made, as directories, as Docker does.
    ///
    /// # Errors
    /// No such container; a volume or a source that is not there.
    pub fn mounts_of(&self, container: &ContainerId) -> Result<Vec<Mount>> {
        let host = self.store.containers().host_config(container)?.view()?;
        let points = self.store.containers().get(container)?.mounts()?;
        let mut mounts =
            points.values().map(|point| self.runtime_mount(point)).collect::<Result<Vec<_>>>()?;
        mounts.extend(host.tmpfs.iter().map(|(path, options)| tmpfs(path, words(options))));
        mounts
            .sort_by_cached_key(|mount| (mount.destination.components().count(), mount.destination.clone()));
        Ok(mounts)
    }

    fn runtime_mount(&self, point: &MountPoint) -> Result<Mount> {
        match point.kind {
            MountType::Bind => {
                make_source(point)?;
                Ok(bind(point, point.source.clone()))
            }
            MountType::Volume => self.volume_mount(point),
            MountType::Tmpfs => {
                let mut options = point.spec.tmpfs_options.as_ref().map(tmpfs_words).unwrap_or_default();
                options.extend((!point.writable).then(|| "ro".to_owned()));
                Ok(tmpfs(&point.destination, options))
            }
            other => Err(Error::invalid(format!(
                "{}: mounts of the type {other} are not supported",
                point.destination
            ))),
        }
    }

    fn volume_mount(&self, point: &MountPoint) -> Result<Mount> {
        let missing = || Error::NoSuchVolume(point.name.clone());
        let name = VolumeName::parse(&point.name).map_err(|_| missing())?;
        if !self.store.volumes().exists(&name)? {
            return Err(missing());
        }
        match self.store.volumes().device(&name)? {
            None => Ok(bind(point, self.store.volumes().path(&name).to_string_lossy().into_owned())),
            Some(device) if device.is_bind() => {
                let mut mount = bind(point, device.mount_device);
                let others = words(&device.mount_opts).into_iter();
                mount.options.extend(others.filter(|option| !matches!(option.as_str(), "bind" | "rbind")));
                Ok(mount)
            }
            Some(device) => Ok(Mount {
                destination: point.destination.clone().into(),
                kind: device.mount_type,
                source: device.mount_device.into(),
                options: words(&device.mount_opts)
                    .into_iter()
                    .chain((!point.writable).then(|| "ro".to_owned()))
                    .collect(),
            }),
        }
    }
}

fn bind(point: &MountPoint, source: String) -> Mount {
    let options = point.spec.bind_options.clone().unwrap_or_default();
    let mut words = vec![if options.non_recursive { "bind" } else { "rbind" }.to_owned()];
    if !point.writable {
        words.push("ro".to_owned());
        // What is mounted below, too, as Docker does where the kernel can.
        let recursive = !options.non_recursive && !options.read_only_non_recursive && has_mount_setattr();
        words.extend(recursive.then(|| "rro".to_owned()));
    }
    words.extend(Some(point.propagation.clone()).filter(|propagation| !propagation.is_empty()));
    Mount {
        destination: point.destination.clone().into(),
        kind: "bind".to_owned(),
        source: source.into(),
        options: words,
    }
}

/// Whether the kernel can make a tree of mounts read-only, mount_setattr(2): since Linux 5.12.
fn has_mount_setattr() -> bool {
    let release = sys::process::kernel_release();
    let mut numbers = release.split(['.', '-']).map_while(|number| number.parse::<u32>().ok());
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= (5, 12)
}

fn tmpfs(destination: &str, options: Vec<String>) -> Mount {
    // A word of the user's takes the place of its opposite.
    let opposite = |word: &str| word.strip_prefix("no").unwrap_or(word).to_owned();
    let defaults = TMPFS.into_iter().filter(|word| !options.contains(&opposite(word))).map(str::to_owned);
    let mut all: Vec<String> = defaults.collect();
    all.extend(options.into_iter().filter(|option| !TMPFS.contains(&option.as_str())));
    Mount { destination: destination.into(), kind: "tmpfs".to_owned(), source: "tmpfs".into(), options: all }
}

fn tmpfs_words(options: &TmpfsOptions) -> Vec<String> {
    let mut words = Vec::new();
    words.extend((options.mode != 0).then(|| format!("mode={:o}", options.mode)));
    words.extend((options.size_bytes != 0).then(|| format!("size={}", options.size_bytes)));
    words.extend(options.options.iter().map(|option| option.join("=")));
    words
}

fn words(options: &str) -> Vec<String> {
    options.split(',').filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// The path is the user's own, on his own machine.
fn make_source(point: &MountPoint) -> Result<()> {
    let source = Path::new(&point.source);
    if source.exists() {
        return Ok(());
    }
    if point.skip_mountpoint_creation {
        let source = source.display();
        return Err(Error::invalid(format!(
            "invalid mount config for type \"bind\": bind source path does not exist: {source}"
        )));
    }
    fs::create_dir_all(source).map_err(Error::io("make", source))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(text: &str) -> MountPoint {
        MountPoint::parse(text, "").unwrap()
    }

    #[test]
    fn options_are_those_of_the_runtime() {
        assert_eq!(bind(&point("/a:/b"), "/a".into()).options, ["rbind", "rprivate"]);
        assert_eq!(bind(&point("/a:/b:ro,rslave"), "/a".into()).options, ["rbind", "ro", "rro", "rslave"]);
        assert_eq!(bind(&point("vol:/b"), "/x/_data".into()).options, ["rbind"]);
    }

    #[test]
    fn a_users_word_for_tmpfs_wins() {
        assert_eq!(tmpfs("/t", words("size=1m,exec")).options, ["nosuid", "nodev", "size=1m", "exec"]);
        assert_eq!(tmpfs("/t", Vec::new()).options, TMPFS);
        let options = TmpfsOptions { size_bytes: 1 << 20, mode: 0o1777, options: Vec::new() };
        assert_eq!(tmpfs_words(&options), ["mode=1777", "size=1048576"]);
    }
}
