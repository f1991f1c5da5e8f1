//! `manifest`: the commands for manifests in registries.

use super::manifest_inspect;

group! {
    "Manage Docker image manifests and manifest lists",
    Inspect(manifest_inspect::Args) => manifest_inspect::run,
}
