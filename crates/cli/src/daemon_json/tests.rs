//! What `daemon.json` may hold, and what is said of mistakes.

use super::*;

fn parse(text: &str) -> Result<DaemonJson, String> {
    DaemonJson::parse(Path::new("daemon.json"), text).map_err(|failure| failure.message)
}

#[test]
fn dockers_keys_are_taken_or_passed_over() {
    let file = parse(
        r#"{
            "debug": true, "builder": {"gc": {"enabled": true}}, "hosts": ["unix:///x"],
            "data-root": "/data", "storage-driver": "overlay2", "storage-opts": ["overlay2.size=1G"],
            "insecure-registries": ["r.example:5000", "10.0.0.0/8"], "registry-mirrors": ["https://m.example"],
            "max-concurrent-downloads": 7, "max-concurrent-uploads": 2, "max-download-attempts": 9,
            "proxies": {"http-proxy": "http://p:3128", "no-proxy": "*.local"}
        }"#,
    )
    .unwrap();
    assert_eq!(file.data_root.as_deref(), Some(Path::new("/data")));
    assert_eq!(file.storage_driver.as_deref(), Some("overlay2"));
    assert_eq!(file.storage_opts[0].to_string(), "overlay2.size=1G");
    assert_eq!(file.insecure_registries, ["r.example:5000", "10.0.0.0/8"]);
    assert_eq!(file.registry_mirrors, ["https://m.example"]);
    assert_eq!((file.max_concurrent_downloads, file.max_concurrent_uploads), (Some(7), Some(2)));
    assert_eq!(file.max_download_attempts, Some(9));
    assert_eq!(file.proxies.http_proxy.as_deref(), Some("http://p:3128"));
    assert_eq!((file.proxies.https_proxy, file.proxies.no_proxy.as_deref()), (None, Some("*.local")));
    for empty in ["", " \n", "{}", r#"{"registry-mirrors": null, "proxies": null}"#] {
        let file = parse(empty).unwrap();
        assert!(file.registry_mirrors.is_empty() && file.proxies == Proxies::default(), "{empty}");
    }
    assert_eq!(parse(r#"{"max-concurrent-uploads": 0}"#).unwrap().max_concurrent_uploads, None);
}

#[test]
fn mistakes_are_refused_with_their_place() {
    for (text, expected) in [
        ("{", "1, column 1: EOF while parsing an object"),
        ("{\n  \"debug\": true,\n}", "3, column 1: trailing comma"),
        ("[]", "1, column 0: invalid type: sequence, expected a map"),
        ("{\n \"ü\": 1, \"mirors\": []}", "2, column 10: unknown key \"mirors\""),
        (r#"{"registry-mirrors": "https://m"}"#, "1, column 22: registry-mirrors is not a list of texts"),
        (r#"{"insecure-registries": [1]}"#, "1, column 25: insecure-registries is not a list of texts"),
        (
            r#"{"max-concurrent-downloads": "3"}"#,
            "1, column 30: max-concurrent-downloads is not a whole number",
        ),
        (r#"{"max-download-attempts": -1}"#, "1, column 27: max-download-attempts is not a whole number"),
        (r#"{"log-opts": {"max-file": 3}}"#, "1, column 14: log-opts is not an object of texts"),
        (r#"{"selinux-enabled": "yes"}"#, "1, column 21: selinux-enabled is not true or false"),
        (r#"{"userns-remap": 1}"#, "1, column 18: userns-remap is not a text"),
        (r#"{"debug" : true , "mirors" : 1}"#, "1, column 19: unknown key \"mirors\""),
        (r#"{"m\u0069rors": 1}"#, "1, column 17: unknown key \"mirors\""),
        (r#"{"storage-driver": []}"#, "1, column 20: storage-driver is not a text"),
        (
            r#"{"storage-opts": ["size"]}"#,
            "1, column 18: storage-opts: invalid option \"size\" (expected name=value)",
        ),
        (
            r#"{"proxies": {"no-proxy": []}}"#,
            "1, column 13: proxies is not an object with the texts http-proxy, https-proxy and no-proxy",
        ),
    ] {
        assert_eq!(parse(text).unwrap_err(), format!("daemon.json, line {expected}"), "{text}");
    }
}

#[test]
fn flags_and_the_file_do_not_mix() {
    let file = parse("{\"registry-mirrors\": [],\n\"data-root\": \"/x\"}").unwrap();
    assert!(file.not_with_flag("registry-mirrors", false).is_ok());
    assert!(file.not_with_flag("storage-driver", true).is_ok());
    let message = file.not_with_flag("registry-mirrors", true).unwrap_err().message;
    assert_eq!(message, "daemon.json, line 1, column 2: registry-mirrors is given as a flag, too");
    let message = file.without_data_root().unwrap_err().message;
    assert_eq!(
        message,
        "daemon.json, line 2, column 1: data-root cannot stand in a file that lies in a data root"
    );
}

#[test]
fn containers_log_as_the_file_says_unless_they_say_otherwise() {
    let logging = |text: &str, asked: Option<&str>, options: &[(&str, &str)]| {
        let pair = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        let kind = asked.unwrap_or("json-file").to_owned();
        let mut log = LogConfig { kind, config: options.iter().map(pair).collect() };
        parse(text).unwrap().complete_logging(asked.is_some(), &mut log);
        format!("{} {:?}", log.kind, log.config)
    };
    let file = r#"{"log-opts": {"max-size": "10m", "max-file": "3"}}"#;
    assert_eq!(logging(file, None, &[]), r#"json-file {"max-file": "3", "max-size": "10m"}"#);
    assert_eq!(
        logging(file, None, &[("max-size", "1m")]),
        r#"json-file {"max-file": "3", "max-size": "1m"}"#
    );
    assert_eq!(logging(file, Some("none"), &[]), "none {}");
    assert_eq!(logging(r#"{"log-driver": "none"}"#, None, &[]), "none {}");
    assert_eq!(logging(r#"{"log-driver": "none"}"#, Some("json-file"), &[]), "json-file {}");
    let dockers = r#"{"log-driver": "journald", "log-opts": {"tag": "x"}}"#;
    assert_eq!(logging(dockers, None, &[]), "json-file {}");
}

#[test]
fn other_settings_are_read() {
    let file = parse(r#"{"userns-remap": "default", "selinux-enabled": true}"#).unwrap();
    assert_eq!((file.userns_remap.as_deref(), file.selinux_enabled), (Some("default"), true));
    let file = parse(r#"{"userns-remap": "", "selinux-enabled": null}"#).unwrap();
    assert_eq!((file.userns_remap, file.selinux_enabled), (None, false));
}
