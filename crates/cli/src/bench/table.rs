//! The figures as a table, with words below it.

use engine::bench::Measure;

use super::{Measured, human, words};
use crate::output::table;

/// Everything, for people.
pub fn text(measured: &Measured) -> String {
    let report = &measured.report;
    let columns = report.columns();
    let mut rows = String::from("WORKLOAD\tMEASURE");
    for column in &columns {
        rows += &format!("\t{}", column.to_uppercase());
    }
    rows.push('\n');
    let mut last = None;
    for row in report.rows() {
        let workload = if last == Some(row.workload) { "" } else { row.workload.name() };
        last = Some(row.workload);
        rows += &format!("{workload}\t{}", row.title);
        for column in &columns {
            rows += &format!("\t{}", cell(measured, row, column));
        }
        rows.push('\n');
    }
    let mut text = format!("{}\n\n{}", measured.title(), table::align(&rows));
    for skipped in &report.skipped {
        let what = skipped.workload.map_or(String::new(), |workload| format!(", {}", workload.name()));
        text += &format!("\nNot measured: {}{what}: {}", skipped.driver, skipped.why);
    }
    if !report.skipped.is_empty() {
        text.push('\n');
    }
    for sentence in words::of(report) {
        text += &format!("\n{sentence}\n");
    }
    text
}

fn cell(measured: &Measured, row: Measure, column: &str) -> String {
    measured.report.median(row, column).map_or_else(|| "-".to_owned(), |value| human(row.unit, value))
}
