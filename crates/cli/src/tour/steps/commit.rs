//! A container becomes an image; and the end.

use super::super::{Tour, files};
use super::Driver;
use super::images::LAYERS;
use crate::output::failure::Failure;

/// The container layer becomes a layer.
pub fn commit(tour: &Tour) -> Result<(), Failure> {
    let guide = &tour.guide;
    guide.step("Commit: the container layer becomes an image layer")?;
    guide.text(
        "commit makes an archive of the container layer and puts it, as a new layer, on top of the image's. Everything \
         below is shared again; -c changes the configuration as a Dockerfile would:",
    )?;
    tour.run("layercake commit -m 'say hello' -c 'CMD [\"hello\"]' one demo/app:2.0")?;
    tour.run("layercake images")?;
    tour.run("layercake history demo/app:2.0")?;
    guide.text("The first four layers are those of demo/app:1.0:")?;
    tour.run(&format!("layercake inspect --format '{LAYERS}' demo/app:2.0")).map(drop)
}

/// Removes all that was made.
pub fn remove(tour: &Tour, driver: Driver) -> Result<(), Failure> {
    let guide = &tour.guide;
    guide.step("Removing")?;
    guide.text(
        "With a container goes its container layer; the image stays as it was. With an image go the layers that no other \
         image has. (Without --wait, their space is given back in the background, after the command.)",
    )?;
    tour.run("layercake umount one two")?;
    tour.run("layercake rm --wait one two")?;
    tour.run_short("layercake rmi --wait demo/app:1.0 demo/app:2.0 demo/base:1.0")?;
    let dir = if driver == Driver::Vfs { "vfs/dir" } else { driver.name() };
    tour.shell(&format!("ls store/{dir}"), files::ls(&tour.place.store().join(dir)))?;
    guide.text(
        "Every file of this store is in Docker's format: dockerd would have opened it, and layercake --root \
         /var/lib/docker images reads Docker's own. layercake --help lists all commands.",
    )
}
