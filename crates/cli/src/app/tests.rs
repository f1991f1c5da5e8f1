//! The tree as a whole.

use super::*;

fn parse(line: &str) -> Result<App, clap::Error> {
    let matches = tree().try_get_matches_from(line.split(' '))?;
    App::from_arg_matches(&matches)
}

/// What the user reads, and the exit code.
#[track_caller]
fn refuses(line: &str, code: u8, first_line: &str) {
    let args: Vec<String> = line.split(' ').map(String::from).collect();
    let err = parse(line).expect_err(line);
    let failure = usage::explain(&err, &tree(), &args);
    assert_eq!((failure.message.lines().next(), failure.code), (Some(first_line), code), "{line}");
}

#[test]
fn the_tree_is_sound() {
    tree().debug_assert();
}

#[test]
fn switches_are_dockers() {
    for (line, all) in [
        ("layercake images", "false"),
        ("layercake images -a", "true"),
        ("layercake images --all=false", "false"),
        ("layercake images --all=T", "true"),
        ("layercake images -a=0", "false"),
        ("layercake images -a --all=false", "false"),
        ("layercake images -qa busybox", "true"),
        ("layercake image list -a busybox", "true"),
    ] {
        let shown = format!("{:?}", parse(line).unwrap().command);
        assert!(shown.contains(&format!("all: {all}")), "{line}: {shown}");
    }
    let human = |line: &str| format!("{:?}", parse(line).unwrap().command).contains("human: true");
    assert!(human("layercake history x") && human("layercake history -H x"));
    assert!(!human("layercake history -H=false x") && !human("layercake history --human=0 x"));
    refuses(
        "layercake ps --no-trunc=maybe",
        125,
        "invalid argument \"maybe\" for \"--no-trunc\" flag: strconv.ParseBool: parsing \"maybe\": invalid syntax",
    );
}

#[test]
fn values_of_options_may_begin_with_a_hyphen() {
    let last = format!("{:?}", parse("layercake ps -n -1 -n 3").unwrap().command);
    assert!(last.contains("last: 3"), "{last}");
    let message = format!("{:?}", parse("layercake commit -m -x c1 -c -y").unwrap().command);
    assert!(message.contains("message: \"-x\"") && message.contains("change: [\"-y\"]"), "{message}");
}

#[test]
fn mistakes_read_as_dockers() {
    refuses("layercake images --bogus", 125, "unknown flag: --bogus");
    refuses("layercake images -f", 125, "flag needs an argument: 'f' in -f");
    refuses(
        "layercake images --filter bogus",
        125,
        "invalid argument \"bogus\" for \"-f, --filter\" flag: bad format of filter (expected name=value)",
    );
    refuses("layercake images a b", 1, "layercake: 'layercake images' requires at most 1 argument");
    refuses("layercake rmi", 1, "layercake: 'layercake rmi' requires at least 1 argument");
    refuses("layercake ps extra", 1, "layercake: 'layercake ps' accepts no arguments");
    refuses("layercake tag a", 1, "layercake: 'layercake tag' requires 2 arguments");
    refuses("layercake cp x", 1, "layercake: 'layercake cp' requires 2 arguments");
    refuses("layercake create", 1, "layercake: 'layercake create' requires at least 1 argument");
    refuses("layercake create --bogus x", 125, "unknown flag: --bogus");
    refuses(
        "layercake create -e =x busybox",
        125,
        "invalid argument \"=x\" for \"-e, --env\" flag: invalid environment variable: =x",
    );
    refuses("layercake bogus", 1, "layercake: unknown command: layercake bogus");
    refuses("layercake image bogus", 1, "layercake: unknown command: layercake image bogus");
    refuses("layercake --bogus images", 125, "unknown flag: --bogus");
}

#[test]
fn usages_read_as_dockers() {
    let usage = |line: &str| {
        let args: Vec<String> = line.split(' ').map(String::from).collect();
        let failure = usage::explain(&parse(line).expect_err(line), &tree(), &args);
        failure.message.split("\n\n").nth(1).unwrap_or_default().to_owned()
    };
    assert_eq!(usage("layercake create"), "Usage:  layercake create [OPTIONS] IMAGE [COMMAND] [ARG...]");
    assert_eq!(
        usage("layercake cp"),
        "Usage:  layercake cp [OPTIONS] CONTAINER:SRC_PATH DEST_PATH|-\n\tlayercake cp [OPTIONS] SRC_PATH|- CONTAINER:DEST_PATH"
    );
    assert_eq!(usage("layercake inspect"), "Usage:  layercake inspect [OPTIONS] NAME|ID [NAME|ID...]");
    assert_eq!(usage("layercake tag"), "Usage:  layercake tag SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]");
    assert_eq!(usage("layercake rename x"), "Usage:  layercake rename CONTAINER NEW_NAME");
    assert_eq!(usage("layercake --bogus"), "Usage:  layercake [OPTIONS] COMMAND [ARG...]");
}

#[test]
fn global_options_stand_anywhere_but_storage_options() {
    let app = parse("layercake --root /x --storage-opt a=b create --storage-opt size=1G busybox").unwrap();
    let globals = format!("{:?}", app.globals);
    assert!(globals.contains("\"/x\"") && globals.contains("key: \"a\""), "{globals}");
    assert!(format!("{:?}", app.command).contains("size"));
    assert!(parse("layercake images --root /x --debug").is_ok());
}
