//! The layers' directories.

use std::fs;
use std::path::Path;

use super::super::{Tour, files};
use super::{Driver, io, relative};
use crate::output::failure::Failure;

/// Shows the driver's directories.
pub fn directories(tour: &Tour, driver: Driver) -> Result<(), Failure> {
    tour.guide.step("Image layers on the disk")?;
    tour.guide.text("The storage driver stacks the layers. The store says which one, in Docker's words:")?;
    let info = tour.ask("layercake info")?;
    let lines: Vec<&str> = info
        .lines()
        .skip_while(|line| !line.contains("Storage Driver:"))
        .enumerate()
        .take_while(|(n, line)| *n == 0 || line.starts_with("  "))
        .map(|(_, line)| line)
        .collect();
    tour.guide.command("layercake info | sed -n '/Storage Driver/,/userxattr/p'", &lines.join("\n"))?;
    if driver == Driver::Vfs { vfs(tour) } else { stacked(tour, driver) }
}

fn vfs(tour: &Tour) -> Result<(), Failure> {
    tour.guide.text(
        "With vfs, each layer is a directory with a full copy of all below it: the base is there four times.",
    )?;
    let dir = tour.place.store().join("vfs/dir");
    tour.shell("ls -ln store/vfs/dir", files::ls_ln(&dir))
}

fn stacked(tour: &Tour, driver: Driver) -> Result<(), Failure> {
    let guide = &tour.guide;
    let name = driver.name();
    let home = tour.place.store().join(name);
    guide.text(
        "Four layers are four directories, and l with their short names, symbolic links: they keep mount options short. \
         (IDs are cut to 12 of their 64 digits from here on.)",
    )?;
    tour.shell(&format!("ls -ln store/{name}"), files::ls_ln(&home))?;
    tour.shell(&format!("ls -ln store/{name}/l"), files::ls_ln(&home.join("l")))?;
    guide.text(&format!(
        "The directories' names are random, not the layers' digests; image/{name}/layerdb knows which is which. The \
         lowest layer has its content in diff, and its own short name in link (committed says that a \
         layer was built on it):",
    ))?;
    let layers = tour.ask("layercake inspect --format '{{index .RootFS.Layers 0}}' demo/base:1.0")?;
    let chain = layers.trim().trim_start_matches("sha256:");
    let cache_id =
        tour.place.store().join("image").join(name).join("layerdb/sha256").join(chain).join("cache-id");
    let lowest = fs::read_to_string(&cache_id).map_err(|err| io("cache-id", &err))?;
    tour.shell(&format!("cat {}", relative(tour, &cache_id)), Ok(files::shorten(&lowest)))?;
    show(tour, &home.join(lowest.trim()), &["", "diff", "diff/etc"], "link")?;
    guide.text("A higher layer also has lower, the layers below it with the nearest first, and work, the union's own:")?;
    let top = tour.ask("layercake inspect --format '{{.GraphDriver.Data.UpperDir}}' demo/app:1.0")?;
    let top = Path::new(top.trim()).parent().unwrap_or(&home).to_owned();
    show(tour, &top, &[""], "lower")?;
    guide.text(match driver {
        Driver::Overlay2 => {
            "This top layer came from RUN rm -r /opt/app/cache. In the archive that is an empty file .wh.cache; on the \
             disk a whiteout, a character device with number 0, 0, which hides the name in all layers below:"
        }
        _ => {
            "This top layer came from RUN rm -r /opt/app/cache. In the archive that is an empty file .wh.cache, and so \
             it is on the disk: a whiteout, which hides the name cache in all layers below:"
        }
    })?;
    let app = top.join("diff/opt/app");
    let path = relative(tour, &app);
    match driver {
        Driver::Overlay2 => tour.shell(&format!("ls -ln {path}"), files::ls_ln(&app)),
        _ => tour.shell(&format!("ls -lnA {path}"), files::ls_lna(&app)),
    }
}

/// Shows some directories of a layer, and one of its files.
fn show(tour: &Tour, layer: &Path, dirs: &[&str], file: &str) -> Result<(), Failure> {
    let name = relative(tour, layer);
    for dir in dirs {
        let typed = format!("ls {name}/{dir}");
        tour.shell(typed.trim_end_matches('/'), files::ls(&layer.join(dir)))?;
    }
    tour.shell(&format!("cat {name}/{file}"), fs::read_to_string(layer.join(file)).map(|text| text + "\n"))
}
