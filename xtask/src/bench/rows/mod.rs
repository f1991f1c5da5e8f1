//! The rows: what is measured, one file per kind of work.

mod containers;
mod load;
mod ps;
mod remove;
mod save;

use super::Bench;
use super::table::{Goal, Row, Sample, Samples, figure};
use crate::Result;

/// Sets up a row, measures it and cleans up; the row has the name given.
type Measure = fn(&Bench, &str) -> Result<Row>;

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
];

/// Measures every row that was asked for.
pub fn run(bench: &Bench, results: &mut Vec<Row>) -> Result<()> {
    for (name, row) in ROWS.iter().filter(|(name, _)| bench.options.wants(name)) {
        let row = row(bench, name).map_err(|e| format!("{name}, on {}: {e}", bench.ground.kind))?;
        results.push(row);
    }
    Ok(())
}

/// One program that takes its turn in every round: prepares, measures, verifies and cleans up.
struct Contender<'a> {
    name: &'static str,
    turn: Box<dyn FnMut() -> Result<Sample> + 'a>,
}

impl<'a> Contender<'a> {
    fn new(name: &'static str, turn: impl FnMut() -> Result<Sample> + 'a) -> Self {
        Self { name, turn: Box::new(turn) }
    }
}

/// Runs the rounds of one row: each contender once a round.
fn take_turns(
    bench: &Bench,
    name: &str,
    mut contenders: Vec<Contender<'_>>,
    goals: Vec<Goal>,
) -> Result<Row> {
    let mut all: Vec<Samples> = contenders.iter().map(|_| Samples::new()).collect();
    for round in 1..=bench.options.rounds {
        for (contender, samples) in contenders.iter_mut().zip(&mut all) {
            let sample = (contender.turn)().map_err(|e| format!("{}: {e}", contender.name))?;
            let figures: Vec<String> = sample.iter().map(|(metric, value)| figure(*metric, *value)).collect();
            let rounds = bench.options.rounds;
            eprintln!(
                "{name}, {}, round {round}/{rounds}: {} {}",
                bench.ground.kind,
                contender.name,
                figures.join(", ")
            );
            for (metric, value) in sample {
                samples.entry(metric).or_default().push(value);
            }
        }
    }
    let contenders = contenders.iter().map(|contender| contender.name.to_string()).zip(all).collect();
    Ok(Row { name: name.to_string(), on: bench.ground.kind, contenders, goals })
}

/// Fails unless `id` is among the image IDs that a program lists.
fn expect_image(listed: &str, id: &str) -> Result<()> {
    if listed.lines().any(|line| line.trim() == id) {
        return Ok(());
    }
    Err(format!("image {id} is not there, but {listed:?}").into())
}
