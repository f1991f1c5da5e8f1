//! The command line of layercake: one file per subcommand, and what they share to print.

pub mod output;
