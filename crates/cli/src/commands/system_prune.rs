//! `system prune`: removes what nothing uses.

use engine::prune::PruneOptions;

use super::image_prune::{options, print};
use crate::context::Context;
use crate::options::Wait;
use crate::output::failure::Failure;
use crate::output::filter::Filter;
use crate::output::prompt;

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
    // Containers have no volumes here; scripts give the flag all the same.
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
    let options = PruneOptions { all: args.all, dry_run: args.dry_run, ..options(&args.filter)? };
    if args.dry_run {
        return print(&context.read()?.system_prune(&options)?, true);
    }
    if !args.force && !prompt::confirm(&question(args))? {
        return Ok(());
    }
    let engine = context.write()?;
    let pruned = engine.system_prune(&options)?;
    context.reclaim(&engine, args.wait.wait)?;
    print(&pruned, false)
}

fn question(args: &Args) -> String {
    let images = if args.all {
        "all images without at least one container associated to them"
    } else {
        "all dangling images"
    };
    let filters: String = args.filter.iter().map(|filter| format!("  - {filter}\n")).collect();
    let filtered = if filters.is_empty() {
        filters
    } else {
        format!("\n  Items to be pruned will be filtered with:\n{filters}")
    };
    format!(
        "WARNING! This will remove:\n  - all stopped containers\n  - {images}\n  \
         - all files that nothing can use\n{filtered}\nAre you sure you want to continue?"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_question_is_dockers() {
        let mut args = Args {
            all: false,
            dry_run: false,
            filter: Vec::new(),
            force: false,
            volumes: false,
            wait: Wait { wait: false },
        };
        assert_eq!(
            question(&args),
            "\
WARNING! This will remove:
  - all stopped containers
  - all dangling images
  - all files that nothing can use

Are you sure you want to continue?"
        );
        args.all = true;
        args.filter = vec!["label=a=b".parse().unwrap()];
        assert_eq!(
            question(&args),
            "\
WARNING! This will remove:
  - all stopped containers
  - all images without at least one container associated to them
  - all files that nothing can use

  Items to be pruned will be filtered with:
  - label=a=b

Are you sure you want to continue?"
        );
    }
}
