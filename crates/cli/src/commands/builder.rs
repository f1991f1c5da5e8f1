//! `builder`: builds, and what they remember.

use super::{build, builder_prune};

group! {
    "Manage builds",
    Build(Box<build::Args>) => build::run,
    Prune(builder_prune::Args) => builder_prune::run,
}
