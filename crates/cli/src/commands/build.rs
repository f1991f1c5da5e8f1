//! `build`: an image from a Dockerfile.

mod inputs;

use std::path::PathBuf;

use engine::build::{BuildNetwork, BuildOptions, Cancel};
use model::{Platform, Timestamp};
use rustix::event::{PollFd, PollFlags};
use rustix::process::Signal;
use sys::AsFd;
use sys::signals::Signals;

use self::inputs::{Dockerfile, build_args, context_directory, secrets};
use crate::context::{Context, env};
use crate::options::{labels, new_name, platform};
use crate::output::build::{Mode, Show};
use crate::output::failure::Failure;
use crate::output::{file, stdout};
use crate::registry::Servers;

/// Start a build
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true)]
pub struct Args {
    /// Set build-time variables
    #[arg(long, value_name = "stringArray")]
    build_arg: Vec<String>,
    /// External cache sources (e.g., "user/app:cache")
    #[arg(long, value_name = "stringArray")]
    cache_from: Vec<String>,
    /// Name of the Dockerfile (default: "PATH/Dockerfile")
    #[arg(short, long, value_name = "string")]
    file: Option<PathBuf>,
    /// Print usage
    #[arg(long, action = clap::ArgAction::Help)]
    help: (),
    /// Write the image ID to a file
    #[arg(long, value_name = "string")]
    iidfile: Option<PathBuf>,
    /// Set metadata for an image
    #[arg(long, value_name = "stringArray")]
    label: Vec<String>,
    /// Load the image into the store, which is what happens anyway
    // Scripts for buildx give it.
    #[arg(long, hide = true)]
    load: bool,
    /// Set the networking mode for the "RUN" instructions during build ("default", "host", "none")
    #[arg(long, value_name = "string", default_value = "default", value_parser = ["default", "host", "none"])]
    network: String,
    /// Do not use cache when building the image
    #[arg(long)]
    no_cache: bool,
    /// Set target platform for build
    #[arg(long, value_name = "string", value_parser = Platform::parse)]
    platform: Option<Platform>,
    /// Set type of progress output ("auto", "plain", "tty", "quiet"). Use plain to show container output
    #[arg(long, value_name = "string", default_value = "auto")]
    progress: Mode,
    /// Always attempt to pull all referenced images
    #[arg(long)]
    pull: bool,
    /// Suppress the build output and print image ID on success
    #[arg(short, long)]
    quiet: bool,
    /// Remove intermediate containers, of which there are none
    #[arg(long, hide = true, num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    rm: Option<bool>,
    /// The OCI runtime that "RUN" instructions are carried out with
    #[arg(long, value_name = "string")]
    runtime: Option<String>,
    /// Secret to expose to the build (format: "id=mysecret[,src=/local/secret]")
    #[arg(long, value_name = "stringArray")]
    secret: Vec<String>,
    #[command(flatten)]
    servers: Servers,
    /// Image identifier (format: "[registry/]repository[:tag]")
    #[arg(short, long, value_name = "stringArray")]
    tag: Vec<String>,
    /// Set the target build stage to build
    #[arg(long, value_name = "string")]
    target: Option<String>,
    /// A directory, or - for a Dockerfile on standard input
    #[arg(value_name = "PATH | -")]
    path: PathBuf,
}

/// Builds, and shows how.
///
/// # Errors
/// What was typed makes no sense, a file cannot be read, or the engine's.
pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let options = options(args)?;
    // The store first: it may have to enter the user's namespace, which no thread may precede.
    let engine = context.write()?;
    let connection = args.servers.connect(context)?;
    let mode = if args.quiet { Mode::Quiet } else { args.progress };
    end_when_interrupted(&options.cancel)?;
    let show = Show::new(mode);
    let built = engine.build(&connection.client, &options, &show);
    let said = show.finish(built.is_ok());
    if mode != Mode::Quiet && !said.is_empty() {
        stdout::complain(said.trim_end_matches('\n'));
    }
    for warning in connection.client.take_warnings() {
        stdout::complain(warning);
    }
    let built = built.map_err(failed)?;
    if let Some(path) = &args.iidfile {
        file::write(path, &built.image.to_string())?;
    }
    if args.quiet {
        stdout::print(&format!("{}\n", built.image))?;
    }
    Ok(())
}

/// What BuildKit's client says: the lines of the Dockerfile, then what is wrong with them.
fn failed(err: engine::Error) -> Failure {
    let excerpt = err.excerpt().unwrap_or_default().to_owned();
    let failure = Failure::from(err);
    let message = failure.message.strip_prefix("Error: ").unwrap_or(&failure.message);
    Failure { message: format!("{excerpt}ERROR: failed to build: failed to solve: {message}"), ..failure }
}

fn options(args: &Args) -> Result<BuildOptions, Failure> {
    let tags = args.tag.iter().map(|tag| {
        new_name(tag).map_err(|failure| Failure {
            message: format!("invalid tag {tag:?}: {}", failure.message),
            ..failure
        })
    });
    let tags = tags.collect::<Result<Vec<_>, _>>()?;
    let directory = context_directory(&args.path)?;
    let file = Dockerfile::read(args, directory.as_deref())?;
    let mut build_args = build_args(&args.build_arg);
    let epoch = env(EPOCH).map(|value| value.to_string_lossy().into_owned());
    if let Some(epoch) = epoch {
        // As buildx: the Dockerfile may declare it.
        build_args.entry(EPOCH.to_owned()).or_insert(epoch);
    }
    let platform = platform(args.platform.as_ref())?;
    Ok(BuildOptions {
        name: file.name,
        dockerfile: file.text,
        ignore: file.ignore,
        epoch: build_args
            .get(EPOCH)
            .filter(|text| !text.is_empty())
            .map(|text| parse_epoch(text))
            .transpose()?,
        context: directory,
        tags,
        build_args,
        labels: labels(args.label.iter().map(String::as_str)),
        target: args.target.clone().filter(|target| !target.is_empty()),
        platform,
        no_cache: args.no_cache,
        pull: args.pull,
        cache_from: args.cache_from.clone(),
        secrets: secrets(&args.secret)?,
        network: if args.network == "none" { BuildNetwork::None } else { BuildNetwork::Host },
        runtime: args.runtime.clone(),
        cancel: Cancel::default(),
    })
}

/// The first signal that asks for the end ends the build, its processes too; the second one this process.
fn end_when_interrupted(cancel: &Cancel) -> Result<(), Failure> {
    let caught = [Signal::INT, Signal::TERM, Signal::HUP].map(Signal::as_raw);
    let signals = Signals::catch(&caught).map_err(Failure::refused)?;
    let cancel = cancel.clone();
    std::thread::spawn(move || {
        loop {
            let mut fds = [PollFd::from_borrowed_fd(signals.as_fd(), PollFlags::IN)];
            let _ = rustix::event::poll(&mut fds, None);
            let Some(signal) = signals.next() else { continue };
            if cancel.is_canceled() {
                std::process::exit(128 + signal);
            }
            cancel.cancel();
        }
    });
    Ok(())
}

/// The variable, and build argument, that says what time it is.
const EPOCH: &str = "SOURCE_DATE_EPOCH";

fn parse_epoch(text: &str) -> Result<Timestamp, Failure> {
    match text.parse() {
        Ok(seconds) => Ok(Timestamp::from_unix(seconds, 0)),
        Err(_) => Err(Failure::plain(format_args!("invalid {EPOCH}: {text} (expected seconds since 1970)"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_seconds() {
        assert_eq!(parse_epoch("1136073600").unwrap().to_string(), "2006-01-01T00:00:00Z");
        assert!(parse_epoch("now").unwrap_err().message.starts_with("invalid SOURCE_DATE_EPOCH: now"));
    }
}
