//! Volumes: what is in new ones, who keeps them, and who takes them away.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::PathBuf;

use engine::create::CreateOptions;
use engine::prune::PruneOptions;
use engine::volumes::CreateVolume;
use model::config::{ContainerConfig, Empty};
use model::{ContainerId, HostConfig, VolumeName};
use testkit::archive::Builder;

use crate::both::worlds;
use crate::world::World;

/// A directory of a mode and owner of its own, with files, a link of both kinds, and another directory.
fn content() -> Vec<u8> {
    let owned = |entry: &mut archive::tar::Entry| (entry.mode, entry.uid, entry.gid) = (0o1770, 5, 6);
    Builder::new()
        .dir_with("srv", owned)
        .file_with("srv/file", "content", |entry| entry.mode = 0o600)
        .hardlink("srv/link", "srv/file")
        .symlink("srv/sym", "file")
        .dir("srv/deep")
        .file("srv/deep/file", "deep")
        .symlink("alias", "srv")
        .file("plain", "no directory")
        .build()
}

/// A container of the image.
fn options(config: ContainerConfig, host: HostConfig) -> CreateOptions {
    let config = ContainerConfig { cmd: Some(vec!["sh".into()]), ..config };
    CreateOptions { image: "image-image:1".into(), config, host, ..CreateOptions::default() }
}

impl World {
    fn with_binds(&self, name: &str, binds: &[&str]) -> engine::Result<ContainerId> {
        let binds = Some(binds.iter().map(|&bind| bind.to_owned()).collect());
        let host = HostConfig { binds, ..HostConfig::default() };
        let options = options(ContainerConfig::default(), host);
        Ok(self.engine.create(&CreateOptions { name: Some(name.into()), ..options })?.id)
    }

    fn data(&self, volume: &str) -> PathBuf {
        self.engine.store().volumes().path(&VolumeName::parse(volume).unwrap())
    }

    fn volumes(&self) -> Vec<String> {
        self.engine.list_volumes().unwrap().into_iter().map(|volume| volume.name.to_string()).collect()
    }
}

/// Stores of both drivers, each with the image and a container of it.
fn stores() -> Vec<World> {
    let worlds = worlds();
    for world in &worlds {
        world.container_of("image", content());
    }
    worlds
}

#[test]
fn a_new_volume_gets_what_the_image_has_with_all_attributes() {
    for world in stores() {
        world
            .with_binds("c1", &["new:/srv", "linked:/alias", "nocopy:/srv/deep:nocopy", "nowhere:/none"])
            .unwrap();
        for volume in ["new", "linked"] {
            let data = world.data(volume);
            assert_eq!(fs::read(data.join("file")).unwrap(), b"content");
            assert_eq!(fs::read(data.join("deep/file")).unwrap(), b"deep");
            assert_eq!(fs::read_link(data.join("sym")).unwrap(), PathBuf::from("file"));
            let [file, link] = ["file", "link"].map(|name| fs::metadata(data.join(name)).unwrap());
            assert_eq!((file.ino(), file.mode() & 0o7777, file.nlink()), (link.ino(), 0o600, 2));
            let root = fs::metadata(&data).unwrap();
            assert_eq!(root.mode() & 0o7777, 0o1770);
            if sys::process::euid() == 0 {
                assert_eq!((root.uid(), root.gid()), (5, 6));
            }
        }
        for volume in ["nocopy", "nowhere"] {
            assert_eq!(fs::read_dir(world.data(volume)).unwrap().count(), 0);
            assert_eq!(fs::metadata(world.data(volume)).unwrap().mode() & 0o7777, 0o755);
        }
    }
}

#[test]
fn an_empty_volume_is_filled_and_any_other_left_alone() {
    for world in stores() {
        for name in ["empty", "full"] {
            let wanted = CreateVolume { name: Some(name.into()), ..CreateVolume::default() };
            world.engine.create_volume(&wanted).unwrap();
        }
        fs::write(world.data("full").join("mine"), "mine").unwrap();
        world.with_binds("c1", &["empty:/srv", "full:/srv/deep"]).unwrap();
        assert_eq!(fs::read(world.data("empty").join("deep/file")).unwrap(), b"deep");
        assert_eq!(fs::metadata(world.data("empty")).unwrap().mode() & 0o7777, 0o1770);
        let names: Vec<_> =
            fs::read_dir(world.data("full")).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names, ["mine"]);
    }
}

#[test]
fn what_the_volume_was_given_stays_when_its_containers_go() {
    for world in stores() {
        let [first, second] = ["c1", "c2"].map(|name| world.with_binds(name, &["data:/srv"]).unwrap());
        fs::write(world.data("data").join("file"), "written").unwrap();
        let refused = world.engine.remove_volume("data").unwrap_err().to_string();
        let (low, high) = (first.min(second), first.max(second));
        assert_eq!(refused, format!("remove data: volume is in use - [{low}, {high}]"));
        world.engine.remove_container_with_volumes(&first, false).unwrap();
        world.engine.remove_container_with_volumes(&second, false).unwrap();
        let third = world.with_binds("c3", &["data:/srv"]).unwrap();
        assert_eq!(fs::read(world.data("data").join("file")).unwrap(), b"written");
        world.engine.remove_container(&third, false).unwrap();
        world.engine.remove_volume("data").unwrap();
        assert!(world.volumes().is_empty());
    }
}

#[test]
fn volumes_without_a_name_go_with_the_last_container_that_uses_them() {
    for world in stores() {
        let volumes = Some([("/srv".to_owned(), Empty {})].into());
        let config = ContainerConfig { volumes, ..ContainerConfig::default() };
        let first = world.engine.create(&options(config, HostConfig::default())).unwrap().id;
        let host = HostConfig { volumes_from: Some(vec![first.hex()]), ..HostConfig::default() };
        let second = world.engine.create(&options(ContainerConfig::default(), host)).unwrap().id;
        assert_eq!(world.volumes().len(), 1);
        world.engine.remove_container_with_volumes(&first, false).unwrap();
        assert_eq!(world.volumes().len(), 1, "the other container uses it");
        world.engine.remove_container_with_volumes(&second, false).unwrap();
        assert!(world.volumes().is_empty());
    }
}

#[test]
fn pruning_leaves_what_is_used_and_what_has_a_name() {
    let world = World::new();
    world.container_of("image", content());
    world.with_binds("c1", &["used:/srv"]).unwrap();
    let named = CreateVolume { name: Some("named".into()), ..CreateVolume::default() };
    world.engine.create_volume(&named).unwrap();
    let nameless = world.engine.create_volume(&CreateVolume::default()).unwrap();
    fs::write(world.data(nameless.as_str()).join("file"), "12345").unwrap();
    let dry = PruneOptions { dry_run: true, ..PruneOptions::default() };
    let said = world.reader().prune_volumes(&dry, false).unwrap();
    assert_eq!((said.volumes.as_slice(), said.reclaimed), (&[nameless][..], 5));
    assert_eq!(world.volumes().len(), 3);
    world.engine.prune_volumes(&PruneOptions::default(), false).unwrap();
    assert_eq!(world.volumes(), ["named", "used"]);
    world.engine.prune_volumes(&PruneOptions::default(), true).unwrap();
    assert_eq!(world.volumes(), ["used"]);
}

/// What a damaged container uses nobody knows.
#[test]
fn nothing_is_pruned_beside_a_damaged_container() {
    let world = World::new();
    world.container_of("image", content());
    let id = world.with_binds("c1", &["used:/srv"]).unwrap();
    fs::write(world.tmp.path().join("containers").join(id.hex()).join("config.v2.json"), "{").unwrap();
    let pruned = world.engine.prune_volumes(&PruneOptions::default(), true).unwrap();
    assert_eq!((pruned.volumes.len(), pruned.warnings.len()), (0, 1));
    assert_eq!(world.volumes(), ["used"]);
}

#[test]
fn a_failed_create_leaves_no_volume() {
    for world in stores() {
        let refused = world.with_binds("c1", &["new:/srv", "other:/plain"]).unwrap_err().to_string();
        assert_eq!(refused, "cannot mount volume over existing file, file exists /plain");
        assert!(world.with_binds("image", &["new:/srv"]).is_err(), "the name is taken");
        assert!(world.volumes().is_empty());
        assert_eq!(fs::read_dir(world.tmp.path().join("layercake/work")).unwrap().count(), 0);
    }
}

#[test]
fn a_container_starts_with_its_mounts_outermost_first() {
    let world = World::new();
    world.container_of("image", content());
    let host = world.tmp.path().join("host/deep");
    let bind = format!("{}:/srv/deep:ro", host.display());
    let host_config = HostConfig {
        binds: Some(vec![bind, "data:/srv".into()]),
        tmpfs: [("/run".to_owned(), "size=1m".to_owned())].into(),
        ..HostConfig::default()
    };
    let options = options(ContainerConfig::default(), host_config);
    let id = world.engine.create(&options).unwrap().id;
    assert!(!host.exists());
    let mounts = world.engine.mounts_of(&id).unwrap();
    let shown: Vec<String> = mounts
        .iter()
        .map(|m| format!("{} {} {}", m.destination.display(), m.kind, m.options.join(",")))
        .collect();
    assert_eq!(
        shown,
        ["/run tmpfs noexec,nosuid,nodev,size=1m", "/srv bind rbind", "/srv/deep bind rbind,ro,rro,rprivate"]
    );
    assert_eq!(mounts[1].source, world.data("data"));
    assert!(host.is_dir(), "the source of -v is made");
    fs::remove_dir_all(world.data("data").parent().unwrap()).unwrap();
    assert_eq!(world.engine.mounts_of(&id).unwrap_err().to_string(), "get data: no such volume");
}

/// The path in the data root that a bind option names is the user's; a link in it is no way out for anybody else.
#[test]
fn a_link_in_a_volume_is_copied_as_a_link() {
    let world = World::new();
    let tree = Builder::new().dir("srv").symlink("srv/out", "/etc/passwd").build();
    world.container_of("image", tree);
    world.with_binds("c1", &["data:/srv"]).unwrap();
    let meta = fs::symlink_metadata(world.data("data").join("out")).unwrap();
    assert!(meta.is_symlink());
    // And what is at the place of the volume's content is no link either.
    let data = world.data("data");
    fs::remove_dir_all(&data).unwrap();
    symlink("/etc", &data).unwrap();
    assert!(world.engine.store().volumes().data(&"data".parse().unwrap()).is_err());
}

/// A user who has one id only gets all files as his own.
#[test]
fn without_root_all_files_are_the_users() {
    if !testkit::in_user_namespace("volumes::without_root_all_files_are_the_users") {
        return;
    }
    let world = World::new();
    world.container_of("image", content());
    world.with_binds("c1", &["data:/srv"]).unwrap();
    let root = fs::metadata(world.data("data")).unwrap();
    assert_eq!((root.permissions().mode() & 0o7777, root.uid()), (0o1770, 0));
    assert_eq!(fs::read(world.data("data").join("deep/file")).unwrap(), b"deep");
    world.engine.remove_volume("data").unwrap_err();
}
