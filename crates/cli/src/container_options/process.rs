//! What runs in a container: its part of the flags, as Docker's `Config`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use model::config::{ContainerConfig, Empty};

use super::ContainerOptions;
use crate::options::labels;
use crate::output::failure::Failure;
use crate::output::ports;

impl ContainerOptions {
    /// What was asked for; the rest comes from the image.
    pub(super) fn config(&self, command: &[String]) -> Result<ContainerConfig, Failure> {
        let attached = |stream: &str| self.attach.iter().any(|name| name == stream);
        let attach_stdin = self.interactive || attached("stdin");
        Ok(ContainerConfig {
            hostname: self.hostname.clone(),
            domainname: self.domainname.clone(),
            user: self.user.clone(),
            attach_stdin,
            attach_stdout: self.attach.is_empty() || attached("stdout"),
            attach_stderr: self.attach.is_empty() || attached("stderr"),
            exposed_ports: exposed(&self.expose)?,
            tty: self.tty,
            open_stdin: self.interactive,
            stdin_once: self.interactive && attach_stdin,
            env: Some(environment(&self.env_file, &self.env)?),
            cmd: Some(command.to_vec()).filter(|command| !command.is_empty()),
            volumes: self.unnamed_volumes(),
            working_dir: self.workdir.clone(),
            entrypoint: self.entrypoint.clone().map(|word| vec![word]),
            labels: Some(self.labels()?),
            stop_signal: self.stop_signal.clone(),
            stop_timeout: self.stop_timeout,
            ..ContainerConfig::default()
        })
    }

    pub(super) fn labels(&self) -> Result<BTreeMap<String, String>, Failure> {
        let mut lines = Vec::new();
        for path in &self.label_file {
            lines.extend(read_lines(path)?);
        }
        Ok(labels(lines.iter().chain(&self.label).map(String::as_str)))
    }

    /// `-v TARGET`: part of the configuration, as the volumes of an image are.
    fn unnamed_volumes(&self) -> Option<BTreeMap<String, Empty>> {
        let targets = self.volume.iter().filter(|volume| !volume.contains(':'));
        let volumes: BTreeMap<String, Empty> = targets.map(|target| (target.clone(), Empty {})).collect();
        Some(volumes).filter(|volumes| !volumes.is_empty())
    }
}

/// The files' variables first, then those of the command line; one without a value has the value that it has here, and is
/// left out if it has none.
///
/// # Errors
/// A file cannot be read, or has what is no variable.
pub fn environment(files: &[PathBuf], given: &[String]) -> Result<Vec<String>, Failure> {
    let mut lines = Vec::new();
    for path in files {
        lines.extend(read_lines(path)?);
    }
    for line in &lines {
        let key = line.split('=').next().unwrap_or_default();
        if key.is_empty() || key.contains(char::is_whitespace) {
            return Err(Failure::plain(format_args!("invalid environment variable: {line}")));
        }
    }
    lines.extend(given.iter().cloned());
    Ok(lines
        .into_iter()
        .filter_map(|line| if line.contains('=') { Some(line) } else { inherited(&line) })
        .collect())
}

/// `80`, `53/udp`, `8000-8010`.
fn exposed(ports: &[String]) -> Result<BTreeMap<String, Empty>, Failure> {
    let mut all = BTreeSet::new();
    for port in ports {
        all.extend(ports::expand(port).map_err(|why| {
            Failure::plain(format_args!("invalid range format for --expose: {port}, error: {why}"))
        })?);
    }
    Ok(all.into_iter().map(|port| (port, Empty {})).collect())
}

fn inherited(key: &str) -> Option<String> {
    let value = std::env::var_os(key)?;
    Some(format!("{key}={}", value.to_string_lossy()))
}

/// The lines of a file that are neither empty nor comments.
fn read_lines(path: &Path) -> Result<Vec<String>, Failure> {
    let bytes = fs::read(path).map_err(|err| Failure::io("open", path, &err))?;
    let text = String::from_utf8(bytes)
        .map_err(|_| Failure::plain(format_args!("{}: invalid utf8 bytes", path.display())))?;
    let lines = text.lines().map(|line| line.trim_start_matches([' ', '\t', '\u{feff}']));
    Ok(lines.filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned).collect())
}

/// `KEY=value` or `KEY`.
pub fn variable(text: &str) -> Result<String, String> {
    match text.split('=').next() {
        Some(key) if !key.is_empty() => Ok(text.to_owned()),
        _ => Err(format!("invalid environment variable: {text}")),
    }
}

/// A stream's name, in lower case.
pub(super) fn stream(text: &str) -> Result<String, String> {
    match text.to_lowercase() {
        name if matches!(name.as_str(), "stdin" | "stdout" | "stderr") => Ok(name),
        _ => Err("valid streams are STDIN, STDOUT and STDERR".to_owned()),
    }
}
