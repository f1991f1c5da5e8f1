//! Indexes with several platforms and attestations, as BuildKit pushes them.

use serde_json::Value;

use super::layout::{self, Built};
use super::peers::Skopeo;
use super::server::{Registry, Setup};
use super::store::{Store, pulled_digest};

/// A registry with such an index, and its name there.
fn pushed(name: &str, store: &Store) -> Option<(Registry, String, Built)> {
    if !testkit::require_root(name) {
        return None;
    }
    let registry = Registry::start(name, &Setup::default())?;
    let skopeo = Skopeo::find(name, store)?;
    let dir = store.path("layout");
    let built = layout::write(&dir);
    let image = registry.name("acme/built:1");
    skopeo.push(&format!("oci:{}:built", dir.display()), &image, &["--all"]);
    Some((registry, image, built))
}

/// Which of two images is for this machine.
fn ours() -> usize {
    usize::from(std::env::consts::ARCH == "aarch64")
}

#[test]
fn of_an_index_with_attestations_the_image_of_this_machine_is_pulled() {
    let store = Store::new();
    let name = "of_an_index_with_attestations_the_image_of_this_machine_is_pulled";
    let Some((_registry, image, built)) = pushed(name, &store) else { return };
    assert_eq!(pulled_digest(&store.run(&["pull", &image])), built.index);
    assert_eq!(store.id(&image), built.ids[ours()]);
    assert_eq!(store.run(&["images", "--all", "--quiet"]).lines().count(), 1);
    store.check();
}

#[test]
fn another_platform_is_pulled_when_asked_for() {
    let store = Store::new();
    let Some((_registry, image, built)) = pushed("another_platform_is_pulled_when_asked_for", &store) else {
        return;
    };
    let (other, platform) = if ours() == 0 { (1, "linux/arm64") } else { (0, "linux/amd64") };
    assert_eq!(pulled_digest(&store.run(&["pull", "--platform", platform, &image])), built.index);
    assert_eq!(store.id(&image), built.ids[other]);
    let complaint = store.fails(&["pull", "--platform", "linux/s390x", &image]);
    assert!(complaint.contains("linux/s390x"), "{complaint}");
}

#[test]
fn an_attestation_is_refused_as_an_image() {
    let store = Store::new();
    let Some((registry, _, built)) = pushed("an_attestation_is_refused_as_an_image", &store) else { return };
    let complaint = store.fails(&["pull", &registry.name(&format!("acme/built@{}", built.attestation))]);
    assert!(complaint.contains("in-toto"), "the complaint does not say what it is: {complaint}");
    assert_eq!(store.run(&["images", "--all", "--quiet"]), "");
}

/// In Docker's layout of lists, which leaves out annotations.
#[test]
fn all_of_an_index_is_shown() {
    let store = Store::new();
    let Some((_registry, image, _)) = pushed("all_of_an_index_is_shown", &store) else { return };
    let shown: Value = serde_json::from_str(&store.run(&["manifest", "inspect", &image])).unwrap();
    let skopeo = Skopeo::find("all_of_an_index_is_shown", &store).unwrap();
    let entries = |index: &Value| -> Vec<Value> {
        let entries = index["manifests"].as_array().unwrap();
        entries
            .iter()
            .map(|entry| serde_json::json!([entry["digest"], entry["size"], entry["platform"]]))
            .collect()
    };
    assert_eq!(entries(&shown), entries(&skopeo.manifest(&image)));
}
