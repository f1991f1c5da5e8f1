//! Tasks of the repository: `cargo xtask TASK`.
//!
//! `ci` runs all that has to pass ([`mod@ci`]).
//! `bench` runs layercake and its peers in turn and prints medians and ratios ([`mod@bench`]).
//! `suites` runs file system suites that others wrote on the union file system ([`mod@suites`]).
//! `vm` runs commands and tests under another kernel ([`mod@vm`]).

mod bench;
mod ci;
mod namespace;
mod suites;
mod vm;
mod which;

use std::error::Error;
use std::process::ExitCode;

/// What a task gives back; the text of an error is for the person at the terminal.
type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let done = match args.next().as_deref() {
        Some("bench") => bench::main(args.collect()),
        Some("ci") => ci::main(),
        Some("suites") => suites::main(&args.collect::<Vec<_>>()),
        Some("vm") => return ended(vm::main(&args.collect::<Vec<_>>())),
        Some(namespace::TASK) => namespace::main(args),
        Some(bench::wire::TASK) => bench::wire::main(&args.collect::<Vec<_>>()),
        _ => {
            eprintln!("usage: cargo xtask ci | bench [--help] | suites [--help] | vm [--help]");
            return ExitCode::from(2);
        }
    };
    ended(done.map(|()| ExitCode::SUCCESS))
}

/// What the process says at its end.
fn ended(done: Result<ExitCode>) -> ExitCode {
    done.unwrap_or_else(|e| {
        eprintln!("xtask: {e}");
        ExitCode::FAILURE
    })
}
