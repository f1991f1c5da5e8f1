//! The instructions of `commit --change` and `import --change`: a Dockerfile's, without those that would
//! need a build.
//!
//! Allowed are `CMD ENTRYPOINT ENV EXPOSE HEALTHCHECK LABEL ONBUILD STOPSIGNAL USER VOLUME WORKDIR`.
//! Commands come in JSON form, `CMD ["ls", "-l"]`, or in shell form, `CMD ls -l`. Variables of the
//! environment, `$name` and `${name:-default}`, are replaced everywhere but in commands and `ONBUILD`.
//!
//! What is accepted, what it means and what an error says was compared with Docker 28.5, case by case. Two
//! things are left out: the comment that chooses another escape character, and here-documents.
//!
//! Docker's `commit` applies changes to a copy of the container's configuration and then has that
//! [inherit](ContainerConfig::inherit) from the container once more, so a change cannot empty anything.

mod expose;
mod healthcheck;
mod words;

use crate::config::Empty;
use crate::{ContainerConfig, Error, Result};

const ALLOWED: [&str; 11] = [
    "CMD",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "HEALTHCHECK",
    "LABEL",
    "ONBUILD",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
    "WORKDIR",
];

/// Applies `changes` to `config`, in order. A change may hold several instructions on lines of their own.
///
/// # Errors
/// [`Error::Change`] with Docker's text; `config` is then as it was.
pub fn apply(config: &mut ContainerConfig, changes: &[impl AsRef<str>]) -> Result<()> {
    if changes.is_empty() {
        return Ok(());
    }
    let text: Vec<&str> = changes.iter().map(AsRef::as_ref).collect();
    let instructions = split_instructions(&text.join("\n"));
    if instructions.is_empty() {
        return refuse("file with no instructions");
    }
    for instruction in &instructions {
        if !ALLOWED.contains(&instruction.name.to_uppercase().as_str()) {
            return refuse(format!("{} is not a valid change command", instruction.name));
        }
    }
    let mut changed = Change { config: config.clone(), cmd_set: false };
    for instruction in &instructions {
        changed.apply(instruction)?;
    }
    *config = changed.config;
    Ok(())
}

/// An instruction before its arguments are understood.
struct Instruction {
    name: String,
    /// `--flag` and `--flag=value` before the arguments.
    flags: Vec<String>,
    /// The arguments, without white space around them.
    rest: String,
}

/// Joins continued lines, drops comments and empty lines.
fn split_instructions(text: &str) -> Vec<Instruction> {
    let mut instructions = Vec::new();
    let mut pending = String::new();
    for line in text.lines() {
        if line.trim_start().starts_with('#') || line.trim().is_empty() {
            continue;
        }
        match line.trim_end().strip_suffix('\\') {
            Some(continued) => pending.push_str(continued),
            None => instructions.extend(Instruction::parse(&(std::mem::take(&mut pending) + line))),
        }
    }
    instructions.extend(Instruction::parse(&pending));
    instructions
}

impl Instruction {
    fn parse(line: &str) -> Option<Self> {
        let line = line.trim();
        let (name, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let mut rest = rest.trim_start();
        let mut flags = Vec::new();
        while rest.starts_with("--") {
            let (flag, behind) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
            rest = behind.trim_start();
            if flag == "--" {
                break;
            }
            flags.push(flag.replace('"', ""));
        }
        (!name.is_empty()).then(|| Instruction { name: name.to_owned(), flags, rest: rest.to_owned() })
    }

    /// The name as error messages write it.
    fn title(&self) -> String {
        self.name.to_uppercase()
    }

    fn refuse_flags(&self) -> Result<()> {
        match self.flags.first() {
            Some(flag) => refuse(format!("unknown flag: {}", flag.split('=').next().unwrap_or_default())),
            None => Ok(()),
        }
    }

    /// The arguments as one.
    fn one_argument(&self) -> Result<&str> {
        if self.rest.is_empty() {
            return refuse(format!("{} requires exactly one argument", self.title()));
        }
        Ok(&self.rest)
    }

    fn at_least_one_argument(&self) -> Result<()> {
        if self.rest.is_empty() {
            refuse(format!("{} requires at least one argument", self.title()))
        } else {
            Ok(())
        }
    }

    /// `name=value…`, or the old form `name value` for a single pair.
    fn pairs(&self) -> Result<Vec<(String, String)>> {
        self.at_least_one_argument()?;
        let words = words::split(&self.rest);
        if !words.first().is_some_and(|word| word.contains('=')) {
            return match self.rest.split_once(char::is_whitespace) {
                Some((name, value)) => Ok(vec![(name.to_owned(), value.trim_start().to_owned())]),
                None => refuse(format!("{} must have two arguments", self.title())),
            };
        }
        let pairs = words.iter().map(|word| match word.split_once('=') {
            Some(("", _)) => refuse(format!("{} names can not be blank", self.title())),
            Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
            None => {
                refuse(format!("Syntax error - can't find = in {word:?}. Must be of the form: name=value"))
            }
        });
        pairs.collect()
    }
}

/// A command line.
enum Command {
    /// Words for the kernel.
    Exec(Vec<String>),
    /// Text for the shell, perhaps empty.
    Shell(String),
}

impl Command {
    /// A JSON array of strings is in JSON form; an array of anything else is an error; all else is for the
    /// shell, an array with a syntax error too.
    fn parse(text: &str) -> Result<Self> {
        if !text.starts_with('[') {
            return Ok(Command::Shell(text.to_owned()));
        }
        match serde_json::from_str::<Vec<serde_json::Value>>(text) {
            Err(_) => Ok(Command::Shell(text.to_owned())),
            Ok(values) => {
                let words = values.into_iter().map(|value| match value {
                    serde_json::Value::String(word) => Ok(word),
                    _ => refuse("when using JSON array syntax, arrays must be comprised of strings only"),
                });
                words.collect::<Result<_>>().map(Command::Exec)
            }
        }
    }

    /// The words to run, with the shell in front where there is need of one.
    fn into_words(self, shell: &[String]) -> Vec<String> {
        match self {
            Command::Exec(words) => words,
            Command::Shell(text) => {
                let shell = match shell {
                    [] => vec!["/bin/sh".to_owned(), "-c".to_owned()],
                    shell => shell.to_vec(),
                };
                shell.into_iter().chain(Some(text).filter(|text| !text.is_empty())).collect()
            }
        }
    }
}

/// A configuration on its way.
struct Change {
    config: ContainerConfig,
    /// Whether a `CMD` was among the changes, which an `ENTRYPOINT` behind it then leaves alone.
    cmd_set: bool,
}

impl Change {
    fn apply(&mut self, instruction: &Instruction) -> Result<()> {
        match instruction.title().as_str() {
            "CMD" => self.cmd(instruction),
            "ENTRYPOINT" => self.entrypoint(instruction),
            "ENV" => self.env(instruction),
            "EXPOSE" => self.expose(instruction),
            "HEALTHCHECK" => {
                self.config.healthcheck = Some(healthcheck::parse(instruction)?);
                Ok(())
            }
            "LABEL" => self.label(instruction),
            "ONBUILD" => self.on_build(instruction),
            "STOPSIGNAL" => self.stop_signal(instruction),
            "USER" => {
                self.config.user = self.expand(instruction.one_argument()?)?;
                instruction.refuse_flags()
            }
            "VOLUME" => self.volume(instruction),
            "WORKDIR" => self.workdir(instruction),
            other => refuse(format!("{other} is not a valid change command")),
        }
    }

    fn expand(&self, word: &str) -> Result<String> {
        words::expand(word, self.config.env.as_deref().unwrap_or_default())
    }

    fn cmd(&mut self, instruction: &Instruction) -> Result<()> {
        let command = Command::parse(&instruction.rest)?;
        instruction.refuse_flags()?;
        self.config.cmd = Some(command.into_words(&self.config.shell));
        self.config.args_escaped = false;
        self.cmd_set = true;
        Ok(())
    }

    fn entrypoint(&mut self, instruction: &Instruction) -> Result<()> {
        let command = Command::parse(&instruction.rest)?;
        instruction.refuse_flags()?;
        let empty =
            matches!(&command, Command::Exec(words) if words.is_empty()) || instruction.rest.is_empty();
        self.config.entrypoint = (!empty).then(|| command.into_words(&self.config.shell));
        self.config.args_escaped = false;
        if !self.cmd_set {
            self.config.cmd = None;
        }
        Ok(())
    }

    fn env(&mut self, instruction: &Instruction) -> Result<()> {
        for (name, value) in self.expanded_pairs(instruction)? {
            self.config.set_env(&name, &value);
        }
        Ok(())
    }

    fn label(&mut self, instruction: &Instruction) -> Result<()> {
        let pairs = self.expanded_pairs(instruction)?;
        self.config.labels.get_or_insert_default().extend(pairs);
        Ok(())
    }

    /// All pairs see the environment from before the instruction.
    fn expanded_pairs(&self, instruction: &Instruction) -> Result<Vec<(String, String)>> {
        let pairs = instruction.pairs()?;
        instruction.refuse_flags()?;
        pairs.iter().map(|(name, value)| Ok((self.expand(name)?, self.expand(value)?))).collect()
    }

    fn expose(&mut self, instruction: &Instruction) -> Result<()> {
        instruction.at_least_one_argument()?;
        instruction.refuse_flags()?;
        for word in instruction.rest.split_whitespace() {
            for spec in self.expand(word)?.split_whitespace() {
                self.config
                    .exposed_ports
                    .extend(expose::ports(spec)?.into_iter().map(|port| (port, Empty {})));
            }
        }
        Ok(())
    }

    fn on_build(&mut self, instruction: &Instruction) -> Result<()> {
        instruction.at_least_one_argument()?;
        let trigger = instruction.rest.split_whitespace().next().unwrap_or_default().to_uppercase();
        match trigger.as_str() {
            "ONBUILD" => return refuse("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed"),
            "FROM" | "MAINTAINER" => return refuse(format!("{trigger} isn't allowed as an ONBUILD trigger")),
            _ => instruction.refuse_flags()?,
        }
        self.config.on_build.get_or_insert_default().push(instruction.rest.clone());
        Ok(())
    }

    fn stop_signal(&mut self, instruction: &Instruction) -> Result<()> {
        let signal = self.expand(instruction.one_argument()?)?;
        instruction.refuse_flags()?;
        if !is_signal(&signal) {
            return refuse(format!("invalid signal: {signal}"));
        }
        self.config.stop_signal = signal;
        Ok(())
    }

    fn volume(&mut self, instruction: &Instruction) -> Result<()> {
        let paths = match Command::parse(&instruction.rest)? {
            Command::Exec(paths) => paths,
            Command::Shell(text) => text.split_whitespace().map(str::to_owned).collect(),
        };
        if paths.is_empty() {
            return refuse("VOLUME requires at least one argument");
        }
        instruction.refuse_flags()?;
        let volumes = paths.iter().map(|path| match self.expand(path)? {
            path if path.trim().is_empty() => refuse("VOLUME specified can not be an empty string"),
            path => Ok((path, Empty {})),
        });
        let volumes: Vec<_> = volumes.collect::<Result<_>>()?;
        self.config.volumes.get_or_insert_default().extend(volumes);
        Ok(())
    }

    fn workdir(&mut self, instruction: &Instruction) -> Result<()> {
        let path = self.expand(instruction.one_argument()?)?;
        instruction.refuse_flags()?;
        if path.is_empty() {
            return refuse("cannot normalize nothing");
        }
        let whole = if path.starts_with('/') { path } else { format!("{}/{path}", self.config.working_dir) };
        let mut clean: Vec<&str> = Vec::new();
        for part in whole.split('/') {
            match part {
                "" | "." => {}
                ".." => drop(clean.pop()),
                part => clean.push(part),
            }
        }
        self.config.working_dir = format!("/{}", clean.join("/"));
        Ok(())
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

fn refuse<T>(why: impl Into<String>) -> Result<T> {
    Err(Error::Change(why.into()))
}

#[cfg(test)]
mod tests;
