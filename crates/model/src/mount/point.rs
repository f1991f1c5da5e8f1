//! A mount as it is recorded, and how `-v` and `--mount` become one.

use super::{BindOptions, DriverConfig, Mount, MountType, VolumeOptions};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// One entry of `MountPoints` in `config.v2.json`, keyed there by its destination.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct MountPoint {
    /// The path on the host; empty for anonymous volumes.
    pub source: String,
    /// The path in the container.
    pub destination: String,
    /// Whether the container may write.
    #[serde(rename = "RW")]
    pub writable: bool,
    /// The volume's name; empty for others.
    pub name: String,
    /// The volume's driver; empty for others.
    pub driver: String,
    /// What it is.
    #[serde(rename = "Type")]
    pub kind: MountType,
    /// The mode of `-v`: `ro`, `z` and the like.
    #[serde(rename = "Relabel", skip_serializing_if = "String::is_empty")]
    pub mode: String,
    /// How mounts in it propagate; empty for the default.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub propagation: String,
    /// What the daemon called it when it mounted the volume.
    #[serde(rename = "ID", skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// What was asked for; empty for a volume that the image asks for.
    pub spec: Mount,
    /// Whether a source that is not there is an error.
    pub skip_mountpoint_creation: bool,
    /// Whether an empty volume gets what the image has at the destination. Not recorded.
    #[serde(skip)]
    pub copies: bool,
}

/// The words that a mode may have; one of each row.
const MODES: [&[&str]; 5] = [
    &["ro", "rw"],
    &["z", "Z"],
    &["private", "rprivate", "shared", "rshared", "slave", "rslave"],
    &["nocopy"],
    &["consistent", "cached", "delegated"],
];

/// How mounts propagate in a bind mount for which nothing is said.
const DEFAULT_PROPAGATION: &str = "rprivate";

fn refused(text: String) -> Error {
    Error::Mount(text)
}

impl MountPoint {
    /// Reads the value of `-v`: `TARGET`, `SOURCE:TARGET` or `SOURCE:TARGET:MODE`. A source with a slash in front is a
    /// path of the host, any other the name of a volume, whose driver is `driver` if that is not empty.
    ///
    /// # Errors
    /// [`Error::Mount`] with Docker's texts.
    pub fn parse(text: &str, driver: &str) -> Result<Self> {
        let invalid = || refused(format!("invalid volume specification: '{text}'"));
        let parts: Vec<&str> = text.split(':').collect();
        let (source, target, mode) = match parts[..] {
            [target] => ("", target, ""),
            [_, mode] if is_mode(mode) && !mode.is_empty() => return Err(invalid()),
            [source, target] => (source, target, ""),
            [source, target, mode] => (source, target, mode),
            _ => return Err(invalid()),
        };
        if target.is_empty() || (parts.len() > 1 && source.is_empty()) {
            return Err(invalid());
        }
        if !is_mode(mode) {
            return Err(refused(format!("invalid mode: {mode}")));
        }
        let has = |word: &str| mode.split(',').any(|part| part == word);
        let kind = if source.starts_with('/') { MountType::Bind } else { MountType::Volume };
        let mut spec = Mount {
            kind: Some(kind),
            source: source.to_owned(),
            target: target.to_owned(),
            read_only: has("ro"),
            ..Mount::default()
        };
        if kind == MountType::Volume && !driver.is_empty() {
            let config = DriverConfig { name: driver.to_owned(), ..DriverConfig::default() };
            spec.volume_options.get_or_insert_default().driver_config = Some(config);
        }
        if has("nocopy") {
            spec.volume_options =
                Some(VolumeOptions { no_copy: true, ..spec.volume_options.unwrap_or_default() });
        }
        if let Some(propagation) = MODES[2].iter().find(|word| has(word)) {
            let options = BindOptions { propagation: (*propagation).to_owned(), ..BindOptions::default() };
            spec.bind_options = Some(options);
        }
        let point =
            Self::of(spec).map_err(|e| refused(format!("invalid volume specification: '{text}': {e}")))?;
        Ok(Self { mode: mode.to_owned(), ..point })
    }

    /// The mount point of a mount that was asked for. Whether the source of a bind mount is there is not asked.
    ///
    /// # Errors
    /// [`Error::Mount`] with Docker's texts.
    pub fn of(mount: Mount) -> Result<Self> {
        let kind = mount.kind.unwrap_or_default();
        validate(&mount, kind)
            .map_err(|why| refused(format!("invalid mount config for type \"{kind}\": {why}")))?;
        let mut point =
            Self { destination: clean(&mount.target), writable: !mount.read_only, kind, ..Self::default() };
        match kind {
            MountType::Bind => {
                point.source = clean(&mount.source);
                let propagation = mount.bind_options.as_ref().map(|options| options.propagation.clone());
                point.propagation = propagation
                    .filter(|propagation| !propagation.is_empty())
                    .unwrap_or_else(|| DEFAULT_PROPAGATION.to_owned());
            }
            MountType::Volume => {
                mount.source.clone_into(&mut point.name);
                let options = mount.volume_options.as_ref();
                point.copies = options.is_none_or(|options| !options.no_copy);
                let config = options.and_then(|options| options.driver_config.as_ref());
                point.driver = config.map(|config| config.name.clone()).unwrap_or_default();
            }
            _ => {}
        }
        point.spec = mount;
        Ok(point)
    }

    /// The mount point of a volume without a name, which the image or `-v TARGET` asks for.
    ///
    /// # Errors
    /// [`Error::Mount`] for a path that is not absolute, and for the root.
    pub fn anonymous(target: &str) -> Result<Self> {
        let mount = Mount { target: target.to_owned(), ..Mount::default() };
        Ok(Self { spec: Mount::default(), ..Self::of(mount)? })
    }
}

/// What Docker's daemon refuses.
fn validate(mount: &Mount, kind: MountType) -> std::result::Result<(), String> {
    let must_be_absolute = |path: &str| match path.starts_with('/') {
        true => Ok(()),
        false => Err(format!("invalid mount path: '{path}' mount path must be absolute")),
    };
    if mount.target.is_empty() {
        return Err("field Target must not be empty".to_owned());
    }
    if clean(&mount.target) == "/" {
        return Err("invalid specification: destination can't be '/'".to_owned());
    }
    must_be_absolute(&mount.target)?;
    match kind {
        MountType::Bind if mount.source.is_empty() => Err("field Source must not be empty".to_owned()),
        MountType::Bind => {
            must_be_absolute(&mount.source)?;
            let propagation = mount.bind_options.as_ref().map_or("", |options| &options.propagation);
            match propagation.is_empty() || MODES[2].contains(&propagation) {
                true => Ok(()),
                false => Err(format!("invalid propagation mode: {propagation}")),
            }
        }
        MountType::Volume if mount.source.is_empty() && mount.read_only => {
            Err("must not set ReadOnly mode when using anonymous volumes".to_owned())
        }
        MountType::Volume => Ok(()),
        MountType::Tmpfs if !mount.source.is_empty() => Err("field Source must not be specified".to_owned()),
        MountType::Tmpfs => Ok(()),
        MountType::Image | MountType::Npipe | MountType::Cluster => Err("mount type unknown".to_owned()),
    }
}

fn is_mode(text: &str) -> bool {
    let mut seen = [false; MODES.len()];
    text.is_empty()
        || text.split(',').all(|word| {
            let row = MODES.iter().position(|row| row.contains(&word));
            row.is_some_and(|row| !std::mem::replace(&mut seen[row], true))
        })
}

/// Go's `path.Clean`: without `.`, `..` and double slashes, by the letter.
fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => _ = parts.pop(),
            part => parts.push(part),
        }
    }
    let root = if path.starts_with('/') { "/" } else { "" };
    format!("{root}{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(point: &MountPoint) -> String {
        serde_json::to_string(point).unwrap()
    }

    #[test]
    fn a_bind_mount_is_recorded_as_docker_does() {
        let point = MountPoint::parse("/src//x/:/dst/./y:ro,rslave", "").unwrap();
        assert_eq!(
            json(&point),
            r#"{"Source":"/src/x","Destination":"/dst/y","RW":false,"Name":"","Driver":"","Type":"bind","Relabel":"ro,rslave","Propagation":"rslave","Spec":{"Type":"bind","Source":"/src//x/","Target":"/dst/./y","ReadOnly":true,"BindOptions":{"Propagation":"rslave"}},"SkipMountpointCreation":false}"#
        );
    }

    #[test]
    fn a_volume_is_recorded_as_docker_does() {
        let point = MountPoint::parse("named:/mnt/named", "").unwrap();
        assert!(point.copies);
        assert_eq!(
            json(&point),
            r#"{"Source":"","Destination":"/mnt/named","RW":true,"Name":"named","Driver":"","Type":"volume","Spec":{"Type":"volume","Source":"named","Target":"/mnt/named"},"SkipMountpointCreation":false}"#
        );
        assert!(!MountPoint::parse("named:/mnt:nocopy", "").unwrap().copies);
        let point = MountPoint::anonymous("/data/").unwrap();
        assert_eq!((point.destination.as_str(), &point.spec), ("/data", &Mount::default()));
    }

    #[test]
    fn errors_are_dockers() {
        for (text, error) in [
            ("", "invalid volume specification: ''"),
            ("a:/b:c:d", "invalid volume specification: 'a:/b:c:d'"),
            ("/a:ro", "invalid volume specification: '/a:ro'"),
            (":/a", "invalid volume specification: ':/a'"),
            ("a:/b:bogus", "invalid mode: bogus"),
            ("a:/b:ro,rw", "invalid mode: ro,rw"),
            (
                "a:b",
                "invalid volume specification: 'a:b': invalid mount config for type \"volume\": invalid mount path: 'b' mount path must be absolute",
            ),
            (
                "/a:/",
                "invalid volume specification: '/a:/': invalid mount config for type \"bind\": invalid specification: destination can't be '/'",
            ),
        ] {
            assert_eq!(MountPoint::parse(text, "").unwrap_err().to_string(), error, "{text}");
        }
        let relative = Mount {
            kind: Some(MountType::Bind),
            source: "a".into(),
            target: "/b".into(),
            ..Mount::default()
        };
        assert_eq!(
            MountPoint::of(relative).unwrap_err().to_string(),
            "invalid mount config for type \"bind\": invalid mount path: 'a' mount path must be absolute"
        );
    }
}
