//! What the instructions that change no files do to an image's configuration, and what BuildKit writes into its history.

mod expose;

use model::ContainerConfig;
use model::config::{Empty, Healthcheck};

use crate::Scope;
use crate::error::{Result, refuse};
use crate::instruction::{Command, DEFAULT_SHELL, Instruction};

/// A configuration on its way through a stage.
#[derive(Debug, Clone, Default)]
pub struct Image {
    /// What the image says about its containers.
    pub config: ContainerConfig,
    /// `MAINTAINER`, which is no part of that.
    pub author: Option<String>,
    /// Whether a `CMD` was among the stage's instructions, which an `ENTRYPOINT` behind it then leaves alone.
    pub cmd_set: bool,
}

/// What an instruction did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Nothing: it is one of `RUN`, `COPY` and `ADD`.
    Files,
    /// It changed the configuration, or the scope; the text is its entry in the history. `WORKDIR` makes a directory, too.
    Metadata(String),
    /// It changed the configuration, and has no entry in the history: `ONBUILD`.
    Silent,
}

impl Image {
    /// Begins with the configuration of a base.
    pub fn new(config: ContainerConfig) -> Self {
        Image { config, ..Image::default() }
    }

    /// The shell of the shell form.
    pub fn shell(&self) -> Vec<String> {
        match self.config.shell.as_slice() {
            [] => DEFAULT_SHELL.map(str::to_owned).to_vec(),
            shell => shell.to_vec(),
        }
    }

    /// Does `instruction`. `ARG` and `ENV` change the scope, too.
    ///
    /// # Errors
    /// Words that cannot be expanded, signals and ports that are none, empty paths.
    pub fn apply(&mut self, instruction: &Instruction, scope: &mut Scope) -> Result<Effect> {
        let config = &mut self.config;
        let text = match instruction {
            Instruction::Add(_) | Instruction::Copy(_) | Instruction::Run(_) => return Ok(Effect::Files),
            Instruction::Arg(args) => scope.declare(args)?,
            Instruction::Cmd(command) => {
                let words = command.words(&self.shell());
                let text = format!("CMD {}", quoted(&words));
                self.config.cmd = Some(words);
                self.config.args_escaped = true;
                self.cmd_set = true;
                text
            }
            Instruction::Entrypoint(command) => self.entrypoint(command),
            Instruction::Env(pairs) => {
                let pairs = expanded(pairs, scope)?;
                for (name, value) in &pairs {
                    config.set_env(name, value);
                    scope.set(name, value);
                }
                format!("ENV{}", listed(&pairs))
            }
            Instruction::Label(pairs) => {
                let pairs = expanded(pairs, scope)?;
                config.labels.get_or_insert_default().extend(pairs.iter().cloned());
                format!("LABEL{}", listed(&pairs))
            }
            Instruction::Expose(words) => {
                let ports = ports(words, scope)?;
                config.exposed_ports.extend(ports.iter().map(|port| (port.clone(), Empty {})));
                format!("EXPOSE [{}]", ports.join(" "))
            }
            Instruction::Healthcheck(check) => {
                config.healthcheck = Some(check.clone());
                format!("HEALTHCHECK {}", health_text(check))
            }
            Instruction::Maintainer(name) => {
                self.author = Some(name.clone());
                format!("MAINTAINER {name}")
            }
            Instruction::Onbuild(trigger) => {
                config.on_build.get_or_insert_default().push(trigger.clone());
                return Ok(Effect::Silent);
            }
            Instruction::Shell(words) => {
                config.shell.clone_from(words);
                format!("SHELL [{}]", words.join(" "))
            }
            Instruction::Stopsignal(word) => {
                let signal = scope.expand(word)?;
                if !is_signal(&signal) {
                    return refuse(format!("invalid signal: {signal}"));
                }
                let text = format!("STOPSIGNAL {signal}");
                config.stop_signal = signal;
                text
            }
            Instruction::User(word) => {
                config.user = scope.expand(word)?;
                format!("USER {}", config.user)
            }
            Instruction::Volume(words) => {
                let paths = volumes(words, scope)?;
                config
                    .volumes
                    .get_or_insert_default()
                    .extend(paths.iter().map(|path| (path.clone(), Empty {})));
                format!("VOLUME [{}]", paths.join(" "))
            }
            Instruction::Workdir(word) => {
                config.working_dir = working_dir(&config.working_dir, &scope.expand(word)?)?;
                format!("WORKDIR {}", config.working_dir)
            }
        };
        Ok(Effect::Metadata(text))
    }

    fn entrypoint(&mut self, command: &Command) -> String {
        let is_empty = match command {
            Command::Exec(words) => words.is_empty(),
            Command::Shell(text) => text.is_empty(),
        };
        let words = if is_empty { Vec::new() } else { command.words(&self.shell()) };
        let text = format!("ENTRYPOINT {}", quoted(&words));
        self.config.entrypoint = (!is_empty).then_some(words);
        if !self.cmd_set {
            self.config.cmd = None;
        }
        text
    }
}

/// All pairs see the variables from before the instruction.
fn expanded(pairs: &[(String, String)], scope: &Scope) -> Result<Vec<(String, String)>> {
    pairs.iter().map(|(name, value)| Ok((scope.expand(name)?, scope.expand(value)?))).collect()
}

fn listed(pairs: &[(String, String)]) -> String {
    pairs.iter().map(|(name, value)| format!(" {name}={value}")).collect()
}

/// Sorted, each once.
fn ports(words: &[String], scope: &Scope) -> Result<Vec<String>> {
    let mut all = Vec::new();
    for word in words {
        for spec in scope.expand(word)?.split_whitespace() {
            all.extend(expose::ports(spec)?);
        }
    }
    all.sort_unstable();
    all.dedup();
    Ok(all)
}

fn volumes(words: &[String], scope: &Scope) -> Result<Vec<String>> {
    let path = |word: &String| match scope.expand(word)? {
        path if path.trim().is_empty() => refuse("VOLUME specified can not be an empty string"),
        path => Ok(path),
    };
    words.iter().map(path).collect()
}

/// `path` from `current`, without `.`, `..` and doubled slashes.
fn working_dir(current: &str, path: &str) -> Result<String> {
    if path.is_empty() {
        return refuse("cannot normalize nothing");
    }
    let whole = if path.starts_with('/') { path.to_owned() } else { format!("{current}/{path}") };
    let mut clean: Vec<&str> = Vec::new();
    for part in whole.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(clean.pop()),
            part => clean.push(part),
        }
    }
    Ok(format!("/{}", clean.join("/")))
}

/// A list of words as Go's `%q` writes it.
fn quoted(words: &[String]) -> String {
    let words: Vec<String> = words.iter().map(|word| go_quoted(word)).collect();
    format!("[{}]", words.join(" "))
}

/// A word as Go's `%q` writes it: it differs from Rust's form in control characters.
fn go_quoted(word: &str) -> String {
    let mut text = String::from("\"");
    for c in word.chars() {
        match c {
            '"' | '\\' => text.extend(['\\', c]),
            '\u{7}' => text.push_str("\\a"),
            '\u{8}' => text.push_str("\\b"),
            '\u{b}' => text.push_str("\\v"),
            '\u{c}' => text.push_str("\\f"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            c if (c as u32) < 0x20 || c as u32 == 0x7f => text += &format!("\\x{:02x}", c as u32),
            c if (0x80..0xa1).contains(&(c as u32)) => text += &format!("\\u{:04x}", c as u32),
            c => text.push(c),
        }
    }
    text + "\""
}

/// A health check as Go writes a pointer to the structure with `%q`.
fn health_text(check: &Healthcheck) -> String {
    let times = [check.interval, check.timeout, check.start_period, check.start_interval];
    let times: Vec<String> = times.iter().map(|time| format!("\"{}\"", go_duration(*time))).collect();
    let retries =
        u32::try_from(check.retries).ok().and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER);
    let retries = match retries {
        '\'' | '\\' => format!("'\\{retries}'"),
        c => format!("'{}'", go_quoted(&c.to_string()).trim_matches('"')),
    };
    format!("&{{{} {} {retries}}}", quoted(&check.test), times.join(" "))
}

/// A duration as Go writes it: `1m30s`, `1.5s`, `0s`.
fn go_duration(nanoseconds: i64) -> String {
    const SECOND: i64 = 1_000_000_000;
    let fraction = |nanoseconds: i64, unit: i64| {
        let digits = unit.to_string().len() - 1;
        let text = format!("{}.{:0digits$}", nanoseconds / unit, nanoseconds % unit);
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    match nanoseconds {
        0 => "0s".to_owned(),
        n if n < 1_000 => format!("{n}ns"),
        n if n < 1_000_000 => format!("{}µs", fraction(n, 1_000)),
        n if n < SECOND => format!("{}ms", fraction(n, 1_000_000)),
        n => {
            let (minutes, rest) = (n / (60 * SECOND), n % (60 * SECOND));
            let seconds = if rest == 0 { "0".to_owned() } else { fraction(rest, SECOND) };
            match (minutes / 60, minutes % 60) {
                (0, 0) => format!("{seconds}s"),
                (0, minutes) => format!("{minutes}m{seconds}s"),
                (hours, minutes) => format!("{hours}h{minutes}m{seconds}s"),
            }
        }
    }
}

/// Any number but 0, or the name of a Linux signal with or without `SIG`.
fn is_signal(text: &str) -> bool {
    const NAMES: [&str; 37] = [
        "ABRT", "ALRM", "BUS", "CHLD", "CLD", "CONT", "FPE", "HUP", "ILL", "INT", "IO", "IOT", "KILL",
        "PIPE", "POLL", "PROF", "PWR", "QUIT", "SEGV", "STKFLT", "STOP", "SYS", "TERM", "TRAP", "TSTP",
        "TTIN", "TTOU", "URG", "USR1", "USR2", "VTALRM", "WINCH", "XCPU", "XFSZ", "RTMIN", "RTMAX", "UNUSED",
    ];
    let upper = text.to_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let near = |number: &str, most| number.parse::<u8>().is_ok_and(|n| (1..=most).contains(&n));
    text.parse::<i64>().is_ok_and(|number| number != 0)
        || NAMES.contains(&name)
        || name.strip_prefix("RTMIN+").is_some_and(|number| near(number, 15))
        || name.strip_prefix("RTMAX-").is_some_and(|number| near(number, 14))
}

#[cfg(test)]
mod tests;
