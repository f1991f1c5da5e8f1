//! What the docker client 28.5 prints for the same command lines, with our name for its own.

use super::*;
use crate::app::with_dockers_flags;
use crate::output::filter::Filter;
use clap::{Arg, ArgAction};

fn switch(name: &'static str, short: char) -> Arg {
    Arg::new(name).long(name).short(short).action(ArgAction::SetTrue)
}

fn command() -> Command {
    let list = |name: &'static str| {
        Command::new(name)
            .arg(switch("all", 'a'))
            .arg(switch("quiet", 'q'))
            .arg(Arg::new("format").long("format").value_name("TEMPLATE"))
            .arg(
                Arg::new("filter")
                    .long("filter")
                    .short('f')
                    .action(ArgAction::Append)
                    .value_parser(str::parse::<Filter>),
            )
            .arg(Arg::new("repository").value_name("REPOSITORY[:TAG]"))
    };
    let remove = |name: &'static str| {
        Command::new(name)
            .arg(switch("force", 'f'))
            .arg(Arg::new("image").value_name("IMAGE").required(true).num_args(1..))
    };
    let needed = |name: &'static str, value: &'static str| Arg::new(name).value_name(value).required(true);
    let tree = Command::new("layercake")
        .subcommand_required(true)
        .arg(Arg::new("root").long("root").global(true))
        .subcommand(list("images"))
        .subcommand(remove("rmi"))
        .subcommand(
            Command::new("image")
                .subcommand_required(true)
                .subcommand(list("ls").alias("list"))
                .subcommand(remove("rm")),
        )
        .subcommand(
            Command::new("ps")
                .arg(switch("all", 'a'))
                .arg(Arg::new("last").long("last").short('n').value_parser(clap::value_parser!(i64))),
        )
        .subcommand(
            Command::new("tag")
                .arg(needed("source", "SOURCE_IMAGE[:TAG]"))
                .arg(needed("target", "TARGET_IMAGE[:TAG]")),
        )
        .subcommand(Command::new("diff").arg(needed("container", "CONTAINER")))
        .subcommand(
            Command::new("commit")
                .arg(switch("pause", 'p'))
                .arg(needed("container", "CONTAINER"))
                .arg(Arg::new("image").value_name("REPOSITORY[:TAG]")),
        )
        .subcommand(
            Command::new("create")
                .arg(Arg::new("name").long("name"))
                .arg(needed("image", "IMAGE"))
                .arg(Arg::new("command").value_name("COMMAND"))
                .arg(Arg::new("arg").value_name("ARG").num_args(0..).trailing_var_arg(true)),
        );
    with_dockers_flags(tree)
}

#[track_caller]
fn says(line: &str, code: u8, expected: &[&str]) {
    let args: Vec<String> = line.split(' ').map(String::from).collect();
    let err = command().try_get_matches_from(&args).expect_err(line);
    let failure = explain(&err, &command(), &args);
    assert_eq!((failure.message, failure.code), (expected.join("\n"), code), "{line}");
}

const IMAGES: &str = "Usage:  layercake images [OPTIONS] [REPOSITORY[:TAG]]";
const IMAGES_HELP: &str = "Run 'layercake images --help' for more information";

#[test]
fn unknown_flags() {
    says("layercake images --x", 125, &["unknown flag: --x", "", IMAGES, "", IMAGES_HELP]);
    says("layercake images -x", 125, &["unknown shorthand flag: 'x' in -x", "", IMAGES, "", IMAGES_HELP]);
    says("layercake images -qx", 125, &["unknown shorthand flag: 'x' in -qx", "", IMAGES, "", IMAGES_HELP]);
    says(
        "layercake --nope images",
        125,
        &[
            "unknown flag: --nope",
            "",
            "Usage:  layercake [OPTIONS] COMMAND [ARG...]",
            "",
            "Run 'layercake --help' for more information",
        ],
    );
    says(
        "layercake image --nope",
        125,
        &[
            "unknown flag: --nope",
            "",
            "Usage:  layercake image",
            "",
            "Run 'layercake image --help' for more information",
        ],
    );
}

#[test]
fn flags_without_their_value() {
    says(
        "layercake images --format",
        125,
        &["flag needs an argument: --format", "", IMAGES, "", IMAGES_HELP],
    );
    says("layercake images -f", 125, &["flag needs an argument: 'f' in -f", "", IMAGES, "", IMAGES_HELP]);
    says("layercake images -qf", 125, &["flag needs an argument: 'f' in -qf", "", IMAGES, "", IMAGES_HELP]);
}

#[test]
fn bad_values() {
    says(
        "layercake images --filter x",
        125,
        &[
            "invalid argument \"x\" for \"-f, --filter\" flag: bad format of filter (expected name=value)",
            "",
            IMAGES,
            "",
            IMAGES_HELP,
        ],
    );
    says(
        "layercake images --all=maybe",
        125,
        &[
            "invalid argument \"maybe\" for \"-a, --all\" flag: strconv.ParseBool: parsing \"maybe\": invalid syntax",
            "",
            IMAGES,
            "",
            IMAGES_HELP,
        ],
    );
    says(
        "layercake --root /x ps -n x",
        125,
        &[
            "invalid argument \"x\" for \"-n, --last\" flag: strconv.ParseInt: parsing \"x\": invalid syntax",
            "",
            "Usage:  layercake ps [OPTIONS]",
            "",
            "Run 'layercake ps --help' for more information",
        ],
    );
}

#[test]
fn numbers_of_arguments() {
    let count = |line: &str, wants: &str, usage: &str, see: &str| {
        let path = usage
            .split([' '])
            .take(if usage.starts_with("image ") { 2 } else { 1 })
            .collect::<Vec<_>>()
            .join(" ");
        says(
            &format!("layercake {line}"),
            1,
            &[
                &format!("layercake: 'layercake {path}' {wants}"),
                "",
                &format!("Usage:  layercake {usage}"),
                "",
                &format!("{see} 'layercake {path} --help' for more information"),
            ],
        );
    };
    count("rmi", "requires at least 1 argument", "rmi [OPTIONS] IMAGE [IMAGE...]", "See");
    count("image rm", "requires at least 1 argument", "image rm [OPTIONS] IMAGE [IMAGE...]", "See");
    count("image list a b", "requires at most 1 argument", "image ls [OPTIONS] [REPOSITORY[:TAG]]", "Run");
    count("tag a", "requires 2 arguments", "tag SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]", "Run");
    count("tag a b c", "requires 2 arguments", "tag SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]", "Run");
    count("diff", "requires 1 argument", "diff CONTAINER", "Run");
    count("ps x", "accepts no arguments", "ps [OPTIONS]", "Run");
    count(
        "commit",
        "requires at least 1 and at most 2 arguments",
        "commit [OPTIONS] CONTAINER [REPOSITORY[:TAG]]",
        "Run",
    );
    count("create", "requires at least 1 argument", "create [OPTIONS] IMAGE [COMMAND] [ARG...]", "See");
}

#[test]
fn unknown_commands() {
    says(
        "layercake nope",
        1,
        &["layercake: unknown command: layercake nope", "", "Run 'layercake --help' for more information"],
    );
    says(
        "layercake image nope",
        1,
        &[
            "layercake: unknown command: layercake image nope",
            "",
            "Usage:  layercake image",
            "",
            "Run 'layercake image --help' for more information",
        ],
    );
}
