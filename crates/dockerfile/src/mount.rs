//! `RUN --mount=type=…,target=…`.

use model::size;

use crate::Scope;
use crate::error::{Result, refuse};
use crate::parse::suggestion;

/// A `--mount` as it is written. What it says is known at the step, since it may have variables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountFlag {
    fields: Vec<String>,
}

/// What `RUN` finds mounted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Mount {
    /// Which kind.
    pub kind: MountKind,
    /// Stage or image that is mounted; `None` for the context. For a cache, what it is filled from at first.
    pub from: Option<String>,
    /// Path in it; for a secret the older name of [`id`](Self::id).
    pub source: Option<String>,
    /// Where to; relative to the working directory. `None` only for secrets (`/run/secrets/ID`) and `ssh`.
    pub target: Option<String>,
    /// Whether it cannot be written to. What is written to a bind mount is thrown away.
    pub read_only: bool,
    /// Of a cache or secret.
    pub id: Option<String>,
    /// Whether a build without this secret fails.
    pub required: bool,
    /// The most that a tmpfs holds, in bytes; 0 for no limit.
    pub size: u64,
    /// What others may do with a cache meanwhile.
    pub sharing: Sharing,
    /// Permissions of the secret, or of a cache's new directory.
    pub mode: Option<u32>,
    /// The owner of these.
    pub uid: Option<u32>,
    /// The group of these.
    pub gid: Option<u32>,
    /// A secret as a variable of the environment, instead of a file or beside it.
    pub env: Option<String>,
}

/// Kinds of mounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MountKind {
    /// A tree of the context, a stage or an image.
    #[default]
    Bind,
    /// A directory that outlives the build.
    Cache,
    /// Memory.
    Tmpfs,
    /// A file that is in no layer.
    Secret,
    /// The socket of an ssh agent.
    Ssh,
}

/// What others may do with a cache while a step has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sharing {
    /// Use it too.
    #[default]
    Shared,
    /// Get one of their own.
    Private,
    /// Wait.
    Locked,
}

const KINDS: [(&str, MountKind); 5] = [
    ("bind", MountKind::Bind),
    ("cache", MountKind::Cache),
    ("tmpfs", MountKind::Tmpfs),
    ("secret", MountKind::Secret),
    ("ssh", MountKind::Ssh),
];

const KEYS: [&str; 20] = [
    "type",
    "from",
    "source",
    "src",
    "target",
    "dst",
    "destination",
    "readonly",
    "ro",
    "readwrite",
    "rw",
    "id",
    "sharing",
    "required",
    "mode",
    "uid",
    "gid",
    "size",
    "env",
    "",
];

impl MountFlag {
    /// Splits the flag's value, and refuses variables in `from`, which decides what the step needs.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let flag = MountFlag { fields: split_csv(text)? };
        if flag.from().is_some_and(crate::plan::has_variable) {
            return refuse("'from' doesn't support variable expansion, define alias stage instead");
        }
        Ok(flag)
    }

    /// The stage or image that it names.
    pub fn from(&self) -> Option<&str> {
        let from = self
            .fields
            .iter()
            .rev()
            .find_map(|field| field.split_once('=').filter(|(key, _)| is(key, "from")));
        from.map(|(_, from)| from).filter(|from| !from.is_empty())
    }

    /// What it says, with the variables of `scope`.
    ///
    /// # Errors
    /// Unknown kinds and keys, values that make no sense, and what does not go together, in BuildKit's words.
    pub fn resolve(&self, scope: &Scope) -> Result<Mount> {
        let mut mount = Mount::default();
        let mut read_only = None;
        let mut sharing = None;
        for field in &self.fields {
            let (key, value) = match field.split_once('=') {
                Some((key, value)) => (key.to_ascii_lowercase(), Some(scope.expand(value)?)),
                None => (field.to_ascii_lowercase(), None),
            };
            let Some(value) = value else {
                match key.as_str() {
                    "readonly" | "ro" => read_only = Some(true),
                    "readwrite" | "rw" => read_only = Some(false),
                    "required" => mount.set_required(true)?,
                    _ => return refuse(format!("invalid field '{field}' must be a key=value pair")),
                }
                continue;
            };
            match key.as_str() {
                "type" => mount.kind = kind(&value)?,
                "from" => mount.from = Some(value).filter(|value| !value.is_empty()),
                "source" | "src" => mount.source = Some(value),
                "target" | "dst" | "destination" => mount.target = Some(value),
                "readonly" | "ro" => read_only = Some(boolean(&key, &value)?),
                "readwrite" | "rw" => read_only = Some(!boolean(&key, &value)?),
                "required" => {
                    let value = boolean(&key, &value)?;
                    mount.set_required(value)?;
                }
                "size" if mount.kind == MountKind::Tmpfs => {
                    let Ok(bytes) = size::parse_binary(&value) else {
                        return refuse(format!("invalid value for {key}: {value}"));
                    };
                    mount.size = bytes;
                }
                "size" => return mount.unexpected(&key),
                "id" => mount.id = Some(value),
                "sharing" => sharing = Some(parse_sharing(&value)?),
                "mode" => mount.mode = Some(number(&key, &value, 8)?),
                "uid" => mount.uid = Some(number(&key, &value, 10)?),
                "gid" => mount.gid = Some(number(&key, &value, 10)?),
                "env" if mount.kind == MountKind::Secret => mount.env = Some(value),
                "env" => return mount.unexpected(&key),
                _ => {
                    let hint = suggestion(&key, &KEYS);
                    return refuse(format!("unexpected key '{key}' in '{field}'{hint}"));
                }
            }
        }
        mount.finish(read_only, sharing)
    }
}

impl Mount {
    fn name(&self) -> &'static str {
        KINDS.iter().find(|(_, kind)| *kind == self.kind).map_or("", |(name, _)| name)
    }

    fn unexpected<T>(&self, key: &str) -> Result<T> {
        refuse(format!("unexpected key '{key}' for mount type '{}'", self.name()))
    }

    fn set_required(&mut self, value: bool) -> Result<()> {
        if !matches!(self.kind, MountKind::Secret | MountKind::Ssh) {
            return self.unexpected("required");
        }
        self.required = value;
        Ok(())
    }

    /// Refuses what does not go together; caches and tmpfs can be written to unless the flag says otherwise.
    fn finish(mut self, read_only: Option<bool>, sharing: Option<Sharing>) -> Result<Self> {
        let name = self.name();
        if matches!(self.kind, MountKind::Bind | MountKind::Tmpfs) {
            let given = [("mode", self.mode), ("uid", self.uid), ("gid", self.gid)];
            if let Some((key, _)) = given.iter().find(|(_, value)| value.is_some()) {
                return refuse(format!("{key} not allowed for {name:?} type mounts"));
            }
        }
        self.read_only = read_only.unwrap_or(!matches!(self.kind, MountKind::Cache | MountKind::Tmpfs));
        if self.kind == MountKind::Secret {
            if self.from.is_some() {
                return refuse("secret mount should not have a from");
            }
            if sharing.is_some() {
                return refuse("secret mount should not define sharing");
            }
            if self.source.is_none() && self.target.is_none() && self.id.is_none() {
                return refuse("invalid secret mount. one of source, target required");
            }
            if self.source.is_some() && self.id.is_some() {
                return refuse("both source and id can't be set");
            }
        } else if sharing.is_some() && self.kind != MountKind::Cache {
            return refuse(format!("invalid cache sharing set for {name} mount"));
        }
        if self.target.as_deref().unwrap_or_default().is_empty()
            && !matches!(self.kind, MountKind::Secret | MountKind::Ssh)
        {
            return refuse("mount target must be set");
        }
        self.sharing = sharing.unwrap_or_default();
        Ok(self)
    }
}

fn is(key: &str, name: &str) -> bool {
    key.eq_ignore_ascii_case(name)
}

fn kind(value: &str) -> Result<MountKind> {
    let lower = value.to_lowercase();
    if let Some((_, kind)) = KINDS.iter().find(|(name, _)| *name == lower) {
        return Ok(*kind);
    }
    let hint = suggestion(&lower, &KINDS.map(|(name, _)| name));
    refuse(format!("unsupported mount type {value:?}{hint}"))
}

fn parse_sharing(value: &str) -> Result<Sharing> {
    match value.to_lowercase().as_str() {
        "shared" => Ok(Sharing::Shared),
        "private" => Ok(Sharing::Private),
        "locked" => Ok(Sharing::Locked),
        lower => {
            let hint = suggestion(lower, &["shared", "private", "locked"]);
            refuse(format!("unsupported sharing value {value:?}{hint}"))
        }
    }
}

/// As Go reads truth values.
fn boolean(key: &str, value: &str) -> Result<bool> {
    match value {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Ok(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Ok(false),
        _ => refuse(format!("invalid value for {key}: {value}")),
    }
}

fn number(key: &str, value: &str, base: u32) -> Result<u32> {
    let digits = value.chars().all(|c| c.is_ascii_digit());
    match u32::from_str_radix(value, base) {
        Ok(number) if digits => Ok(number),
        _ => refuse(format!("invalid value {value} for {key}")),
    }
}

/// Fields between commas, as CSV: a field in quotes may have commas, and two quotes in it are one.
fn split_csv(text: &str) -> Result<Vec<String>> {
    let mut fields = Vec::new();
    let mut rest = text;
    loop {
        let (field, behind) = match rest.strip_prefix('"') {
            Some(quoted) => quoted_field(quoted)?,
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                if rest[..end].contains('"') {
                    return refuse("failed to parse csv mounts: bare \" in non-quoted field");
                }
                (rest[..end].to_owned(), &rest[end..])
            }
        };
        fields.push(field);
        match behind.strip_prefix(',') {
            Some(more) => rest = more,
            None if behind.is_empty() => return Ok(fields),
            None => return refuse("failed to parse csv mounts: extraneous or missing \" in quoted field"),
        }
    }
}

/// The field, and what stands behind its closing quote.
fn quoted_field(mut rest: &str) -> Result<(String, &str)> {
    let mut field = String::new();
    loop {
        let Some((part, behind)) = rest.split_once('"') else {
            return refuse("failed to parse csv mounts: extraneous or missing \" in quoted field");
        };
        field.push_str(part);
        match behind.strip_prefix('"') {
            Some(more) => {
                field.push('"');
                rest = more;
            }
            None => return Ok((field, behind)),
        }
    }
}

#[cfg(test)]
mod tests;
