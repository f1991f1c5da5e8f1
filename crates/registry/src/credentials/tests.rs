mod helpers;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::process::Command;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::{Credential, Credentials, Secret};

/// A directory with a `config.json` and helpers.
struct Place(TempDir);

impl Place {
    fn new(config: &str) -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        fs::write(place.path(), config).unwrap();
        place
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("config.json")
    }

    fn text(&self) -> String {
        fs::read_to_string(self.path()).unwrap()
    }

    /// A helper that is a shell script; `$1` is the operation, `dir` the directory of the test.
    fn helper(&self, name: &str, script: &str) {
        let path = self.0.path().join(format!("docker-credential-{name}"));
        let dir = self.0.path().display();
        let text = self.0.path().join("script");
        fs::write(&text, format!("#!/bin/sh\ndir='{dir}'\n{script}\n")).unwrap();
        // A program cannot be started while it is open for writing, and a child of another test may have our files.
        let made = Command::new("install").arg("-m755").args([&text, &path]).status().unwrap();
        assert!(made.success());
        fs::remove_file(text).unwrap();
    }

    fn open(&self) -> ConfigFile {
        ConfigFile::open(&self.path(), self.helpers()).unwrap()
    }

    fn helpers(&self) -> Helpers {
        Helpers { path: self.0.path().into(), timeout: Duration::from_secs(60) }
    }
}

fn basic(user: &str, password: &str) -> Credential {
    Credential::Basic { user: user.to_owned(), password: Secret::new(password) }
}

fn find(config: &str, server: &str) -> Option<Credential> {
    Config::parse(Path::new("config.json"), config).unwrap().find(server).unwrap()
}

/// `u:p`, `user:a:b`.
const U_P: &str = "dTpw";
const USER_A_B: &str = "dXNlcjphOmI=";

#[test]
fn entries_are_read_as_docker_reads_them() {
    for (entry, expected) in [
        (json!({"auth": U_P}), Some(basic("u", "p"))),
        (json!({"auth": USER_A_B}), Some(basic("user", "a:b"))),
        (json!({"auth": "dT\npw\r\n"}), Some(basic("u", "p"))),
        (json!({"auth": "dTpwAAA="}), Some(basic("u", "p"))),
        (json!({"auth": U_P, "email": "x@y"}), Some(basic("u", "p"))),
        (json!({"username": "v", "password": "q"}), Some(basic("v", "q"))),
        (json!({"username": "v", "password": "q", "auth": U_P}), Some(basic("u", "p"))),
        (json!({"auth": "dTo=", "identitytoken": "t"}), Some(Credential::IdentityToken(Secret::new("t")))),
        (json!({"registrytoken": "r", "auth": U_P}), Some(Credential::RegistryToken(Secret::new("r")))),
        (json!({"auth": "", "identitytoken": null}), None),
        (json!({}), None),
        (json!(null), None),
    ] {
        let config = json!({"auths": {"s": entry}}).to_string();
        assert_eq!(find(&config, "s"), expected, "{config}");
    }
}

#[test]
fn the_most_specific_entry_counts() {
    let entry = |user: &str| {
        use base64::Engine as _;
        json!({"auth": base64::engine::general_purpose::STANDARD.encode(format!("{user}:p"))})
    };
    let config = json!({"auths": {
        "https://old.example/v1/": entry("url"),
        "quay.io": entry("server"),
        "quay.io/org": entry("org"),
        "quay.io/org/team/x": entry("x"),
        "quay.io/empty": {},
        DOCKER_HUB: entry("hub"),
        "docker.io/acme": entry("acme"),
    }})
    .to_string();
    for (server, user) in [
        ("quay.io", "server"),
        ("quay.io/other/x", "server"),
        ("quay.io/org", "org"),
        ("quay.io/org/team", "org"),
        ("quay.io/org/team/x", "x"),
        ("quay.io/org/team/xy", "org"),
        ("quay.io/organisation/x", "server"),
        ("quay.io/empty/x", "server"),
        ("docker.io/library/busybox", "hub"),
        ("docker.io/acme/x", "acme"),
        ("docker.io", "hub"),
        ("old.example", "url"),
        ("old.example/x", "url"),
    ] {
        assert_eq!(find(&config, server), Some(basic(user, "p")), "{server}");
    }
    for server in ["quay.io:443", "io", "quay", "old.example.evil/x"] {
        assert_eq!(find(&config, server), None, "{server}");
    }
    // As podman writes it.
    assert_eq!(
        find(&json!({"auths": {"docker.io": entry("podman")}}).to_string(), "docker.io/library/x"),
        Some(basic("podman", "p"))
    );
}

#[test]
fn errors_name_file_and_key_and_no_secret() {
    for (config, expected) in [
        ("[]", "config.json: is not an object"),
        ("{", "config.json: EOF while parsing an object at line 1 column 1"),
        ("\"secret\"", "config.json: is not an object"),
        (r#"{"auths": 1}"#, "config.json: auths is not an object"),
        (r#"{"auths": {"s": "c2VjcmV0"}}"#, "config.json: auths: s is not an object with texts in it"),
        (r#"{"auths": {"s": {"auth": 7}}}"#, "config.json: auths: s is not an object with texts in it"),
        (
            r#"{"auths": {"s": {"auth": "c2VjcmV0"}}}"#,
            "config.json: auths: s has an auth that is not base64 of user:password",
        ),
        (
            r#"{"auths": {"s": {"auth": "secret!"}}}"#,
            "config.json: auths: s has an auth that is not base64 of user:password",
        ),
        (r#"{"credHelpers": {"s": 1}}"#, "config.json: credHelpers: s is not a text"),
        (r#"{"credsStore": {}}"#, "config.json: credsStore is not a text"),
    ] {
        let found = Config::parse(Path::new("config.json"), config).and_then(|config| {
            config.helper("s")?;
            config.find("s")
        });
        assert_eq!(found.unwrap_err().to_string(), expected, "{config}");
    }
    // Another server's broken entry is nobody's business.
    assert_eq!(
        find(r#"{"auths": {"s": {"auth": "secret!"}, "t": {"auth": "dTpw"}}}"#, "t"),
        Some(basic("u", "p"))
    );
    assert_eq!(find("", "s"), None);
    assert_eq!(find(r#"{"Auths": {"s": {"auth": "dTpw"}}}"#, "s"), Some(basic("u", "p")));
}

#[test]
fn what_is_stored_is_found_and_laid_out_as_docker_does() {
    let place = Place(tempfile::tempdir().unwrap());
    let mut file = place.open();
    let kept = file.store("https://quay.io/v2/", &basic("u", "p"), None).unwrap();
    assert_eq!(kept, Kept::InFile(place.path()));
    assert_eq!(
        place.text(),
        "{\n\t\"auths\": {\n\t\t\"quay.io\": {\n\t\t\t\"auth\": \"dTpw\"\n\t\t}\n\t}\n}"
    );
    assert_eq!(fs::metadata(place.path()).unwrap().mode() & 0o777, 0o600);
    assert_eq!(file.store("quay.io", &basic("u", "p"), None).unwrap(), Kept::Already);

    file.store("docker.io", &Credential::IdentityToken(Secret::new("t")), Some("u")).unwrap();
    let value: Value = serde_json::from_str(&place.text()).unwrap();
    assert_eq!(value["auths"][DOCKER_HUB], json!({"auth": "dTo=", "identitytoken": "t"}));
    let again = place.open();
    for file in [&file, &again] {
        assert_eq!(file.find("quay.io/x").unwrap(), Some(basic("u", "p")));
        assert_eq!(
            file.find("docker.io/library/x").unwrap(),
            Some(Credential::IdentityToken(Secret::new("t")))
        );
        assert_eq!(file.get("nosuch").unwrap(), None);
    }

    file.erase("quay.io").unwrap();
    file.erase("docker.io").unwrap();
    file.erase("nosuch").unwrap();
    assert_eq!(place.text(), "{\n\t\"auths\": {}\n}");
}

#[test]
fn forgetting_makes_no_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("new/config.json");
    ConfigFile::open(&path, Helpers::default()).unwrap().erase("s").unwrap();
    assert!(!path.parent().unwrap().exists());
}

#[test]
fn the_rest_of_the_file_keeps_its_spelling() {
    let place = Place::new(
        "{ \"HttpHeaders\": {\"X\":\"\\u0041\"}, \"big\": 12345678901234567890123.50, \"twice\": 1, \"twice\": 2,\n\
         \"auths\": {\"a\": {\"auth\": \"dTpw\", \"email\": \"e\" , \"n\": 1e3}, \"https://b/\":{ \"auth\":\"eDp5\"}} }",
    );
    let mut file = place.open();
    file.store("a", &basic("x", "y"), None).unwrap();
    assert_eq!(
        place.text(),
        "{\n\t\"HttpHeaders\": {\"X\":\"\\u0041\"},\n\t\"big\": 12345678901234567890123.50,\n\t\"twice\": 1,\n\t\"twice\": 2,\n\
         \t\"auths\": {\n\t\t\"a\": {\n\t\t\t\"auth\": \"eDp5\",\n\t\t\t\"email\": \"e\",\n\t\t\t\"n\": 1e3\n\t\t},\n\
         \t\t\"https://b/\": { \"auth\":\"eDp5\"}\n\t}\n}"
    );
    file.erase("b").unwrap();
    assert!(!place.text().contains("https://b/") && place.text().contains("12345678901234567890123.50"));
}

#[test]
fn others_changes_survive() {
    let place = Place::new("{}");
    let (mut first, mut second) = (place.open(), place.open());
    first.store("a", &basic("u", "p"), None).unwrap();
    second.store("b", &basic("u", "p"), None).unwrap();
    assert_eq!(second.find("a").unwrap(), Some(basic("u", "p")));
    let threads: Vec<_> = (0..8)
        .map(|n| {
            let mut file = place.open();
            std::thread::spawn(move || file.store(&format!("s{n}"), &basic("u", "p"), None).unwrap())
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    let file = place.open();
    assert!((0..8).all(|n| file.find(&format!("s{n}")).unwrap().is_some()), "{}", place.text());
    assert_eq!(fs::read_dir(place.0.path()).unwrap().count(), 1);
}

#[test]
fn links_stay_links() {
    for dangling in [false, true] {
        let place = Place(tempfile::tempdir().unwrap());
        let real = place.0.path().join("real/file.json");
        fs::create_dir(real.parent().unwrap()).unwrap();
        if !dangling {
            fs::write(&real, "{}").unwrap();
            fs::set_permissions(&real, fs::Permissions::from_mode(0o644)).unwrap();
        }
        symlink("hop.json", place.path()).unwrap();
        symlink("real/file.json", place.0.path().join("hop.json")).unwrap();
        place.open().store("s", &basic("u", "p"), None).unwrap();
        assert!(fs::symlink_metadata(place.path()).unwrap().is_symlink());
        assert!(fs::symlink_metadata(&real).unwrap().is_file());
        assert_eq!(fs::metadata(&real).unwrap().mode() & 0o777, 0o600);
        assert_eq!(place.open().find("s").unwrap(), Some(basic("u", "p")));
    }
    let place = Place(tempfile::tempdir().unwrap());
    symlink("config.json", place.path()).unwrap();
    let err = ConfigFile::open(&place.path(), Helpers::default()).unwrap_err();
    assert!(matches!(err, Error::Io { operation: "read", .. }), "{err}");
}

#[test]
fn a_file_that_cannot_be_read_is_left_alone() {
    let place = Place::new("{\"auths\": {}");
    assert!(ConfigFile::open(&place.path(), Helpers::default()).is_err());
    let broken_later = Place::new("{}");
    let mut file = broken_later.open();
    fs::write(broken_later.path(), "{ broken").unwrap();
    assert!(matches!(file.store("s", &basic("u", "p"), None), Err(Error::Malformed { .. })));
    assert_eq!(broken_later.text(), "{ broken");
}

proptest! {
    /// Whatever a file holds, storing changes one entry and nothing else.
    #[test]
    fn storing_changes_one_entry(
        unknown in proptest::collection::btree_map("[a-zA-Z<\u{fc}\"\\\\]{1,8}", value(), 0..4),
        others in proptest::collection::btree_map("[a-z]{1,4}[.][a-z]{2}(/[a-z]{1,3})?", value(), 0..4),
        user in "[^:\0]{1,8}", password in "[^\0]{0,8}",
    ) {
        let known = ["auths", "credsStore", "credHelpers"];
        prop_assume!(unknown.keys().all(|key| known.iter().all(|known| !key.eq_ignore_ascii_case(known))));
        let mut before = json!(unknown);
        before["auths"] = json!(others);
        let place = Place::new(&before.to_string());
        let mut file = place.open();
        file.store("s.example:5000", &basic(&user, &password), None).unwrap();
        prop_assert_eq!(file.find("s.example:5000/x").unwrap(), Some(basic(&user, &password)));
        let mut after: Value = serde_json::from_str(&place.text()).unwrap();
        prop_assert!(after["auths"].as_object_mut().unwrap().remove("s.example:5000").is_some());
        prop_assert_eq!(&after, &before);
        file.erase("s.example:5000").unwrap();
        prop_assert_eq!(serde_json::from_str::<Value>(&place.text()).unwrap(), before);
    }

    #[test]
    fn no_text_is_a_crash(text: String, server in "[a-z./:]{0,12}") {
        if let Ok(config) = Config::parse(Path::new("x"), &text) {
            let _ = config.find(&server);
        }
    }
}

/// Any JSON.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,6}".prop_map(Value::from)
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            proptest::collection::btree_map("[a-z]{1,3}", inner, 0..3).prop_map(|map| json!(map)),
        ]
    })
}
