//! `container`: the commands for containers.

use super::{
    attach, commit, container_prune, cp, create, diff, exec, export, inspect, kill, logs, mount, ps, rename,
    restart, rm, run as run_container, start, stats, stop, top, umount, wait,
};

group! {
    "Manage containers",
    Attach(attach::Args) => attach::run,
    Commit(commit::Args) => commit::run,
    Cp(cp::Args) => cp::run,
    Create(Box<create::Args>) => create::run,
    Diff(diff::Args) => diff::run,
    Exec(exec::Args) => exec::run,
    Export(export::Args) => export::run,
    Inspect(inspect::ContainerArgs) => inspect::run_container,
    Kill(kill::Args) => kill::run,
    Logs(logs::Args) => logs::run,
    #[command(visible_aliases = ["list", "ps"])]
    Ls(ps::Args) => ps::run,
    Mount(mount::Args) => mount::run,
    Prune(container_prune::Args) => container_prune::run,
    Rename(rename::Args) => rename::run,
    Restart(restart::Args) => restart::run,
    #[command(visible_alias = "remove")]
    Rm(rm::Args) => rm::run,
    Run(Box<run_container::Args>) => run_container::run,
    Start(start::Args) => start::run,
    Stats(stats::Args) => stats::run,
    Stop(stop::Args) => stop::run,
    Top(top::Args) => top::run,
    #[command(visible_alias = "unmount")]
    Umount(umount::Args) => umount::run,
    Wait(wait::Args) => wait::run,
}
