//! `volume`: the commands for volumes.

use super::{volume_create, volume_inspect, volume_ls, volume_prune, volume_rm};

group! {
    "Manage volumes",
    Create(volume_create::Args) => volume_create::run,
    Inspect(volume_inspect::Args) => volume_inspect::run,
    #[command(visible_alias = "list")]
    Ls(volume_ls::Args) => volume_ls::run,
    Prune(volume_prune::Args) => volume_prune::run,
    #[command(visible_alias = "remove")]
    Rm(volume_rm::Args) => volume_rm::run,
}
