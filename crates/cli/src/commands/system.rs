//! `system`: the commands for the store as a whole.

use super::{check, df, info, system_migrate, system_prune};

group! {
    "Manage the data root",
    Check(check::Args) => check::run,
    Df(df::Args) => df::run,
    Info(info::Args) => info::run,
    Migrate(system_migrate::Args) => system_migrate::run,
    Prune(system_prune::Args) => system_prune::run,
}
