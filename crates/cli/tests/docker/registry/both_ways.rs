//! Between us and skopeo and podman, through an open registry; and what is sent and fetched at all.

use std::fs;

use model::Digest;
use model::manifest::media_type;
use serde_json::Value;

use super::peers::{Podman, Skopeo};
use super::server::{Registry, Setup};
use super::store::{Store, pulled_digest, pushed_digest};
use crate::archives::{APP, BASE, Fixture};

/// An open registry, for a test that needs root.
fn open(name: &str) -> Option<Registry> {
    if testkit::require_root(name) { Registry::start(name, &Setup::default()) } else { None }
}

/// The digests of a manifest's layers.
fn layers(manifest: &Value) -> Vec<String> {
    let layers = manifest["layers"].as_array().unwrap();
    layers.iter().map(|layer| layer["digest"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn what_we_push_skopeo_pulls_with_the_same_digests() {
    let name = "what_we_push_skopeo_pulls_with_the_same_digests";
    let Some(registry) = open(name) else { return };
    let store = Store::with_images();
    let Some(skopeo) = Skopeo::find(name, &store) else { return };
    for (flags, manifest_type, layer_type) in [
        (&[][..], media_type::DOCKER_MANIFEST, media_type::DOCKER_LAYER_GZIP),
        (&["--compression", "zstd"], media_type::OCI_MANIFEST, media_type::OCI_LAYER_ZSTD),
    ] {
        let image = registry.name(&format!("acme/app:{}", flags.len()));
        let said = store.push_as(APP, &image, flags);
        let repository = image.rsplit_once(':').unwrap().0;
        assert!(said.starts_with(&format!("The push refers to repository [{repository}]\n")), "{said}");
        let (digest, size) = pushed_digest(&said);
        let dir = skopeo.pull(&image, "pulled");
        let bytes = fs::read(dir.join("manifest.json")).unwrap();
        assert_eq!((Digest::of(&bytes).to_string(), bytes.len() as u64), (digest.clone(), size));
        let manifest: Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(manifest["mediaType"], manifest_type);
        assert_eq!(manifest["config"]["digest"], store.id(APP));
        for layer in manifest["layers"].as_array().unwrap() {
            assert_eq!(layer["mediaType"], layer_type);
        }
        fs::remove_dir_all(dir).unwrap();

        let other = Store::new();
        assert_eq!(pulled_digest(&other.run(&["pull", &image])), digest);
        assert_eq!(other.id(&image), store.id(APP));
        other.check();
    }
}

#[test]
fn what_skopeo_pushes_we_pull_with_the_same_digests() {
    let name = "what_skopeo_pushes_we_pull_with_the_same_digests";
    let Some(registry) = open(name) else { return };
    let files = Store::with_images();
    let Some(skopeo) = Skopeo::find(name, &files) else { return };
    let source = format!("docker-archive:{}:{APP}", files.path("images.tar").display());
    let (_, expected) = Fixture::Classic.expected(APP);
    for (tag, flags) in [
        ("docker", &["--format", "v2s2"][..]),
        ("oci", &["--format", "oci"]),
        ("zstd", &["--format", "oci", "--dest-compress-format", "zstd"]),
    ] {
        let image = registry.name(&format!("acme/app:{tag}"));
        skopeo.push(&source, &image, flags);
        let raw = skopeo.raw(&image);
        let manifest: Value = serde_json::from_str(&raw).unwrap();
        let store = Store::new();
        let said = store.run(&["pull", &image]);
        assert_eq!(pulled_digest(&said), Digest::of(raw.as_bytes()).to_string(), "{tag}");
        assert!(said.ends_with(&format!("{image}\n")), "{said}");
        assert_eq!(store.id(&image), manifest["config"]["digest"].as_str().unwrap(), "{tag}");
        let layers = store.run(&["image", "inspect", "--format", "{{json .RootFS.Layers}}", &image]);
        assert_eq!(serde_json::from_str::<Value>(&layers).unwrap(), expected["diff_ids"], "{tag}");
        store.check();
    }
}

#[test]
fn podman_and_we_pull_each_others_images() {
    let name = "podman_and_we_pull_each_others_images";
    let Some(registry) = open(name) else { return };
    let store = Store::with_images();
    let Some(podman) = Podman::find(name, &store) else { return };
    let (ours, theirs) = (registry.name("ours/app:1"), registry.name("theirs/app:1"));
    let (digest, _) = pushed_digest(&store.push_as(APP, &ours, &[]));
    podman.run(&["pull", "--quiet", "--tls-verify=false", &ours]);
    assert_eq!(podman.image(&ours), (store.id(APP), digest));

    let said = store.path("digest");
    let file = said.to_str().unwrap();
    podman.run(&["push", "--quiet", "--tls-verify=false", "--digestfile", file, &ours, &theirs]);
    let other = Store::new();
    assert_eq!(pulled_digest(&other.run(&["pull", &theirs])), fs::read_to_string(file).unwrap().trim());
    let layers = |store: &Store, name: &str| {
        store.run(&["image", "inspect", "--format", "{{json .RootFS.Layers}}", name])
    };
    assert_eq!(layers(&other, &theirs), layers(&store, APP));
}

/// Requests that send a blob, or the start of one.
fn uploads(requests: &[String]) -> Vec<&String> {
    requests.iter().filter(|request| request.contains("/blobs/uploads/")).collect()
}

#[test]
fn a_push_sends_what_the_registry_does_not_have() {
    let Some(registry) = open("a_push_sends_what_the_registry_does_not_have") else { return };
    let store = Store::with_images();
    let base = registry.name("acme/base:1");
    let first = store.push_as(BASE, &base, &[]);
    let requests = registry.requests_of(|| {
        let again = store.run(&["push", &base]);
        assert_eq!(pushed_digest(&again), pushed_digest(&first));
        assert!(again.contains(": Layer already exists\n") && !again.contains(": Pushed\n"), "{again}");
    });
    assert_eq!(uploads(&requests), Vec::<&String>::new());
    // What is above the base is sent, the base is not.
    let said = store.push_as(APP, &registry.name("acme/base:2"), &[]);
    assert!(said.contains(": Layer already exists\n") && said.contains(": Pushed\n"), "{said}");
    // Another repository of this registry has it.
    let blobs = registry.blobs();
    let requests = registry.requests_of(|| {
        let said = store.push_as(BASE, &registry.name("other/base:1"), &[]);
        assert!(said.contains(": Mounted from acme/base\n"), "{said}");
        assert_eq!(pushed_digest(&said), pushed_digest(&first));
    });
    assert!(requests.iter().any(|it| it.starts_with("POST") && it.contains("mount=") && it.ends_with("201")));
    assert!(!requests.iter().any(|it| it.starts_with("PATCH")), "{requests:#?}");
    assert_eq!(registry.blobs(), blobs);
}

#[test]
fn a_pull_fetches_what_the_store_does_not_have() {
    let Some(registry) = open("a_pull_fetches_what_the_store_does_not_have") else { return };
    let store = Store::with_images();
    let (base, app) = (registry.name("acme/base:1"), registry.name("acme/app:1"));
    store.push_as(BASE, &base, &[]);
    store.push_as(APP, &app, &[]);
    let fetched =
        |requests: &[String]| requests.iter().filter(|it| it.contains("GET /v2/acme/app/blobs/")).count();
    let other = Store::new();
    let first = other.run(&["pull", &base]);
    assert!(first.contains(&format!("Status: Downloaded newer image for {base}\n")), "{first}");
    let requests = registry.requests_of(|| {
        let second = other.run(&["pull", &app]);
        assert!(second.contains(": Already exists\n") && second.contains(": Pull complete\n"), "{second}");
    });
    let (_, expected) = Fixture::Classic.expected(APP);
    let layers = expected["diff_ids"].as_array().unwrap().len();
    let (_, expected) = Fixture::Classic.expected(BASE);
    let shared = expected["diff_ids"].as_array().unwrap().len();
    assert!(fetched(&requests) <= 1 + layers - shared, "{requests:#?}");
    let requests = registry.requests_of(|| {
        let third = other.run(&["pull", &app]);
        assert!(third.contains(&format!("Status: Image is up to date for {app}\n")), "{third}");
    });
    assert_eq!(fetched(&requests), 0, "{requests:#?}");
}

#[test]
fn all_tags_are_pushed_and_pulled() {
    let Some(registry) = open("all_tags_are_pushed_and_pulled") else { return };
    let store = Store::with_images();
    let repository = registry.name("acme/tags");
    for tag in ["1", "2", "latest"] {
        store.run(&["tag", if tag == "1" { BASE } else { APP }, &format!("{repository}:{tag}")]);
    }
    store.run(&["push", "--all-tags", &repository]);
    let other = Store::new();
    other.run(&["pull", "--all-tags", &repository]);
    let tags = |store: &Store| {
        let mut lines: Vec<String> = store
            .run(&["images", "--no-trunc", "--format", "{{.Tag}} {{.ID}}", &repository])
            .lines()
            .map(str::to_owned)
            .collect();
        lines.sort();
        lines
    };
    assert_eq!(tags(&other).len(), 3);
    assert_eq!(tags(&other), tags(&store));
}

#[test]
fn an_image_is_pulled_by_its_digest_and_shown_without_pulling() {
    let Some(registry) = open("an_image_is_pulled_by_its_digest_and_shown_without_pulling") else { return };
    let store = Store::with_images();
    let tagged = registry.name("acme/app:1");
    let (digest, _) = pushed_digest(&store.push_as(APP, &tagged, &[]));
    let named = registry.name(&format!("acme/app@{digest}"));
    let other = Store::new();
    let shown: Value = serde_json::from_str(&other.run(&["manifest", "inspect", &tagged])).unwrap();
    let shown = if shown.is_array() { shown[0].clone() } else { shown };
    assert_eq!(shown["config"]["digest"], store.id(APP));
    assert_eq!(other.run(&["pull", "--quiet", &named]), format!("{named}\n"));
    assert_eq!(other.id(&named), store.id(APP));
    assert_eq!(
        other.run(&["images", "--digests", "--format", "{{.Tag}} {{.Digest}}"]),
        format!("<none> {digest}\n")
    );
    // The name with the tag was not pulled.
    other.fails(&["image", "inspect", &tagged]);
}

#[test]
fn what_was_pulled_is_pushed_on_as_the_same_blobs() {
    let name = "what_was_pulled_is_pushed_on_as_the_same_blobs";
    let (Some(first), Some(second)) = (open(name), open(name)) else { return };
    let files = Store::with_images();
    let Some(skopeo) = Skopeo::find(name, &files) else { return };
    let source = format!("docker-archive:{}:{APP}", files.path("images.tar").display());
    let image = first.name("acme/app:1");
    skopeo.push(&source, &image, &["--format", "v2s2"]);
    let store = Store::new();
    store.run(&["pull", "--keep-blobs", &image]);
    let copy = second.name("acme/app:1");
    store.push_as(&image, &copy, &[]);
    assert_eq!(layers(&skopeo.manifest(&copy)), layers(&skopeo.manifest(&image)));
}

#[test]
fn a_name_that_is_not_there_is_an_error_that_names_it() {
    let Some(registry) = open("a_name_that_is_not_there_is_an_error_that_names_it") else { return };
    let store = Store::new();
    let name = registry.name("acme/nothing:1");
    let complaint = store.fails(&["pull", &name]);
    assert!(complaint.contains(&name) && complaint.contains("not found"), "{complaint}");
    assert_eq!(store.run(&["images", "--quiet"]), "");
}
