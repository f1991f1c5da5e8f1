//! From lines to instructions.

mod flags;
mod healthcheck;
mod raw;

use self::flags::Flags;
pub(crate) use self::raw::Raw;
use self::raw::needs_one;
use crate::error::{Error, Problem, Result, refuse};
use crate::instruction::{Add, Arg, Command, Copy, Heredoc, Instruction, Run, Source};
use crate::lines::{self, Line};
use crate::mount::MountFlag;
use crate::text::{self, Span};
use crate::{Dockerfile, Stage, Step, lint};

/// Reads a Dockerfile. `name` is what errors call it.
///
/// # Errors
/// The first thing that is no Dockerfile, with its place.
pub fn parse(name: &str, bytes: &[u8]) -> Result<Dockerfile, Error> {
    let Ok(content) = std::str::from_utf8(bytes) else {
        let valid = bytes.utf8_chunks().next().map_or("", |chunk| chunk.valid());
        let source = text::Source::new(name, &String::from_utf8_lossy(bytes));
        let span = Span::line(valid.matches('\n').count() + 1);
        return Err(Error::parsing(&source, span, Problem::new("the file is not UTF-8 text")));
    };
    let source = text::Source::new(name, content);
    let (directives, lines) = lines::read(&source, content)?;
    let escape = directives.escape_char();
    if lines.is_empty() {
        let last = Span::line(content.lines().count());
        return Err(Error::at(&source, last, Problem::new("file with no instructions")));
    }
    let mut global_args = Vec::new();
    let mut stages: Vec<Stage> = Vec::new();
    for line in &lines {
        let raw = Raw::of(&line.text);
        let wrong = |problem| Error::parsing(&source, line.span, problem);
        // BuildKit finds these while it still splits lines, and does not say that they are parse errors.
        raw.check(escape).map_err(|problem| Error::at(&source, line.span, problem))?;
        if raw.name == "FROM" {
            stages.push(from(&raw, line).map_err(wrong)?);
            continue;
        }
        let instruction = instruction(&raw, &line.heredocs, escape).map_err(wrong)?;
        let step = Step { instruction, original: line.text.trim().to_owned(), span: line.span };
        match stages.last_mut() {
            Some(stage) => stage.steps.push(step),
            None if matches!(step.instruction, Instruction::Arg(_)) => global_args.push(step),
            None => {
                let why = Problem::new("no build stage in current context");
                return Err(Error::at(&source, line.span, why));
            }
        }
    }
    if stages.is_empty() {
        let nowhere = Span::line(0);
        return Err(Error::at(&source, nowhere, Problem::new("dockerfile contains no stages to build")));
    }
    let mut file = Dockerfile { text: source, directives, global_args, stages, warnings: Vec::new() };
    file.warnings = lint::check(&file, &lines);
    Ok(file)
}

/// Reads the triggers that a base image's `ONBUILD`s left. Their lines are those of the `FROM` that names the image.
///
/// # Errors
/// One of them is no instruction, or several.
pub fn triggers(triggers: &[String], from: Span) -> Result<Vec<Step>> {
    let mut steps = Vec::new();
    for trigger in triggers {
        let source = text::Source::new("ONBUILD", trigger);
        let (_, lines) = lines::read(&source, trigger).map_err(|error| error.problem)?;
        let [line] = lines.as_slice() else {
            return refuse("onbuild trigger should be a single expression");
        };
        let instruction = instruction(&Raw::of(&line.text), &line.heredocs, '\\')?;
        steps.push(Step { instruction, original: format!("ONBUILD {}", line.text.trim()), span: from });
    }
    Ok(steps)
}

/// Whether the arguments of a line are a JSON array; then `<<` in it is no here-document.
pub(crate) fn is_json(name: &str, text: &str) -> bool {
    let raw = Raw::of(text);
    let raw = if raw.name.eq_ignore_ascii_case(name) { raw } else { Raw::of(&raw.rest) };
    matches!(raw.json(), Ok(Some(_)))
}

fn from(raw: &Raw, line: &Line) -> Result<Stage> {
    let words: Vec<&str> = raw.words();
    let (base, name) = match words.as_slice() {
        [base] => (base, None),
        [base, keyword, name] if keyword.eq_ignore_ascii_case("as") => (base, Some(stage_name(name)?)),
        _ => return refuse("FROM requires either one or three arguments"),
    };
    let mut flags = Flags::of(raw)?;
    let platform = flags.text("platform")?;
    flags.finish()?;
    let original = line.text.trim().to_owned();
    Ok(Stage { name, base: (*base).to_owned(), platform, original, span: line.span, steps: Vec::new() })
}

fn stage_name(text: &str) -> Result<String> {
    let name = text.to_lowercase();
    let rest = name.strip_prefix(|c: char| c.is_ascii_lowercase());
    let is_valid = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.');
    if rest.is_some_and(|rest| rest.chars().all(is_valid)) {
        return Ok(name);
    }
    refuse(format!(
        "invalid name for build stage: {text:?}, name can't start with a number or contain symbols"
    ))
}

const NAMES: [&str; 18] = [
    "ADD",
    "ARG",
    "CMD",
    "COPY",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "FROM",
    "HEALTHCHECK",
    "LABEL",
    "MAINTAINER",
    "ONBUILD",
    "RUN",
    "SHELL",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
    "WORKDIR",
];

/// Any instruction but `FROM`.
pub(crate) fn instruction(raw: &Raw, heredocs: &[Heredoc], escape: char) -> Result<Instruction> {
    Ok(match raw.name.as_str() {
        "ADD" => Instruction::Add(add(raw, heredocs)?),
        "ARG" => Instruction::Arg(args(raw, escape)?),
        "CMD" => {
            let command = raw.command()?;
            Flags::of(raw)?.finish()?;
            Instruction::Cmd(command)
        }
        "COPY" => Instruction::Copy(copy(raw, heredocs)?),
        "ENTRYPOINT" => {
            let command = raw.command()?;
            Flags::of(raw)?.finish()?;
            Instruction::Entrypoint(command)
        }
        "ENV" => Instruction::Env(raw.pairs(escape)?),
        "EXPOSE" => {
            raw.at_least_one_argument()?;
            Flags::of(raw)?.finish()?;
            let mut ports: Vec<String> = raw.words().into_iter().map(str::to_owned).collect();
            ports.sort_unstable();
            Instruction::Expose(ports)
        }
        "HEALTHCHECK" => Instruction::Healthcheck(healthcheck::parse(raw)?),
        "LABEL" => Instruction::Label(raw.pairs(escape)?),
        "MAINTAINER" => Instruction::Maintainer(raw.one_argument()?),
        "ONBUILD" => Instruction::Onbuild(onbuild(raw, heredocs)?),
        "RUN" => Instruction::Run(run(raw, heredocs)?),
        "SHELL" => match raw.command()? {
            Command::Shell(text) if text.is_empty() => return needs_one("SHELL"),
            Command::Exec(words) if words.is_empty() => return needs_one("SHELL"),
            Command::Exec(words) => {
                Flags::of(raw)?.finish()?;
                Instruction::Shell(words)
            }
            Command::Shell(_) => return refuse("SHELL requires the arguments to be in JSON form"),
        },
        "STOPSIGNAL" => Instruction::Stopsignal(raw.one_argument()?),
        "USER" => Instruction::User(raw.one_argument()?),
        "VOLUME" => Instruction::Volume(volumes(raw)?),
        "WORKDIR" => Instruction::Workdir(raw.one_argument()?),
        _ => {
            let written = &raw.written;
            return refuse(format!("unknown instruction: {written}{}", suggestion(&raw.name, &NAMES)));
        }
    })
}

fn args(raw: &Raw, escape: char) -> Result<Vec<Arg>> {
    let words = crate::words::split(&raw.rest, escape);
    if words.is_empty() {
        return needs_one("ARG");
    }
    Flags::of(raw)?.finish()?;
    let arg = |word: &String| match word.split_once('=') {
        Some(("", _)) => refuse("ARG names can not be blank"),
        Some((name, value)) => Ok(Arg { name: name.to_owned(), default: Some(value.to_owned()) }),
        None => Ok(Arg { name: word.clone(), default: None }),
    };
    words.iter().map(arg).collect()
}

fn copy(raw: &Raw, heredocs: &[Heredoc]) -> Result<Copy> {
    let (sources, dest) = sources_and_dest(raw, heredocs)?;
    let mut flags = Flags::of(raw)?;
    let copy = Copy {
        sources,
        dest,
        from: flags.text("from")?.filter(|from| !from.is_empty()),
        chown: flags.text("chown")?,
        chmod: flags.text("chmod")?,
        link: flags.boolean("link")?.unwrap_or_default(),
        parents: flags.boolean("parents")?.unwrap_or_default(),
        exclude: flags.texts("exclude")?,
    };
    flags.finish()?;
    Ok(copy)
}

fn add(raw: &Raw, heredocs: &[Heredoc]) -> Result<Add> {
    let (sources, dest) = sources_and_dest(raw, heredocs)?;
    let mut flags = Flags::of(raw)?;
    let add = Add {
        sources,
        dest,
        chown: flags.text("chown")?,
        chmod: flags.text("chmod")?,
        link: flags.boolean("link")?.unwrap_or_default(),
        exclude: flags.texts("exclude")?,
        checksum: flags.text("checksum")?.filter(|text| !text.is_empty()),
        keep_git_dir: flags.boolean("keep-git-dir")?.unwrap_or_default(),
        unpack: flags.boolean("unpack")?,
    };
    flags.finish()?;
    Ok(add)
}

fn sources_and_dest(raw: &Raw, heredocs: &[Heredoc]) -> Result<(Vec<Source>, String)> {
    let name = &raw.name;
    let mut words = match raw.json()? {
        Some(words) => words,
        None => raw.words().into_iter().map(str::to_owned).collect(),
    };
    let Some(dest) = words.pop().filter(|_| !words.is_empty()) else {
        return refuse(format!(
            "{name} requires at least two arguments, but only one was provided. Destination could not be determined"
        ));
    };
    if lines::heredoc_word(&dest).is_some() {
        return refuse(format!("{name} cannot accept a heredoc as a destination"));
    }
    let source = |word: String| match lines::heredoc_word(&word) {
        Some((name, ..)) => {
            heredocs.iter().find(|it| it.name == name).cloned().map_or(Source::Path(word), Source::Heredoc)
        }
        None => Source::Path(word),
    };
    Ok((words.into_iter().map(source).collect(), dest))
}

fn onbuild(raw: &Raw, heredocs: &[Heredoc]) -> Result<String> {
    raw.at_least_one_argument()?;
    // What looks like a flag of ONBUILD is refused as one, so the trigger is all that follows.
    Flags::of(raw)?.finish()?;
    let trigger = Raw::of(&raw.rest);
    match trigger.name.as_str() {
        "ONBUILD" => return refuse("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed"),
        "FROM" | "MAINTAINER" => {
            return refuse(format!("{} isn't allowed as an ONBUILD trigger", trigger.name));
        }
        // Whether it is right is found out by the build that it triggers.
        _ => {}
    }
    let documents = heredocs.iter().map(|it| format!("\n{}{}", it.content, it.name));
    Ok(raw.rest.clone() + &documents.collect::<String>())
}

fn run(raw: &Raw, heredocs: &[Heredoc]) -> Result<Run> {
    let mut flags = Flags::of(raw)?;
    let mounts = flags.texts("mount")?;
    let network = flags.text("network")?;
    let security = flags.text("security")?;
    let devices = flags.texts("device")?;
    flags.finish()?;
    one_of("network mode", network.as_deref(), &["default", "none", "host"])?;
    one_of("security mode", security.as_deref(), &["sandbox", "insecure"])?;
    let mounts = mounts.iter().map(|mount| MountFlag::parse(mount)).collect::<Result<_>>()?;
    Ok(Run { command: raw.command()?, heredocs: heredocs.to_vec(), mounts, network, security, devices })
}

fn one_of(what: &str, value: Option<&str>, allowed: &[&str]) -> Result<()> {
    match value {
        Some(value) if !allowed.contains(&value) => {
            refuse(format!("invalid {what} {value:?}{}", suggestion(value, allowed)))
        }
        _ => Ok(()),
    }
}

fn volumes(raw: &Raw) -> Result<Vec<String>> {
    let paths = match raw.json()? {
        Some(paths) => paths,
        None => raw.words().into_iter().map(str::to_owned).collect(),
    };
    if paths.is_empty() {
        return needs_one("VOLUME");
    }
    Flags::of(raw)?.finish()?;
    let path = |path: &String| match path.trim() {
        "" => refuse("VOLUME specified can not be an empty string"),
        path => Ok(path.to_owned()),
    };
    paths.iter().map(path).collect()
}

/// ` (did you mean …?)` if one of `known` is near.
pub(crate) fn suggestion(given: &str, known: &[&str]) -> String {
    const FAR: usize = 3;
    let given = given.to_lowercase();
    let nearest = known.iter().map(|name| (distance(&given, &name.to_lowercase()), name)).min();
    match nearest {
        Some((distance, name)) if (1..FAR).contains(&distance) => format!(" (did you mean {name}?)"),
        _ => String::new(),
    }
}

/// Levenshtein's: how many characters have to come, go or change.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let changed = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests;
