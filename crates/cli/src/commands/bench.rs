//! `bench`: storage drivers side by side.

use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use engine::bench::{Plan, Scale, Step, UserImage, Workload};
use indicatif::{ProgressBar, ProgressDrawTarget};
use model::progress::Silent;

use crate::bench::{self, Measured};
use crate::context::Context;
use crate::janitor::{self, Guarded};
use crate::options::DocumentFormat;
use crate::output::failure::{Failure, USAGE};
use crate::output::{file, inspect, stdout};
use crate::rootless;

/// Compare storage drivers on this machine, with workloads of Docker's pages or your own
///
/// Each driver gets a data root of its own in DIR, which is removed in the end. Workloads: start-up, copy-up,
/// small-writes, deep-layers, walk, delete, page-cache, inodes, and command, which runs COMMAND in a container of
/// IMAGE; all of them if none is named.
#[derive(Debug, clap::Args)]
#[command(before_help = "[WORKLOAD...] [-- COMMAND [ARG...]]")]
pub struct Args {
    /// Storage drivers to compare (default: all that work on DIR's file system)
    #[arg(long, value_name = "list", value_delimiter = ',')]
    drivers: Vec<String>,
    /// Image of this data root to work on (default: one that is made for this)
    #[arg(long, value_name = "string")]
    image: Option<String>,
    /// Directory to work in, on the file system that is asked about (default: the data root)
    #[arg(long, value_name = "dir")]
    dir: Option<PathBuf>,
    #[command(flatten)]
    format: DocumentFormat,
    /// Write a chart to a file
    #[arg(long, value_name = "file")]
    svg: Option<PathBuf>,
    /// How often everything is measured
    #[arg(long, value_name = "int", default_value_t = Scale::USUAL.rounds)]
    rounds: usize,
    /// Small files and few of them: shows that it works, says little about the machine
    #[arg(long)]
    quick: bool,
    #[arg(value_name = "WORKLOAD")]
    workloads: Vec<String>,
    #[arg(value_name = "COMMAND", last = true)]
    command: Vec<String>,
}

/// Measures, and prints the figures.
///
/// # Errors
/// A driver or workload that nobody knows, a named driver that does not work, an image that is not there, a directory
/// that cannot be written to.
pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let workloads = args.workloads()?;
    let drivers = args.drivers()?;
    let dir = args.dir(context)?;
    // The user's own store comes first: its namespace is the one to stay in.
    let source = args.image.as_ref().map(|_| context.read()).transpose()?;
    let guarded = Guarded::make(dir.join(janitor::name("bench")), &["--bench"])?;
    let measured = measure(args, context, &guarded, source.as_ref(), drivers, workloads);
    let ended = guarded.end(false);
    let measured = Measured { dir, ..measured? };
    if let Some(path) = &args.svg {
        file::write(path, &bench::svg(&measured))?;
    }
    match args.format.format.as_str() {
        "" => stdout::print(&bench::text(&measured))?,
        format => stdout::print(&inspect::line(format, &bench::document(&measured))?)?,
    }
    ended
}

impl Args {
    fn workloads(&self) -> Result<Vec<Workload>, Failure> {
        let mut named = Vec::new();
        for name in &self.workloads {
            let names: Vec<&str> = Workload::ALL.iter().map(|workload| workload.name()).collect();
            named.push(Workload::parse(name).ok_or_else(|| {
                Failure::plain(format_args!("unknown workload {name:?}: there are {}", names.join(", ")))
                    .code(USAGE)
            })?);
        }
        let own = !self.command.is_empty();
        if own && self.image.is_none() {
            return Err(Failure::plain("a command needs an image to run in: give --image").code(USAGE));
        }
        if named.contains(&Workload::Command) && !own {
            return Err(
                Failure::plain("the workload command needs a command: -- COMMAND [ARG...]").code(USAGE)
            );
        }
        if named.is_empty() {
            named.extend(Workload::ALL.into_iter().filter(|workload| *workload != Workload::Command));
        }
        if own && !named.contains(&Workload::Command) {
            named.push(Workload::Command);
        }
        Ok(named)
    }

    fn drivers(&self) -> Result<Vec<String>, Failure> {
        let known = engine::bench::drivers();
        match self.drivers.iter().find(|name| !known.contains(&name.as_str())) {
            Some(unknown) => Err(Failure::refused(format_args!("driver not supported: {unknown}"))
                .hint(format_args!("there are {}", known.join(", ")))),
            None if self.drivers.is_empty() => Ok(known.into_iter().map(str::to_owned).collect()),
            None => Ok(self.drivers.clone()),
        }
    }

    /// The directory, an absolute path.
    fn dir(&self, context: &Context) -> Result<PathBuf, Failure> {
        let dir = match &self.dir {
            Some(dir) => dir.clone(),
            None => {
                let root = context.root()?;
                root.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/")).to_owned()
            }
        };
        fs::canonicalize(&dir).map_err(|err| Failure::io("open", &dir, &err))
    }

    fn scale(&self) -> Scale {
        let scale = if self.quick { Scale::SMALL } else { Scale::USUAL };
        let rounds =
            if self.quick && self.rounds == Scale::USUAL.rounds { scale.rounds } else { self.rounds };
        Scale { rounds: rounds.max(1), ..scale }
    }
}

/// Does everything that needs the directory.
fn measure(
    args: &Args,
    context: &Context,
    guarded: &Guarded,
    source: Option<&engine::Engine>,
    drivers: Vec<String>,
    workloads: Vec<Workload>,
) -> Result<Measured, Failure> {
    let stores = guarded.dir().join(janitor::STORE);
    let scratch = guarded.dir().join("scratch");
    let session = rootless::enter(&rootless::Options { root: stores.clone(), create: true });
    let _session = session.map_err(Failure::refused)?;
    for dir in [&stores, &scratch] {
        if !dir.exists() {
            fs::create_dir(dir).map_err(|err| Failure::io("create", dir, &err))?;
        }
    }
    let image = match (&args.image, source) {
        (Some(name), Some(engine)) => Some(save(engine, name, &scratch)?),
        _ => None,
    };
    let plan = Plan {
        contestants: bench::contestants(&stores, &drivers, context)?,
        workloads,
        image,
        command: args.command.clone(),
        scale: args.scale(),
        scratch,
    };
    let shown = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    let report = engine::bench::run(&plan, &mut |step| shown.set_message(said(step)));
    shown.finish_and_clear();
    let report = report?;
    // Of all drivers those that do not work are only left out; one that was named must work.
    if let Some(refused) = report.skipped.iter().find(|s| s.workload.is_none() && !args.drivers.is_empty()) {
        return Err(Failure::refused(format_args!("{}: {}", refused.driver, refused.why)));
    }
    let filesystem = engine::bench::filesystem(guarded.dir())?;
    Ok(Measured { dir: PathBuf::new(), filesystem, image: args.image.clone(), report })
}

fn said(step: Step<'_>) -> String {
    match step {
        Step::Prepare(driver) => format!("{driver}: loading"),
        Step::Measure { driver, workload, round } => format!("{driver}: {}, round {round}", workload.name()),
    }
}

/// Writes the user's image to an archive.
fn save(engine: &engine::Engine, name: &str, scratch: &Path) -> Result<UserImage, Failure> {
    let id = engine.find_image(name)?;
    let path = scratch.join("image.tar");
    let file = File::create(&path).map_err(|err| Failure::io("create", &path, &err))?;
    engine.save(&[id.to_string()], &mut BufWriter::new(file), &Silent)?;
    Ok(UserImage { archive: path, name: id.to_string() })
}
