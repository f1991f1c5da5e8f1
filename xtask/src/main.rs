//! Tasks of the repository: `cargo xtask TASK`.
//!
//! `ci` runs all that has to pass ([`mod@ci`]).
//! `bench` runs layercake and its peers in turn on a real image and prints medians and ratios ([`mod@bench`]).

mod bench;
mod ci;

use std::error::Error;
use std::process::ExitCode;

/// What a task gives back; the text of an error is for the person at the terminal.
type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let done = match args.next().as_deref() {
        Some("bench") => bench::main(args.collect()),
        Some("ci") => ci::main(),
        _ => {
            eprintln!("usage: cargo xtask ci | bench [--help]");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("xtask: {e}");
            ExitCode::FAILURE
        }
    }
}
