//! Two containers: how they come to be, and how much room they take.

use std::fs;
use std::path::{Path, PathBuf};

use super::super::{Tour, files};
use super::changes::write_file;
use super::{Driver, io};
use crate::output::failure::Failure;

/// The two containers of the tour, mounted.
pub struct Containers {
    /// Where the first one's tree is.
    pub one: PathBuf,
    /// Where the second one's tree is.
    pub two: PathBuf,
    /// The first one's upper directory; with `vfs` there is none.
    pub upper: Option<PathBuf>,
    /// Whether what one has read is in memory for the other.
    pub shares_cache: bool,
}

const SIZES: &str = r"layercake ps -a --size --format 'table {{.ID}}\t{{.Image}}\t{{.Names}}\t{{.Size}}'";

/// A container is a writable layer.
pub fn create(tour: &Tour, driver: Driver) -> Result<Containers, Failure> {
    let guide = &tour.guide;
    guide.step("Two containers")?;
    guide.text(
        "The difference between a container and an image is a thin writable layer on top: the container layer. Two \
         containers of one image share all its layers, and each has a container layer of its own.",
    )?;
    tour.run("layercake create --name one demo/app:1.0")?;
    tour.run("layercake create --name two demo/app:1.0")?;
    guide.text(if driver != Driver::Vfs {
        "So far they take no room. The virtual size is the container layer and the whole image:"
    } else {
        "Nothing has been written to them, so their size is 0B. With overlay2 that is also the room that they take; vfs \
         has copied the image for each. The virtual size is the container layer and the whole image:"
    })?;
    tour.run(SIZES)?;
    guide.text(match driver {
        Driver::Overlay2 => {
            "Mounting one gives its unified view, the directory merged. No daemon keeps it, only the kernel:"
        }
        Driver::FuseOverlayfs => {
            "Mounting one gives its unified view, the directory merged. A small process of its own serves it:"
        }
        Driver::Vfs => "Mounting one gives its tree. With vfs that is a directory like any other:",
    })?;
    let one = mount(tour, "one")?;
    let two = mount(tour, "two")?;
    let mut containers = Containers { one, two, upper: None, shares_cache: driver == Driver::Overlay2 };
    if driver == Driver::Overlay2 {
        guide.text(
            "For the kernel, the image's layers are lowerdirs, which are only read. The container layer is the upperdir. \
             Between them, init has the mount points that every container gets (/etc/hosts, /dev …):",
        )?;
        show_mount(tour, &containers.one)?;
    }
    if driver != Driver::Vfs {
        guide.text("Let us give the container layer a name. Nothing has been written to it yet:")?;
        let line = "layercake inspect --format '{{.GraphDriver.Data.UpperDir}}' one";
        let upper = PathBuf::from(tour.ask(line)?.trim());
        guide.command(&format!("upper=$({line})"), "")?;
        tour.shell("ls -ln $upper", files::ls_ln(&upper))?;
        containers.upper = Some(upper);
    }
    Ok(containers)
}

fn mount(tour: &Tour, name: &str) -> Result<PathBuf, Failure> {
    let line = format!("layercake mount {name}");
    let path = tour.ask(&line)?.trim().to_owned();
    tour.guide.command(&format!("{name}=$({line}); echo ${name}"), &files::shorten(&path))?;
    Ok(path.into())
}

/// The line of the mount table, broken at its commas. An ordinary user's mounts are in the table of the process that
/// keeps his namespace.
fn show_mount(tour: &Tour, merged: &Path) -> Result<(), Failure> {
    let mut parts = merged.components().skip(1);
    let holder = match (parts.next(), parts.next(), parts.next()) {
        (Some(proc), Some(pid), Some(root)) if proc.as_os_str() == "proc" && root.as_os_str() == "root" => {
            pid.as_os_str().to_string_lossy().into_owned()
        }
        _ => "self".to_owned(),
    };
    let table = format!("/proc/{holder}/mounts");
    let text = fs::read_to_string(&table).map_err(|err| io(&table, &err))?;
    let id = merged.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy().into_owned();
    let line = text.lines().find(|line| line.contains(&format!("{id}/merged "))).unwrap_or_default();
    let broken = line.replace(tour.place.dir().to_string_lossy().as_ref(), "$PWD").replace(',', ",\n  ");
    tour.guide.command(
        &format!("grep ^overlay {table} | grep {}… | sed 's/,/&\\n  /g'", &id[..12]),
        &files::shorten(&broken),
    )
}

/// The sizes after all changes.
pub fn sizes(tour: &Tour, containers: &Containers) -> Result<(), Failure> {
    let guide = &tour.guide;
    guide.step("Container size on disk")?;
    guide.text("Now both containers get a file of their own:")?;
    let written = [&containers.one, &containers.two]
        .into_iter()
        .try_for_each(|dir| write_file(&dir.join("out.txt"), b"hello"));
    let line = "for dir in $one $two; do printf hello > $dir/out.txt; done";
    tour.shell(line, written.map(|()| String::new()))?;
    tour.run(SIZES)?;
    guide.text(if containers.upper.is_some() {
        "The size is what the container layer holds: one has what was copied up, besides its 5 bytes; two has 5 bytes. \
         Both share the image, so on the disk they take the sum of their sizes and the image once, not the sum of the \
         virtual sizes."
    } else {
        "The size is what the container changed: 5 bytes. With overlay2 the two would take 10 bytes and the image once, \
         not the sum of the virtual sizes; with vfs it is that sum."
    })
}
