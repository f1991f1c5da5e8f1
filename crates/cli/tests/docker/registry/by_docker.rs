//! Docker and we pull what the other one pushed; a data root that either pulled into is the same.

use super::layout;
use super::peers::Skopeo;
use super::server::{PASSWORD, Registry, Setup, USER};
use super::store::{Store, pulled_digest, pushed_digest};
use crate::archives::{APP, BASE, Fixture};
use crate::said::{Tool, ask};
use crate::witnessed;
use crate::world::World;

witnessed! { what_we_push_docker_pulls what_docker_pushes_we_pull an_index_is_the_same_to_both credentials_are_shared }

/// What a tool says about its images, but for the places of their layers, which are random.
fn images(tool: &impl Tool) -> Vec<String> {
    let shown = "{{.ID}} {{.Repository}}:{{.Tag}} {{.Digest}} {{.Size}} {{.CreatedAt}}";
    let mut lines = tool.lines(&["images", "--all", "--no-trunc", "--digests", "--format", shown]);
    let ids: Vec<String> =
        lines.iter().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect();
    let details =
        "{{.Id}} {{json .RepoTags}} {{json .RepoDigests}} {{.RootFS.Layers}} {{.Size}} {{json .Config.Cmd}}";
    lines.extend(ids.iter().map(|id| tool.run(&["image", "inspect", "--format", details, id])));
    lines.sort();
    lines
}

/// What of the data root tells about registries, but for what is secret: which layers have which digests.
const HINTS: &str = "image/overlay2/distribution/diffid-by-digest/sha256";

fn open(name: &str) -> Option<Registry> {
    Registry::start(name, &Setup::default())
}

fn what_we_push_docker_pulls(world: &World) {
    let Some(registry) = open("what_we_push_docker_pulls") else { return };
    let store = Store::with_images();
    let names = [registry.name("ours/base:1"), registry.name("ours/app:1")];
    let digests = [(BASE, &names[0]), (APP, &names[1])]
        .map(|(image, name)| pushed_digest(&store.push_as(image, name, &[])).0);
    let daemon = world.start();
    for (name, digest) in names.iter().zip(&digests) {
        assert_eq!(pulled_digest(&daemon.docker(&["pull", name])), *digest);
    }
    for (name, image) in names.iter().zip([BASE, APP]) {
        assert_eq!(daemon.inspect("image", name)["Id"], store.id(image));
    }
    if let Some(printed) = daemon.run_container(&["--rm", &names[1], "out", "runs"]) {
        assert_eq!(printed, "runs\n");
    }
    let theirs = images(&daemon);
    daemon.stop();
    let hints = world.names(HINTS);
    assert!(!hints.is_empty());

    // What we pull is what Docker pulled, and Docker goes on with it.
    world.clear();
    for name in &names {
        world.layercake(&["pull", name]);
    }
    assert_eq!(images(world), theirs);
    assert_eq!(world.names(HINTS), hints);
    let ours = ask(world);
    let daemon = world.start();
    ours.assert_agreed_by(&daemon);
    let again = daemon.docker(&["pull", &names[1]]);
    assert!(again.contains("Image is up to date"), "{again}");
    let requests = registry.requests_of(|| {
        let said = daemon.docker(&["push", &names[1]]);
        assert!(said.contains("Layer already exists"), "{said}");
    });
    assert!(!requests.iter().any(|request| request.starts_with("PATCH")), "{requests:#?}");
    daemon.stop();
}

fn what_docker_pushes_we_pull(world: &World) {
    let Some(registry) = open("what_docker_pushes_we_pull") else { return };
    let daemon = world.start();
    daemon.docker_with(&Fixture::Classic.saved(), &["load"]);
    let name = registry.name("theirs/app:1");
    daemon.docker(&["tag", APP, &name]);
    let (digest, _) = pushed_digest(&daemon.docker(&["push", &name]));
    let id = daemon.inspect("image", APP)["Id"].clone();
    daemon.stop();
    // Docker's own store knows the layers' digests now: a push of ours finds them there.
    let requests = registry.requests_of(|| {
        let said = world.layercake(&["push", &name]);
        assert_eq!(pushed_digest(&said).0, digest, "{said}");
        assert!(said.contains(": Layer already exists\n") && !said.contains(": Pushed\n"), "{said}");
    });
    assert!(!requests.iter().any(|request| request.starts_with("PATCH")), "{requests:#?}");

    world.clear();
    assert_eq!(pulled_digest(&world.layercake(&["pull", &name])), digest);
    assert_eq!(world.inspect("image", &name)["Id"], id);
    assert!(world.layercake(&["check"]).ends_with("no damage\n"));
    let ours = ask(world);
    let daemon = world.start();
    ours.assert_agreed_by(&daemon);
    daemon.stop();
}

fn an_index_is_the_same_to_both(world: &World) {
    let Some(registry) = open("an_index_is_the_same_to_both") else { return };
    let store = Store::new();
    let Some(skopeo) = Skopeo::find("an_index_is_the_same_to_both", &store) else { return };
    let dir = store.path("layout");
    let built = layout::write(&dir);
    let name = registry.name("acme/built:1");
    skopeo.push(&format!("oci:{}:built", dir.display()), &name, &["--all"]);
    let daemon = world.start();
    assert_eq!(pulled_digest(&daemon.docker(&["pull", &name])), built.index);
    let theirs = images(&daemon);
    // 20.10's client does not know OCI's indexes.
    let newest = world.docker.tree.is_some();
    let shown = newest.then(|| daemon.docker(&["manifest", "inspect", "--insecure", &name]));
    daemon.stop();
    let hints = world.names(HINTS);
    world.clear();
    assert_eq!(pulled_digest(&world.layercake(&["pull", &name])), built.index);
    if let Some(shown) = shown {
        assert_eq!(world.layercake(&["manifest", "inspect", &name]), shown);
    }
    assert_eq!(images(world), theirs);
    assert_eq!(world.names(HINTS), hints);
}

/// What `docker login` wrote we use, and the other way round.
fn credentials_are_shared(world: &World) {
    let setup = Setup { passwords: true, ..Setup::default() };
    let Some(registry) = Registry::start("credentials_are_shared", &setup) else { return };
    let store = Store::with_images();
    let name = registry.name("acme/base:1");
    let login = ["login", "--username", USER, "--password", PASSWORD, &registry.address];
    let daemon = world.start();
    daemon.docker(&login);
    let config = world.path("home/.docker/config.json");
    let ours = store.path("docker/config.json");
    std::fs::copy(&config, &ours).unwrap();
    store.push_as(BASE, &name, &[]);
    store.run(&["logout", &registry.address]);
    store.fails(&["push", &name]);

    daemon.docker(&["logout", &registry.address]);
    assert!(!daemon.try_docker(&["pull", &name]).status.success(), "docker still knows the password");
    store.run(&login);
    std::fs::copy(&ours, &config).unwrap();
    daemon.docker(&["pull", &name]);
    daemon.stop();
}
