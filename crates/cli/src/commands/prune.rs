//! What `image prune`, `container prune`, `volume prune` and `system prune` have in common.

use engine::Engine;
use engine::prune::{PruneOptions, Pruned};
use engine::remove_image::Removed;
use model::size;

use super::images::until_of;
use crate::context::Context;
use crate::output::failure::Failure;
use crate::output::filter::{Filter, Filters};
use crate::output::{prompt, stdout};
use crate::rows::Show;

/// What the images are called that go.
pub fn images_that_go(all: bool) -> &'static str {
    if all { "all images without at least one container associated to them" } else { "all dangling images" }
}

/// Asks, unless `force` says that there is no need, removes, gives the space back, and says what was removed.
///
/// # Errors
/// The engine's.
pub fn run(
    warning: &str,
    force: bool,
    wait: bool,
    context: &Context,
    prune: impl FnOnce(&Engine) -> engine::Result<Pruned>,
) -> Result<(), Failure> {
    let question = format!("WARNING! {warning}\nAre you sure you want to continue?");
    if !force && !prompt::confirm(&question)? {
        return Ok(());
    }
    let engine = context.write()?;
    let pruned = prune(&engine)?;
    context.reclaim(&engine, wait)?;
    print(&pruned, false)
}

/// The filters of all that prunes: `until`, `label`, `label!`.
///
/// # Errors
/// A filter that is none of these.
pub fn options(filters: &[Filter]) -> Result<PruneOptions, Failure> {
    let filters = Filters::new(filters.iter().cloned(), &["label", "label!", "until"])?;
    Ok(PruneOptions {
        until: until_of(&filters, &Show::new(false))?,
        labels: filters.values("label").map(str::to_owned).collect(),
        labels_not: filters.values("label!").map(str::to_owned).collect(),
        ..PruneOptions::default()
    })
}

/// Prints what was pruned, or with `dry` what would be, and warnings on standard error.
///
/// # Errors
/// It cannot be printed.
pub fn print(pruned: &Pruned, dry: bool) -> Result<(), Failure> {
    stdout::print(&report(pruned, dry))?;
    pruned.warnings.iter().for_each(|warning| stdout::complain(format_args!("WARNING: {warning}")));
    Ok(())
}

/// Docker's report.
fn report(pruned: &Pruned, dry: bool) -> String {
    let verb = if dry { "Would delete" } else { "Deleted" };
    let mut text = String::new();
    let mut section = |what: &str, lines: Vec<String>| {
        if !lines.is_empty() {
            text += &format!("{verb} {what}:\n{}\n\n", lines.join("\n"));
        }
    };
    section("Containers", pruned.containers.iter().map(ToString::to_string).collect());
    section("Volumes", pruned.volumes.iter().map(ToString::to_string).collect());
    section(
        "Images",
        pruned
            .images
            .iter()
            .map(|removed| match removed {
                Removed::Untagged(name) => format!("untagged: {name}"),
                Removed::Deleted(id) => format!("deleted: {id}"),
            })
            .collect(),
    );
    section("build cache objects", pruned.builds.clone());
    section("Garbage", pruned.garbage.clone());
    let total = if dry { "Total reclaimable space" } else { "Total reclaimed space" };
    text + &format!("{total}: {}\n", size::human(pruned.reclaimed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::ContainerId;

    #[test]
    fn the_report_is_dockers() {
        assert_eq!(report(&Pruned::default(), false), "Total reclaimed space: 0B\n");
        let id = ContainerId::from_random([0xab; 32]);
        let pruned = Pruned {
            containers: vec![id],
            volumes: vec!["data".parse().unwrap()],
            images: vec![Removed::Untagged("a:1".into()), Removed::Deleted("sha256:1".into())],
            builds: vec!["0123456789ab".into()],
            garbage: vec!["overlay2/x".into()],
            reclaimed: 3_971_000,
            warnings: Vec::new(),
        };
        assert_eq!(
            report(&pruned, false),
            format!(
                "Deleted Containers:\n{id}\n\nDeleted Volumes:\ndata\n\nDeleted Images:\nuntagged: a:1\ndeleted: sha256:1\n\n\
                 Deleted build cache objects:\n0123456789ab\n\nDeleted Garbage:\noverlay2/x\n\nTotal reclaimed space: 3.971MB\n"
            )
        );
        let images_only = Pruned {
            containers: Vec::new(),
            volumes: Vec::new(),
            builds: Vec::new(),
            garbage: Vec::new(),
            ..pruned
        };
        assert_eq!(
            report(&images_only, true),
            "Would delete Images:\nuntagged: a:1\ndeleted: sha256:1\n\nTotal reclaimable space: 3.971MB\n"
        );
    }

    #[test]
    fn filters_become_options() {
        let filters: Vec<Filter> = ["label=a", "label=b=1", "label!=c", "until=1136073600"]
            .iter()
            .map(|text| text.parse().unwrap())
            .collect();
        let options = options(&filters).unwrap();
        assert_eq!(
            (options.labels, options.labels_not),
            (vec!["a".to_owned(), "b=1".into()], vec!["c".to_owned()])
        );
        assert_eq!(options.until.unwrap().to_string(), "2006-01-01T00:00:00Z");
    }

    #[test]
    fn errors_are_dockers() {
        let fails = |texts: &[&str]| {
            let filters: Vec<Filter> = texts.iter().map(|text| text.parse().unwrap()).collect();
            options(&filters).unwrap_err().message
        };
        assert_eq!(fails(&["bogus=1"]), "Error: invalid filter 'bogus'");
        assert_eq!(fails(&["until=1h", "until=2h"]), "Error: more than one until filter specified");
        assert_eq!(fails(&["until=x"]), "Error: invalid filter 'until=[x]'");
    }
}
