//! Help in the looks of Docker's: usage, what the command does, its other names, its options.

use clap::{Arg, ArgAction, Command};

use super::failure::Failure;
use super::usage::{self, Typed};

/// Docker wraps at the width of a terminal of old.
const WIDTH: usize = 79;

/// The help for the command that the command line `args`, with the program's name first, asks about.
pub fn of(tree: &Command, args: &[String]) -> String {
    let mut tree = tree.clone();
    tree.build();
    render(&tree, &Typed::find(&tree, args))
}

/// The help for the command that `names` lead to, as in `help image rm`.
///
/// # Errors
/// There is no such command.
pub fn topic(tree: &Command, names: &[String]) -> Result<String, Failure> {
    let mut tree = tree.clone();
    tree.build();
    let args = [vec![tree.get_name().to_owned()], names.to_vec()].concat();
    let typed = Typed::find(&tree, &args);
    match typed.args {
        [] => Ok(render(&tree, &typed)),
        _ => Err(Failure::plain(format_args!("unknown help topic: {}", names.join(" ")))),
    }
}

fn render(tree: &Command, typed: &Typed<'_>) -> String {
    let command = typed.command;
    let is_root = command.get_name() == tree.get_name();
    let mut text = format!("Usage:  {}\n", typed.help_usage());
    if let Some(about) = command.get_long_about().or_else(|| command.get_about()) {
        text += &format!("\n{about}\n");
    }
    let names = names(tree, command);
    if names.len() > 1 {
        text += &format!("\nAliases:\n  {}\n", names.join(", "));
    }
    let (groups, commands): (Vec<_>, Vec<_>) =
        command.get_subcommands().filter(|sub| !sub.is_hide_set()).partition(|sub| sub.has_subcommands());
    section(&mut text, "Management Commands", &groups);
    section(&mut text, "Commands", &commands);
    let title = if is_root { "Global Options" } else { "Options" };
    text += &options(title, command.get_arguments().filter(|arg| is_root || !arg.is_global_set()));
    if command.has_subcommands() {
        text += &format!("\nRun '{} COMMAND --help' for more information on a command.\n", typed.path);
    }
    text
}

/// All names of a command. Docker has most commands twice, as `images` and as `image ls`; here, commands of the same
/// description are the same.
fn names(tree: &Command, command: &Command) -> Vec<String> {
    let about = |command: &Command| command.get_about().map(ToString::to_string);
    let is_same = |other: &&Command| !command.has_subcommands() && about(other) == about(command);
    let root = tree.get_name();
    let mut names = Vec::new();
    for group in tree.get_subcommands().filter(|sub| sub.has_subcommands()) {
        for same in group.get_subcommands().filter(is_same) {
            let all = std::iter::once(same.get_name()).chain(same.get_visible_aliases());
            names.extend(all.map(|name| format!("{root} {} {name}", group.get_name())));
        }
    }
    for same in tree.get_subcommands().filter(is_same) {
        let all = std::iter::once(same.get_name()).chain(same.get_visible_aliases());
        names.extend(all.map(|name| format!("{root} {name}")));
    }
    names
}

fn section(text: &mut String, title: &str, commands: &[&Command]) {
    if commands.is_empty() {
        return;
    }
    *text += &format!("\n{title}:\n");
    let width = commands.iter().map(|command| command.get_name().len()).max().unwrap_or(0).max(MIN_NAME);
    for command in commands {
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        *text += &format!("  {:width$} {}\n", command.get_name(), about);
    }
}

/// The narrowest column of commands' names.
const MIN_NAME: usize = 11;

fn options<'a>(title: &str, args: impl Iterator<Item = &'a Arg>) -> String {
    let mut args: Vec<&Arg> =
        args.filter(|arg| !arg.is_positional() && !arg.is_hide_set() && arg.get_id() != "help").collect();
    args.sort_by_key(|arg| arg.get_long());
    let names: Vec<String> = args.iter().map(|arg| name(arg)).collect();
    let Some(width) = names.iter().map(String::len).max() else { return String::new() };
    let indent = width + 3;
    let mut text = format!("\n{title}:\n");
    for (arg, name) in args.iter().zip(&names) {
        let lines = wrap(&description(arg), WIDTH - indent.min(WIDTH / 2));
        text += &format!("{name:indent$}{}\n", lines.join(&format!("\n{:indent$}", "")));
    }
    text
}

/// `  -f, --filter filter`.
fn name(arg: &Arg) -> String {
    let short = arg.get_short().map_or("    ".to_owned(), |short| format!("-{short}, "));
    let long = arg.get_long().unwrap_or_default();
    let value = arg.get_value_names().and_then(<[_]>::first).filter(|_| usage::takes_value(arg));
    format!("  {short}--{long}{}", value.map(|value| format!(" {value}")).unwrap_or_default())
}

/// What an option is for, and its default if it is no zero value.
fn description(arg: &Arg) -> String {
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let default = arg.get_default_values().first().and_then(|value| value.to_str()).unwrap_or_default();
    let is_zero = matches!(default, "" | "false" | "0") || matches!(arg.get_action(), ArgAction::Append);
    match (is_zero, default.parse::<i64>().is_ok() || default == "true") {
        (true, _) => help,
        (false, true) => format!("{help} (default {default})"),
        (false, false) => format!("{help} (default {default:?})"),
    }
}

/// Breaks each line of `text` between words, so that it is narrower than `width`. As in Docker's help, all parts but the
/// last are narrower by a bit more, so that fewer words stand alone at the end.
fn wrap(text: &str, width: usize) -> Vec<String> {
    const SLOP: usize = 5;
    let mut lines = Vec::new();
    for mut rest in text.lines() {
        while rest.len() >= width {
            let limit = rest.floor_char_boundary(width - SLOP);
            let Some(end) = rest[..limit].rfind(' ') else { break };
            lines.push(rest[..end].to_owned());
            rest = &rest[end + 1..];
        }
        lines.push(rest.to_owned());
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app;

    #[track_caller]
    fn says(line: &str, expected: &str) {
        let args: Vec<String> = line.split(' ').map(String::from).collect();
        assert_eq!(of(&app::tree(), &args), expected);
    }

    #[test]
    fn a_command_reads_as_dockers() {
        says(
            "layercake ps --help",
            "\
Usage:  layercake ps [OPTIONS]

List containers

Aliases:
  layercake container ls, layercake container list, layercake container ps, layercake ps

Options:
  -a, --all             Show all containers (default shows just running)
  -f, --filter filter   Filter output based on conditions provided
      --format string   Format output using a custom template:
                        'table':            Print output in table format
                        with column headers (default)
                        'table TEMPLATE':   Print output in table format
                        using the given Go template
                        'json':             Print in JSON format
                        'TEMPLATE':         Print output using the given
                        Go template.
                        Refer to https://docs.docker.com/go/formatting/
                        for more information about formatting output with
                        templates
  -n, --last int        Show n last created containers (includes all
                        states) (default -1)
  -l, --latest          Show the latest created container (includes all
                        states)
      --no-trunc        Don't truncate output
  -q, --quiet           Only display container IDs
  -s, --size            Display total file sizes
",
        );
        says(
            "layercake container commit --help",
            "\
Usage:  layercake container commit [OPTIONS] CONTAINER [REPOSITORY[:TAG]]

Create a new image from a container's changes

Aliases:
  layercake container commit, layercake commit

Options:
  -a, --author string    Author (e.g., \"John Hannibal Smith
                         <hannibal@a-team.com>\")
  -c, --change list      Apply Dockerfile instruction to the created image
  -m, --message string   Commit message
  -p, --pause            Pause container during commit (default true)
",
        );
        says(
            "layercake cp --help",
            "\
Usage:  layercake cp [OPTIONS] CONTAINER:SRC_PATH DEST_PATH|-
	layercake cp [OPTIONS] SRC_PATH|- CONTAINER:DEST_PATH

Copy files/folders between a container and the local filesystem

Use '-' as the source to read a tar archive from stdin
and extract it to a directory destination in a container.
Use '-' as the destination to stream a tar archive of a
container source to stdout.

Aliases:
  layercake container cp, layercake cp

Options:
  -a, --archive       Archive mode (copy all uid/gid information)
  -L, --follow-link   Always follow symbol link in SRC_PATH
  -q, --quiet         Suppress progress output during copy. Progress
                      output is automatically suppressed if no terminal
                      is attached
",
        );
    }

    #[test]
    fn a_group_lists_its_commands() {
        says(
            "layercake image",
            "\
Usage:  layercake image COMMAND

Manage images

Commands:
  history     Show the history of an image
  import      Import the contents from a tarball to create a filesystem image
  inspect     Display detailed information on one or more images
  load        Load an image from a tar archive or STDIN
  ls          List images
  prune       Remove unused images
  pull        Download an image from a registry
  push        Upload an image to a registry
  rm          Remove one or more images
  save        Save one or more images to a tar archive (streamed to STDOUT by default)
  tag         Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE

Run 'layercake image COMMAND --help' for more information on a command.
",
        );
    }

    #[test]
    fn topics() {
        let topic = |names: &[&str]| {
            topic(&app::tree(), &names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())
        };
        assert!(topic(&["image", "list"]).unwrap().starts_with("Usage:  layercake image ls [OPTIONS]"));
        assert!(topic(&[]).unwrap().starts_with("Usage:  layercake [OPTIONS] COMMAND\n"));
        assert_eq!(topic(&["bogus"]).unwrap_err().message, "unknown help topic: bogus");
    }
}
