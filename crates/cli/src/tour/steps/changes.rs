//! How a container reads and writes.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use super::super::{Tour, files};
use super::containers::Containers;
use super::upper;
use crate::output::failure::Failure;

/// A file of the image, read in both containers.
pub fn read(tour: &Tour, containers: &Containers) -> Result<(), Failure> {
    let guide = &tour.guide;
    guide.step("Reading a file")?;
    guide.text(match containers.upper {
        Some(_) => "A file that is not in the container layer is read from the image, where it is:",
        None => "With vfs a container reads its own copy of the image's file:",
    })?;
    tour.shell("cat $one/etc/motd", fs::read_to_string(containers.one.join("etc/motd")))?;
    if upper(containers, tour, "that both containers read one and the same file")?.is_none() {
        return Ok(());
    }
    guide.text(if containers.shares_cache {
        "Both containers see the same inode, that of the file in the layer. It is one file, so it is in the page cache \
         once, however many containers read it:"
    } else {
        "Both containers see the same inode, that of the file in the layer:"
    })?;
    let inode = |dir: &Path| Ok(fs::metadata(dir.join("etc/motd"))?.ino());
    let inodes = inode(&containers.one)
        .and_then(|one| Ok(format!("{one} $one/etc/motd\n{} $two/etc/motd\n", inode(&containers.two)?)));
    tour.shell("ls -i $one/etc/motd $two/etc/motd", inodes)
}

/// The first write copies the file up.
pub fn write(tour: &Tour, containers: &Containers) -> Result<(), Failure> {
    let guide = &tour.guide;
    guide.step("Writing to a file for the first time: copy-up")?;
    let Some(upper) = upper(containers, tour, "how the first write copies a file into the container layer")?
    else {
        return Ok(());
    };
    guide.text(
        "The first write to a file of the image copies it up, into the container layer, and writes to the copy. The other \
         container, and the image, have the old one still:",
    )?;
    let append = |path: &str, text: &[u8]| {
        let mut file = OpenOptions::new().append(true).open(containers.one.join(path))?;
        file.write_all(text).map(|()| String::new())
    };
    tour.shell("echo 'Hello from one.' >> $one/etc/motd", append("etc/motd", b"Hello from one.\n"))?;
    tour.shell("cat $one/etc/motd", fs::read_to_string(containers.one.join("etc/motd")))?;
    tour.shell("cat $two/etc/motd", fs::read_to_string(containers.two.join("etc/motd")))?;
    tour.shell("ls -ln $upper/etc", files::ls_ln(&upper.join("etc")))?;
    guide.text("The whole file is copied. Five bytes more in a large one cost all of it, once:")?;
    tour.shell("echo cake >> $one/usr/share/dict/words", append("usr/share/dict/words", b"cake\n"))?;
    tour.shell("ls -ln $upper/usr/share/dict", files::ls_ln(&upper.join("usr/share/dict")))?;
    guide.text("diff reads this from the container layer alone, however large the image is:")?;
    tour.run("layercake diff one").map(drop)
}

/// Deleting a file leaves a whiteout.
pub fn whiteout(tour: &Tour, containers: &Containers) -> Result<(), Failure> {
    let guide = &tour.guide;
    guide.step("Deleting a file: a whiteout")?;
    let Some(upper) = upper(containers, tour, "the whiteout that hides a deleted file")? else {
        return Ok(());
    };
    guide.text(
        "A layer of the image cannot change, so deleting writes something: a whiteout in the container layer, a device \
         with number 0, 0. In the other container nothing happened:",
    )?;
    let doc = "usr/share/doc/demo";
    let removed = fs::remove_file(containers.one.join(doc).join("TODO"));
    tour.shell(&format!("rm $one/{doc}/TODO"), removed.map(|()| String::new()))?;
    tour.shell(&format!("ls $one/{doc}"), files::ls(&containers.one.join(doc)))?;
    tour.shell(&format!("ls $two/{doc}"), files::ls(&containers.two.join(doc)))?;
    tour.shell(&format!("ls -ln $upper/{doc}"), files::ls_ln(&upper.join(doc)))
}

/// Deleting a directory and making it again leaves an opaque one.
pub fn opaque(tour: &Tour, containers: &Containers) -> Result<(), Failure> {
    let guide = &tour.guide;
    guide.step("Deleting a directory: an opaque directory")?;
    let Some(upper) = upper(containers, tour, "the mark of an opaque directory")? else { return Ok(()) };
    guide.text(
        "A deleted directory is a whiteout too. If it is made again, that is not enough: the new directory must hide what \
         the layers below have in it. It is opaque, by an extended attribute (in Docker's archives: .wh..wh..opq):",
    )?;
    let doc = "usr/share/doc/demo";
    let path = containers.one.join(doc);
    let made = fs::remove_dir_all(&path).and_then(|()| make_dir(&path));
    tour.shell(&format!("rm -r $one/{doc} && mkdir $one/{doc}"), made.map(|()| String::new()))?;
    tour.shell(&format!("ls $two/{doc}"), files::ls(&containers.two.join(doc)))?;
    tour.shell(&format!("ls $one/{doc}"), files::ls(&path))?;
    let attributes = files::overlay_attributes(&upper.join(doc));
    let attributes = attributes.map(|attributes| format!("# file: {doc}\n{attributes}"));
    tour.shell(&format!("(cd $upper; getfattr -d -m overlay {doc})"), attributes)
}

/// Renaming a directory of the image is refused.
pub fn rename(tour: &Tour, containers: &Containers) -> Result<(), Failure> {
    let guide = &tour.guide;
    guide.step("Renaming a directory: EXDEV")?;
    let Some(upper) = upper(containers, tour, "the EXDEV that rename(2) of an image's directory gives")?
    else {
        return Ok(());
    };
    guide.text(
        "rename(2) of a directory works only if the directory is in the container layer alone. For one of the image it \
         fails with EXDEV, as between two disks, and programs must copy and delete, which is what mv does:",
    )?;
    let one = |path: &str| containers.one.join(path);
    call(tour, ("opt/app", "opt/application"), fs::rename(one("opt/app"), one("opt/application")))?;
    let moved =
        copy_dir(&one("opt/app"), &one("opt/application")).and_then(|()| fs::remove_dir_all(one("opt/app")));
    tour.shell("mv $one/opt/app $one/opt/application", moved.map(|()| String::new()))?;
    tour.shell("ls -ln $upper/opt", files::ls_ln(&upper.join("opt")))?;
    guide.text("The copy is the container's own, and can be renamed:")?;
    call(tour, ("opt/application", "opt/app2"), fs::rename(one("opt/application"), one("opt/app2")))?;
    tour.run("layercake diff one").map(drop)
}

/// Shows a system call as strace does.
fn call(tour: &Tour, (from, to): (&str, &str), result: io::Result<()>) -> Result<(), Failure> {
    let result = match result {
        Ok(()) => "0".to_owned(),
        Err(err) if err.kind() == io::ErrorKind::CrossesDevices => {
            "-1 EXDEV (Invalid cross-device link)".to_owned()
        }
        Err(err) => format!("-1 ({err})"),
    };
    tour.guide.call(&format!("rename(\"$one/{from}\", \"$one/{to}\") = {result}"), "")
}

/// Writes a new file with the mode that a shell gives it: this program has no umask.
pub fn write_file(path: &Path, content: &[u8]) -> io::Result<()> {
    OpenOptions::new().write(true).create_new(true).mode(0o644).open(path)?.write_all(content)
}

fn make_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o755).create(path)
}

/// Copies a directory of files.
fn copy_dir(from: &Path, to: &Path) -> io::Result<()> {
    make_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        fs::copy(entry.path(), to.join(entry.file_name()))?;
    }
    Ok(())
}
