//! `build`: an image from a Dockerfile.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};

use engine::build::{BuildNetwork, BuildOptions, Cancel, Secret};
use model::{Platform, Timestamp};
use rustix::event::{PollFd, PollFlags};
use rustix::process::Signal;
use sys::AsFd;
use sys::signals::Signals;

use crate::context::{Context, env};
use crate::options::{labels, new_name};
use crate::output::build::{Mode, Show};
use crate::output::failure::{Failure, cause};
use crate::output::stdout;
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
        fs::write(path, built.image.to_string()).map_err(|err| Failure::io("open", path, &err))?;
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
    let default_platform =
        || env("DOCKER_DEFAULT_PLATFORM").map(|text| Platform::parse(&text.to_string_lossy()));
    let platform = match &args.platform {
        Some(platform) => Some(platform.clone()),
        None => default_platform().transpose().map_err(Failure::plain)?,
    };
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

/// `None` for `-`: then there is a Dockerfile on standard input, and nothing to copy.
fn context_directory(path: &Path) -> Result<Option<PathBuf>, Failure> {
    let text = path.to_string_lossy();
    if text == "-" {
        return Ok(None);
    }
    if text.contains("://") || text.starts_with("git@") {
        return Err(Failure::plain(format_args!("the context {text} is no directory"))
            .hint("fetch it first, and give the directory"));
    }
    match fs::metadata(path) {
        Ok(meta) if meta.is_dir() => Ok(Some(path.to_owned())),
        Ok(_) => Err(Failure::plain(format_args!("path {text:?} is no directory"))
            .hint("the context is a directory; a Dockerfile is named with -f")),
        Err(_) => Err(Failure::plain(format_args!("path {text:?} not found"))),
    }
}

/// A Dockerfile and its `.dockerignore`.
struct Dockerfile {
    /// What errors call it.
    name: String,
    text: Vec<u8>,
    ignore: Option<Vec<u8>>,
}

impl Dockerfile {
    fn read(args: &Args, directory: Option<&Path>) -> Result<Self, Failure> {
        let file = args.file.as_deref();
        let is_stdin = |file: &Path| file == Path::new("-");
        let (name, text, path) = match (file, directory) {
            (Some(file), Some(_)) if is_stdin(file) => ("Dockerfile".to_owned(), from_stdin()?, None),
            (_, None) if file.is_none_or(is_stdin) => ("Dockerfile".to_owned(), from_stdin()?, None),
            (Some(file), _) => (file.display().to_string(), read(file)?, Some(file.to_owned())),
            (None, directory) => {
                let path = usual_name(directory.unwrap_or(Path::new(".")));
                let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
                (name.unwrap_or_default(), read(&path)?, Some(path))
            }
        };
        let own = path.map(|path| {
            let mut own = path.into_os_string();
            own.push(".dockerignore");
            PathBuf::from(own)
        });
        let shared = directory.map(|directory| directory.join(".dockerignore"));
        let mut ignore = None;
        // The Dockerfile's own counts, if there is one.
        for path in [own, shared].into_iter().flatten() {
            match fs::read(&path) {
                Ok(text) => {
                    ignore = Some(text);
                    break;
                }
                Err(err) if matches!(err.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
                Err(err) => return Err(Failure::io("open", &path, &err)),
            }
        }
        Ok(Dockerfile { name, text, ignore })
    }
}

/// `Dockerfile`, or `dockerfile` where that is the one there is.
fn usual_name(directory: &Path) -> PathBuf {
    let (usual, lower) = (directory.join("Dockerfile"), directory.join("dockerfile"));
    if !usual.exists() && lower.exists() { lower } else { usual }
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(|err| {
        Failure::plain(format_args!(
            "ERROR: failed to build: failed to solve: failed to read dockerfile: open {}: {}",
            path.display(),
            cause(&err)
        ))
    })
}

/// A Dockerfile from standard input. An archive with a context is not taken.
fn from_stdin() -> Result<Vec<u8>, Failure> {
    if io::stdin().is_terminal() {
        return Err(Failure::plain("requested build from stdin, but stdin is a terminal"));
    }
    let mut text = Vec::new();
    io::stdin()
        .lock()
        .read_to_end(&mut text)
        .map_err(|err| Failure::io("read", Path::new("/dev/stdin"), &err))?;
    let is_tar = text.get(257..262) == Some(b"ustar");
    let is_compressed = [&b"\x1f\x8b"[..], b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd"]
        .iter()
        .any(|magic| text.starts_with(magic));
    if is_tar || is_compressed {
        return Err(Failure::plain("an archive on standard input is no Dockerfile")
            .hint("unpack it, and give the directory as the context"));
    }
    Ok(text)
}

/// A name without a value has the value that it has here, and is left out if it has none.
fn build_args(texts: &[String]) -> BTreeMap<String, String> {
    let pair = |text: &String| match text.split_once('=') {
        Some((name, value)) => Some((name.to_owned(), value.to_owned())),
        None => Some((text.clone(), std::env::var_os(text)?.to_string_lossy().into_owned())),
    };
    texts.iter().filter_map(pair).collect()
}

/// `id=x[,src=file|,env=VARIABLE][,type=file|env]`; without either, the variable of that name, else the file.
fn secrets(texts: &[String]) -> Result<BTreeMap<String, Secret>, Failure> {
    let mut all = BTreeMap::new();
    for text in texts {
        let refuse = |why: String| Failure::plain(format_args!("invalid secret {text:?}: {why}"));
        let (mut id, mut source, mut variable, mut kind) = (None, None, None, None);
        for field in text.split(',') {
            let Some((key, value)) = field.split_once('=') else {
                return Err(refuse(format!("invalid field '{field}' must be a key=value pair")));
            };
            let place = match key.to_ascii_lowercase().as_str() {
                "id" => &mut id,
                "src" | "source" => &mut source,
                "env" => &mut variable,
                "type" => &mut kind,
                _ => return Err(refuse(format!("unexpected key '{key}' in '{field}'"))),
            };
            *place = Some(value);
        }
        let named = id.or(source).filter(|id| !id.is_empty());
        let id = named.ok_or_else(|| refuse("it has no id".to_owned()))?;
        let from_env = match (kind, variable, source) {
            (Some("env"), variable, source) => Some(variable.or(source).unwrap_or(id)),
            (Some("file"), ..) | (None, None, Some(_)) => None,
            (None, Some(variable), _) => Some(variable),
            (None, None, None) => Some(id).filter(|id| std::env::var_os(id).is_some()),
            (Some(other), ..) => return Err(refuse(format!("unsupported secret type {other:?}"))),
        };
        let content = match from_env {
            Some(name) => std::env::var_os(name).map(|value| value.into_encoded_bytes()).unwrap_or_default(),
            None => {
                let path = Path::new(source.unwrap_or(id));
                fs::read(path).map_err(|err| Failure::io("open", path, &err))?
            }
        };
        all.insert(id.to_owned(), Secret(content));
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app;
    use clap::FromArgMatches;

    fn parse(line: &[&str]) -> Args {
        let words = ["layercake", "build"].iter().chain(line);
        let matches = app::tree().try_get_matches_from(words).unwrap();
        Args::from_arg_matches(matches.subcommand().unwrap().1).unwrap()
    }

    #[test]
    fn the_dockerfile_has_a_usual_place() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        fs::write(root.join("Dockerfile"), "FROM a").unwrap();
        fs::write(root.join("other"), "FROM b").unwrap();
        fs::write(root.join(".dockerignore"), "shared").unwrap();
        fs::write(root.join("other.dockerignore"), "own").unwrap();
        let path = root.to_str().unwrap();
        let usual = Dockerfile::read(&parse(&[path]), Some(root)).unwrap();
        assert_eq!((usual.name.as_str(), usual.text.as_slice()), ("Dockerfile", b"FROM a".as_slice()));
        assert_eq!(usual.ignore.as_deref(), Some(b"shared".as_slice()));
        let other = root.join("other");
        let other = Dockerfile::read(&parse(&["-f", other.to_str().unwrap(), path]), Some(root)).unwrap();
        assert_eq!(
            (other.text.as_slice(), other.ignore.as_deref()),
            (b"FROM b".as_slice(), Some(b"own".as_slice()))
        );
        fs::remove_file(root.join("Dockerfile")).unwrap();
        let missing = Dockerfile::read(&parse(&[path]), Some(root)).err().unwrap();
        assert!(missing.message.contains("failed to read dockerfile: open"), "{missing}");
        fs::write(root.join("dockerfile"), "FROM c").unwrap();
        assert_eq!(Dockerfile::read(&parse(&[path]), Some(root)).unwrap().name, "dockerfile");
    }

    #[test]
    fn secrets_come_from_files() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        fs::write(&path, "x").unwrap();
        let text = format!("id=a,src={}", path.display());
        let found = secrets(&[text]).unwrap();
        assert_eq!(found.get("a").map(|secret| secret.0.as_slice()), Some(b"x".as_slice()));
        for (text, why) in [
            ("id=", "it has no id"),
            ("id=a,x=y", "unexpected key 'x' in 'x=y'"),
            ("a", "invalid field 'a' must be a key=value pair"),
            ("id=a,type=b", "unsupported secret type \"b\""),
        ] {
            let failure = secrets(&[text.to_owned()]).unwrap_err();
            assert_eq!(failure.message, format!("invalid secret {text:?}: {why}"));
        }
    }

    #[test]
    fn the_context_is_a_directory() {
        assert_eq!(context_directory(Path::new("-")).unwrap(), None);
        assert_eq!(
            context_directory(Path::new("/nowhere")).unwrap_err().message,
            "path \"/nowhere\" not found"
        );
        for other in ["https://x/y.git", "git@x:y"] {
            assert!(context_directory(Path::new(other)).unwrap_err().hint.is_some(), "{other}");
        }
    }

    #[test]
    fn times_are_seconds() {
        assert_eq!(parse_epoch("1136073600").unwrap().to_string(), "2006-01-01T00:00:00Z");
        assert!(parse_epoch("now").unwrap_err().message.starts_with("invalid SOURCE_DATE_EPOCH: now"));
    }
}
