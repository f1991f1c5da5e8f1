//! `system migrate`: the store moves to another storage driver.

use engine::migrate::{Content, Estimate, MigrateOptions, Migrated, Sharing};
use model::size;
use serde_json::{Value, json};

use crate::context::Context;
use crate::options::KeyValue;
use crate::output::failure::Failure;
use crate::output::{progress, stdout};

/// Move images and stopped containers to another storage driver
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Take back what an interrupted migration has moved
    #[arg(long, conflicts_with_all = ["to", "dry_run", "to_storage_opts"])]
    abandon: bool,
    /// Show what would be moved and what that would take, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Output format: "json"
    #[arg(long, value_name = "string", value_parser = ["json"])]
    format: Option<String>,
    /// Suppress the progress
    #[arg(short, long)]
    quiet: bool,
    /// The storage driver that gets everything
    #[arg(long, value_name = "driver")]
    to: Option<String>,
    /// Its storage driver options
    #[arg(long = "to-storage-opt", value_name = "list")]
    to_storage_opts: Vec<KeyValue>,
}

/// Moves, and says what was moved.
///
/// # Errors
/// The engine's.
pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let to = match (&args.to, args.abandon) {
        (None, false) => return Err(Failure::plain("required flag(s) \"to\" not set")),
        (to, _) => to.clone().unwrap_or_default(),
    };
    let engine = context.write()?;
    if args.abandon {
        let there_was = engine.abandon_migration()?;
        return stdout::print(if there_was { "Abandoned\n" } else { "Nothing to abandon\n" });
    }
    let options =
        MigrateOptions { to, storage_opts: args.to_storage_opts.iter().map(KeyValue::pair).collect() };
    if args.dry_run {
        let estimate = engine.estimate_migration(&options)?;
        return print(args, || planned(&estimate), || plan_document(&estimate));
    }
    let migrated = engine.migrate(&options, &*progress::for_stderr(args.quiet))?;
    for warning in &migrated.warnings {
        stdout::complain(format_args!("WARNING: {warning}"));
    }
    print(args, || done(&migrated), || done_document(&migrated))?;
    if let Some(hint) = hint(&migrated, context.storage_driver()?.as_deref()) {
        stdout::complain(format_args!("{hint}"));
    }
    Ok(())
}

fn print(
    args: &Args,
    text: impl FnOnce() -> String,
    document: impl FnOnce() -> Value,
) -> Result<(), Failure> {
    match args.format {
        Some(_) => stdout::print(&format!("{}\n", document())),
        None => stdout::print(&text()),
    }
}

/// `vfs` is never chosen because its layers are there, and a driver that is named is the one that is used.
fn hint(migrated: &Migrated, named: Option<&str>) -> Option<String> {
    let to = &migrated.to;
    match named {
        Some(name) if name != to => Some(format!(
            "From now on use --storage-driver {to}: the command line or daemon.json names {name}, which has nothing any more"
        )),
        None if to == "vfs" => Some(format!(
            "From now on use --storage-driver {to}, or \"storage-driver\": \"{to}\" in daemon.json"
        )),
        _ => None,
    }
}

fn done(migrated: &Migrated) -> String {
    let Migrated { from, to, images, layers, containers, content, .. } = migrated;
    let Content { linked, cloned, written } = content;
    format!(
        "Migrated from {from} to {to}: {}, {}, {}\nShared {} by links and {} by blocks, wrote {}\n",
        count(*images, "image"),
        count(*layers, "layer"),
        count(*containers, "container"),
        size::human(*linked),
        size::human(*cloned),
        size::human(*written),
    )
}

fn done_document(migrated: &Migrated) -> Value {
    let Migrated { from, to, images, layers, containers, content, warnings } = migrated;
    json!({
        "From": from,
        "To": to,
        "Images": images,
        "Layers": layers,
        "Containers": containers,
        "BytesLinked": content.linked,
        "BytesCloned": content.cloned,
        "BytesWritten": content.written,
        "Warnings": warnings,
    })
}

fn planned(estimate: &Estimate) -> String {
    let Estimate { from, to, images, layers, containers, bytes, written, .. } = estimate;
    let files = match estimate.sharing {
        Sharing::Links => "Files that do not change are shared by links",
        Sharing::Clones => "Files share their blocks",
        Sharing::Nothing => "Files are copied",
    };
    let parents =
        if estimate.copies_parents { "; each layer begins as a copy of the one below it" } else { "" };
    format!(
        "Would migrate from {from} to {to}: {}, {}, {} ({})\n{files}{parents}\nWould write {}; {from} keeps \
         everything until all is there\n",
        count(*images, "image"),
        count(*layers, "layer"),
        count(*containers, "container"),
        size::human(*bytes),
        size::human(*written),
    )
}

fn plan_document(estimate: &Estimate) -> Value {
    let sharing = match estimate.sharing {
        Sharing::Links => "links",
        Sharing::Clones => "blocks",
        Sharing::Nothing => "none",
    };
    json!({
        "From": estimate.from,
        "To": estimate.to,
        "Images": estimate.images,
        "Layers": estimate.layers,
        "Containers": estimate.containers,
        "Bytes": estimate.bytes,
        "BytesToWrite": estimate.written,
        "Sharing": sharing,
        "CopiesParents": estimate.copies_parents,
    })
}

fn count(n: usize, noun: &str) -> String {
    match n {
        0 => format!("no {noun}s"),
        1 => format!("1 {noun}"),
        n => format!("{n} {noun}s"),
    }
}
