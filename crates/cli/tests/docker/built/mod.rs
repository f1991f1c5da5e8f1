//! Builds beside BuildKit's: the same Dockerfiles on the same root give the same configuration, history and tree, and the
//! same complaints.
//!
//! Only the newest Docker is asked: 20.10 has another builder. `RUN` steps need a shell: a static busybox, as Debian's
//! package `busybox-static` installs it.

mod cases;
mod layers;

use std::fs;
use std::path::Path;
use std::process::Output;

use serde_json::Value;

use crate::archives::{self, Members, members};
use crate::daemon::Daemon;
use crate::witness::{self, Witness, skip};
use crate::world::{World, text};
use cases::{BUILDS, Case, MISTAKES, UNWISE};

const BASE: &str = "built/base:1";

#[test]
fn the_same_dockerfiles_make_the_same_images_as_with_buildkit() {
    witness::call(Witness::Newest, "builds beside BuildKit", same_images);
}

#[test]
fn the_same_mistakes_are_told_as_by_buildkit() {
    witness::call(Witness::Newest, "mistakes beside BuildKit", same_complaints);
}

#[test]
fn the_same_warnings_are_given_as_by_buildkit() {
    witness::call(Witness::Newest, "warnings beside BuildKit", same_warnings);
}

fn same_images(world: &World) {
    if !prepare(world) {
        return;
    }
    let [ours, theirs] = ["ours", "theirs"].map(|who| move |case: &Case| format!("{who}/{}:1", case.name));
    for case in BUILDS {
        let output = build(world, case, &ours(case));
        assert!(output.status.success(), "{}: {}", case.name, text(&output.stderr));
    }
    assert!(world.layercake(&["check"]).ends_with("no damage\n"));
    let daemon = world.start();
    if !daemon.can_run() {
        return skip("builds beside BuildKit", "containers do not run here");
    }
    for case in BUILDS {
        let output = their_build(&daemon, world, case, &theirs(case));
        assert!(output.status.success(), "{}: {}", case.name, text(&output.stderr));
    }
    let names: Vec<String> = BUILDS.iter().flat_map(|case| [ours(case), theirs(case)]).collect();
    let saved = world.path("built.tar");
    let mut args = vec!["save", "--output", saved.to_str().unwrap()];
    args.extend(names.iter().map(String::as_str));
    daemon.docker(&args);
    daemon.stop();
    let saved = members(&fs::read(&saved).unwrap());
    let mut differences = Vec::new();
    for case in BUILDS {
        let [ours, theirs] = [ours(case), theirs(case)].map(|name| described(&saved, &name));
        if ours != theirs {
            differences.push(format!("{}:\n{}", case.name, first_difference(&ours, &theirs)));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

fn same_complaints(world: &World) {
    if !prepare(world) {
        return;
    }
    let ours: Vec<String> = MISTAKES.iter().map(|case| complaint(&build(world, case, "wrong:1"))).collect();
    let daemon = world.start();
    if !daemon.can_run() {
        return skip("mistakes beside BuildKit", "containers do not run here");
    }
    let mut differences = Vec::new();
    for (case, ours) in MISTAKES.iter().zip(ours) {
        let theirs = complaint(&their_build(&daemon, world, case, "wrong:1"));
        // A few times BuildKit does not show the lines; then ours may.
        if ours != theirs
            && (theirs.contains("Dockerfile:") || !ours.ends_with(theirs.trim_start_matches("1 ")))
        {
            differences.push(format!("{}:\nlayercake: {ours}\nBuildKit:  {theirs}", case.name));
        }
    }
    daemon.stop();
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

fn same_warnings(world: &World) {
    if !prepare(world) {
        return;
    }
    let ours: Vec<Vec<String>> =
        UNWISE.iter().map(|case| warnings(&build(world, case, "unwise:1"))).collect();
    let daemon = world.start();
    let mut differences = Vec::new();
    for (case, ours) in UNWISE.iter().zip(ours) {
        let theirs = warnings(&their_build(&daemon, world, case, "unwise:1"));
        if ours != theirs {
            differences.push(format!("{}:\n{}", case.name, first_difference(&ours, &theirs)));
        }
    }
    daemon.stop();
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// The list below the progress, sorted.
fn warnings(output: &Output) -> Vec<String> {
    assert!(output.status.success(), "{}", text(&output.stderr));
    let said = text(&output.stderr);
    let list = said.lines().filter(|line| !line.starts_with('#') && line.ends_with(')'));
    let mut list: Vec<String> =
        list.filter_map(|line| line.split_once(" - ")).map(|(_, warning)| warning.to_owned()).collect();
    list.sort();
    list
}

/// Makes the context and the base image; says so if it cannot.
fn prepare(world: &World) -> bool {
    let Some(busybox) =
        ["/bin/busybox", "/usr/bin/busybox"].into_iter().find(|path| is_static(Path::new(path)))
    else {
        skip("builds beside BuildKit", "no static busybox (Debian: busybox-static)");
        return false;
    };
    let base = layers::base(&fs::read(busybox).unwrap());
    fs::write(world.path("base.tar"), base).unwrap();
    world.layercake(&["import", "-c", "ENV BASE=yes", world.path("base.tar").to_str().unwrap(), BASE]);
    layers::make_context(&world.path("context"));
    true
}

/// A program that needs no loader: no program header is of the kind `PT_INTERP`, 3 (64 bits, little-endian).
fn is_static(path: &Path) -> bool {
    let Ok(program) = fs::read(path) else { return false };
    let number = |at: usize, length: usize| -> usize {
        program
            .get(at..at + length)
            .unwrap_or_default()
            .iter()
            .rev()
            .fold(0, |sum, &byte| sum << 8 | byte as usize)
    };
    let (first, size, count) = (number(32, 8), number(54, 2), number(56, 2));
    program.starts_with(b"\x7fELF\x02\x01") && (0..count).all(|index| number(first + index * size, 4) != 3)
}

fn write(world: &World, case: &Case) {
    let context = world.path("context");
    fs::write(context.join("Dockerfile"), case.file).unwrap();
    fs::write(context.join(".dockerignore"), case.ignore).unwrap();
}

fn build(world: &World, case: &Case, name: &str) -> Output {
    write(world, case);
    let context = world.path("context");
    let mut args = vec!["build", "--progress", "plain", "-t", name];
    args.extend(case.args);
    args.push(context.to_str().unwrap());
    world.command(&args).output().unwrap()
}

fn their_build(daemon: &Daemon<'_>, world: &World, case: &Case, name: &str) -> Output {
    write(world, case);
    let context = world.path("context");
    let mut args = vec!["build", "--network", "host", "--progress", "plain", "-t", name];
    args.extend(case.args);
    args.push(context.to_str().unwrap());
    daemon.try_docker(&args)
}

/// What is said below the progress: the lines of the Dockerfile, and what is wrong with them.
fn complaint(output: &Output) -> String {
    let said = text(&output.stderr);
    let from = said.find("\nDockerfile:").map(|at| at + 1).or_else(|| said.rfind("ERROR: "));
    let said = from.map_or("no complaint", |at| &said[at..]);
    // BuildKit's own number of the context.
    let said = match (said.split_once("failed to calculate checksum of ref "), said) {
        (Some((before, behind)), _) => {
            format!("{before}{}", behind.split_once(": ").map_or("", |(_, rest)| rest))
        }
        (None, said) => said.to_owned(),
    };
    format!("{} {said}", output.status.code().unwrap_or_default())
}

/// The configuration and the layers of a saved image, without what every build has of its own.
fn described(saved: &Members, name: &str) -> Vec<String> {
    let manifest: Value = serde_json::from_slice(&saved["manifest.json"]).unwrap();
    let is_named =
        |image: &&Value| image["RepoTags"].as_array().is_some_and(|tags| tags.iter().any(|tag| tag == name));
    let image = manifest.as_array().unwrap().iter().find(is_named).unwrap();
    let mut config: Value = serde_json::from_slice(&saved[image["Config"].as_str().unwrap()]).unwrap();
    for key in ["created", "rootfs"] {
        config.as_object_mut().unwrap().remove(key);
    }
    for step in config["history"].as_array_mut().unwrap() {
        step.as_object_mut().unwrap().remove("created");
    }
    let mut lines: Vec<String> =
        serde_json::to_string_pretty(&config).unwrap().lines().map(str::to_owned).collect();
    let layers = archives::layers(saved, name);
    lines.push(format!("{} layers", layers.len()));
    let tree = layers::tree(&layers).into_iter().map(|(path, entry)| format!("{path} {entry}"));
    // Docker makes files for its mounts there.
    lines
        .extend(tree.filter(|line| !line.starts_with("etc/hosts ") && !line.starts_with("etc/resolv.conf ")));
    lines
}

fn first_difference(ours: &[String], theirs: &[String]) -> String {
    let only = |mine: &[String], others: &[String], sign: char| -> Vec<String> {
        let missing = mine.iter().filter(|line| !others.contains(line));
        missing.take(12).map(|line| format!("  {sign} {line}")).collect()
    };
    let lines = [only(ours, theirs, '-'), only(theirs, ours, '+')].concat();
    if lines.is_empty() { "  the order of lines".to_owned() } else { lines.join("\n") }
}
