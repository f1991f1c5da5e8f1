//! Credential helpers that are shell scripts.

use super::*;

/// A helper with a key ring of files.
const RING: &str = r#"
case $1 in
get) read -r server; cat "$dir/$(echo "$server" | tr / _)" 2>/dev/null || { echo "credentials not found in native keychain"; exit 1; } ;;
store) cat >"$dir/stored" ;;
erase) cat >"$dir/erased" ;;
esac"#;

#[test]
fn helpers_are_asked_for_dockers_keys() {
    let place = Place::new(
        r#"{"credsStore": "ring", "credHelpers": {"own.example": "own", "docker.io": "own"}, "auths": {"file.example": {"auth": "dTpw"}}}"#,
    );
    place.helper("ring", RING);
    place.helper(
        "own",
        r#"read -r server; echo '{"ServerURL":"x","Username":"<token>","Secret":"'"$server"'"}'"#,
    );
    fs::write(place.0.path().join("a.example"), r#"{"ServerURL":"a.example","Username":"u","Secret":"p"}"#)
        .unwrap();
    let file = place.open();
    let token = |text: &str| Some(Credential::IdentityToken(Secret::new(text)));
    assert_eq!(file.find("a.example").unwrap(), Some(basic("u", "p")));
    assert_eq!(file.find("a.example/x/y").unwrap(), Some(basic("u", "p")));
    assert_eq!(file.find("own.example/x").unwrap(), token("own.example"));
    assert_eq!(file.find("docker.io/library/x").unwrap(), token("docker.io"));
    assert_eq!(file.find("nosuch.example").unwrap(), None);
    assert_eq!(file.find("file.example").unwrap(), Some(basic("u", "p")));
}

#[test]
fn helpers_keep_and_forget() {
    let place = Place::new(r#"{"credsStore": "ring"}"#);
    place.helper("ring", RING);
    let stored = || {
        serde_json::from_str::<Value>(&fs::read_to_string(place.0.path().join("stored")).unwrap()).unwrap()
    };
    let mut file = place.open();
    assert_eq!(file.store("", &basic("u", "p"), None).unwrap(), Kept::ByHelper("ring".into()));
    assert_eq!(stored(), json!({"ServerURL": DOCKER_HUB, "Username": "u", "Secret": "p"}));
    // Docker leaves an entry without a secret, for others to see where one is logged in.
    let value: Value = serde_json::from_str(&place.text()).unwrap();
    assert_eq!(value, json!({"credsStore": "ring", "auths": {DOCKER_HUB: {}}}));
    file.store("s:5000", &Credential::IdentityToken(Secret::new("t")), Some("u")).unwrap();
    assert_eq!(stored(), json!({"ServerURL": "s:5000", "Username": "<token>", "Secret": "t"}));
    file.erase("https://s:5000/v2/").unwrap();
    assert_eq!(fs::read_to_string(place.0.path().join("erased")).unwrap(), "s:5000");
    let value: Value = serde_json::from_str(&place.text()).unwrap();
    assert_eq!(value["auths"], json!({DOCKER_HUB: {}}));
}

#[test]
fn failing_helpers_say_why() {
    for (script, expected) in [
        ("echo out; echo err >&2; exit 3", "docker-credential-h get for s: out; err"),
        ("exit 3", "docker-credential-h get for s: exit status: 3"),
        ("kill -9 $$", "docker-credential-h get for s: signal: 9 (SIGKILL)"),
        ("echo secret", "docker-credential-h get for s: the answer is not the JSON of a credential"),
        (
            "echo '{\"Username\":\"u\"}'",
            "docker-credential-h get for s: the answer is not the JSON of a credential",
        ),
    ] {
        let place = Place::new(r#"{"credsStore": "h"}"#);
        place.helper("h", script);
        let err = place.open().find("s").unwrap_err();
        assert_eq!(err.to_string(), expected, "{script}");
    }
    for name in ["nosuch", "../docker-credential-h", "h/../h"] {
        let place = Place::new(&json!({"credsStore": name}).to_string());
        place.helper("h", "exit 0");
        let expected = format!("docker-credential-{name} get for s: there is no such program in PATH");
        assert_eq!(place.open().find("s").unwrap_err().to_string(), expected);
    }
}

#[test]
fn a_helper_that_does_not_end_is_given_up() {
    let place = Place::new(r#"{"credsStore": "h"}"#);
    place.helper("h", "exec sleep 1000");
    let helpers = Helpers { timeout: Duration::from_millis(50), ..place.helpers() };
    let err = ConfigFile::open(&place.path(), helpers).unwrap().find("s").unwrap_err();
    assert_eq!(err.to_string(), "docker-credential-h get for s: no answer within 0.05 s");
    // One that ends, but leaves a process with its output behind.
    place.helper(
        "h",
        "sleep 1000 2>&1 & echo $! >\"$dir/pid\"; echo '{\"Username\":\"u\",\"Secret\":\"p\"}' >&2; exit 1",
    );
    assert!(matches!(place.open().find("s"), Err(Error::Helper { .. })));
    let left = fs::read_to_string(place.0.path().join("pid")).unwrap();
    Command::new("kill").arg(left.trim()).status().unwrap();
}

#[test]
fn a_helper_may_ignore_its_input() {
    let place = Place::new(r#"{"credsStore": "h"}"#);
    place.helper("h", "exit 0");
    let long = "p".repeat(1 << 20);
    place.open().store("s", &basic("u", &long), None).unwrap();
}
