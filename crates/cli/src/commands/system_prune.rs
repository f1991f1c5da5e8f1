//! `system prune`: removes what nothing uses.

use engine::prune::PruneOptions;

use super::prune;
use crate::context::Context;
use crate::options::Wait;
use crate::output::failure::Failure;
use crate::output::filter::Filter;

/// Remove unused data
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Remove all unused images not just dangling ones
    #[arg(short, long)]
    all: bool,
    /// Show what would be removed, and remove nothing
    #[arg(long)]
    dry_run: bool,
    /// Provide filter values (e.g. "label=<key>=<value>")
    #[arg(long, value_name = "filter")]
    filter: Vec<Filter>,
    /// Do not prompt for confirmation
    #[arg(short, long)]
    force: bool,
    /// Prune anonymous volumes
    #[arg(long)]
    volumes: bool,
    #[command(flatten)]
    wait: Wait,
}

/// Asks, removes, and says what was removed.
///
/// # Errors
/// A filter's, or the engine's.
pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let options = PruneOptions {
        all: args.all,
        dry_run: args.dry_run,
        volumes: args.volumes,
        ..prune::options(&args.filter)?
    };
    if args.volumes && options.until.is_some() {
        return Err(Failure::plain("ERROR: The \"until\" filter is not supported with \"--volumes\""));
    }
    if args.dry_run {
        return prune::print(&context.read()?.system_prune(&options)?, true);
    }
    prune::run(&warning(args), args.force, args.wait.wait, context, |engine| engine.system_prune(&options))
}

fn warning(args: &Args) -> String {
    let images = prune::images_that_go(args.all);
    let filters: String = args.filter.iter().map(|filter| format!("  - {filter}\n")).collect();
    let filtered = if filters.is_empty() {
        filters
    } else {
        format!("\n  Items to be pruned will be filtered with:\n{filters}")
    };
    let volumes =
        if args.volumes { "  - all anonymous volumes not used by at least one container\n" } else { "" };
    let builds = if args.all { "all build cache" } else { "unused build cache" };
    format!(
        "This will remove:\n  - all stopped containers\n{volumes}  - {images}\n  - {builds}\n  \
         - all files that nothing can use\n{filtered}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_warning_is_dockers() {
        let mut args = Args {
            all: false,
            dry_run: false,
            filter: Vec::new(),
            force: false,
            volumes: false,
            wait: Wait { wait: false },
        };
        assert_eq!(
            warning(&args),
            "\
This will remove:
  - all stopped containers
  - all dangling images
  - unused build cache
  - all files that nothing can use
"
        );
        args.volumes = true;
        args.all = true;
        args.filter = vec!["label=a=b".parse().unwrap()];
        assert_eq!(
            warning(&args),
            "\
This will remove:
  - all stopped containers
  - all anonymous volumes not used by at least one container
  - all images without at least one container associated to them
  - all build cache
  - all files that nothing can use

  Items to be pruned will be filtered with:
  - label=a=b
"
        );
    }
}
