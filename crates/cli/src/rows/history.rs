//! The steps that made an image.

use std::rc::Rc;

use engine::history::HistoryItem;
use model::Timestamp;

use super::{Show, short_size};
use crate::output::listing::{Cell, Column, Named, Row};

/// A step.
#[derive(Debug)]
pub struct HistoryRow {
    /// The step.
    pub item: HistoryItem,
    /// Whether sizes and times are for people.
    pub human: bool,
    /// How to show it.
    pub show: Rc<Show>,
}

/// The formats that have a name.
pub const NAMED: Named = Named {
    table: r"{{.ID}}\t{{.CreatedSince}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}",
    quiet: "{{.ID}}",
    raw: "",
    raw_quiet: "",
};

/// The same with `--human=false`.
pub const NAMED_EXACTLY: Named =
    Named { table: r"{{.ID}}\t{{.CreatedAt}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}", ..NAMED };

/// The last second of which Docker does not say how long ago it was: reproducible builds set such times.
const Y2K: i64 = 946_684_800;

impl HistoryRow {
    fn created(&self) -> Timestamp {
        self.item.created.unwrap_or(Timestamp::EPOCH)
    }

    fn created_at(&self) -> String {
        self.created().rfc3339_seconds(self.show.zone())
    }

    fn created_since(&self) -> String {
        match self.created() {
            _ if !self.human => self.created_at(),
            time if time.unix_seconds() <= Y2K => String::new(),
            time => self.show.ago(time),
        }
    }
}

impl Row for HistoryRow {
    const TYPE: &'static str = "*image.historyContext";
    const COLUMNS: &'static [Column<Self>] =
        &[
            Column {
                name: "ID",
                header: "IMAGE",
                value: Cell::Text(|row| match &row.item.id {
                    Some(id) => row.show.image_id(id),
                    None => "<missing>".to_owned(),
                }),
            },
            Column { name: "CreatedSince", header: "CREATED", value: Cell::Text(Self::created_since) },
            Column { name: "CreatedAt", header: "CREATED AT", value: Cell::Text(Self::created_at) },
            Column {
                name: "CreatedBy",
                header: "CREATED BY",
                value: Cell::Text(|row| row.show.cut(&row.item.created_by.replace('\t', " "), 45)),
            },
            Column {
                name: "Size",
                header: "SIZE",
                value: Cell::Text(|row| {
                    if row.human { short_size(row.item.size) } else { row.item.size.to_string() }
                }),
            },
            Column { name: "Comment", header: "COMMENT", value: Cell::Text(|row| row.item.comment.clone()) },
        ];
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::listing::Listing;
    use jiff::tz::TimeZone;
    use model::ImageId;

    fn list(human: bool, named: &Named) -> String {
        let now = Timestamp::from_unix(1_600_000_130, 0);
        let show = Rc::new(Show { trunc: true, now, zone: TimeZone::UTC.into() });
        let step = |id, created, created_by: &str, size| HistoryRow {
            item: HistoryItem {
                id,
                created,
                created_by: created_by.into(),
                size,
                comment: "c".into(),
                tags: Vec::new(),
            },
            human,
            show: Rc::clone(&show),
        };
        let rows = [
            step(Some(ImageId::of(b"{}")), Some(Timestamp::from_unix(1_600_000_000, 0)), "CMD\t[\"a\"]", 0),
            step(None, Some(Timestamp::EPOCH), &"RUN ".repeat(12), 6505),
            step(None, None, "", 0),
        ];
        Listing::parse("", false, named).unwrap().render(rows).unwrap()
    }

    #[test]
    fn the_table_is_dockers() {
        assert_eq!(
            list(true, &NAMED),
            "\
IMAGE          CREATED         CREATED BY                                      SIZE      COMMENT
44136fa355b3   2 minutes ago   CMD [\"a\"]                                       0B        c
<missing>                      RUN RUN RUN RUN RUN RUN RUN RUN RUN RUN RUN …   6.5kB     c
<missing>                                                                      0B        c
"
        );
        assert_eq!(
            list(false, &NAMED_EXACTLY),
            "\
IMAGE          CREATED AT             CREATED BY                                      SIZE      COMMENT
44136fa355b3   2020-09-13T12:26:40Z   CMD [\"a\"]                                       0         c
<missing>      1970-01-01T00:00:00Z   RUN RUN RUN RUN RUN RUN RUN RUN RUN RUN RUN …   6505      c
<missing>      1970-01-01T00:00:00Z                                                   0         c
"
        );
    }
}
