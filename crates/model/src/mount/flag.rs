//! The value of `--mount`: fields of a line of CSV, each `key=value` or a word.

use std::str::FromStr;

use super::{BindOptions, DriverConfig, Mount, MountType, TmpfsOptions, VolumeOptions};
use crate::{Error, Result, size};

fn refused(text: String) -> Error {
    Error::Mount(text)
}

impl FromStr for Mount {
    type Err = Error;

    /// Reads the value of `--mount`. A relative source stays as it is.
    ///
    /// # Errors
    /// [`Error::Mount`] with the texts of Docker's client.
    fn from_str(text: &str) -> Result<Self> {
        let mut mount = Mount { kind: Some(MountType::Volume), ..Mount::default() };
        for field in fields(text)? {
            set(&mut mount, &field)?;
        }
        let kind = mount.kind.unwrap_or_default();
        if mount.target.is_empty() {
            return Err(refused("target is required".to_owned()));
        }
        let foreign = [
            ("volume", MountType::Volume, mount.volume_options.is_some()),
            ("bind", MountType::Bind, mount.bind_options.is_some()),
            ("tmpfs", MountType::Tmpfs, mount.tmpfs_options.is_some()),
        ];
        match foreign.iter().find(|(_, of, given)| *given && *of != kind) {
            Some((what, ..)) => {
                Err(refused(format!("cannot mix '{what}-*' options with mount type '{kind}'")))
            }
            None => Ok(mount),
        }
    }
}

/// The fields of one line of CSV.
fn fields(text: &str) -> Result<Vec<String>> {
    let mut fields = vec![String::new()];
    let mut chars = text.chars().peekable();
    let (mut quoted, mut at_start) = (false, true);
    while let Some(c) = chars.next() {
        let field = fields.last_mut().ok_or(Error::Pattern)?;
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => field.extend(chars.next()),
            '"' if quoted => quoted = false,
            '"' if at_start => quoted = true,
            '"' => return Err(refused("bare \" in non-quoted-field".to_owned())),
            ',' if !quoted => fields.push(String::new()),
            c => field.push(c),
        }
        at_start = c == ',' && !quoted;
    }
    if quoted { Err(refused("extraneous or missing \" in quoted-field".to_owned())) } else { Ok(fields) }
}

fn set(mount: &mut Mount, field: &str) -> Result<()> {
    let (key, value) = match field.split_once('=') {
        Some((key, value)) => (key.to_lowercase(), Some(value)),
        None => (field.to_lowercase(), None),
    };
    let Some(value) = value else {
        match key.as_str() {
            "readonly" | "ro" => mount.read_only = true,
            "volume-nocopy" => volume(mount).no_copy = true,
            "bind-nonrecursive" => bind(mount).non_recursive = true,
            _ => return Err(refused(format!("invalid field '{field}' must be a key=value pair"))),
        }
        return Ok(());
    };
    let invalid = || refused(format!("invalid value for {key}: {value}"));
    let boolean = || parse_bool(value).ok_or_else(invalid);
    match key.as_str() {
        "type" => mount.kind = Some(kind(value)?),
        "source" | "src" => value.clone_into(&mut mount.source),
        "target" | "dst" | "destination" => value.clone_into(&mut mount.target),
        "readonly" | "ro" => mount.read_only = boolean()?,
        "consistency" => mount.consistency = value.to_lowercase(),
        "bind-propagation" => bind(mount).propagation = value.to_lowercase(),
        "bind-nonrecursive" => bind(mount).non_recursive = boolean()?,
        "bind-recursive" => recursion(bind(mount), value)?,
        "volume-nocopy" => volume(mount).no_copy = boolean()?,
        "volume-subpath" => value.clone_into(&mut volume(mount).subpath),
        "volume-label" => {
            let (key, value) = value.split_once('=').unwrap_or((value, ""));
            volume(mount).labels.get_or_insert_default().insert(key.to_owned(), value.to_owned());
        }
        "volume-driver" => value.clone_into(&mut driver(mount).name),
        "volume-opt" => {
            let (key, value) = value.split_once('=').unwrap_or((value, ""));
            driver(mount).options.insert(key.to_owned(), value.to_owned());
        }
        "tmpfs-size" => {
            let bytes = size::parse_binary(value).ok().and_then(|bytes| bytes.try_into().ok());
            tmpfs(mount).size_bytes = bytes.ok_or_else(invalid)?;
        }
        "tmpfs-mode" => tmpfs(mount).mode = u32::from_str_radix(value, 8).map_err(|_| invalid())?,
        _ => return Err(refused(format!("unexpected key '{key}' in '{field}'"))),
    }
    Ok(())
}

fn kind(value: &str) -> Result<MountType> {
    [
        MountType::Volume,
        MountType::Bind,
        MountType::Tmpfs,
        MountType::Image,
        MountType::Npipe,
        MountType::Cluster,
    ]
    .into_iter()
    .find(|kind| kind.to_string() == value.to_lowercase())
    .ok_or_else(|| refused(format!("mount type unknown: {value:?}")))
}

fn recursion(options: &mut BindOptions, value: &str) -> Result<()> {
    match value {
        "enabled" => {}
        "disabled" => options.non_recursive = true,
        "writable" => options.read_only_non_recursive = true,
        "readonly" => options.read_only_force_recursive = true,
        _ => {
            return Err(refused(format!(
                "invalid value for bind-recursive: {value} (must be \"enabled\", \"disabled\", \"writable\", or \"readonly\")"
            )));
        }
    }
    Ok(())
}

fn bind(mount: &mut Mount) -> &mut BindOptions {
    mount.bind_options.get_or_insert_default()
}

/// Docker's client never leaves out the driver when it says something of a volume.
fn volume(mount: &mut Mount) -> &mut VolumeOptions {
    let driver_config = Some(DriverConfig::default());
    mount.volume_options.get_or_insert(VolumeOptions { driver_config, ..VolumeOptions::default() })
}

fn driver(mount: &mut Mount) -> &mut DriverConfig {
    volume(mount).driver_config.get_or_insert_default()
}

fn tmpfs(mount: &mut Mount) -> &mut TmpfsOptions {
    mount.tmpfs_options.get_or_insert_default()
}

/// Go's `strconv.ParseBool`.
fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Mount {
        text.parse().unwrap()
    }

    #[test]
    fn fields_become_a_mount() {
        let mount = parse("type=bind,src=/a,dst=/b,readonly,bind-propagation=RSLAVE");
        assert_eq!(
            serde_json::to_string(&mount).unwrap(),
            r#"{"Type":"bind","Source":"/a","Target":"/b","ReadOnly":true,"BindOptions":{"Propagation":"rslave"}}"#
        );
        let mount =
            parse(r#"target=/b,volume-nocopy,volume-label=a=b,"volume-opt=o=x,y",volume-driver=local"#);
        assert_eq!(
            serde_json::to_string(&mount).unwrap(),
            r#"{"Type":"volume","Target":"/b","VolumeOptions":{"NoCopy":true,"Labels":{"a":"b"},"DriverConfig":{"Name":"local","Options":{"o":"x,y"}}}}"#
        );
        let mount = parse("type=tmpfs,dst=/t,tmpfs-size=1m,tmpfs-mode=1700");
        assert_eq!(
            serde_json::to_string(&mount).unwrap(),
            r#"{"Type":"tmpfs","Target":"/t","TmpfsOptions":{"SizeBytes":1048576,"Mode":960}}"#
        );
    }

    #[test]
    fn errors_are_dockers() {
        for (text, error) in [
            ("type=bind", "target is required"),
            ("dst=/x,foo", "invalid field 'foo' must be a key=value pair"),
            ("dst=/x,foo=1", "unexpected key 'foo' in 'foo=1'"),
            ("dst=/x,ro=maybe", "invalid value for ro: maybe"),
            ("type=bind,dst=/x,volume-nocopy=1", "cannot mix 'volume-*' options with mount type 'bind'"),
            ("dst=/x,tmpfs-size=1", "cannot mix 'tmpfs-*' options with mount type 'volume'"),
            ("type=tmpfs,dst=/x,tmpfs-mode=9", "invalid value for tmpfs-mode: 9"),
            ("type=odd,dst=/x", "mount type unknown: \"odd\""),
        ] {
            assert_eq!(text.parse::<Mount>().unwrap_err().to_string(), error, "{text}");
        }
        assert!("dst=\"x".parse::<Mount>().is_err());
        assert!("\"dst=/x".parse::<Mount>().is_err());
    }
}
