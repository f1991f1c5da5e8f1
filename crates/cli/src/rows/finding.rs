//! Damages that `check` found.

use engine::check::Finding;

use crate::output::listing::{Cell, Column, Named, Row};

/// A damage.
#[derive(Debug)]
pub struct FindingRow(pub Finding);

/// The formats that have a name; plain, it is a paragraph for each.
pub const NAMED: Named = Named {
    table: r"{{.Kind}}\t{{.Subject}}\t{{.Affects}}\t{{.Repaired}}\t{{.Message}}",
    quiet: "{{.Kind}}: {{.Subject}}: {{.Message}}{{if .Affects}}\n  affects: {{.Affects}}{{end}}\n  {{if eq .Repaired \"yes\"}}repaired{{else}}to do:   {{.Advice}}{{end}}",
    raw: "",
    raw_quiet: "",
};

impl Row for FindingRow {
    const TYPE: &'static str = "finding";
    const COLUMNS: &'static [Column<Self>] = &[
        Column { name: "Kind", header: "KIND", value: Cell::Text(|row| row.0.kind.to_owned()) },
        Column { name: "Subject", header: "SUBJECT", value: Cell::Text(|row| row.0.subject.clone()) },
        Column { name: "Message", header: "MESSAGE", value: Cell::Text(|row| row.0.message.clone()) },
        Column { name: "Affects", header: "AFFECTS", value: Cell::Text(|row| row.0.affects.join(", ")) },
        Column { name: "Advice", header: "ADVICE", value: Cell::Text(|row| row.0.advice.clone()) },
        Column { name: "Harmful", header: "HARMFUL", value: Cell::Text(|row| yes_or_no(row.0.harmful)) },
        Column { name: "Repaired", header: "REPAIRED", value: Cell::Text(|row| yes_or_no(row.0.repaired)) },
    ];
}

fn yes_or_no(value: bool) -> String {
    if value { "yes" } else { "no" }.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::listing::Listing;

    #[test]
    fn a_paragraph_for_each() {
        let finding = |affects: &[&str], repaired| {
            FindingRow(Finding {
                kind: "missing-link",
                subject: "overlay2/l/ABC".into(),
                message: "the short name of the layer is missing".into(),
                affects: affects.iter().map(|&name| name.into()).collect(),
                advice: "layercake check --repair".into(),
                harmful: true,
                repaired,
            })
        };
        let rows = [finding(&["image busybox:1", "container c1"], false), finding(&[], true)];
        assert_eq!(
            Listing::parse("", true, &NAMED).unwrap().render(rows).unwrap(),
            "\
missing-link: overlay2/l/ABC: the short name of the layer is missing
  affects: image busybox:1, container c1
  to do:   layercake check --repair
missing-link: overlay2/l/ABC: the short name of the layer is missing
  repaired
"
        );
    }
}
