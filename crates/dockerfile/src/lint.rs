//! What is right but not wise. The rules, their names and their words are BuildKit's; those are left out that need a base
//! image, the context or the values of variables.

use crate::instruction::{Command, Instruction};
use crate::lines::Line;
use crate::parse::Raw;
use crate::text::Span;
use crate::{Dockerfile, Stage, Warning};

/// All warnings, in the order of lines, without those that `# check=skip=…` names.
pub(crate) fn check(file: &Dockerfile, lines: &[Line]) -> Vec<Warning> {
    let mut found = Findings::default();
    for line in lines.iter().filter(|line| line.has_gap) {
        found.add("NoEmptyContinuation", Span::line(line.span.last), "Empty continuation line");
    }
    casing(lines, &mut found);
    names(file, &mut found);
    for stage in &file.stages {
        check_stage(stage, &mut found);
    }
    let skipped = skipped(file.directives.check.as_deref().unwrap_or_default());
    let mut warnings = found.0;
    warnings.retain(|warning| !skipped.iter().any(|rule| *rule == "all" || *rule == warning.rule));
    warnings.sort_by_key(|warning| warning.span.first);
    warnings
}

#[derive(Default)]
struct Findings(Vec<Warning>);

impl Findings {
    fn add(&mut self, rule: &'static str, span: Span, message: impl Into<String>) {
        self.0.push(Warning { rule, message: message.into(), span });
    }
}

/// The rules behind `skip=` in `skip=A,B;error=true`.
fn skipped(directive: &str) -> Vec<&str> {
    let skip = directive.split(';').find_map(|part| part.trim().strip_prefix("skip="));
    skip.map(|rules| rules.split(',').map(str::trim).collect()).unwrap_or_default()
}

fn casing(lines: &[Line], found: &mut Findings) {
    let is_upper = |text: &str| text == text.to_uppercase();
    let is_lower = |text: &str| text == text.to_lowercase();
    let raws: Vec<(Raw, Span)> = lines.iter().map(|line| (Raw::of(&line.text), line.span)).collect();
    let count = |is: &dyn Fn(&str) -> bool| raws.iter().filter(|(raw, _)| is(&raw.written)).count();
    let majority = if count(&is_lower) > count(&is_upper) { "lowercase" } else { "uppercase" };
    for (raw, span) in &raws {
        let written = &raw.written;
        let fits = if majority == "uppercase" { is_upper(written) } else { is_lower(written) };
        if !fits {
            found.add(
                "ConsistentInstructionCasing",
                *span,
                format!("Command '{written}' should match the case of the command majority ({majority})"),
            );
        }
        let words = raw.words();
        let [_, keyword, name] = words.as_slice() else { continue };
        if raw.name != "FROM" {
            continue;
        }
        if is_lower(written) != is_lower(keyword) {
            found.add(
                "FromAsCasing",
                *span,
                format!("'{keyword}' and '{written}' keywords' casing do not match"),
            );
        }
        if !is_lower(name) {
            found.add("StageNameCasing", *span, format!("Stage name '{name}' should be lowercase"));
        }
    }
}

fn names(file: &Dockerfile, found: &mut Findings) {
    for (index, stage) in file.stages.iter().enumerate() {
        let Some(name) = &stage.name else { continue };
        if matches!(name.as_str(), "scratch" | "context") {
            found.add(
                "ReservedStageName",
                stage.span,
                format!("Stage name should not use the same name as reserved stage {name:?}"),
            );
        }
        if file.stages[..index].iter().any(|other| other.name.as_ref() == Some(name)) {
            found.add(
                "DuplicateStageName",
                stage.span,
                format!("Duplicate stage name {name:?}, stage names should be unique"),
            );
        }
    }
}

fn check_stage(stage: &Stage, found: &mut Findings) {
    let has_shell = stage.steps.iter().any(|step| matches!(step.instruction, Instruction::Shell(_)));
    let mut workdir_is_absolute = false;
    let mut only_one: Vec<(&'static str, Span)> = Vec::new();
    for step in &stage.steps {
        let span = step.span;
        let name = step.instruction.name();
        if matches!(name, "CMD" | "ENTRYPOINT" | "HEALTHCHECK") {
            // The last one counts; those before are the ones to remove.
            if let Some(at) = only_one.iter().position(|(other, _)| *other == name) {
                let (_, earlier) = only_one.remove(at);
                found.add("MultipleInstructionsDisallowed", earlier, several(name));
            }
            only_one.push((name, span));
        }
        match &step.instruction {
            Instruction::Maintainer(_) => {
                found.add(
                    "MaintainerDeprecated",
                    span,
                    "Maintainer instruction is deprecated in favor of using label",
                );
            }
            Instruction::Cmd(Command::Shell(text)) | Instruction::Entrypoint(Command::Shell(text))
                if !has_shell && !text.is_empty() =>
            {
                let why = "to prevent unintended behavior related to OS signals";
                found.add(
                    "JSONArgsRecommended",
                    span,
                    format!("JSON arguments recommended for {name} {why}"),
                );
            }
            Instruction::Env(_) | Instruction::Label(_) if is_legacy(&step.original) => {
                let text = format!(
                    "\"{name} key=value\" should be used instead of legacy \"{name} key value\" format"
                );
                found.add("LegacyKeyValueFormat", span, text);
            }
            Instruction::Workdir(path) => {
                if path.starts_with(['/', '$']) {
                    workdir_is_absolute = true;
                } else if !workdir_is_absolute {
                    let why = "can have unexpected results if the base image changes";
                    found.add("WorkdirRelativePath", span, format!("Relative workdir {path:?} {why}"));
                }
            }
            _ => {}
        }
        for key in keys(&step.instruction).into_iter().filter(|key| is_secret(key)) {
            let text = format!("Do not use ARG or ENV instructions for sensitive data ({name} {key:?})");
            found.add("SecretsUsedInArgOrEnv", span, text);
        }
    }
}

fn several(name: &str) -> String {
    format!(
        "Multiple {name} instructions should not be used in the same stage because only the last one will be used"
    )
}

/// `ENV name value`.
fn is_legacy(line: &str) -> bool {
    line.split_whitespace().nth(1).is_some_and(|word| !word.contains('='))
}

fn keys(instruction: &Instruction) -> Vec<&str> {
    match instruction {
        Instruction::Arg(args) => args.iter().map(|arg| arg.name.as_str()).collect(),
        Instruction::Env(pairs) => pairs.iter().map(|(name, _)| name.as_str()).collect(),
        _ => Vec::new(),
    }
}

/// Whether a part of the name between underscores is a word for secrets, and none says that it is public.
fn is_secret(name: &str) -> bool {
    const SECRET: [&str; 10] = [
        "apikey",
        "auth",
        "credential",
        "credentials",
        "key",
        "password",
        "pword",
        "passwd",
        "secret",
        "token",
    ];
    let name = name.to_lowercase();
    let mut parts = name.split('_');
    parts.clone().any(|part| SECRET.contains(&part)) && !parts.any(|part| part == "public")
}
