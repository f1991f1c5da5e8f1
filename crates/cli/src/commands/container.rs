//! `container`: the commands for containers.

use super::{commit, container_prune, cp, create, diff, export, inspect, mount, ps, rename, rm, umount};

group! {
    "Manage containers",
    Commit(commit::Args) => commit::run,
    Cp(cp::Args) => cp::run,
    Create(Box<create::Args>) => create::run,
    Diff(diff::Args) => diff::run,
    Export(export::Args) => export::run,
    Inspect(inspect::ContainerArgs) => inspect::run_container,
    #[command(visible_aliases = ["list", "ps"])]
    Ls(ps::Args) => ps::run,
    Mount(mount::Args) => mount::run,
    Prune(container_prune::Args) => container_prune::run,
    Rename(rename::Args) => rename::run,
    #[command(visible_alias = "remove")]
    Rm(rm::Args) => rm::run,
    #[command(visible_alias = "unmount")]
    Umount(umount::Args) => umount::run,
}
