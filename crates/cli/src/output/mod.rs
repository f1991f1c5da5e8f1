//! How every subcommand prints: as the `docker` command does, to the byte wherever a test says so.
//!
//! A listing declares its columns once ([`listing::Row`]) and gets Docker's default table, `--format` with a
//! template, `--format 'table …'`, `--format json` and `-q` from it. `inspect` prints whole documents
//! ([`inspect`]). What goes wrong becomes a [`failure::Failure`], with Docker's words and exit code.

pub mod archive;
pub mod build;
pub mod failure;
pub mod file;
pub mod filter;
pub mod help;
pub mod inspect;
pub mod json;
pub mod listing;
pub mod ports;
pub mod progress;
pub mod prompt;
pub mod stdout;
pub mod table;
pub mod template;
pub mod usage;
