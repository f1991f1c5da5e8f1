//! The figures as an SVG chart: a panel for each measure, a bar for each driver, to the panel's own scale.

use std::fmt::Write;

use super::{Measured, human};

/// Pixels.
const WIDTH: f64 = 820.0;
const LABELS: f64 = 130.0;
const VALUES: f64 = 90.0;
const MARGIN: f64 = 20.0;
const BAR: f64 = 16.0;
const GAP: f64 = 4.0;
const TITLE: f64 = 26.0;

/// A colour for each column, from a palette that colour-blind readers tell apart (Okabe and Ito, 2008).
const COLOURS: [&str; 8] =
    ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#8c8c00", "#777777"];

/// The chart, a whole document.
pub fn svg(measured: &Measured) -> String {
    let report = &measured.report;
    let columns = report.columns();
    let mut body = String::new();
    let mut y = MARGIN;
    text(
        &mut body,
        MARGIN,
        y + 12.0,
        "start",
        "font-weight=\"bold\"",
        "Storage drivers compared: less is better",
    );
    y += TITLE;
    text(&mut body, MARGIN, y + 8.0, "start", "fill=\"#555\" font-size=\"11\"", &measured.title());
    y += TITLE;
    for row in report.rows() {
        let title = format!("{}: {}", row.workload.name(), row.title);
        text(&mut body, MARGIN, y + 16.0, "start", "font-weight=\"bold\"", &title);
        y += TITLE;
        let bars: Vec<(usize, f64)> = columns
            .iter()
            .enumerate()
            .filter_map(|(n, column)| Some((n, report.median(row, column)?)))
            .collect();
        let most = bars.iter().map(|(_, value)| *value).fold(0.0, f64::max);
        for (n, value) in bars {
            let room = WIDTH - 2.0 * MARGIN - LABELS - VALUES;
            // A bar of no length would not be seen.
            let length = if most > 0.0 { (value / most * room).max(1.0) } else { 1.0 };
            let left = MARGIN + LABELS;
            text(&mut body, left - 8.0, y + 12.0, "end", "", columns[n]);
            let colour = COLOURS[n % COLOURS.len()];
            let _ = writeln!(
                body,
                "<rect x=\"{left}\" y=\"{y}\" width=\"{length:.1}\" height=\"{BAR}\" fill=\"{colour}\"/>"
            );
            text(&mut body, left + length + 6.0, y + 12.0, "start", "", &human(row.unit, value));
            y += BAR + GAP;
        }
        y += GAP;
    }
    let height = y + MARGIN;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
         viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" font-size=\"13\" fill=\"#222\">\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#fff\"/>\n{body}</svg>\n"
    )
}

fn text(body: &mut String, x: f64, y: f64, anchor: &str, more: &str, content: &str) {
    let mut escaped = String::new();
    for c in content.chars() {
        match c {
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '&' => escaped += "&amp;",
            // What XML has no place for.
            c if c.is_control() => escaped.push('?'),
            c => escaped.push(c),
        }
    }
    let _ =
        writeln!(body, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" {more}>{escaped}</text>");
}
