//! The instructions of `commit --change` and `import --change`: a Dockerfile's, without those that would
//! need a build.
//!
//! What is accepted, what it means and what an error says was compared with Docker 28.5, case by case.
//!
//! Docker's `commit` applies changes to a copy of the container's configuration and then has that
//! [inherit](ContainerConfig::inherit) from the container once more, so a change cannot empty anything.

use model::{ContainerConfig, Error};

use crate::configure::Image;
use crate::error::Problem;
use crate::instruction::Instruction;
use crate::scope::Globals;
use crate::{lines, parse, text};

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
pub fn apply(config: &mut ContainerConfig, changes: &[impl AsRef<str>]) -> Result<(), Error> {
    if changes.is_empty() {
        return Ok(());
    }
    let text: Vec<&str> = changes.iter().map(AsRef::as_ref).collect();
    let changed = changed(config, &text.join("\n")).map_err(|Problem(why)| Error::Change(why))?;
    *config = changed;
    Ok(())
}

fn changed(config: &ContainerConfig, text: &str) -> Result<ContainerConfig, Problem> {
    let source = text::Source::new("", text);
    let (directives, lines) = lines::read(&source, text).map_err(|error| error.problem)?;
    if lines.is_empty() {
        return Err(Problem::new("file with no instructions"));
    }
    let raws: Vec<parse::Raw> = lines.iter().map(|line| parse::Raw::of(&line.text)).collect();
    if let Some(other) = raws.iter().find(|raw| !ALLOWED.contains(&raw.name.as_str())) {
        return Err(Problem(format!("{} is not a valid change command", other.written)));
    }
    let escape = directives.escape_char();
    let mut scope = Globals::bare(escape).stage(config.env.as_deref().unwrap_or_default());
    let mut image = Image::new(config.clone());
    for (raw, line) in raws.iter().zip(&lines) {
        let instruction = parse::instruction(raw, &line.heredocs, escape)?;
        image.apply(&instruction, &mut scope)?;
        if matches!(instruction, Instruction::Cmd(_)) || matches!(instruction, Instruction::Entrypoint(_)) {
            // BuildKit sets this mark for a CMD; commit goes through Docker's older builder, which takes it away.
            image.config.args_escaped = false;
        }
    }
    Ok(image.config)
}

#[cfg(test)]
mod tests;
