use super::*;
use crate::app;
use clap::FromArgMatches;
use std::fs;

fn parse(line: &[&str]) -> (ContainerOptions, Vec<String>) {
    let words = ["layercake", "create"].iter().chain(line);
    let matches = app::tree().try_get_matches_from(words).unwrap();
    let matches = matches.subcommand().unwrap().1;
    let words = matches.get_many::<String>("image_and_command").unwrap().cloned().collect();
    (ContainerOptions::from_arg_matches(matches).unwrap(), words)
}

fn create(line: &[&str]) -> Result<CreateOptions, String> {
    let (options, words) = parse(line);
    options.create(&words).map_err(|failure| failure.message)
}

fn fails(line: &[&str]) -> String {
    create(&[line, &["busybox"]].concat()).unwrap_err()
}

#[test]
fn after_the_image_nothing_is_a_flag() {
    let (args, words) =
        parse(&["-it", "-h", "box", "--name", "c1", "busybox", "-e", "sh", "--name", "x", "--", "-q"]);
    assert_eq!(words, ["busybox", "-e", "sh", "--name", "x", "--", "-q"]);
    assert_eq!((args.hostname.as_str(), args.name.as_deref()), ("box", Some("c1")));
    assert!(args.tty && args.interactive && !args.quiet && args.env.is_empty());
}

#[test]
fn files_come_first_and_comments_are_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("env");
    fs::write(&path, "# comment\n\n  A=file\nB=two words \nNOT_SET_ANYWHERE\n").unwrap();
    let path = path.to_str().unwrap();
    let line =
        ["-e", "A=line", "--env-file", path, "-l", "k=v", "-l", "bare", "--label-file", path, "busybox"];
    let config = create(&line).unwrap().config;
    assert_eq!(config.env.unwrap(), ["A=file", "B=two words ", "A=line"]);
    let labels: Vec<_> = config.labels.unwrap().into_iter().collect();
    let expected = [("A", "file"), ("B", "two words "), ("NOT_SET_ANYWHERE", ""), ("bare", ""), ("k", "v")];
    assert_eq!(labels, expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
}

#[test]
fn bad_variables_are_refused() {
    assert_eq!(process::variable("=x"), Err("invalid environment variable: =x".into()));
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("env");
    fs::write(&path, "A B=1\n").unwrap();
    assert_eq!(fails(&["--env-file", path.to_str().unwrap()]), "invalid environment variable: A B=1");
}

#[test]
fn streams_are_attached_as_docker_says() {
    let streams = |line: &[&str]| {
        let config = create(&[line, &["busybox"]].concat()).unwrap().config;
        [
            config.attach_stdin,
            config.attach_stdout,
            config.attach_stderr,
            config.open_stdin,
            config.stdin_once,
        ]
    };
    assert_eq!(streams(&[]), [false, true, true, false, false]);
    assert_eq!(streams(&["-i"]), [true, true, true, true, true]);
    assert_eq!(streams(&["-a", "STDOUT"]), [false, true, false, false, false]);
    assert_eq!(streams(&["-a", "stdin", "-i"]), [true, false, false, true, true]);
}

#[test]
fn volumes_with_a_source_are_binds_and_those_without_are_configuration() {
    let options = create(&["-v", "/data", "-v", "named:/x:ro", "-v", "./here:/y", "busybox"]).unwrap();
    let volumes: Vec<String> = options.config.volumes.unwrap().into_keys().collect();
    assert_eq!(volumes, ["/data"]);
    let here = std::env::current_dir().unwrap().join("here");
    assert_eq!(options.host.binds.unwrap(), ["named:/x:ro".to_owned(), format!("{}:/y", here.display())]);
}

#[test]
fn limits_and_privileges_are_dockers() {
    let line = [
        "-m",
        "64m",
        "--cpus",
        "1.5",
        "--pids-limit",
        "20",
        "--cap-add",
        "net_admin",
        "--cap-drop",
        "ALL",
        "--read-only",
        "--tmpfs",
        "/run:size=1m",
        "--storage-opt",
        "size=1G",
        "--security-opt",
        "no-new-privileges",
        "--rm",
        "busybox",
    ];
    let host = create(&line).unwrap().host;
    assert_eq!((host.memory, host.memory_swap, host.nano_cpus), (64 << 20, 128 << 20, 1_500_000_000));
    assert_eq!(host.pids_limit, Some(20));
    assert_eq!(
        (host.cap_add.unwrap(), host.cap_drop.unwrap()),
        (vec!["CAP_NET_ADMIN".into()], vec!["ALL".into()])
    );
    assert_eq!(host.tmpfs.into_iter().collect::<Vec<_>>(), [("/run".to_owned(), "size=1m".to_owned())]);
    assert_eq!(host.storage_opt["size"], "1G");
    assert_eq!(host.security_opt.unwrap(), ["no-new-privileges"]);
    assert!(host.readonly_rootfs && host.auto_remove);
    assert_eq!((host.network_mode.as_str(), host.pids_limit), ("host", Some(20)));
}

#[test]
fn system_paths_can_be_shown() {
    let host = create(&["--security-opt", "systempaths=unconfined", "busybox"]).unwrap().host;
    assert_eq!((host.masked_paths, host.readonly_paths), (Some(Vec::new()), Some(Vec::new())));
    assert_eq!(host.security_opt, None);
}

#[test]
fn what_there_is_not_here_is_refused_by_name() {
    for (line, message) in [
        (&["--network", "bridge"][..], "Error: the network bridge is not supported"),
        (&["-p", "80:80"], "Error: publishing ports is not supported"),
        (&["-P"], "Error: publishing ports is not supported"),
        (&["--restart", "always"], "Error: the restart policy always is not supported"),
        (&["--log-driver", "syslog"], "Error: the log driver syslog is not supported"),
        (&["--pid", "container:x"], "Error: --pid container:x is not supported"),
        (&["-m", "1m"], "Error: Minimum memory limit allowed is 6MB"),
        (&["--security-opt", "bogus"], "invalid --security-opt: \"bogus\""),
        (&["--mount", "target=/x,volume-subpath=a"], "Error: volume-subpath is not supported"),
    ] {
        assert_eq!(fails(line), message, "{line:?}");
    }
}
