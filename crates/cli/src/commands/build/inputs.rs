//! What a build reads before it begins: the Dockerfile, `.dockerignore`, secrets, variables.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};

use engine::build::Secret;

use super::Args;
use crate::output::failure::{Failure, cause};

/// `None` for `-`: then there is a Dockerfile on standard input, and nothing to copy.
pub(super) fn context_directory(path: &Path) -> Result<Option<PathBuf>, Failure> {
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
pub(super) struct Dockerfile {
    /// What errors call it.
    pub name: String,
    pub text: Vec<u8>,
    pub ignore: Option<Vec<u8>>,
}

impl Dockerfile {
    /// Reads both, as the command line names them.
    ///
    /// # Errors
    /// One of them cannot be read.
    pub fn read(args: &Args, directory: Option<&Path>) -> Result<Self, Failure> {
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
pub(super) fn build_args(texts: &[String]) -> BTreeMap<String, String> {
    let pair = |text: &String| match text.split_once('=') {
        Some((name, value)) => Some((name.to_owned(), value.to_owned())),
        None => Some((text.clone(), std::env::var_os(text)?.to_string_lossy().into_owned())),
    };
    texts.iter().filter_map(pair).collect()
}

/// `id=x[,src=file|,env=VARIABLE][,type=file|env]`; without either, the variable of that name, else the file.
pub(super) fn secrets(texts: &[String]) -> Result<BTreeMap<String, Secret>, Failure> {
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
}
