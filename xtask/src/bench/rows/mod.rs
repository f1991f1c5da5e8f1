//! The rows: what is measured, one file per kind of work.

mod build;
mod containers;
mod load;
mod ps;
mod remove;
mod run;
mod save;
mod volumes;

use super::Bench;
use super::table::{Goal, Row, Sample, Samples, figure};
use crate::Result;

/// Sets up a row, measures it and cleans up; the row has the name given.
type Measure = fn(&Bench<'_>, &str) -> Result<Row>;

/// The row that `--context` is for, left out without.
const WHOLE_BUILD: &str = "build of a whole Dockerfile";

/// All rows, in the order of the table.
const ROWS: &[(&str, Measure)] = &[
    ("load docker-archive", load::plain),
    ("load OCI gzip", load::gzip),
    ("load OCI zstd", load::zstd),
    ("save", save::save),
    ("rmi", remove::image),
    ("create", containers::create),
    ("rm", containers::remove),
    ("mount of 128 layers", containers::mount),
    ("ps -a --size", ps::size),
    ("build, unchanged, 20 steps", build::unchanged),
    ("build, COPY of 30,000 files", build::copy),
    (WHOLE_BUILD, build::whole),
    ("run --rm true", run::nothing),
    ("write to a volume", volumes::write),
];

/// Measures every row that was asked for.
pub fn run(bench: &Bench<'_>, results: &mut Vec<Row>) -> Result<()> {
    let names: Vec<&str> = ROWS.iter().map(|(name, _)| *name).collect();
    for (name, row) in ROWS.iter().filter(|(name, _)| wanted(&bench.options.only, &names, name)) {
        if *name == WHOLE_BUILD && bench.options.only.is_empty() && bench.options.context.is_none() {
            continue;
        }
        let row = row(bench, name).map_err(|e| format!("{name}, on {}: {e}", bench.ground.kind))?;
        results.push(row);
    }
    Ok(())
}

/// Whether a row of `rows` was asked for: by its name, or by a part that is not the name of another one.
pub fn wanted(only: &[String], rows: &[&str], row: &str) -> bool {
    let is_name = |text: &str| rows.contains(&text);
    only.is_empty() || only.iter().any(|text| text == row || (!is_name(text) && row.contains(text.as_str())))
}

/// One program that takes its turn in every round: prepares, measures, verifies and cleans up.
pub struct Contender<'a> {
    name: &'static str,
    turn: Box<dyn FnMut() -> Result<Sample> + 'a>,
}

impl<'a> Contender<'a> {
    pub fn new(name: &'static str, turn: impl FnMut() -> Result<Sample> + 'a) -> Self {
        Self { name, turn: Box::new(turn) }
    }
}

/// Runs the rounds of one row: each contender once a round.
pub fn take_turns(
    bench: &Bench<'_>,
    name: &str,
    mut contenders: Vec<Contender<'_>>,
    goals: Vec<Goal>,
) -> Result<Row> {
    let (kind, rounds) = (bench.ground.kind, bench.options.rounds);
    let mut all: Vec<Samples> = contenders.iter().map(|_| Samples::new()).collect();
    for round in 0..rounds {
        for next in order(round, contenders.len()) {
            let contender = &mut contenders[next];
            let sample = (contender.turn)().map_err(|e| format!("{}: {e}", contender.name))?;
            let figures: Vec<String> = sample.iter().map(|(metric, value)| figure(*metric, *value)).collect();
            eprintln!(
                "{name}, {kind}, round {} of {rounds}: {} {}",
                round + 1,
                contender.name,
                figures.join(", ")
            );
            for (metric, value) in sample {
                all[next].entry(metric).or_default().push(value);
            }
        }
    }
    let contenders = contenders.iter().map(|contender| contender.name.to_string()).zip(all).collect();
    Ok(Row { name: name.to_string(), on: kind, contenders, goals })
}

/// Who comes when in a round. Another one is first each time, and the direction changes, so that nobody always finds
/// the disk as the same other one left it.
pub fn order(round: usize, contenders: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..contenders).map(|turn| (round + turn) % contenders).collect();
    if round % 4 >= 2 {
        order.reverse();
    }
    order
}

/// Fails unless `id` is among the image IDs that a program lists.
fn expect_image(listed: &str, id: &str) -> Result<()> {
    if listed.lines().any(|line| line.trim() == id) {
        return Ok(());
    }
    Err(format!("image {id} is not there, but {listed:?}").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_named_by_its_name_or_a_part_of_it() {
        let rows = |only: &[&str]| -> Vec<&str> {
            let only: Vec<String> = only.iter().map(|text| (*text).to_owned()).collect();
            let names: Vec<&str> = ROWS.iter().map(|(name, _)| *name).collect();
            names.iter().copied().filter(|name| wanted(&only, &names, name)).collect()
        };
        assert_eq!(rows(&["rm"]), ["rm"]);
        assert_eq!(rows(&["OCI", "ps -a"]), ["load OCI gzip", "load OCI zstd", "ps -a --size"]);
        assert_eq!(rows(&[]).len(), ROWS.len());
    }

    #[test]
    fn nobody_always_follows_the_same_one() {
        let orders = |contenders| (0..4).map(|round| order(round, contenders)).collect::<Vec<_>>();
        assert_eq!(orders(3), [[0, 1, 2], [1, 2, 0], [1, 0, 2], [2, 1, 0]]);
        assert_eq!(orders(2), [[0, 1], [1, 0], [1, 0], [0, 1]]);
    }
}
