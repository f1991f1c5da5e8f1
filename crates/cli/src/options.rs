//! Options that several commands have, and values that they take.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use engine::load::Input;
use model::{Platform, Reference};
use rustix::fs::{SeekFrom, seek};

use crate::context::env;
use crate::output::failure::Failure;
use crate::output::filter::Filter;

/// What Docker's help says about `--format` of a listing.
const LISTING_HELP: &str = "\
Format output using a custom template:
'table':            Print output in table format with column headers (default)
'table TEMPLATE':   Print output in table format using the given Go template
'json':             Print in JSON format
'TEMPLATE':         Print output using the given Go template.
Refer to https://docs.docker.com/go/formatting/ for more information about formatting output with templates";

/// What Docker's help says about `--format` of a document.
const DOCUMENT_HELP: &str = "\
Format output using a custom template:
'json':             Print in JSON format
'TEMPLATE':         Print output using the given Go template.
Refer to https://docs.docker.com/go/formatting/ for more information about formatting output with templates";

/// `--format` of a listing.
#[derive(Debug, clap::Args)]
pub struct ListingFormat {
    #[arg(long, value_name = "string", default_value = "", help = LISTING_HELP)]
    pub format: String,
}

/// `--format` of a document.
#[derive(Debug, clap::Args)]
pub struct DocumentFormat {
    #[arg(short, long, value_name = "string", default_value = "", help = DOCUMENT_HELP)]
    pub format: String,
}

/// `--filter` of a listing.
#[derive(Debug, clap::Args)]
pub struct ListingFilter {
    /// Filter output based on conditions provided
    #[arg(short, long, value_name = "filter")]
    pub filter: Vec<Filter>,
}

/// `--wait` of what removes.
#[derive(Debug, clap::Args)]
pub struct Wait {
    /// Wait until the space is given back
    #[arg(long)]
    pub wait: bool,
}

/// `--output` of what writes an archive.
#[derive(Debug, clap::Args)]
pub struct Output {
    /// Write to a file, instead of STDOUT
    #[arg(short, long, value_name = "string")]
    pub output: Option<PathBuf>,
}

/// `KEY=VALUE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyValue {
    key: String,
    value: String,
}

impl KeyValue {
    /// Both as texts.
    pub fn pair(&self) -> (String, String) {
        (self.key.clone(), self.value.clone())
    }
}

impl FromStr for KeyValue {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((key, value)) if !key.is_empty() => {
                Ok(Self { key: key.to_owned(), value: value.to_owned() })
            }
            _ => Err(format!("invalid option {text:?} (expected name=value)")),
        }
    }
}

impl fmt::Display for KeyValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.key, self.value)
    }
}

/// The labels of `--label` and lines of label files; one without `=` is empty. Of equal keys the last one counts.
pub fn labels<'a>(texts: impl IntoIterator<Item = &'a str>) -> BTreeMap<String, String> {
    texts
        .into_iter()
        .map(|text| text.split_once('=').unwrap_or((text, "")))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

/// The name for a new image; one without a tag is `latest`.
///
/// # Errors
/// Docker's messages for what is no name, and for a name with a digest, which only a registry gives.
pub fn new_name(text: &str) -> Result<Reference, Failure> {
    let name = Reference::parse(text).map_err(Failure::plain)?;
    if name.digest().is_some() {
        return Err(Failure::plain("refusing to create a tag with a digest reference"));
    }
    Ok(name.with_default_tag())
}

/// The platform that was asked for, by the flag or else by the environment.
///
/// # Errors
/// The environment's is none.
pub fn platform(given: Option<&Platform>) -> Result<Option<Platform>, Failure> {
    match given {
        Some(platform) => Ok(Some(platform.clone())),
        None => {
            let default = env("DOCKER_DEFAULT_PLATFORM");
            let parsed = default.map(|text| Platform::parse(&text.to_string_lossy()));
            parsed.transpose().map_err(Failure::plain)
        }
    }
}

/// The archive or directory at `path`.
///
/// # Errors
/// It cannot be opened; the engine would say so as well, but not in Docker's words.
pub fn input_file(path: &Path) -> Result<Input, Failure> {
    File::open(path).map_err(|err| Failure::io("open", path, &err))?;
    Ok(Input::Path(path.to_owned()))
}

/// The archive on standard input: read in place if it is a file, else as it comes.
pub fn standard_input() -> Input {
    const AGAIN: &str = "/proc/self/fd/0";
    let is_file = File::open(AGAIN).and_then(|file| file.metadata()).is_ok_and(|meta| meta.is_file());
    // Somebody else may have read its beginning.
    let at_start = seek(io::stdin(), SeekFrom::Current(0)) == Ok(0);
    if is_file && at_start { Input::Path(AGAIN.into()) } else { Input::Stream(Box::new(io::stdin())) }
}
