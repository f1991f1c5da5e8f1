//! The subcommands: each has a file, with its arguments and a function `run`.
//!
//! The description of the arguments is what the help says of the command. It is Docker's, word for word, where Docker
//! has the command.

pub mod check;
pub mod commit;
pub mod completion;
pub mod container;
pub mod container_prune;
pub mod cp;
pub mod create;
pub mod df;
pub mod diff;
pub mod export;
pub mod history;
pub mod image;
pub mod image_prune;
pub mod images;
pub mod import;
pub mod info;
pub mod inspect;
pub mod load;
pub mod mount;
pub mod ps;
pub mod reclaim;
pub mod rename;
pub mod rm;
pub mod rmi;
pub mod save;
pub mod system;
pub mod system_prune;
pub mod tag;
pub mod tour;
pub mod umount;
pub mod version;

use crate::output::failure::Failure;

/// Does something to each of `names`, goes on after a failure, and fails in the end if something failed.
fn each<'a>(
    names: impl IntoIterator<Item = &'a String>,
    mut act: impl FnMut(&'a str) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let failures: Vec<Failure> = names.into_iter().filter_map(|name| act(name).err()).collect();
    Failure::of_all(failures).map_or(Ok(()), Err)
}
