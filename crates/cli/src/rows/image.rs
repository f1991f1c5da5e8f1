//! Images, a row for each name.

use std::collections::BTreeMap;
use std::rc::Rc;

use engine::images::ImageSummary;
use model::{Reference, Timestamp, size};

use super::{Show, short_size};
use crate::output::listing::{Cell, Column, Named, Row};

/// What Docker shows for a name, a tag or a digest that is not there.
const NONE: &str = "<none>";

/// What Docker shows for what was not counted.
const UNKNOWN: &str = "N/A";

/// An image under one of its names.
#[derive(Debug)]
pub struct ImageRow {
    image: Rc<ImageSummary>,
    repository: String,
    tag: String,
    digest: String,
    show: Rc<Show>,
}

/// The formats that have a name.
pub const NAMED: Named = Named {
    table: r"{{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{if .CreatedSince}}{{.CreatedSince}}{{else}}N/A{{end}}\t{{.Size}}",
    quiet: "{{.ID}}",
    raw: "repository: {{.Repository}}\ntag: {{.Tag}}\nimage_id: {{.ID}}\ncreated_at: {{.CreatedAt}}\nvirtual_size: {{.Size}}\n",
    raw_quiet: "image_id: {{.ID}}",
};

/// The same with `--digests`.
pub const NAMED_WITH_DIGESTS: Named = Named {
    table: r"{{.Repository}}\t{{.Tag}}\t{{.Digest}}\t{{.ID}}\t{{if .CreatedSince}}{{.CreatedSince}}{{else}}N/A{{end}}\t{{.Size}}",
    raw: "repository: {{.Repository}}\ntag: {{.Tag}}\ndigest: {{.Digest}}\nimage_id: {{.ID}}\ncreated_at: {{.CreatedAt}}\nvirtual_size: {{.Size}}\n",
    ..NAMED
};

/// The table of `system df -v`.
pub const NAMED_FOR_USAGE: Named = Named {
    table: r"{{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}\t{{.SharedSize}}\t{{.UniqueSize}}\t{{.Containers}}",
    ..NAMED
};

impl ImageRow {
    /// The rows for an image, sorted by name: one for each tag, and with `digests` one for each of the repository's
    /// digests beside each tag; one for a repository that has digests only; one for an image without a name.
    pub fn of(image: ImageSummary, digests: bool, show: &Rc<Show>) -> Vec<Self> {
        let image = Rc::new(image);
        let row = |repository: &str, tag: &str, digest: &str| Self {
            image: Rc::clone(&image),
            repository: repository.to_owned(),
            tag: tag.to_owned(),
            digest: digest.to_owned(),
            show: Rc::clone(show),
        };
        let tags = by_repository(&image.tags, |name| name.tag().map(str::to_owned));
        let known = by_repository(&image.digests, |name| name.digest().map(ToString::to_string));
        let mut rows = Vec::new();
        for (repository, tags) in &tags {
            let beside = known.get(repository).filter(|_| digests);
            for tag in tags {
                match beside {
                    Some(digests) => rows.extend(digests.iter().map(|digest| row(repository, tag, digest))),
                    None => rows.push(row(repository, tag, NONE)),
                }
            }
        }
        for (repository, digests_only) in
            known.iter().filter(|(repository, _)| !tags.contains_key(*repository))
        {
            if digests {
                rows.extend(digests_only.iter().map(|digest| row(repository, NONE, digest)));
            } else {
                rows.push(row(repository, NONE, ""));
            }
        }
        if rows.is_empty() {
            rows.push(row(NONE, NONE, NONE));
        }
        rows
    }

    /// One row for an image, under the first of its names, as `system df -v` shows it.
    pub fn first_of(image: ImageSummary, show: &Rc<Show>) -> Self {
        let first = image.tags.iter().min_by_key(|name| name.familiar());
        let repository = first.map_or(NONE.to_owned(), Reference::familiar_name);
        let tag = first.and_then(Reference::tag).unwrap_or(NONE).to_owned();
        Self { image: Rc::new(image), repository, tag, digest: String::new(), show: Rc::clone(show) }
    }

    /// Docker counts an image that does not say when it was made as made in 1970.
    fn created(&self) -> Timestamp {
        self.image.created.unwrap_or(Timestamp::EPOCH)
    }
}

fn by_repository(
    names: &[Reference],
    part: impl Fn(&Reference) -> Option<String>,
) -> BTreeMap<String, Vec<String>> {
    let mut parts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for name in names {
        if let Some(part) = part(name) {
            parts.entry(name.familiar_name()).or_default().push(part);
        }
    }
    parts.values_mut().for_each(|parts| parts.sort());
    parts
}

impl Row for ImageRow {
    const TYPE: &'static str = "*formatter.imageContext";
    const COLUMNS: &'static [Column<Self>] = &[
        Column { name: "ID", header: "IMAGE ID", value: Cell::Text(|row| row.show.image_id(&row.image.id)) },
        Column { name: "Repository", header: "REPOSITORY", value: Cell::Text(|row| row.repository.clone()) },
        Column { name: "Tag", header: "TAG", value: Cell::Text(|row| row.tag.clone()) },
        Column { name: "Digest", header: "DIGEST", value: Cell::Text(|row| row.digest.clone()) },
        Column {
            name: "CreatedSince",
            header: "CREATED",
            value: Cell::Text(|row| match row.created() {
                never if never.is_zero() => String::new(),
                time => row.show.ago(time),
            }),
        },
        Column {
            name: "CreatedAt",
            header: "CREATED AT",
            value: Cell::Text(|row| row.created().in_words(row.show.zone())),
        },
        Column { name: "Size", header: "SIZE", value: Cell::Text(|row| short_size(row.image.size)) },
        Column {
            name: "Containers",
            header: "CONTAINERS",
            value: Cell::Text(|row| {
                row.image.containers.map_or(UNKNOWN.to_owned(), |containers| containers.to_string())
            }),
        },
        Column { name: "VirtualSize", header: "SIZE", value: Cell::Text(|row| size::human(row.image.size)) },
        Column {
            name: "SharedSize",
            header: "SHARED SIZE",
            value: Cell::Text(|row| row.image.shared_size.map_or(UNKNOWN.to_owned(), size::human)),
        },
        Column {
            name: "UniqueSize",
            header: "UNIQUE SIZE",
            value: Cell::Text(|row| match row.image.shared_size {
                Some(shared) => size::human(row.image.size.saturating_sub(shared)),
                None => UNKNOWN.to_owned(),
            }),
        },
    ];
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::listing::Listing;
    use jiff::tz::TimeZone;
    use model::ImageId;

    const DIGEST: &str = "sha256:1111111111111111111111111111111111111111111111111111111111111111";

    fn image(names: &[&str]) -> ImageSummary {
        let names = names.iter().map(|name| Reference::parse(name).unwrap());
        let (digests, tags) = names.partition(|name| name.digest().is_some());
        ImageSummary {
            id: ImageId::of(b"{}"),
            parent: None,
            tags,
            digests,
            created: Some(Timestamp::from_unix(1_600_000_000, 999)),
            size: 1_982_334,
            shared_size: None,
            containers: Some(3),
            labels: BTreeMap::new(),
        }
    }

    fn list(format: &str, named: &Named, digests: bool, images: Vec<ImageSummary>) -> String {
        let now = Timestamp::from_unix(1_600_000_090, 0);
        let show = Rc::new(Show { trunc: true, now, zone: TimeZone::UTC.into() });
        let rows = images.into_iter().flat_map(|image| ImageRow::of(image, digests, &show));
        Listing::parse(format, false, named).unwrap().render(rows).unwrap()
    }

    #[test]
    fn a_row_for_each_name() {
        let images = vec![
            image(&["localhost:5000/team/bb:v2", "busybox:2", "busybox:1"]),
            image(&[]),
            image(&[&format!("pulled@{DIGEST}")]),
        ];
        assert_eq!(
            list("", &NAMED, false, images),
            "\
REPOSITORY               TAG       IMAGE ID       CREATED              SIZE
busybox                  1         44136fa355b3   About a minute ago   1.98MB
busybox                  2         44136fa355b3   About a minute ago   1.98MB
localhost:5000/team/bb   v2        44136fa355b3   About a minute ago   1.98MB
<none>                   <none>    44136fa355b3   About a minute ago   1.98MB
pulled                   <none>    44136fa355b3   About a minute ago   1.98MB
"
        );
    }

    #[test]
    fn digests_stand_beside_the_tags_of_their_repository() {
        let images = vec![image(&["a:1", "a:2", &format!("a@{DIGEST}"), &format!("b@{DIGEST}"), "c:1"])];
        assert_eq!(
            list("{{.Repository}} {{.Tag}} {{.Digest}}", &NAMED_WITH_DIGESTS, true, images),
            format!("a 1 {DIGEST}\na 2 {DIGEST}\nc 1 <none>\nb <none> {DIGEST}\n")
        );
    }

    #[test]
    fn json_has_dockers_fields() {
        assert_eq!(
            list("json", &NAMED, false, vec![image(&["busybox:1"])]),
            r#"{"Containers":"3","CreatedAt":"2020-09-13 12:26:40 +0000 UTC","CreatedSince":"About a minute ago","Digest":"\u003cnone\u003e","ID":"44136fa355b3","Repository":"busybox","SharedSize":"N/A","Size":"1.98MB","Tag":"1","UniqueSize":"N/A","VirtualSize":"1.982MB"}
"#
        );
    }

    #[test]
    fn an_image_without_time_was_made_in_1970_and_one_of_the_year_1_never() {
        let mut images = vec![image(&["a:1"]), image(&["b:1"])];
        images[0].created = None;
        images[1].created = Some(Timestamp::ZERO);
        assert_eq!(
            list(r"table {{.CreatedAt}}\t{{.CreatedSince}}", &NAMED, false, images),
            "\
CREATED AT                      CREATED
1970-01-01 00:00:00 +0000 UTC   50 years ago
0001-01-01 00:00:00 +0000 UTC   
"
        );
    }
}
