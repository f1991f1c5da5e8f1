//! `builder prune`: forgets what builds remember.

use engine::Engine;
use engine::prune::{BuildPruneOptions, Pruned};
use model::{Digest, size};

use super::images::until_of;
use super::prune;
use crate::context::Context;
use crate::options::Wait;
use crate::output::failure::Failure;
use crate::output::filter::{Filter, Filters};
use crate::rows::Show;

/// Remove build cache
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Remove all unused build cache, not just dangling ones
    #[arg(short, long)]
    all: bool,
    /// Show what would be removed, and remove nothing
    #[arg(long)]
    dry_run: bool,
    /// Provide filter values (e.g. "until=24h")
    #[arg(long, value_name = "filter")]
    filter: Vec<Filter>,
    /// Do not prompt for confirmation
    #[arg(short, long)]
    force: bool,
    /// Amount of disk space to keep for cache
    #[arg(long, value_name = "bytes", alias = "max-used-space", value_parser = bytes)]
    keep_storage: Option<u64>,
    #[command(flatten)]
    wait: Wait,
}

/// Asks, removes, and says what was removed.
///
/// # Errors
/// A filter's, or the engine's.
pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let filters = Filters::new(args.filter.iter().cloned(), &["until"])?;
    let options = BuildPruneOptions {
        all: args.all,
        until: until_of(&filters, &Show::new(false))?,
        keep: args.keep_storage.filter(|bytes| *bytes > 0),
        dry_run: args.dry_run,
    };
    if args.dry_run {
        return prune::print(&forget(&context.read()?, &options)?, true);
    }
    let what = if args.all { "all build cache" } else { "all dangling build cache" };
    let warning = format!("This will remove {what}.");
    prune::run(&warning, args.force, args.wait.wait, context, |engine| forget(engine, &options))
}

fn forget(engine: &Engine, options: &BuildPruneOptions) -> engine::Result<Pruned> {
    let pruned = engine.prune_builds(options)?;
    Ok(Pruned {
        builds: pruned.records.iter().map(Digest::short).chain(pruned.mounts).collect(),
        reclaimed: pruned.reclaimed,
        ..Pruned::default()
    })
}

fn bytes(text: &str) -> Result<u64, String> {
    size::parse_human(text).map_err(|err| err.to_string())
}
