//! `create`: a container of an image.

use std::fs;
use std::path::{Path, PathBuf};

use engine::Error;
use engine::create::CreateOptions;
use model::{Platform, Reference};

use crate::context::Context;
use crate::options::{KeyValue, labels};
use crate::output::failure::Failure;
use crate::output::stdout;

/// Create a new container
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true, before_help = "IMAGE [COMMAND] [ARG...]")]
pub struct Args {
    /// Overwrite the default ENTRYPOINT of the image
    #[arg(long, value_name = "string")]
    entrypoint: Option<String>,
    /// Set environment variables
    #[arg(short, long, value_name = "list", value_parser = variable)]
    env: Vec<String>,
    /// Read in a file of environment variables
    #[arg(long, value_name = "list")]
    env_file: Vec<PathBuf>,
    /// Print usage
    #[arg(long, action = clap::ArgAction::Help)]
    help: (),
    /// Container host name
    #[arg(short = 'h', long, value_name = "string")]
    hostname: Option<String>,
    /// Keep STDIN open even if not attached
    #[arg(short, long)]
    interactive: bool,
    /// Set meta data on a container
    #[arg(short, long, value_name = "list")]
    label: Vec<String>,
    /// Read in a line delimited file of labels
    #[arg(long, value_name = "list")]
    label_file: Vec<PathBuf>,
    /// Assign a name to the container
    #[arg(long, value_name = "string")]
    name: Option<String>,
    /// Set platform if server is multi-platform capable
    #[arg(long, value_name = "string", value_parser = Platform::parse)]
    platform: Option<Platform>,
    /// Pull image before creating ("missing", "never")
    #[arg(long, value_name = "string", default_value = "missing")]
    pull: String,
    /// Suppress the pull output
    #[arg(short, long)]
    quiet: bool,
    /// Storage driver options for the container
    #[arg(long = "storage-opt", value_name = "list")]
    container_storage_opts: Vec<KeyValue>,
    /// Allocate a pseudo-TTY
    #[arg(short, long)]
    tty: bool,
    /// Username or UID (format: <name|uid>[:<group|gid>])
    #[arg(short, long, value_name = "string")]
    user: Option<String>,
    /// Bind mount a volume (not yet)
    #[arg(short, long, value_name = "list", hide = true)]
    volume: Vec<String>,
    /// Working directory inside the container
    #[arg(short, long, value_name = "string")]
    workdir: Option<String>,
    /// Image, command, arguments: after the image nothing is a flag of ours.
    #[arg(value_name = "IMAGE", required = true, trailing_var_arg = true)]
    image_and_command: Vec<String>,
}

/// Creates, and prints the container's ID.
///
/// # Errors
/// A file cannot be read, or the engine's.
pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let (image, command) = args.image_and_command.split_first().ok_or_else(|| Failure::plain("no image"))?;
    Reference::parse_any(image).map_err(Failure::plain)?;
    if !matches!(args.pull.as_str(), "missing" | "never") {
        return Err(Failure::plain(format_args!(
            "invalid pull option: '{}': must be one of \"missing\" or \"never\"",
            args.pull
        )));
    }
    if !args.volume.is_empty() {
        return Err(Failure::refused("layercake has no volumes yet")
            .hint("create the container without -v, and copy files with layercake cp"));
    }
    let options = CreateOptions {
        name: args.name.clone().filter(|name| !name.is_empty()),
        image: image.clone(),
        cmd: command.to_vec(),
        entrypoint: args.entrypoint.clone(),
        env: environment(args)?,
        labels: all_labels(args)?,
        user: args.user.clone(),
        workdir: args.workdir.clone(),
        hostname: args.hostname.clone(),
        tty: args.tty,
        interactive: args.interactive,
        storage_opts: args.container_storage_opts.iter().map(KeyValue::pair).collect(),
        platform: args.platform.clone(),
    };
    let engine = context.write()?;
    let created = engine.create(&options).map_err(|err| missing_image(err, args, image))?;
    created.warnings.iter().for_each(|warning| stdout::complain(format_args!("WARNING: {warning}")));
    stdout::print(&format!("{}\n", created.id))
}

/// Docker would go and fetch the image now.
fn missing_image(err: Error, args: &Args, image: &str) -> Failure {
    let is_missing = matches!(err, Error::NoSuchImage(_));
    let failure = Failure::from(err);
    if !is_missing || args.pull == "never" {
        return failure;
    }
    let name =
        Reference::parse(image).map_or_else(|_| image.to_owned(), |name| name.with_default_tag().familiar());
    let message = format!("Unable to find image '{name}' locally\n{}", failure.message);
    Failure { message, ..failure }.hint(format_args!("layercake pull {name} fetches it"))
}

/// The files' variables first, then those of the command line; one without a value has the value that it has here, and is
/// left out if it has none.
fn environment(args: &Args) -> Result<Vec<String>, Failure> {
    let mut lines = Vec::new();
    for path in &args.env_file {
        lines.extend(read_lines(path)?);
    }
    for line in &lines {
        let key = line.split('=').next().unwrap_or_default();
        if key.is_empty() || key.contains(char::is_whitespace) {
            return Err(Failure::plain(format_args!("invalid environment variable: {line}")));
        }
    }
    lines.extend(args.env.iter().cloned());
    Ok(lines
        .into_iter()
        .filter_map(|line| if line.contains('=') { Some(line) } else { inherited(&line) })
        .collect())
}

fn inherited(key: &str) -> Option<String> {
    let value = std::env::var_os(key)?;
    Some(format!("{key}={}", value.to_string_lossy()))
}

fn all_labels(args: &Args) -> Result<std::collections::BTreeMap<String, String>, Failure> {
    let mut lines = Vec::new();
    for path in &args.label_file {
        lines.extend(read_lines(path)?);
    }
    Ok(labels(lines.iter().chain(&args.label).map(String::as_str)))
}

/// The lines of a file that are neither empty nor comments.
fn read_lines(path: &Path) -> Result<Vec<String>, Failure> {
    let bytes = fs::read(path).map_err(|err| Failure::io("open", path, &err))?;
    let text = String::from_utf8(bytes)
        .map_err(|_| Failure::plain(format_args!("{}: invalid utf8 bytes", path.display())))?;
    let lines = text.lines().map(|line| line.trim_start_matches([' ', '\t', '\u{feff}']));
    Ok(lines.filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned).collect())
}

/// `KEY=value` or `KEY`.
fn variable(text: &str) -> Result<String, String> {
    match text.split('=').next() {
        Some(key) if !key.is_empty() => Ok(text.to_owned()),
        _ => Err(format!("invalid environment variable: {text}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app;
    use clap::FromArgMatches;

    fn parse(line: &[&str]) -> Args {
        let words = ["layercake", "create"].iter().chain(line);
        let matches = app::tree().try_get_matches_from(words).unwrap();
        Args::from_arg_matches(matches.subcommand().unwrap().1).unwrap()
    }

    #[test]
    fn after_the_image_nothing_is_a_flag() {
        let args =
            parse(&["-it", "-h", "box", "--name", "c1", "busybox", "-e", "sh", "--name", "x", "--", "-q"]);
        assert_eq!(args.image_and_command, ["busybox", "-e", "sh", "--name", "x", "--", "-q"]);
        assert_eq!((args.hostname.as_deref(), args.name.as_deref()), (Some("box"), Some("c1")));
        assert!(args.tty && args.interactive && !args.quiet && args.env.is_empty());
    }

    #[test]
    fn files_come_first_and_comments_are_left_out() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("env");
        fs::write(&path, "# comment\n\n  A=file\nB=two words \nNOT_SET_ANYWHERE\n").unwrap();
        let path = path.to_str().unwrap();
        let args = parse(&[
            "-e",
            "A=line",
            "--env-file",
            path,
            "-l",
            "k=v",
            "-l",
            "bare",
            "--label-file",
            path,
            "x",
        ]);
        assert_eq!(environment(&args).unwrap(), ["A=file", "B=two words ", "A=line"]);
        let labels: Vec<_> = all_labels(&args).unwrap().into_iter().collect();
        let expected =
            [("A", "file"), ("B", "two words "), ("NOT_SET_ANYWHERE", ""), ("bare", ""), ("k", "v")];
        assert_eq!(labels, expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
    }

    #[test]
    fn bad_variables_are_refused() {
        assert_eq!(variable("=x"), Err("invalid environment variable: =x".into()));
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("env");
        fs::write(&path, "A B=1\n").unwrap();
        let args = parse(&["--env-file", path.to_str().unwrap(), "x"]);
        assert_eq!(environment(&args).unwrap_err().message, "invalid environment variable: A B=1");
    }
}
