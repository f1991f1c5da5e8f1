//! `check`: every kind of damage is named with what it affects, and what can be repaired without data is.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use drivers::Access;
use engine::check::{CheckOptions, Finding, Report};
use engine::load::{Input, LoadOptions};
use engine::{Engine, Options};
use model::{ChainId, ContainerId, DiffId, Silent};
use serde_json::json;
use store::LayerRecord;
use testkit::archive::Builder;

use crate::both::{docker_root, overlay, worlds};
use crate::world::World;

const LOOK: CheckOptions = CheckOptions { quick: false, repair: false };
const REPAIR: CheckOptions = CheckOptions { quick: false, repair: true };

/// A store with an image of two layers, `app:1`, and a container of it, `web`.
struct Shop {
    world: World,
    archive: Vec<u8>,
    id: ContainerId,
    bottom: LayerRecord,
    top: LayerRecord,
}

fn shops() -> Vec<Shop> {
    worlds().into_iter().map(Shop::new).collect()
}

/// `docker save` of an image of these layers.
fn image(name: &str, layers: &[Vec<u8>]) -> Vec<u8> {
    let diffs: Vec<DiffId> = layers.iter().map(|layer| DiffId::of(layer)).collect();
    let config = json!({
        "architecture": model::Platform::host().architecture,
        "os": "linux",
        "config": {"Cmd": ["sh"]},
        "rootfs": {"type": "layers", "diff_ids": diffs},
    });
    let paths: Vec<String> = (0..layers.len()).map(|n| format!("{n}.tar")).collect();
    let manifest = json!([{"Config": "config.json", "RepoTags": [name], "Layers": paths}]);
    let archive =
        Builder::new().file("manifest.json", manifest.to_string()).file("config.json", config.to_string());
    paths.iter().zip(layers).fold(archive, |archive, (path, layer)| archive.file(path, layer)).build()
}

impl Shop {
    fn new(world: World) -> Self {
        let bottom = Builder::new()
            .dir("bin")
            .file("bin/sh", "#!")
            .symlink("bin/ash", "sh")
            .file("big", vec![7; 70_000]);
        let top = Builder::new().dir("etc").file("etc/passwd", "root").build();
        let archive = image("app:1", &[bottom.build(), top]);
        load(&world, &archive);
        let id = world.create("web", "app:1");
        let image = world.engine.find_image("app:1").unwrap();
        let chain = world.engine.store().images().get(&image).unwrap().chain_id().unwrap();
        let [bottom, top] = world.engine.store().layers().chain(&chain).unwrap().try_into().unwrap();
        let shop = Self { world, archive, id, bottom, top };
        assert_eq!(shop.kinds(LOOK), Vec::<&str>::new(), "a new store is sound");
        shop
    }

    fn check(&self, options: CheckOptions) -> Report {
        self.world.engine.check(options, &Silent).unwrap()
    }

    fn kinds(&self, options: CheckOptions) -> Vec<&'static str> {
        self.check(options).findings.iter().map(|finding| finding.kind).collect()
    }

    /// The only finding there is.
    fn only(&self, kind: &str) -> Finding {
        let mut findings = self.check(LOOK).findings;
        assert_eq!(findings.iter().map(|f| f.kind).collect::<Vec<_>>(), [kind], "{findings:#?}");
        findings.remove(0)
    }

    /// Finds the damage, repairs it, and finds nothing any more.
    fn is_repaired(&self, kind: &str) -> Finding {
        let finding = self.only(kind);
        assert!(finding.advice.contains("check --repair"), "{}", finding.advice);
        let report = self.check(REPAIR);
        assert!(report.is_sound(), "{:#?}", report.findings);
        assert_eq!(self.check(LOOK).findings, []);
        finding
    }

    /// Finds damage that takes data to heal; loads the image again, and checks until all is well.
    fn is_healed_by_load(&self, kind: &str) -> Finding {
        let report = self.check(REPAIR);
        let finding = report
            .findings
            .iter()
            .find(|f| f.kind == kind)
            .unwrap_or_else(|| panic!("{:#?}", report.findings));
        assert!(!finding.repaired);
        assert!(finding.advice.contains("layercake load"), "{}", finding.advice);
        load(&self.world, &self.archive);
        self.check(REPAIR);
        assert_eq!(self.check(LOOK).findings, []);
        assert_eq!(self.read("etc/passwd"), "root");
        assert_eq!(self.read("bin/sh"), "#!");
        finding.clone()
    }

    fn read(&self, path: &str) -> String {
        let dir = self.world.engine.mount(&self.id, Access::Read).unwrap();
        let text = fs::read_to_string(dir.join(path)).unwrap();
        self.world.engine.unmount(&self.id).unwrap();
        text
    }

    fn driver(&self) -> &'static str {
        self.world.engine.driver().name()
    }

    fn at(&self, path: &str) -> PathBuf {
        self.world.tmp.path().join(path)
    }

    /// A directory of `image/<driver>`.
    fn image_dir(&self, path: &str) -> PathBuf {
        self.at("image").join(self.driver()).join(path)
    }

    fn record(&self, layer: &LayerRecord, file: &str) -> PathBuf {
        self.image_dir("layerdb/sha256").join(layer.chain.hex()).join(file)
    }

    /// Where the files of a layer are.
    fn files(&self, layer: &LayerRecord) -> PathBuf {
        self.world.engine.driver().layer_root(&layer.cache_id).unwrap().path().to_owned()
    }

    /// overlay2's directory of a layer.
    fn directory(&self, layer: &LayerRecord) -> PathBuf {
        self.at("overlay2").join(layer.cache_id.as_str())
    }
}

fn load(world: &World, archive: &[u8]) {
    let input = Input::Stream(Box::new(std::io::Cursor::new(archive.to_vec())));
    world.engine.load(input, &LoadOptions::default(), &Silent).unwrap();
}

fn names(finding: &Finding) -> Vec<&str> {
    finding.affects.iter().map(String::as_str).collect()
}

const EVERYBODY: [&str; 2] = ["container web", "image app:1"];

#[test]
fn a_sound_store_is_counted() {
    for shop in shops() {
        let report = shop.check(LOOK);
        assert_eq!((report.layers, report.images, report.containers), (2, 1, 1));
        assert!(report.bytes > 70_000 && report.is_sound());
        assert_eq!(shop.check(CheckOptions { quick: true, repair: false }).bytes, 0);
    }
}

#[test]
fn a_look_changes_nothing() {
    for shop in shops() {
        fs::remove_file(shop.record(&shop.top, "size")).unwrap();
        fs::write(shop.files(&shop.bottom).join("bin/sh"), "##").unwrap();
        let before = testkit::tree::dump(shop.world.tmp.path());
        shop.check(LOOK);
        assert_eq!(testkit::tree::dump(shop.world.tmp.path()), before);
    }
}

#[test]
fn a_changed_file_is_found_by_its_digest_and_healed_by_a_load() {
    for shop in shops() {
        fs::write(shop.files(&shop.bottom).join("bin/sh"), "##").unwrap();
        let finding = shop.only("changed-files");
        assert_eq!(finding.message, "bin/sh: its content was changed");
        assert_eq!(names(&finding), EVERYBODY);
        assert!(finding.harmful);
        assert_eq!(shop.kinds(CheckOptions { quick: true, repair: false }), Vec::<&str>::new());
        shop.is_healed_by_load("changed-files");
    }
}

#[test]
fn missing_files_links_and_lengths_are_named() {
    for shop in shops() {
        let files = shop.files(&shop.bottom);
        fs::remove_file(files.join("bin/ash")).unwrap();
        fs::write(files.join("big"), "short").unwrap();
        fs::remove_file(files.join("bin/sh")).unwrap();
        let finding = shop.only("changed-files");
        for text in [
            "bin/sh: the file is missing",
            "bin/ash: the file is missing",
            "big: it has 5 bytes instead of 70000",
        ] {
            assert!(finding.message.contains(text), "{}", finding.message);
        }
        shop.is_healed_by_load("changed-files");
    }
}

#[test]
fn a_load_without_a_check_before_it_shares_what_looks_sound() {
    for shop in shops() {
        fs::write(shop.files(&shop.bottom).join("bin/sh"), "##").unwrap();
        load(&shop.world, &shop.archive);
        shop.only("changed-files");
    }
}

#[test]
fn a_changed_tar_split_is_a_wrong_digest() {
    for shop in shops() {
        let path = shop.record(&shop.top, "tar-split.json.gz");
        fs::copy(shop.record(&shop.bottom, "tar-split.json.gz"), &path).unwrap();
        fs::remove_file(&path).unwrap();
        let empty = archive::tar_split::gzip(Vec::new()).finish().unwrap();
        fs::write(&path, empty).unwrap();
        assert_eq!(names(&shop.only("wrong-digest")), EVERYBODY);
        shop.is_healed_by_load("wrong-digest");
        fs::write(&path, "no gzip").unwrap();
        shop.is_healed_by_load("wrong-digest");
    }
}

#[test]
fn a_missing_tar_split_is_healed_by_a_load() {
    for shop in shops() {
        fs::remove_file(shop.record(&shop.bottom, "tar-split.json.gz")).unwrap();
        assert_eq!(names(&shop.only("missing-tar-split")), EVERYBODY);
        shop.is_healed_by_load("missing-tar-split");
    }
}

#[test]
fn a_missing_directory_is_healed_by_a_load() {
    for shop in shops() {
        let directory = match shop.driver() {
            "overlay2" => shop.directory(&shop.bottom),
            _ => shop.files(&shop.bottom),
        };
        fs::remove_dir_all(directory).unwrap();
        let found = shop.check(LOOK).findings;
        let finding = found.iter().find(|f| f.kind == "missing-files").unwrap();
        assert_eq!(names(finding), EVERYBODY);
        shop.is_healed_by_load("missing-files");
    }
}

#[test]
fn a_wrong_size_is_measured_again() {
    let Some(world) = overlay() else { return };
    let shop = Shop::new(world);
    fs::write(shop.record(&shop.top, "size"), "12345").unwrap();
    let finding = shop.is_repaired("wrong-size");
    assert_eq!(finding.message, "the size on record is 12345 bytes, it has 4");
    assert!(!finding.harmful);
    assert_eq!(fs::read_to_string(shop.record(&shop.top, "size")).unwrap(), "4");
}

#[test]
fn torn_records_are_written_anew() {
    for shop in shops() {
        for file in ["size", "diff", "parent", "cache-id"] {
            for content in [None, Some(""), Some("nonsense\0")] {
                let path = shop.record(&shop.top, file);
                let before = fs::read_to_string(&path).unwrap();
                match content {
                    None => fs::remove_file(&path).unwrap(),
                    Some(content) => fs::write(&path, content).unwrap(),
                }
                let report = shop.check(REPAIR);
                let kinds: Vec<_> = report.findings.iter().map(|f| f.kind).collect();
                assert!(report.is_sound() && !kinds.is_empty(), "{file} {content:?}: {:#?}", report.findings);
                assert!(
                    kinds.iter().all(|kind| ["torn-layer", "wrong-chain"].contains(kind)),
                    "{file}: {kinds:?}"
                );
                assert_eq!(names(&report.findings[0]), EVERYBODY);
                assert_eq!(fs::read_to_string(&path).unwrap(), before, "{file} {content:?}");
                assert_eq!(shop.check(LOOK).findings, []);
            }
        }
    }
}

#[test]
fn a_torn_record_whose_files_are_gone_is_healed_by_a_load() {
    for shop in shops() {
        fs::write(shop.record(&shop.top, "cache-id"), "").unwrap();
        shop.world.engine.driver().discard(&shop.top.cache_id).unwrap();
        shop.is_healed_by_load("torn-layer");
    }
}

#[test]
fn a_torn_record_that_nothing_uses_is_removed() {
    for shop in shops() {
        let unused = ChainId::extend(None, &DiffId::of(b"x"));
        fs::create_dir(shop.image_dir("layerdb/sha256").join(unused.hex())).unwrap();
        let report = shop.check(REPAIR);
        assert!(report.is_sound() && !report.findings.is_empty(), "{:#?}", report.findings);
        assert!(!shop.image_dir("layerdb/sha256").join(unused.hex()).exists());
        assert_eq!(shop.check(LOOK).findings, []);
    }
}

#[test]
fn a_missing_layer_is_told_of_all_that_stand_on_it() {
    for shop in shops() {
        fs::remove_dir_all(shop.image_dir("layerdb/sha256").join(shop.bottom.chain.hex())).unwrap();
        let found = shop.check(LOOK).findings;
        assert!(found.iter().any(|f| f.kind == "missing-layer" && names(f) == EVERYBODY), "{found:#?}");
        // Its directory has lost its record; it may still be what others are linked to.
        shop.is_healed_by_load("missing-layer");
    }
}

#[test]
fn a_dangling_tag_is_dropped() {
    for shop in shops() {
        let path = shop.image_dir("repositories.json");
        let text = fs::read_to_string(&path).unwrap();
        let gone = format!("sha256:{}", "0".repeat(64));
        let (start, end) = text.split_at(text.find("\"app:1\"").unwrap());
        fs::write(&path, format!("{start}\"app:0\":\"{gone}\",{end}")).unwrap();
        let finding = shop.is_repaired("dangling-tag");
        assert_eq!((finding.subject.as_str(), names(&finding)), ("app:0", vec!["image app:0"]));
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
}

#[test]
fn a_torn_list_of_names_is_moved_away() {
    for shop in shops() {
        let path = shop.image_dir("repositories.json");
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, &text[..text.len() / 2]).unwrap();
        shop.is_repaired("damaged-references");
        assert_eq!(
            fs::read_to_string(shop.image_dir("repositories.json.damaged")).unwrap(),
            text[..text.len() / 2]
        );
        load(&shop.world, &shop.archive);
        shop.world.engine.find_image("app:1").unwrap();
    }
}

#[test]
fn a_damaged_image_is_healed_by_a_load() {
    for shop in shops() {
        let image = shop.world.engine.find_image("app:1").unwrap();
        fs::write(shop.image_dir("imagedb/content/sha256").join(image.hex()), "{}").unwrap();
        let finding = shop.only("damaged-image");
        assert_eq!(names(&finding), ["image app:1", "container web"]);
        shop.is_healed_by_load("damaged-image");
    }
}

#[test]
fn metadata_without_an_image_is_removed() {
    for shop in shops() {
        let orphan = shop.image_dir("imagedb/metadata/sha256").join("0".repeat(64));
        fs::create_dir(&orphan).unwrap();
        fs::write(orphan.join("lastUpdated"), "").unwrap();
        shop.is_repaired("orphan-metadata");
        assert!(!orphan.exists());
    }
}

#[test]
fn a_container_whose_image_is_gone_still_works() {
    for shop in shops() {
        shop.world.edit(&shop.id, |document| document["Image"] = format!("sha256:{}", "0".repeat(64)).into());
        let finding = shop.only("missing-image");
        assert_eq!((names(&finding), finding.harmful), (vec!["container web"], false));
        assert!(!shop.check(REPAIR).findings[0].repaired);
        assert_eq!(shop.read("etc/passwd"), "root");
    }
}

#[test]
fn a_container_without_its_writable_layer_is_told() {
    for shop in shops() {
        fs::remove_dir_all(shop.image_dir("layerdb/mounts").join(shop.id.hex())).unwrap();
        let report = shop.check(LOOK);
        let finding = report.findings.iter().find(|f| f.kind == "missing-mount").unwrap();
        assert_eq!(names(finding), ["container web"]);
        assert!(finding.advice.contains("layercake rm"));
    }
}

#[test]
fn a_writable_layer_without_a_container_is_removed() {
    for shop in shops() {
        fs::remove_dir_all(shop.at("containers").join(shop.id.hex())).unwrap();
        let finding = shop.is_repaired("orphan-mount");
        assert!(!finding.harmful);
        assert_eq!(shop.world.engine.driver().list().unwrap().len(), 2, "the image's layers stay");
    }
}

#[test]
fn a_torn_mount_record_and_a_torn_container_are_told() {
    for shop in shops() {
        fs::write(shop.image_dir("layerdb/mounts").join(shop.id.hex()).join("mount-id"), "").unwrap();
        let report = shop.check(REPAIR);
        assert!(
            report.findings.iter().any(|f| f.kind == "torn-mount" && names(f) == ["container web"]),
            "{report:#?}"
        );
        // Whose the two directories are is not known any more: they stay.
        assert!(report.findings.iter().all(|f| !f.repaired), "{report:#?}");
        fs::write(shop.at("containers").join(shop.id.hex()).join("config.v2.json"), "{").unwrap();
        let report = shop.check(LOOK);
        assert!(report.findings.iter().any(|f| f.kind == "damaged-container"), "{report:#?}");
    }
}

#[test]
fn leftovers_are_removed() {
    for shop in shops() {
        let layers = shop.image_dir("layerdb");
        let removing = layers.join("sha256").join(format!("{}-{}-removing", "1".repeat(64), "2".repeat(64)));
        fs::create_dir(&removing).unwrap();
        fs::create_dir(layers.join("tmp/write-set-42")).unwrap();
        fs::write(shop.image_dir("imagedb/content/sha256/.tmp-x"), "").unwrap();
        assert_eq!(shop.kinds(LOOK), ["leftover"; 3]);
        assert!(shop.check(REPAIR).is_sound());
        assert_eq!(shop.check(LOOK).findings, []);
    }
}

#[test]
fn what_nobody_knows_is_told_and_left_alone() {
    for shop in shops() {
        let unknown = shop.image_dir("layerdb/sha256/notes.txt");
        fs::write(&unknown, "mine").unwrap();
        let finding = shop.only("unknown");
        assert!(!finding.harmful);
        shop.check(REPAIR);
        assert!(unknown.exists());
    }
}

#[test]
fn a_directory_without_a_record_is_removed() {
    for shop in shops() {
        let home = if shop.driver() == "vfs" { "vfs/dir" } else { "overlay2" };
        let orphan = shop.at(home).join("a".repeat(64));
        fs::create_dir(&orphan).unwrap();
        let strange = shop.at(home).join("somebody-elses");
        fs::create_dir(&strange).unwrap();
        assert_eq!(shop.kinds(LOOK), ["orphan-directory"; 2]);
        let report = shop.check(REPAIR);
        assert_eq!(report.findings.iter().filter(|f| f.repaired).count(), 1);
        assert!(!orphan.exists() && strange.exists(), "only what has a name as Docker gives them");
    }
}

#[test]
fn directories_of_buildkit_are_left_alone() {
    for shop in shops() {
        let home = if shop.driver() == "vfs" { "vfs/dir" } else { "overlay2" };
        let snapshot = shop.at(home).join("0s4t50sf3ue6ec4plxikcqdlv");
        fs::create_dir(&snapshot).unwrap();
        assert_eq!(shop.kinds(LOOK), ["orphan-directory"], "without a build cache it is nobody's");
        fs::create_dir(shop.at("buildkit")).unwrap();
        fs::write(shop.at("buildkit/snapshots.db"), "").unwrap();
        assert_eq!(shop.check(REPAIR).findings, []);
        assert!(snapshot.exists());
    }
}

/// moby.md §8.3: Docker neither finds nor repairs these.
#[test]
fn links_and_lowers_of_overlay2_are_made_again() {
    let Some(world) = overlay() else { return };
    let shop = Shop::new(world);
    let link = fs::read_to_string(shop.directory(&shop.bottom).join("link")).unwrap();
    let lower = fs::read_to_string(shop.directory(&shop.top).join("lower")).unwrap();

    fs::remove_file(shop.at("overlay2/l").join(&link)).unwrap();
    let found = shop.check(LOOK).findings;
    let finding = found.iter().find(|f| f.kind == "missing-link").unwrap();
    assert_eq!((names(finding), finding.harmful), (EVERYBODY.to_vec(), true));
    assert!(found.iter().all(|f| ["missing-link", "dangling-lower"].contains(&f.kind)), "{found:#?}");
    shop.check(REPAIR);
    assert_eq!(shop.check(LOOK).findings, []);

    fs::write(shop.directory(&shop.bottom).join("link"), "").unwrap();
    assert!(shop.kinds(LOOK).contains(&"torn-link"));
    shop.check(REPAIR);
    assert_eq!(shop.check(LOOK).findings, []);
    assert_eq!(fs::read_to_string(shop.directory(&shop.bottom).join("link")).unwrap(), link);

    for broken in ["", "l/NONSENSE", "l/AAAAAAAAAAAAAAAAAAAAAAAAAA"] {
        fs::write(shop.directory(&shop.top).join("lower"), broken).unwrap();
        assert!(shop.kinds(LOOK).contains(&"torn-lower"), "{broken:?}");
        shop.check(REPAIR);
        assert_eq!(shop.check(LOOK).findings, [], "{broken:?}");
        assert_eq!(fs::read_to_string(shop.directory(&shop.top).join("lower")).unwrap(), lower);
    }

    std::os::unix::fs::symlink("../nothing/diff", shop.at("overlay2/l/AAAAAAAAAAAAAAAAAAAAAAAAAA")).unwrap();
    assert!(!shop.is_repaired("dangling-link").harmful);
    fs::create_dir(shop.directory(&shop.top).join("merged")).unwrap();
    assert!(!shop.is_repaired("stray-merged").harmful);
    assert_eq!(shop.read("bin/sh"), "#!");
}

/// A root that BuildKit and a layer store have shared: both made the lowest layer, and BuildKit's image stands on its own.
#[test]
fn a_layer_on_a_snapshot_of_buildkit_is_not_torn() {
    let Some(world) = overlay() else { return };
    let shop = Shop::new(world);
    let (snapshot, link) = ("0s4t50sf3ue6ec4plxikcqdlv", "AAAAAAAAAAAAAAAAAAAAAAAAAA");
    let copy = Command::new("cp")
        .arg("-a")
        .arg(shop.directory(&shop.bottom))
        .arg(shop.at("overlay2").join(snapshot))
        .status();
    assert!(copy.unwrap().success());
    fs::write(shop.at("overlay2").join(snapshot).join("link"), link).unwrap();
    std::os::unix::fs::symlink(format!("../{snapshot}/diff"), shop.at("overlay2/l").join(link)).unwrap();
    let lower = shop.directory(&shop.top).join("lower");
    assert!(!fs::read_to_string(&lower).unwrap().contains(':'), "the fixture has more than two layers");
    fs::write(&lower, format!("l/{link}")).unwrap();
    assert!(!shop.kinds(LOOK).contains(&"torn-lower"));
}

/// While a container is mounted it uses the directories that a load has replaced.
#[test]
fn a_mounted_container_keeps_its_layers() {
    let Some(world) = overlay() else { return };
    let shop = Shop::new(world);
    let dir = shop.world.engine.mount(&shop.id, Access::Write).unwrap();
    fs::write(shop.files(&shop.bottom).join("bin/sh"), "##").unwrap();
    shop.check(REPAIR);
    load(&shop.world, &shop.archive);
    let report = shop.check(REPAIR);
    assert!(report.findings.iter().any(|f| f.kind == "torn-lower" && !f.repaired), "{report:#?}");
    assert!(shop.directory(&shop.bottom).exists());
    assert_eq!(fs::read_to_string(dir.join("etc/passwd")).unwrap(), "root");
    shop.world.engine.unmount(&shop.id).unwrap();
    assert!(shop.check(REPAIR).is_sound());
    assert_eq!(shop.check(LOOK).findings, []);
    assert!(!shop.directory(&shop.bottom).exists());
    assert_eq!(shop.read("bin/sh"), "#!");
}

#[test]
fn the_worst_comes_first() {
    for shop in shops() {
        fs::create_dir(shop.image_dir("imagedb/metadata/sha256").join("0".repeat(64))).unwrap();
        fs::write(shop.files(&shop.top).join("etc/passwd"), "toor").unwrap();
        assert_eq!(shop.kinds(LOOK), ["changed-files", "orphan-metadata"]);
    }
}

/// Roots that real daemons left, with a build cache of BuildKit's in the newer one: nothing is wrong with them, and a
/// repair finds nothing to do.
#[test]
fn dockers_own_roots_are_sound() {
    for version in ["docker-28.5", "docker-20.10"] {
        let Some(root) = docker_root(version) else { return };
        let engine = Engine::open(&Options::new(root.path()), engine::Access::Write).unwrap();
        let directories = engine.driver().list().unwrap().len();
        for options in [LOOK, REPAIR] {
            let report = engine.check(options, &Silent).unwrap();
            assert_eq!(report.findings, [], "{version}");
            assert!(report.layers > 0 && report.images > 0 && report.containers > 0 && report.bytes > 0);
        }
        assert_eq!(engine.driver().list().unwrap().len(), directories);
    }
}
