//! `logs`: what a container wrote.

use std::io::{self, Write};
use std::time::SystemTime;

use engine::run::{Entry, Query, Stream};
use jiff::tz::TimeZone;
use model::Timestamp;

use crate::context::Context;
use crate::output::failure::Failure;
use crate::output::stdout;
use crate::until;

/// Fetch the logs of a container
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Show extra details provided to logs
    // There are none: nobody can ask for them at `create`.
    #[arg(long)]
    details: bool,
    /// Follow log output
    #[arg(short, long)]
    follow: bool,
    /// Show logs since timestamp (e.g. "2013-01-02T13:23:37Z") or relative (e.g. "42m" for 42 minutes)
    #[arg(long, value_name = "string")]
    since: Option<String>,
    /// Number of lines to show from the end of the logs
    #[arg(short = 'n', long, value_name = "string", default_value = "all")]
    tail: String,
    /// Show timestamps
    #[arg(short, long)]
    timestamps: bool,
    /// Show logs before a timestamp (e.g. "2013-01-02T13:23:37Z") or relative (e.g. "42m" for 42 minutes)
    #[arg(long, value_name = "string")]
    until: Option<String>,
    #[arg(value_name = "CONTAINER")]
    container: String,
}

/// Prints what it wrote to standard output there, and what it wrote to standard error here as well.
///
/// # Errors
/// The engine's.
pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let now = Timestamp::from(SystemTime::now());
    let moment = |name: &str, text: &Option<String>| -> Result<Option<Timestamp>, Failure> {
        let Some(text) = text.as_deref().filter(|text| !text.is_empty()) else { return Ok(None) };
        let moment = until::parse(text, now, &TimeZone::system());
        moment.map(Some).ok_or_else(|| Failure::plain(format_args!("invalid value for \"{name}\": {text}")))
    };
    // Docker takes what is no number, or less than none, for all.
    let query = Query {
        tail: args.tail.parse().ok(),
        since: moment("since", &args.since)?,
        until: moment("until", &args.until)?,
    };
    let engine = context.read()?;
    let mut logs = engine.logs(&engine.find_container(&args.container)?, query, args.follow)?;
    while let Some(entry) = logs.next_entry()? {
        if !show(args, &entry)? {
            return Ok(());
        }
    }
    Ok(())
}

/// Prints an entry; says whether somebody still reads.
fn show(args: &Args, entry: &Entry) -> Result<bool, Failure> {
    let time = if args.timestamps { format!("{} ", nine_digits(entry.time)) } else { String::new() };
    let line = format!("{time}{}{}", if args.details { " " } else { "" }, entry.text);
    let written = match entry.stream {
        Stream::Stdout => io::stdout().lock().write_all(line.as_bytes()).and_then(|()| io::stdout().flush()),
        Stream::Stderr => io::stderr().lock().write_all(line.as_bytes()),
    };
    match written {
        Err(err) if err.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        other => stdout::finish(other).map(|()| true),
    }
}

/// As Docker shows times here: with all digits, so that they stand below each other.
fn nine_digits(time: Timestamp) -> String {
    let text = time.to_string();
    let (seconds, rest) = text.split_at(text.find(['.', 'Z']).unwrap_or(text.len()));
    let digits = rest.trim_start_matches('.').trim_end_matches('Z');
    format!("{seconds}.{digits:0<9}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_nine_digits() {
        assert_eq!(nine_digits(Timestamp::from_unix(0, 0)), "1970-01-01T00:00:00.000000000Z");
        assert_eq!(nine_digits(Timestamp::from_unix(0, 120_000_000)), "1970-01-01T00:00:00.120000000Z");
    }
}
