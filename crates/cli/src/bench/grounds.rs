//! The data roots of a comparison. Each has a `daemon.json` with its driver and options, which every process that works
//! there reads: monitors of containers, and the janitor.

use std::fs;
use std::path::Path;

use engine::bench::Contestant;
use engine::run::Launcher;
use serde_json::json;

use crate::commands::monitor;
use crate::context::{Context, DRIVER, ROOT};
use crate::files;
use crate::output::failure::Failure;
use crate::union;

/// A data root for each of these drivers, in the directory `stores`.
///
/// # Errors
/// They cannot be made.
pub fn contestants(stores: &Path, drivers: &[String], context: &Context) -> Result<Vec<Contestant>, Failure> {
    drivers.iter().map(|driver| make(stores, driver, context)).collect()
}

fn make(stores: &Path, driver: &str, context: &Context) -> Result<Contestant, Failure> {
    let contestant = contestant(stores, driver, context)?;
    let root = &contestant.options.root;
    let failed = |err: &std::io::Error| Failure::io("write", root, err);
    let options: Vec<String> =
        contestant.options.storage_opts.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let mut config = json!({"storage-driver": driver, "storage-opts": options});
    if let Some(runtime) = &context.config()?.default_runtime {
        config["default-runtime"] = json!(runtime);
    }
    fs::create_dir(root).map_err(|err| failed(&err))?;
    fs::write(root.join(files::DAEMON_JSON), config.to_string()).map_err(|err| failed(&err))?;
    Ok(contestant)
}

fn contestant(stores: &Path, driver: &str, context: &Context) -> Result<Contestant, Failure> {
    let root = stores.join(driver);
    let mut options = engine::Options::new(&root);
    options.driver = Some(driver.to_owned());
    options.storage_opts = context.storage_opts()?.filter(|(key, _)| belongs_to(key, driver)).collect();
    options.union_server =
        Some(engine::Server { program: union::this_program(), args: vec!["union".into()] });
    let launcher = Launcher {
        program: "/proc/self/exe".into(),
        args: vec![monitor::NAME.into()],
        env: vec![(ROOT.into(), root.into()), (DRIVER.into(), driver.into())],
    };
    Ok(Contestant { driver: driver.to_owned(), options, launcher })
}

/// Whether an option is for this driver: its key begins with the driver's name, or with `dm` for `devicemapper`.
/// A key without a point, `size` of `vfs`, is left to those that know it.
fn belongs_to(key: &str, driver: &str) -> bool {
    let prefix = if driver == "devicemapper" { "dm" } else { driver };
    match key.split_once('.') {
        Some((before, _)) => before.eq_ignore_ascii_case(prefix) || before == "layercake",
        None => driver == "vfs",
    }
}

/// Ends what lives in the data roots of the directory `stores`.
///
/// # Errors
/// Something cannot be ended; the rest is.
pub fn clear(stores: &Path, context: &Context) -> Result<(), Failure> {
    let Ok(entries) = fs::read_dir(stores) else { return Ok(()) };
    let mut result = Ok(());
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(driver) = name.to_str().filter(|name| engine::bench::drivers().contains(name)) else {
            continue;
        };
        let options = contestant(stores, driver, context)?.options;
        result = result.and(engine::bench::clear(&options).map_err(Failure::from));
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_driver_gets_its_own_options() {
        for (key, driver, expected) in [
            ("dm.fs", "devicemapper", true),
            ("dm.fs", "zfs", false),
            ("overlay2.size", "overlay2", true),
            ("overlay2.size", "overlay", false),
            ("layercake.max_layers", "btrfs", true),
            ("size", "vfs", true),
            ("size", "btrfs", false),
        ] {
            assert_eq!(belongs_to(key, driver), expected, "{key} {driver}");
        }
    }
}
