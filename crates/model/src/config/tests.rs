//! `testdata` holds configurations as Docker 28.5 wrote them; what we author has to be the same bytes.

use super::*;
use crate::{ContainerId, gojson};
use proptest::prelude::*;
use serde_json::{Value, json};

const IMPORTED: &str = include_str!("../../testdata/imported-by-28.5.json");
const COMMITTED: &str = include_str!("../../testdata/committed-by-28.5.json");
const PLAIN: &str = include_str!("../../testdata/plain-by-28.5.json");
const COMMITTED_EMPTY: &str = include_str!("../../testdata/committed-empty-by-28.5.json");
const BUILT: &str = include_str!("../../testdata/built-by-buildkit.json");

fn parse(text: &str) -> ImageConfig {
    ImageConfig::parse(text.as_bytes().to_vec()).unwrap()
}

fn commit(
    parent: &ImageConfig,
    docker: &ImageConfig,
    change: impl FnOnce(&mut ContainerConfig),
    author: &str,
    comment: &str,
) -> String {
    let container_config = docker.view().container_config.clone().unwrap();
    let mut config = container_config.clone();
    change(&mut config);
    config.inherit(&container_config);
    let grown = docker.diff_ids().len() > parent.diff_ids().len();
    let commit = Commit {
        parent: Some(parent),
        layer: if grown { *docker.diff_ids().last().unwrap() } else { DiffId::EMPTY },
        container: &ContainerId::parse(&docker.view().container).unwrap(),
        container_config: &container_config,
        config: &config,
        author,
        comment,
        created: docker.view().created.unwrap(),
        docker_version: &docker.view().docker_version,
        platform: &Platform::new("linux", "amd64", None),
    };
    String::from_utf8(commit.author().unwrap().bytes().to_vec()).unwrap()
}

#[test]
fn a_commit_is_dockers_byte_for_byte() {
    let change = |config: &mut ContainerConfig| {
        config.cmd = Some(vec!["x".to_owned()]);
        config.set_env("C", "3");
    };
    let ours = commit(&parse(IMPORTED), &parse(COMMITTED), change, "A. B <a@example.org>", "msg");
    assert_eq!(ours, COMMITTED);
    assert_eq!(
        parse(&ours).id().to_string(),
        "sha256:299a4e763006fbcaf0d6a189c43c6d487dca1c8dc60ec9ee160f380062cabb6e"
    );
}

#[test]
fn a_commit_without_changes_adds_no_layer() {
    assert_eq!(commit(&parse(PLAIN), &parse(COMMITTED_EMPTY), |_| {}, "", ""), COMMITTED_EMPTY);
}

#[test]
fn an_import_is_dockers_byte_for_byte() {
    let docker = parse(IMPORTED);
    let document: Value = serde_json::from_str(IMPORTED).unwrap();
    let config: ContainerConfig = serde_json::from_value(document["config"].clone()).unwrap();
    let import = Import {
        layer: docker.diff_ids()[0],
        config: &config,
        comment: "Imported from -",
        created: docker.view().created.unwrap(),
        docker_version: "28.5.2+dfsg4",
        platform: &Platform::new("linux", "amd64", None),
    };
    assert_eq!(import.author().unwrap(), docker);
}

#[test]
fn a_commit_keeps_platform_and_foreign_history_and_drops_what_was_the_parents_own() {
    let parent = json!({
        "architecture": "arm", "variant": "v7", "os": "linux", "os.version": "1", "author": "old",
        "history": [{"created_by": "a", "x-note": 1, "empty_layer": true}],
        "rootfs": {"type": "layers"}, "x-own": 2,
    });
    let child: Value =
        serde_json::from_str(&commit(&parse(&parent.to_string()), &parse(COMMITTED), |_| {}, "", ""))
            .unwrap();
    assert_eq!((&child["variant"], &child["os.version"]), (&json!("v7"), &json!("1")));
    assert_eq!(child["history"][0]["x-note"], json!(1));
    assert_eq!((child.get("author"), child.get("x-own")), (None, None));
}

#[test]
fn the_view_of_a_buildkit_image() {
    let image = parse(BUILT);
    let view = image.view();
    let config = view.config.as_ref().unwrap();
    assert_eq!(config.user, "1000:1001");
    assert_eq!(config.entrypoint.as_deref().unwrap(), ["/bin/do"]);
    assert!(config.args_escaped && config.exposed_ports.contains_key("8080/tcp"));
    assert_eq!(view.container_config, None);
    assert_eq!(image.platform().to_string(), "linux/amd64");
    assert_eq!((view.history.len(), image.diff_ids().len()), (14, 6));
    assert_eq!(image.validate(), Ok(()));
    assert_eq!(image.chain_id(), ChainId::of(image.diff_ids()));
    let layers: Vec<_> = image.history_with_layers().filter_map(|(_, layer)| layer).collect();
    assert_eq!(layers, image.diff_ids().iter().collect::<Vec<_>>());
}

#[test]
fn container_configs_are_written_as_they_were_read() {
    for text in [IMPORTED, COMMITTED, COMMITTED_EMPTY] {
        let document: Value = serde_json::from_str(text).unwrap();
        let config: ContainerConfig = serde_json::from_value(document["config"].clone()).unwrap();
        let written = gojson::to_vec(&config).unwrap();
        assert_eq!(
            String::from_utf8(written).unwrap(),
            gojson::STORED.to_string(&document["config"]).unwrap()
        );
    }
}

#[test]
fn absent_and_null_fields_and_unknown_ones_are_fine() {
    let text = json!({
        "created": null, "author": null, "os": null, "history": null, "unknown": [1],
        "config": {"Env": null, "Cmd": "one word", "Labels": null, "Volumes": {"/v": null}, "Tty": null, "New": 7},
        "rootfs": {"type": "layers", "diff_ids": null},
    })
    .to_string();
    let image = parse(&text);
    assert_eq!(image.bytes(), text.as_bytes());
    assert_eq!((image.view().created, image.chain_id()), (None, None));
    let config = image.view().config.as_ref().unwrap();
    assert_eq!(config.cmd.as_deref().unwrap(), ["one word"]);
    assert_eq!(config.other["New"], json!(7));
    assert!(gojson::STORED.to_string(config).unwrap().ends_with(r#""Labels":null,"New":7}"#));
    assert!(parse(r#"{"rootfs":{}}"#).view().config.is_none());
}

#[test]
fn what_is_no_configuration_is_refused() {
    let bad = |text: &str| ImageConfig::parse(text.as_bytes().to_vec()).unwrap_err();
    assert_eq!(bad("{}"), Error::NoRootfs);
    assert_eq!(bad(r#"{"rootfs":null}"#), Error::NoRootfs);
    for text in
        ["", "null", "[]", r#"{"rootfs":{"diff_ids":["sha256:x"]}}"#, r#"{"rootfs":{},"created":"x"}"#]
    {
        assert!(matches!(bad(text), Error::Json { .. }), "{text}");
    }
}

#[test]
fn history_must_not_tell_of_more_layers_than_there_are() {
    let image =
        |history: Value| parse(&json!({"history": history, "rootfs": {"type": "layers"}}).to_string());
    assert_eq!(image(json!([{"empty_layer": true}])).validate(), Ok(()));
    assert_eq!(image(json!([{"empty_layer": false}])).validate(), Err(Error::HistoryTooLong));
    assert_eq!(image(json!([{}])).history_with_layers().next().unwrap().1, None);
}

#[test]
fn inheritance() {
    let config = |value: Value| serde_json::from_value::<ContainerConfig>(value).unwrap();
    let image = config(json!({
        "User": "u", "Env": ["A=1", "B=2"], "Cmd": ["c"], "Entrypoint": ["e"], "WorkingDir": "/w",
        "Labels": {"a": "1", "b": "2"}, "ExposedPorts": {"1/tcp": {}}, "Volumes": {"/a": {}}, "StopSignal": "9",
        "Healthcheck": {"Test": ["NONE"], "Interval": 5}, "OnBuild": ["RUN x"], "Hostname": "h",
    }));
    let mut plain = ContainerConfig::default();
    plain.inherit(&image);
    assert_eq!((plain.on_build.take(), plain.hostname.as_str()), (None, ""));
    assert_eq!(plain, ContainerConfig { on_build: None, hostname: String::new(), ..image.clone() });

    let mut given = config(json!({
        "Env": ["B=3"], "Entrypoint": ["x"], "Labels": {"b": "3"}, "Volumes": {"/b": {}},
        "ExposedPorts": {"2/tcp": {}}, "Healthcheck": {"Timeout": 7},
    }));
    given.inherit(&image);
    assert_eq!(given.env.unwrap(), ["B=3", "A=1"]);
    assert_eq!((given.entrypoint.unwrap(), given.cmd), (vec!["x".to_owned()], None));
    assert_eq!(given.labels.unwrap(), [("a", "1"), ("b", "3")].map(|(k, v)| (k.into(), v.into())).into());
    assert_eq!((given.volumes.unwrap().len(), given.exposed_ports.len()), (2, 2));
    let check = given.healthcheck.unwrap();
    assert_eq!((check.interval, check.timeout, check.test.len()), (5, 7, 1));

    // An entry point that is given as empty takes the image's away, but not its command.
    let mut none = config(json!({"Entrypoint": []}));
    none.inherit(&image);
    assert_eq!((none.entrypoint.unwrap().len(), none.cmd.unwrap()), (0, vec!["c".to_owned()]));
}

proptest! {
    #[test]
    fn parsing_never_panics(bytes: Vec<u8>) {
        let _ = ImageConfig::parse(bytes);
    }

    #[test]
    fn a_container_config_round_trips(
        env: Option<Vec<String>>, user: String, labels: Option<std::collections::BTreeMap<String, String>>, tty: bool,
    ) {
        let config = ContainerConfig { env, user, labels, tty, ..ContainerConfig::default() };
        let text = gojson::to_vec(&config).unwrap();
        prop_assert_eq!(serde_json::from_slice::<ContainerConfig>(&text).unwrap(), config);
    }
}
