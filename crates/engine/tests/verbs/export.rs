//! `export`: the archive of a container's whole tree.

use archive::tar::{Entry, Kind, Limits, Reader};
use model::{ContainerId, Silent};
use testkit::archive::Builder;

use crate::both::worlds;
use crate::world::World;

fn image() -> Vec<u8> {
    Builder::new()
        .dir("bin")
        .file_with("bin/su", "su", |e| e.mode = 0o4755)
        .hardlink("bin/sudo", "bin/su")
        .dir("etc")
        .file("etc/gone", "x")
        .file("etc/kept", "old")
        .symlink("lib", "usr/lib")
        .sparse("hole", &[(0, b"start"), (4 << 20, b"end")], 8 << 20)
        .build()
}

fn export(world: &World, id: &ContainerId) -> Vec<u8> {
    let mut archive = Vec::new();
    world.engine.export(id, &mut archive, &Silent).unwrap();
    archive
}

fn entries(archive: &[u8]) -> Vec<Entry> {
    let mut reader = Reader::new(archive, Limits::default());
    std::iter::from_fn(|| reader.next_member().unwrap()).map(|member| member.entry).collect()
}

fn names(archive: &[u8]) -> Vec<String> {
    entries(archive).into_iter().map(|e| String::from_utf8(e.path).unwrap()).collect()
}

#[test]
fn the_tree_is_as_docker_exports_it() {
    for world in worlds() {
        let id = world.container_of("web", image());
        let names = names(&export(&world, &id));
        // Docker 28.5 exports the init layer's mount points with the rest, and has no entry for the root.
        let expected = [
            ".dockerenv",
            "bin/",
            "bin/su",
            "bin/sudo",
            "dev/",
            "dev/console",
            "dev/pts/",
            "dev/shm/",
            "etc/",
            "etc/gone",
            "etc/hostname",
            "etc/hosts",
            "etc/kept",
            "etc/mtab",
            "etc/resolv.conf",
            "hole",
            "lib",
            "proc/",
            "sys/",
        ];
        assert_eq!(names, expected, "{}", world.engine.driver().name());
    }
}

#[test]
fn attributes_links_and_holes_are_kept() {
    for world in worlds() {
        let id = world.container_of("web", image());
        let entries = entries(&export(&world, &id));
        let find = |name: &str| entries.iter().find(|e| e.path == name.as_bytes()).unwrap();
        assert_eq!(find("bin/su").mode, 0o4755);
        assert_eq!(find("bin/su").mtime, testkit::archive::TIME);
        assert_eq!(
            (find("bin/sudo").kind, find("bin/sudo").link.as_slice()),
            (Kind::HardLink, &b"bin/su"[..])
        );
        assert_eq!((find("lib").kind, find("lib").link.as_slice()), (Kind::Symlink, &b"usr/lib"[..]));
        let hole = find("hole");
        assert_eq!(hole.file_size(), 8 << 20);
        assert!(hole.size < 1 << 20, "{} bytes", hole.size);
    }
}

#[test]
fn what_the_container_changed_is_in_it_and_a_mount_makes_no_difference() {
    for world in worlds() {
        let id = world.container_of("web", image());
        let before = export(&world, &id);
        assert_eq!(before, export(&world, &id), "the same bytes each time");
        let dir = world.engine.mount(&id, drivers::Access::Write).unwrap();
        std::fs::remove_file(dir.join("etc/gone")).unwrap();
        std::fs::write(dir.join("etc/kept"), "new").unwrap();
        std::fs::write(dir.join("etc/added"), "").unwrap();
        let mounted = export(&world, &id);
        world.engine.unmount(&id).unwrap();
        assert_eq!(mounted, export(&world, &id));
        let names = names(&mounted);
        assert!(!names.contains(&"etc/gone".into()) && names.contains(&"etc/added".into()));
        let mut reader = Reader::new(&mounted[..], Limits::default());
        while let Some(member) = reader.next_member().unwrap() {
            if member.entry.path == b"etc/kept" {
                assert_eq!(std::io::read_to_string(&mut reader).unwrap(), "new");
            }
        }
    }
}

#[test]
fn an_export_can_be_imported_and_exported_again() {
    for world in worlds() {
        let first = export(&world, &world.container_of("web", image()));
        let second = export(&world, &world.container_of("copy", first.clone()));
        assert_eq!(first, second);
    }
}
