//! The same with other storage drivers than overlay2, and only with the distribution's Docker: later ones have lost
//! `overlay`.

use crate::from_docker::everything_made_by_docker_is_layercakes;
use crate::to_docker::everything_made_by_layercake_is_dockers;
use crate::witness::{Witness, skip};
use crate::world::World;

fn on(driver: &'static str, test: fn(&World)) {
    if !rustix::process::geteuid().is_root() {
        return skip(driver, "needs root");
    }
    match Witness::Distribution.find() {
        Ok(docker) => test(&World::on(docker, driver)),
        Err(why) => skip(driver, &why),
    }
}

#[test]
fn everything_made_by_docker_with_overlay_is_layercakes() {
    on("overlay", everything_made_by_docker_is_layercakes);
}

#[test]
fn everything_made_by_layercake_with_overlay_is_dockers() {
    on("overlay", everything_made_by_layercake_is_dockers);
}

#[test]
fn everything_made_by_docker_with_vfs_is_layercakes() {
    on("vfs", everything_made_by_docker_is_layercakes);
}

#[test]
fn everything_made_by_layercake_with_vfs_is_dockers() {
    on("vfs", everything_made_by_layercake_is_dockers);
}
