//! The subcommands: each has a file, with its arguments and a function `run`.
//!
//! The description of the arguments is what the help says of the command. It is Docker's, word for word, where Docker
//! has the command.

/// A group of commands, such as `image`: its arguments, and `run`.
macro_rules! group {
    ($about:literal, $($(#[$flag:meta])* $name:ident($args:ty) => $run:path,)*) => {
        #[doc = $about]
        #[derive(Debug, clap::Args)]
        #[command(subcommand_required = true)]
        pub struct Args {
            #[command(subcommand)]
            command: Command,
        }

        #[derive(Debug, clap::Subcommand)]
        enum Command {
            $($(#[$flag])* $name($args),)*
        }

        /// Runs the command of the group.
        ///
        /// # Errors
        /// The command's.
        pub fn run(
            args: &Args,
            context: &crate::context::Context,
        ) -> Result<(), crate::output::failure::Failure> {
            match &args.command {
                $(Command::$name(args) => $run(args, context),)*
            }
        }
    };
}

pub mod attach;
pub mod bench;
pub mod build;
pub mod builder;
pub mod builder_prune;
pub mod check;
pub mod commit;
pub mod completion;
pub mod container;
pub mod container_prune;
pub mod cp;
pub mod create;
pub mod df;
pub mod diff;
pub mod exec;
pub mod export;
pub mod history;
pub mod image;
pub mod image_prune;
pub mod images;
pub mod import;
pub mod info;
pub mod inspect;
pub mod kill;
pub mod load;
pub mod login;
pub mod logout;
pub mod logs;
pub mod manifest;
pub mod manifest_inspect;
pub mod monitor;
pub mod mount;
pub mod prune;
pub mod ps;
pub mod pull;
pub mod push;
pub mod reclaim;
pub mod rename;
pub mod restart;
pub mod rm;
pub mod rmi;
pub mod run;
pub mod save;
pub mod start;
pub mod stats;
pub mod stop;
pub mod system;
pub mod system_migrate;
pub mod system_prune;
pub mod tag;
pub mod top;
pub mod tour;
pub mod umount;
pub mod union;
pub mod version;
pub mod volume;
pub mod volume_create;
pub mod volume_inspect;
pub mod volume_ls;
pub mod volume_prune;
pub mod volume_rm;
pub mod wait;

use crate::output::failure::Failure;

/// Does something to each of `names`, goes on after a failure, and fails in the end if something failed.
fn each<'a>(
    names: impl IntoIterator<Item = &'a String>,
    mut act: impl FnMut(&'a str) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let failures: Vec<Failure> = names.into_iter().filter_map(|name| act(name).err()).collect();
    Failure::of_all(failures).map_or(Ok(()), Err)
}
