//! Which stages a target needs, and what each of them stands on.

use model::{Platform, Reference};

use crate::error::{Error, Problem, Result};
use crate::instruction::Instruction;
use crate::parse::suggestion;
use crate::scope::Globals;
use crate::{Dockerfile, Step};

/// The stages that a target needs, those that others need first. Two that do not need each other may run at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// In order of dependence; the last one is the target.
    pub stages: Vec<Planned>,
}

/// One stage that is to be built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// Its number in [`Dockerfile::stages`].
    pub index: usize,
    /// What it stands on.
    pub base: Base,
    /// `--platform` of its `FROM`.
    pub platform: Option<Platform>,
    /// The stages that must be there first, its base included, in ascending order.
    pub needs: Vec<usize>,
}

/// What a stage stands on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Base {
    /// Nothing.
    Scratch,
    /// Another stage, by number.
    Stage(usize),
    /// An image.
    Image(Reference),
}

/// Where `COPY --from` and `RUN --mount=from=` read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// An empty tree: `scratch`.
    Scratch,
    /// A stage, by number.
    Stage(usize),
    /// An image.
    Image(Reference),
}

/// Plans the build of `target`: a stage's name or number; the last stage if there is none.
///
/// # Errors
/// There is no such stage; a base cannot be expanded, is blank or no name; a step reads from its own or a later stage.
pub fn plan(file: &Dockerfile, globals: &Globals, target: Option<&str>) -> Result<Plan, Error> {
    let last = file.stages.len() - 1;
    let target = match target.filter(|name| !name.is_empty()) {
        None => last,
        Some(name) => file.stage(name).ok_or_else(|| {
            let why = format!("target stage {name:?} could not be found{}", file.near_stage(name));
            file.error(file.stages[last].span, Problem(why))
        })?,
    };
    let mut planned: Vec<Option<Planned>> = (0..file.stages.len()).map(|_| None).collect();
    // Every stage needs earlier ones only, so one walk backwards sees each of them after all that need it.
    let mut needed = vec![false; target + 1];
    needed[target] = true;
    for index in (0..=target).rev() {
        if needed[index] {
            let stage = plan_stage(file, globals, index)?;
            stage.needs.iter().for_each(|&other| needed[other] = true);
            planned[index] = Some(stage);
        }
    }
    Ok(Plan { stages: planned.into_iter().flatten().collect() })
}

fn plan_stage(file: &Dockerfile, globals: &Globals, index: usize) -> Result<Planned, Error> {
    let stage = &file.stages[index];
    let at_from = |why: Problem| file.error(stage.span, why);
    let expand = |word: &str| globals.expand(word).map_err(at_from);
    let name = expand(&stage.base)?;
    if name.is_empty() {
        let text = format!("base name ({}) should not be blank", stage.base);
        return Err(at_from(Problem(text)));
    }
    let base = match stage_before(file, index, &name) {
        Some(other) => Base::Stage(other),
        None if name == "scratch" => Base::Scratch,
        None => Base::Image(image(&name).map_err(at_from)?),
    };
    let platform = match stage.platform.as_deref().map(expand).transpose()? {
        Some(text) if text.is_empty() => {
            let written = stage.platform.as_deref().unwrap_or_default();
            let why = format!(
                "empty platform value from expression {written} (did you mean {}?)",
                "$TARGETPLATFORM"
            );
            return Err(at_from(Problem(why)));
        }
        Some(text) => Some(Platform::parse(&text).map_err(|why| at_from(why.into()))?),
        None => None,
    };
    let mut needs: Vec<usize> = match base {
        Base::Stage(other) => vec![other],
        _ => Vec::new(),
    };
    for step in &stage.steps {
        for origin in step.instruction.origins() {
            if let Origin::Stage(other) = file.origin(index, step, origin)? {
                needs.push(other);
            }
        }
    }
    needs.sort_unstable();
    needs.dedup();
    Ok(Planned { index, base, platform, needs })
}

impl Dockerfile {
    /// The number of the stage with this name, or with this number.
    pub fn stage(&self, name: &str) -> Option<usize> {
        let lower = name.to_lowercase();
        let named = self.stages.iter().rposition(|stage| stage.name.as_ref() == Some(&lower));
        named.or_else(|| name.parse().ok().filter(|&number: &usize| number < self.stages.len()))
    }

    fn near_stage(&self, name: &str) -> String {
        let names: Vec<&str> = self.stages.iter().filter_map(|stage| stage.name.as_deref()).collect();
        suggestion(&name.to_lowercase(), &names)
    }

    /// What `from` means in `step` of the stage with the number `index`.
    ///
    /// # Errors
    /// The stage itself or a later one; neither a stage nor the name of an image.
    pub fn origin(&self, index: usize, step: &Step, from: &str) -> Result<Origin, Error> {
        let problem = |why: String| self.error(step.span, Problem(why));
        if has_variable(from) {
            let why = "variable expansion is not supported for --from, define a new stage with FROM using ARG from \
                       global scope as a workaround";
            return Err(problem(why.to_owned()));
        }
        let lower = from.to_lowercase();
        if let Some(other) =
            self.stages[..index].iter().rposition(|stage| stage.name.as_ref() == Some(&lower))
        {
            return Ok(Origin::Stage(other));
        }
        if self.stages[index].name.as_ref() == Some(&lower) {
            return Err(problem(format!("circular dependency detected on stage: {lower}")));
        }
        if matches!(step.instruction, Instruction::Copy(_))
            && let Ok(number) = from.parse::<usize>()
        {
            return match number < index {
                true => Ok(Origin::Stage(number)),
                false => Err(problem(format!("invalid stage index {number}"))),
            };
        }
        if from == "scratch" {
            return Ok(Origin::Scratch);
        }
        image(from).map(Origin::Image).map_err(|why| self.error(step.span, why))
    }
}

/// The last stage before `index` with this name, for `FROM`, which takes no numbers.
fn stage_before(file: &Dockerfile, index: usize, name: &str) -> Option<usize> {
    let lower = name.to_lowercase();
    file.stages[..index].iter().rposition(|stage| stage.name.as_ref() == Some(&lower))
}

/// `$` and something behind it.
pub(crate) fn has_variable(from: &str) -> bool {
    from.find('$').is_some_and(|at| at + 1 < from.len())
}

fn image(name: &str) -> Result<Reference> {
    match Reference::parse(name) {
        Ok(name) => Ok(name.with_default_tag()),
        Err(why) => Err(Problem(format!("failed to parse stage name {name:?}: {why}"))),
    }
}

#[cfg(test)]
mod tests;
