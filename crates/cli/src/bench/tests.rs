use engine::bench::{Figure, Measure, Report, Scale, Skipped, Unit, Workload};

use super::*;

fn measured() -> Measured {
    let figure = |measure, driver: &str, samples: &[f64]| Figure {
        measure,
        driver: driver.to_owned(),
        samples: samples.to_vec(),
    };
    let report = Report {
        scale: Scale::USUAL,
        drivers: ["overlay2", "btrfs", "vfs", "zfs"].map(str::to_owned).to_vec(),
        entries: 3000,
        layers: 8,
        big: 64 << 20,
        changed: 1000,
        figures: vec![
            figure(Measure::CREATE, "vfs", &[0.5, 0.4, 0.6]),
            figure(Measure::CREATE, "overlay2", &[0.002]),
            figure(Measure::FIRST_WRITE, "overlay2", &[0.05]),
            figure(Measure::FIRST_WRITE, "btrfs", &[0.0004]),
            figure(Measure::WRITTEN_SPACE, "overlay2", &[(64 << 20) as f64]),
            figure(Measure::WRITTEN_SPACE, "btrfs", &[16384.0]),
            figure(Measure::NEW_FILES, Report::VOLUME, &[0.01]),
            figure(Measure::NEW_FILES, "overlay2", &[0.012]),
            figure(Measure::MEMORY, "overlay2", &[(64 << 20) as f64]),
            figure(Measure::MEMORY, "vfs", &[(256 << 20) as f64]),
            figure(Measure::IMAGE_INODES, "overlay2", &[3100.0]),
            figure(Measure::CONTAINER_INODES, "overlay2", &[25.0]),
        ],
        skipped: vec![Skipped {
            driver: "zfs".to_owned(),
            workload: Some(Workload::Walk),
            why: "no <zfs>".to_owned(),
        }],
    };
    Measured { dir: "/data".into(), filesystem: "xfs", image: None, report }
}

#[test]
fn figures_are_short() {
    for (unit, value, expected) in [
        (Unit::Seconds, 0.000_123_4, "123 µs"),
        (Unit::Seconds, 0.001_234, "1.23 ms"),
        (Unit::Seconds, 0.123_4, "123.4 ms"),
        (Unit::Seconds, 12.345, "12.35 s"),
        (Unit::Bytes, 67_108_864.0, "64MiB"),
        (Unit::Count, 1234.0, "1234"),
    ] {
        assert_eq!(human(unit, value), expected);
    }
}

#[test]
fn the_table_has_medians_and_a_column_for_each_driver_with_figures() {
    let text = text(&measured());
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines[2].split_whitespace().collect::<Vec<_>>(),
        ["WORKLOAD", "MEASURE", "OVERLAY2", "BTRFS", "VFS", "VOLUME"]
    );
    let create: Vec<&str> = lines[3].split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
    assert_eq!(create, ["start-up", "create a container", "2.00 ms", "-", "500.0 ms", "-"]);
    assert!(text.contains("Not measured: zfs, walk: no <zfs>\n"), "{text}");
}

#[test]
fn words_say_what_the_pages_say() {
    let said = words::of(&measured().report).join("\n");
    for expected in [
        "2.00 ms with overlay2, 500.0 ms with vfs. vfs copies the whole image for each.",
        "one byte in a file of 64MiB costs 50.0 ms and 64MiB with overlay2",
        "Drivers that work on blocks copy what is written",
        "400 µs and 16KiB with btrfs",
        "1000 new files take 10.0 ms there, 12.0 ms (1.2 times that) with overlay2 in a container.",
        "64MiB with overlay2 (one copy in the page cache for all of them); 256MiB with vfs (more than one copy",
        "For 3000 files and directories in 8 layers overlay2 takes 3100, and 25 for each container.",
    ] {
        assert!(said.contains(expected), "{expected}\n{said}");
    }
    assert!(!said.contains("share blocks"), "{said}");
    let mut shared = measured().report;
    shared.figures.retain(|figure| figure.measure != Measure::WRITTEN_SPACE);
    let (measure, driver) = (Measure::WRITTEN_SPACE, "overlay2".to_owned());
    shared.figures.push(Figure { measure, driver, samples: vec![8192.0] });
    assert!(
        words::of(&shared)
            .join("\n")
            .contains("8KiB with overlay2, the second byte 0 µs. This file system lets")
    );
    let none = Report { figures: Vec::new(), ..measured().report };
    assert!(words::of(&none).is_empty());
}

#[test]
fn the_document_has_every_sample() {
    let document = document(&measured());
    let figure = &document["Figures"][1];
    assert_eq!((figure["Driver"].as_str(), figure["Median"].as_f64()), (Some("overlay2"), Some(0.002)));
    assert_eq!(document["Figures"][0]["Samples"], serde_json::json!([0.5, 0.4, 0.6]));
    assert_eq!(document["Skipped"][0]["Why"], "no <zfs>");
}

#[test]
fn the_chart_is_xml_with_a_bar_for_each_figure() {
    let svg = svg(&Measured { dir: "/a<b>&c".into(), ..measured() });
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
    // One is the background.
    assert_eq!(svg.matches("<rect ").count(), measured().report.figures.len() + 1);
    assert!(svg.contains("/a&lt;b&gt;&amp;c"), "{svg}");
}
