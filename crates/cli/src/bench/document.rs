//! The figures for programs.

use engine::bench::Unit;
use serde_json::{Value, json};

use super::{Measured, words};

/// Everything, as one document. Times are in seconds, sizes in bytes.
pub fn document(measured: &Measured) -> Value {
    let report = &measured.report;
    let unit = |unit| match unit {
        Unit::Seconds => "seconds",
        Unit::Bytes => "bytes",
        Unit::Count => "count",
    };
    let figures: Vec<Value> = report
        .rows()
        .into_iter()
        .flat_map(|row| report.figures.iter().filter(move |figure| figure.measure == row))
        .map(|figure| {
            json!({
                "Workload": figure.measure.workload.name(),
                "Measure": figure.measure.name,
                "Title": figure.measure.title,
                "Unit": unit(figure.measure.unit),
                "Driver": figure.driver,
                "Median": figure.median(),
                "Samples": figure.samples,
            })
        })
        .collect();
    let skipped: Vec<Value> = report
        .skipped
        .iter()
        .map(|skipped| {
            let workload = skipped.workload.map(|workload| workload.name());
            json!({"Driver": skipped.driver, "Workload": workload, "Why": skipped.why})
        })
        .collect();
    json!({
        "Dir": measured.dir.display().to_string(),
        "BackingFilesystem": measured.filesystem,
        "KernelVersion": sys::process::kernel_release(),
        "NCPU": std::thread::available_parallelism().map_or(1, usize::from),
        "Image": measured.image,
        "Layers": report.layers,
        "Entries": report.entries,
        "BiggestFile": report.big,
        "Rounds": report.scale.rounds,
        "Figures": figures,
        "Skipped": skipped,
        "Words": words::of(report),
    })
}
