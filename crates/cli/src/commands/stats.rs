//! `stats`: what containers use.

use std::io::IsTerminal;
use std::rc::Rc;
use std::thread::sleep;
use std::time::Duration;

use engine::Engine;
use engine::containers::ListContainers;
use engine::run::Sample;
use model::ContainerId;

use crate::context::Context;
use crate::options::ListingFormat;
use crate::output::failure::Failure;
use crate::output::listing::Listing;
use crate::output::stdout;
use crate::rows::Show;
use crate::rows::stats::{NAMED, StatsRow};

/// Display a live stream of container(s) resource usage statistics
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Show all containers (default shows just running)
    #[arg(short, long)]
    all: bool,
    #[command(flatten)]
    format: ListingFormat,
    /// Disable streaming stats and only pull the first result
    #[arg(long)]
    no_stream: bool,
    /// Do not truncate output
    #[arg(long)]
    no_trunc: bool,
    #[arg(value_name = "CONTAINER")]
    containers: Vec<String>,
}

/// How long what is used is watched for a share of the processor.
const INTERVAL: Duration = Duration::from_millis(500);

/// Lets a terminal begin anew: the cursor to the top, the rest of the screen erased.
const CLEAR: &str = "\x1b[H\x1b[J";

/// Prints what they use, again and again, or once.
///
/// # Errors
/// The engine's.
pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let listing: Listing<StatsRow> = Listing::parse(&args.format.format, false, &NAMED)?;
    let engine = context.read()?;
    let show = Rc::new(Show::new(args.no_trunc));
    let mut before: Vec<(ContainerId, Sample)> = samples(&engine, args)?;
    loop {
        sleep(INTERVAL);
        let now = samples(&engine, args)?;
        let mut rows = Vec::new();
        for (id, name) in wanted(&engine, args)? {
            let of = |samples: &[(ContainerId, Sample)]| {
                samples.iter().find(|(known, _)| *known == id).map(|(_, sample)| sample.clone())
            };
            let samples = of(&before).zip(of(&now));
            rows.push(StatsRow { id, name, samples, show: Rc::clone(&show) });
        }
        let text = listing.render(rows)?;
        let begin = if !args.no_stream && std::io::stdout().is_terminal() { CLEAR } else { "" };
        stdout::print(&format!("{begin}{text}"))?;
        if args.no_stream {
            return Ok(());
        }
        before = now;
    }
}

/// The containers that were named, else all that run, with their names.
fn wanted(engine: &Engine, args: &Args) -> Result<Vec<(ContainerId, String)>, Failure> {
    let options =
        ListContainers { all: args.all || !args.containers.is_empty(), ..ListContainers::default() };
    let all = engine.list_containers(&options)?;
    let named = |id: &ContainerId| {
        let summary = all.iter().find(|summary| summary.id == *id);
        (*id, summary.and_then(|summary| summary.names.first().cloned()).unwrap_or_default())
    };
    if args.containers.is_empty() {
        return Ok(all.iter().map(|summary| named(&summary.id)).collect());
    }
    args.containers.iter().map(|name| Ok(named(&engine.find_container(name)?))).collect()
}

fn samples(engine: &Engine, args: &Args) -> Result<Vec<(ContainerId, Sample)>, Failure> {
    let mut samples = Vec::new();
    for (id, _) in wanted(engine, args)? {
        samples.extend(engine.sample(&id)?.map(|sample| (id, sample)));
    }
    Ok(samples)
}
