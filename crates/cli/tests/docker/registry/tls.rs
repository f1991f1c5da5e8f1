//! A registry with TLS, whose authority is known through `certs.d` only.
//!
//! These tests run on an address that is not a loopback one, which is never taken for insecure.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use super::authority::Authority;
use super::network;
use super::peers::{Podman, Skopeo};
use super::server::{Registry, Setup};
use super::store::{Store, pulled_digest, pushed_digest};
use crate::archives::BASE;
use crate::world::{succeeded, text};

/// Runs a command with another `/etc/docker/certs.d`: a directory laid over the machine's `/etc`.
const WITH: &str = r#"mount -t overlay overlay -o "lowerdir=$1:/etc" /etc && shift && exec "$@""#;

/// What `certs.d` has for the registry.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Known {
    Nothing,
    Authority,
    AuthorityAndClient,
}

/// A registry in a network of its own.
struct Scene {
    authority: Authority,
    registry: Registry,
    store: Store,
}

impl Scene {
    fn new(name: &str, clients: bool) -> Option<Self> {
        if !network::enter(name) {
            return None;
        }
        let authority = Authority::new(name)?;
        let address = Some(network::ADDRESS);
        let registry =
            Registry::start(name, &Setup { tls: Some(&authority), clients, address, ..Setup::default() })?;
        assert_eq!(registry.address, network::ADDRESS);
        let store = Store::with_images();
        store.run(&["tag", BASE, &registry.name("acme/base:1")]);
        Some(Self { authority, registry, store })
    }

    fn image(&self) -> String {
        self.registry.name("acme/base:1")
    }

    /// `layercake ARG…` on a store, with this in `certs.d`.
    fn layercake(&self, store: &Store, known: Known, args: &[&str]) -> Output {
        let etc = self.store.path("etc");
        let _ = fs::remove_dir_all(&etc);
        let certs = etc.join("docker/certs.d").join(&self.registry.address);
        fs::create_dir_all(&certs).unwrap();
        if known != Known::Nothing {
            copy_all(&self.authority.certs_d(known == Known::AuthorityAndClient), &certs);
        }
        let ours = store.command(args);
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-c", WITH, "with"]).arg(&etc);
        command.arg(ours.get_program()).args(ours.get_args());
        store.settle(&mut command);
        command.output().unwrap()
    }

    fn fails(&self, known: Known) -> String {
        let output = self.layercake(&self.store, known, &["push", &self.image()]);
        assert!(!output.status.success(), "{output:?}");
        text(&output.stderr)
    }

    /// We push and pull, and skopeo pulls and pushes, with the same digests.
    fn works_both_ways(&self, name: &str, known: Known) {
        let push = ["push", &self.image()];
        let (digest, _) = pushed_digest(&succeeded(&push, self.layercake(&self.store, known, &push)));
        let other = Store::new();
        let pull = ["pull", &self.image()];
        let said = succeeded(&pull, self.layercake(&other, known, &pull));
        assert_eq!(pulled_digest(&said), digest);
        assert_eq!(other.id(&self.image()), self.store.id(BASE));

        let certificates = self.authority.certs_d(known == Known::AuthorityAndClient);
        if let Some(skopeo) = Skopeo::find(name, &self.store) {
            let skopeo = skopeo.with_certificates(&certificates);
            let dir = skopeo.pull(&self.image(), "pulled");
            let theirs = self.registry.name("theirs/base:1");
            skopeo.push(&format!("dir:{}", dir.display()), &theirs, &[]);
            let pull = ["pull", &theirs];
            let said = succeeded(&pull, self.layercake(&other, known, &pull));
            assert_eq!(pulled_digest(&said), digest);
        }
        if let Some(podman) = Podman::find(name, &self.store) {
            // The directory has to be visible in podman's tree.
            let own = self.store.path("certificates");
            fs::create_dir_all(&own).unwrap();
            copy_all(&certificates, &own);
            podman.run(&["pull", "--quiet", "--cert-dir", own.to_str().unwrap(), &self.image()]);
            assert_eq!(podman.image(&self.image()), (self.store.id(BASE), digest));
        }
    }
}

fn copy_all(from: &Path, into: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), into.join(entry.file_name())).unwrap();
    }
}

#[test]
fn an_authority_is_known_through_certs_d() {
    let name = "an_authority_is_known_through_certs_d";
    let Some(scene) = Scene::new(name, false) else { return };
    let complaint = scene.fails(Known::Nothing);
    assert!(complaint.contains("certificate"), "{complaint}");
    assert_eq!(scene.registry.requests(), [""; 0], "something was asked of a server that nobody knows");
    scene.works_both_ways(name, Known::Authority);
}

#[test]
fn an_insecure_registry_needs_no_authority() {
    let Some(scene) = Scene::new("an_insecure_registry_needs_no_authority", false) else { return };
    let insecure = format!("--insecure-registry={}", scene.registry.address);
    let push = ["push", &insecure, &scene.image()];
    succeeded(&push, scene.layercake(&scene.store, Known::Nothing, &push));
}

#[test]
fn a_client_shows_its_certificate() {
    let name = "a_client_shows_its_certificate";
    let Some(scene) = Scene::new(name, true) else { return };
    let complaint = scene.fails(Known::Authority).to_lowercase();
    assert!(complaint.contains("certificate"), "{complaint}");
    scene.works_both_ways(name, Known::AuthorityAndClient);
}
