//! The command line of layercake.
//!
//! | module | subject |
//! | --- | --- |
//! | [`app`] | the tree of commands, and how a command line ends |
//! | `container_options` | the flags that `create` and `run` have in common, and what they ask for |
//! | [`context`] | what every command needs: the store that was named, opened |
//! | `commands` | one file for each subcommand: its arguments and what it does |
//! | `daemon_json`, `files` | the configuration file, and where it and its like are |
//! | `limit`, `options`, `until` | options that several commands have, and the values they take |
//! | `remap` | whose ids containers get |
//! | `registry` | how a command speaks with registries |
//! | `attach`, `terminal` | a container's streams on the user's, and his terminal |
//! | `rows` | what listings show of images, containers and the rest |
//! | [`output`] | how things are printed, and how they fail |
//! | `tour`, `bench` | `layercake tour`, `layercake bench` |
//! | `janitor` | temporary directories that are removed however a command ends |
//! | [`union`] | the union file system: how it is called, and the process that serves it |
//! | [`rootless`] | where a user's own store is, and the user namespace that belongs to it |

pub mod app;
mod attach;
mod bench;
mod commands;
mod container_options;
pub mod context;
mod daemon_json;
mod files;
mod janitor;
mod limit;
mod options;
pub mod output;
mod registry;
mod remap;
pub mod rootless;
mod rows;
mod terminal;
mod tour;
pub mod union;
mod until;
