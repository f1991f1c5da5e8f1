//! What a variable means: `ARG`, `ENV`, `--build-arg`, the platform.
//!
//! Before the first `FROM` there is one scope, [`Globals`], which `FROM` lines see. A stage begins with the variables of its
//! base: those of the image, or all of the stage that it builds on, `ARG`s included. Of the globals it sees only those that
//! it names in an `ARG` of its own.

use std::collections::BTreeMap;

use model::Platform;

use crate::error::{Error, Result};
use crate::instruction::{Arg, Instruction};
use crate::words::{Expander, Quotes};
use crate::{Dockerfile, Step};

/// The variables that need no `ARG`, and that `RUN` sees if they are given: they are neither in the image's history nor in
/// what the cache compares.
pub const PREDEFINED: [&str; 10] = [
    "ALL_PROXY",
    "FTP_PROXY",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NO_PROXY",
    "all_proxy",
    "ftp_proxy",
    "https_proxy",
    "http_proxy",
    "no_proxy",
];

/// What the build was started with.
#[derive(Debug, Clone, Default)]
pub struct Given {
    /// `--build-arg`. A name without a value is not given at all, unless the command line's environment has it.
    pub arguments: BTreeMap<String, String>,
    /// What is built for: `TARGETPLATFORM` and its parts.
    pub target: Platform,
    /// What builds: `BUILDPLATFORM` and its parts.
    pub build: Platform,
    /// `--target` as it was typed: `TARGETSTAGE`.
    pub stage: String,
}

impl Given {
    /// Those of the [predefined](PREDEFINED) variables that were given, for the environment of `RUN`.
    pub fn proxies(&self) -> Vec<(String, String)> {
        let given = self.arguments.iter().filter(|(name, _)| PREDEFINED.contains(&name.as_str()));
        given.map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    fn builtins(&self) -> Vec<(String, String)> {
        let mut all = Vec::new();
        for (side, platform) in [("BUILD", &self.build), ("TARGET", &self.target)] {
            let variant = platform.variant.clone().unwrap_or_default();
            all.push((format!("{side}PLATFORM"), platform.to_string()));
            all.push((format!("{side}OS"), platform.os.clone()));
            all.push((format!("{side}ARCH"), platform.architecture.clone()));
            all.push((format!("{side}VARIANT"), variant));
        }
        let stage = if self.stage.is_empty() { "default" } else { &self.stage };
        all.push(("TARGETSTAGE".to_owned(), stage.to_owned()));
        all
    }
}

/// The scope of `FROM` lines.
#[derive(Debug, Clone)]
pub struct Globals {
    escape: char,
    given: BTreeMap<String, String>,
    values: BTreeMap<String, String>,
}

impl Globals {
    /// Reads the `ARG`s before the first `FROM`.
    ///
    /// # Errors
    /// A default that cannot be expanded, at its line.
    pub fn new(file: &Dockerfile, given: &Given) -> Result<Self, Error> {
        let mut globals = Globals {
            escape: file.directives.escape_char(),
            given: given.arguments.clone(),
            values: given.builtins().into_iter().collect(),
        };
        for step in &file.global_args {
            let Instruction::Arg(args) = &step.instruction else { continue };
            for arg in args {
                let value = match (globals.given.get(&arg.name), &arg.default) {
                    (Some(given), _) => Some(given.clone()),
                    (None, Some(default)) => {
                        Some(globals.expand(default).map_err(|why| file.error(step.span, why))?)
                    }
                    (None, None) => continue,
                };
                globals.values.extend(value.map(|value| (arg.name.clone(), value)));
            }
        }
        Ok(globals)
    }

    /// Without any variable: for instructions that stand in no Dockerfile.
    pub(crate) fn bare(escape: char) -> Self {
        Globals { escape, given: BTreeMap::new(), values: BTreeMap::new() }
    }

    /// Replaces the variables of a word of a `FROM` line.
    ///
    /// # Errors
    /// Those of [`Expander::word`].
    pub fn expand(&self, word: &str) -> Result<String> {
        let get = |name: &str| self.values.get(name).cloned();
        Expander::new(self.escape, &get).word(word)
    }

    /// The scope at the beginning of a stage whose base is an image with this environment (`NAME=value`).
    pub fn stage(&self, environment: &[String]) -> Scope {
        let empty = Scope { globals: self.clone(), variables: Vec::new(), arguments: Vec::new() };
        empty.for_stage_above(environment)
    }
}

/// The variables at a step of a stage.
#[derive(Debug, Clone)]
pub struct Scope {
    globals: Globals,
    /// In the order in which they came.
    variables: Vec<(String, String)>,
    arguments: Vec<(String, String)>,
}

impl Scope {
    /// The scope at the beginning of a stage on top of the one that this is the last of, whose image has this environment
    /// (`NAME=value`). `ARG`s stay, but where the image has a variable of the same name, that one counts.
    pub fn for_stage_above(&self, environment: &[String]) -> Scope {
        let mut scope = self.clone();
        for line in environment {
            let (name, value) = line.split_once('=').unwrap_or((line, ""));
            scope.set(name, value);
        }
        scope
    }

    /// Does an `ARG`, and gives the text of its entry in the history: `ARG a=1 b`.
    ///
    /// A value that was given goes before the default, and that before the global variable of the same name.
    ///
    /// # Errors
    /// A default that cannot be expanded.
    pub fn declare(&mut self, args: &[Arg]) -> Result<String> {
        let mut text = "ARG".to_owned();
        for arg in args {
            let value = match (self.globals.given.get(&arg.name), &arg.default) {
                (Some(given), _) => Some(given.clone()),
                (None, Some(default)) => Some(self.expand(default)?),
                (None, None) => self.globals.values.get(&arg.name).cloned(),
            };
            text += &format!(" {}", arg.name);
            if let Some(value) = &value {
                text += &format!("={value}");
                self.set(&arg.name, value);
            }
            let value = value.unwrap_or_default();
            match self.arguments.iter_mut().find(|(name, _)| *name == arg.name) {
                Some(old) => old.1 = value,
                None => self.arguments.push((arg.name.clone(), value)),
            }
        }
        Ok(text)
    }

    /// Sets a variable, as `ENV` does.
    pub fn set(&mut self, name: &str, value: &str) {
        match self.variables.iter_mut().find(|(old, _)| old == name) {
            Some(old) => value.clone_into(&mut old.1),
            None => self.variables.push((name.to_owned(), value.to_owned())),
        }
    }

    /// The value of a variable.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// All variables, as a `RUN` sees them.
    pub fn environment(&self) -> &[(String, String)] {
        &self.variables
    }

    /// The `ARG`s so far with the values that they have now: a `RUN` depends on them, and BuildKit writes them into the
    /// history in front of its command, `|1 NAME=value`.
    pub fn arguments(&self) -> Vec<(String, String)> {
        let now = |(name, then): &(String, String)| {
            (name.clone(), self.get(name).map_or_else(|| then.clone(), str::to_owned))
        };
        self.arguments.iter().map(now).collect()
    }

    /// Replaces the variables of a word and removes its quotes.
    ///
    /// # Errors
    /// Those of [`Expander::word`].
    pub fn expand(&self, word: &str) -> Result<String> {
        Expander::new(self.globals.escape, &|name| self.value(name)).word(word)
    }

    /// Replaces the variables of a here-document that `COPY` writes. Quotes are nothing special there, and the escape is `\`
    /// whatever the directive says.
    ///
    /// # Errors
    /// Those of [`Expander::word`].
    pub fn expand_document(&self, text: &str) -> Result<String> {
        Expander { quotes: Quotes::Ignore, ..Expander::new('\\', &|name| self.value(name)) }.word(text)
    }

    /// A step as progress shows it: its line, the name in upper case, variables replaced.
    pub fn shown(&self, step: &Step) -> String {
        let mut line = step.original.trim().to_owned();
        if let Instruction::Run(run) = &step.instruction
            && let Some(script) = run.script()
        {
            let mut lines = script.trim().lines();
            let more = if lines.clone().count() > 1 { "..." } else { "" };
            line += &format!(" ({}{more})", lines.next().unwrap_or_default());
        }
        let get = |name: &str| self.value(name);
        let mut expander = Expander::new(self.globals.escape, &get);
        if matches!(step.instruction, Instruction::Run(_)) {
            // The shell has quotes and variables of its own.
            expander.quotes = Quotes::Keep;
            expander.keep_unset = true;
        }
        let text = expander.word(&line).unwrap_or(line);
        match text.split_once(char::is_whitespace) {
            Some((name, rest)) => format!("{} {rest}", name.to_uppercase()),
            None => text.to_uppercase(),
        }
    }

    fn value(&self, name: &str) -> Option<String> {
        self.get(name).map(str::to_owned)
    }
}

#[cfg(test)]
mod tests;
