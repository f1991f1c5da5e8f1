//! The benchmark of the union file system: ours, the kernel's overlay, and fuse-overlayfs in C and in Rust.
//!
//! A *scene* builds layers once, on a tmpfs, and fills some lines of the table. In every round each union takes one
//! turn on a fresh upper directory and a fresh mount; who comes first changes with the round. Only the calls themselves
//! are measured, in this process, so that starting programs does not blur them; every turn verifies what it did.

mod options;
mod scenes;
mod table;
mod unions;

use std::path::Path;

use super::ground::{self, Ground, Kind};
use super::rows::order;
use super::{INSIDE, ours};
use crate::which::Which;
use crate::{Result, namespace};
use options::Options;
use scenes::{Place, SCENES, Scene, Turn};
use table::Row;
use unions::Union;

/// `cargo xtask bench union`.
pub fn main(args: &[String]) -> Result<()> {
    let Some(options) = Options::parse(args)? else {
        print!("{}", options::HELP);
        return Ok(());
    };
    if std::env::var_os(INSIDE).is_none() {
        return enter(args, &options);
    }
    let mut rows = Vec::new();
    let done = measure(&options, &mut rows);
    // A scene that fails does not take the others' results with it.
    if !rows.is_empty() {
        print!("{}", table::render(&rows, options.who));
    }
    if let Some(path) = &options.json {
        std::fs::write(path, table::json(&rows, options.who)?)
            .map_err(|e| format!("{}: {e}", path.display()))?;
    }
    done
}

/// Builds our program, and runs this one again in namespaces.
fn enter(args: &[String], options: &Options) -> Result<()> {
    let mut command = namespace::command(options.who, &options.work, &std::env::current_exe()?)?;
    command.args(["bench", "union"]).args(args);
    if options.of.is_empty() || options.of.contains(&Which::Ours) {
        command.arg("--binary").arg(ours::build(options.binary.as_deref())?);
    }
    let status = command.env(INSIDE, "1").status().map_err(|e| format!("unshare: {e}"))?;
    if status.success() { Ok(()) } else { Err("the benchmark did not finish well".into()) }
}

fn measure(options: &Options, rows: &mut Vec<Row>) -> Result<()> {
    let unions = Union::chosen(options, options.binary.as_deref().unwrap_or(Path::new("layercake")));
    let place = Place { ground: Ground::new(Kind::Tmpfs, &options.work, 0)?, images: options.images.clone() };
    let mut failed = Vec::new();
    for scene in SCENES {
        let lines = scene.lines.iter().map(|line| Row::new(*line, options.who));
        let wanted =
            |row: &Row| options.only.is_empty() || options.only.iter().any(|name| row.work.contains(name));
        let mut own: Vec<Row> = lines.collect();
        if !own.iter().any(wanted) {
            continue;
        }
        if let Err(e) = play(scene, &place, &unions, options.rounds, &mut own, &mut failed) {
            failed.push(format!("{}: {e}", scene.lines[0].work));
        }
        rows.extend(own.into_iter().filter(|row| wanted(row) && !row.samples.is_empty()));
    }
    if failed.is_empty() { Ok(()) } else { Err(format!("failed:\n{}", failed.join("\n")).into()) }
}

/// Plays all rounds of a scene. A union that fails in it is left out of its further rounds.
fn play(
    scene: &Scene,
    place: &Place,
    unions: &[Union],
    rounds: usize,
    rows: &mut [Row],
    failed: &mut Vec<String>,
) -> Result<()> {
    let layers = place.ground.path("layers");
    let lowers = match (scene.layers)(&layers, place)? {
        Some(lowers) => lowers,
        None => {
            eprintln!("left out: {}: no image in {}", scene.lines[0].work, place.images.display());
            return Ok(());
        }
    };
    let mut unions: Vec<&Union> =
        unions.iter().filter(|union| scene.peers || union.which == Which::Ours).collect();
    for round in 0..rounds {
        for union in order(round, unions.len()).into_iter().map(|n| unions[n]).collect::<Vec<_>>() {
            let turn = Turn::new(union, &lowers, place)?;
            let figures = match (scene.play)(&turn) {
                Ok(figures) => figures,
                Err(e) => {
                    let said = turn.server_said();
                    failed.push(format!("{}: {}: {e}{said}", scene.lines[0].work, union.which.name()));
                    unions.retain(|other| other.which != union.which);
                    continue;
                }
            };
            for (row, figure) in rows.iter_mut().zip(figures) {
                let text = row.figure(figure);
                eprintln!("{}, round {} of {rounds}: {}: {text}", row.work, round + 1, union.which.name());
                row.push(union.which, figure);
            }
        }
    }
    ground::remove(&place.ground.path("turn"))?;
    ground::remove(&layers)
}
