//! A registry that wants a password.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use serde_json::Value;

use super::peers::Skopeo;
use super::server::{PASSWORD, Registry, Setup, USER};
use super::store::Store;
use crate::archives::BASE;

fn with_passwords(name: &str) -> Option<Registry> {
    let setup = Setup { passwords: true, ..Setup::default() };
    if testkit::require_root(name) { Registry::start(name, &setup) } else { None }
}

fn config(store: &Store) -> Value {
    serde_json::from_slice(&fs::read(store.path("docker/config.json")).unwrap()).unwrap()
}

#[test]
fn only_who_is_logged_in_pushes_and_pulls() {
    let Some(registry) = with_passwords("only_who_is_logged_in_pushes_and_pulls") else { return };
    let store = Store::with_images();
    let address = &registry.address;
    let image = registry.name("acme/base:1");
    store.run(&["tag", BASE, &image]);
    let complaint = store.fails(&["push", &image]);
    assert!(complaint.contains("unauthorized") && complaint.contains("layercake login"), "{complaint}");

    let complaint = store.fails(&["login", "--username", USER, "--password", "guess", address]);
    assert!(complaint.to_lowercase().contains("unauthorized"), "{complaint}");
    assert!(!store.path("docker/config.json").exists(), "a wrong password was kept");

    let mut login = store.command(&["login", "--username", USER, "--password-stdin", address]);
    let mut login =
        login.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    writeln!(login.stdin.take().unwrap(), "{PASSWORD}").unwrap();
    let output = login.wait_with_output().unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).contains("Login Succeeded"), "{output:?}");
    // "ann:secret"
    assert_eq!(config(&store)["auths"][address]["auth"], "YW5uOnNlY3JldA==");
    let mode = fs::metadata(store.path("docker/config.json")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "others may read the password");

    store.run(&["push", &image]);
    store.run(&["rmi", "--wait", &image]);
    store.run(&["pull", &image]);
    let said = store.run(&["logout", address]);
    assert!(said.contains(&format!("Removing login credentials for {address}")), "{said}");
    let complaint = store.fails(&["pull", &image]);
    assert!(complaint.contains("unauthorized") && complaint.contains("layercake login"), "{complaint}");
}

#[test]
fn a_credential_helper_keeps_the_password() {
    let Some(registry) = with_passwords("a_credential_helper_keeps_the_password") else { return };
    let store = Store::with_images();
    let bin = store.path("bin");
    fs::create_dir(&bin).unwrap();
    // The protocol of Docker's credential helpers: what to do is the argument, with what is on standard input.
    let kept = store.path("kept");
    let helper = format!(
        "#!/bin/sh\ncase $1 in store) cat >{0};; get) cat {0} || exit 1;; erase) rm {0};; esac\n",
        kept.display()
    );
    let program = bin.join("docker-credential-test");
    fs::write(&program, helper).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(store.path("docker/config.json"), r#"{"credsStore":"test","detachKeys":"ctrl-x"}"#).unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let run = |args: &[&str]| {
        let output = store.command(args).env("PATH", &path).output().unwrap();
        assert!(output.status.success(), "{args:?}: {output:?}");
    };
    run(&["login", "--username", USER, "--password", PASSWORD, &registry.address]);
    let secret: Value = serde_json::from_slice(&fs::read(&kept).unwrap()).unwrap();
    assert_eq!((&secret["Username"], &secret["Secret"]), (&USER.into(), &PASSWORD.into()));
    assert!(!config(&store).to_string().contains("YW5u"), "the password is in the file too");
    assert_eq!(config(&store)["detachKeys"], "ctrl-x", "what else was in the file is gone");
    let image = registry.name("acme/base:1");
    run(&["tag", BASE, &image]);
    run(&["push", &image]);
    run(&["logout", &registry.address]);
    assert!(!kept.exists());
}

#[test]
fn skopeo_and_we_read_each_others_authfile() {
    let name = "skopeo_and_we_read_each_others_authfile";
    let Some(registry) = with_passwords(name) else { return };
    let store = Store::with_images();
    let Some(skopeo) = Skopeo::find(name, &store) else { return };
    let file = store.path("auth.json");
    let authfile = format!("--authfile={}", file.display());
    let image = registry.name("acme/base:1");
    let login = ["--username", USER, "--password", PASSWORD, &registry.address];
    skopeo.run(&[&["login", "--tls-verify=false", &authfile], &login[..]].concat());
    store.push_as(BASE, &image, &[&authfile]);
    fs::remove_file(&file).unwrap();
    store.run(&[&["login", &authfile], &login[..]].concat());
    skopeo.with_authfile(&file).pull(&image, "pulled");
}
