//! What the docker client 28.5 printed for the same rows and formats.

use super::*;

struct Image {
    repository: &'static str,
    tag: &'static str,
    id: &'static str,
    size: &'static str,
    platform: Option<&'static str>,
}

impl Row for Image {
    const TYPE: &'static str = "*formatter.imageContext";
    const COLUMNS: &'static [Column<Self>] = &[
        Column {
            name: "Repository",
            header: "REPOSITORY",
            value: Cell::Text(|image| image.repository.into()),
        },
        Column { name: "Tag", header: "TAG", value: Cell::Text(|image| image.tag.into()) },
        Column { name: "ID", header: "IMAGE ID", value: Cell::Text(|image| image.id.into()) },
        Column { name: "Size", header: "SIZE", value: Cell::Text(|image| image.size.into()) },
        Column {
            name: "Platform",
            header: "PLATFORM",
            value: Cell::Optional(|image| image.platform.map(String::from)),
        },
        Column {
            name: "Label",
            header: "",
            value: Cell::Labels(|_| BTreeMap::from([("x".to_owned(), "1".to_owned())])),
        },
    ];
}

const NAMED: Named = Named {
    table: r"{{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.Size}}",
    quiet: "{{.ID}}",
    raw: r"repository: {{.Repository}}\nimage_id: {{.ID}}\n",
    raw_quiet: "image_id: {{.ID}}",
};

fn images() -> [Image; 3] {
    let image = |repository, tag, id, size| Image { repository, tag, id, size, platform: None };
    [
        image("busybox", "latest", "ab12ab12ab12", "4.26MB"),
        image("<none>", "<none>", "cd34cd34cd34", "123B"),
        image("registry.example.com:5000/a/very/long/name/indeed", "v1.0.0", "ef56ef56ef56", "1.23GB"),
    ]
}

fn list(format: &str, quiet: bool) -> Result<String, String> {
    Listing::parse(format, quiet, &NAMED)
        .map_err(Failure::from)
        .and_then(|listing| listing.render(images()))
        .map_err(|failure| failure.message)
}

#[track_caller]
fn prints(format: &str, expected: &[&str]) {
    let expected: String = expected.iter().flat_map(|line| [*line, "\n"]).collect();
    assert_eq!(list(format, false), Ok(expected), "{format}");
}

#[test]
fn default_table() {
    let lines = [
        "REPOSITORY                                          TAG       IMAGE ID       SIZE",
        "busybox                                             latest    ab12ab12ab12   4.26MB",
        "<none>                                              <none>    cd34cd34cd34   123B",
        "registry.example.com:5000/a/very/long/name/indeed   v1.0.0    ef56ef56ef56   1.23GB",
    ];
    prints("", &lines);
    prints("table", &lines);
}

#[test]
fn table_of_a_template() {
    prints(
        r"table {{.ID}}\t{{.Repository}}\t{{.Tag}}",
        &[
            "IMAGE ID       REPOSITORY                                          TAG",
            "ab12ab12ab12   busybox                                             latest",
            "cd34cd34cd34   <none>                                              <none>",
            "ef56ef56ef56   registry.example.com:5000/a/very/long/name/indeed   v1.0.0",
        ],
    );
    for format in ["table{{.ID}}", "table  {{.ID}}"] {
        prints(format, &["IMAGE ID", "ab12ab12ab12", "cd34cd34cd34", "ef56ef56ef56"]);
    }
    prints(
        r"table {{if .ID}}x{{end}}\t{{truncate .Repository 3}}\t{{pad .Tag 1 2}}|",
        &[
            "x         REPOSITORY    TAG  |",
            "x         bus           latest  |",
            "x         <no           <none>  |",
            "x         reg           v1.0.0  |",
        ],
    );
    prints(
        r#"table {{json .ID}}\t{{split .Tag "e"}}\t{{join (split .Tag "e") "-"}}\t{{.Tag | upper}}"#,
        &[
            "           TAG        TAG       TAG".replacen("           ", "                 ", 1).as_str(),
            "\"ab12ab12ab12\"   [lat st]   lat-st    LATEST",
            "\"cd34cd34cd34\"   [<non >]   <non->    <NONE>",
            "\"ef56ef56ef56\"   [v1.0.0]   v1.0.0    V1.0.0",
        ],
    );
}

#[test]
fn templates() {
    prints(
        "{{.ID}}: {{.Repository}}",
        &[
            "ab12ab12ab12: busybox",
            "cd34cd34cd34: <none>",
            "ef56ef56ef56: registry.example.com:5000/a/very/long/name/indeed",
        ],
    );
    prints(r"   {{.Tag}}\tx\n-  ", &["latest\tx", "-", "<none>\tx", "-", "v1.0.0\tx", "-"]);
    prints("pretty", &["pretty", "pretty", "pretty"]);
    prints("{{json .Tag}}", &["\"latest\"", "\"<none>\"", "\"v1.0.0\""]);
}

#[test]
fn json_is_an_object_a_line_sorted_and_html_escaped() {
    let lines = [
        r#"{"ID":"ab12ab12ab12","Platform":null,"Repository":"busybox","Size":"4.26MB","Tag":"latest"}"#,
        r#"{"ID":"cd34cd34cd34","Platform":null,"Repository":"\u003cnone\u003e","Size":"123B","Tag":"\u003cnone\u003e"}"#,
        r#"{"ID":"ef56ef56ef56","Platform":null,"Repository":"registry.example.com:5000/a/very/long/name/indeed","Size":"1.23GB","Tag":"v1.0.0"}"#,
    ];
    prints("json", &lines);
    prints("{{json .}}", &lines);
    assert_eq!(list("json", true), list("json", false));
}

#[test]
fn quiet_and_raw() {
    let ids = "ab12ab12ab12\ncd34cd34cd34\nef56ef56ef56\n".to_owned();
    assert_eq!(list("", true), Ok(ids.clone()));
    assert_eq!(list("table", true), Ok(ids));
    assert_eq!(list("{{.Tag}}", true), list("{{.Tag}}", false));
    assert!(
        list("raw", false)
            .is_ok_and(|text| text.starts_with("repository: busybox\nimage_id: ab12ab12ab12\n\n"))
    );
    assert!(list("raw", true).is_ok_and(|text| text.starts_with("image_id: ab12ab12ab12\nimage_id: cd34")));
}

#[test]
fn fields_with_an_argument() {
    prints(
        r#"table {{.ID}}\t{{.Label "x"}}\t{{.Label "com.docker.a-b_c"}}"#,
        &[
            "IMAGE ID       x         a b c",
            "ab12ab12ab12   1         ",
            "cd34cd34cd34   1         ",
            "ef56ef56ef56   1         ",
        ],
    );
}

#[test]
fn an_absent_value_prints_as_go_prints_nil() {
    prints("{{.Platform}}", &["<nil>", "<nil>", "<nil>"]);
}

#[test]
fn an_unknown_field_fails() {
    let unknown = |place: &str, at: &str| {
        Err(format!(
            "template parsing error: template: :1:{place}: executing \"\" at <{at}>: can't evaluate field Nope in type *formatter.imageContext"
        ))
    };
    assert_eq!(list("{{.Nope}}", false), unknown("2", ".Nope"));
    assert_eq!(list(r"table {{.ID}}\t{{.Nope}}", false), unknown("10", ".Nope"));
    assert_eq!(
        list("{{.ID.Foo}}", false),
        Err("template parsing error: template: :1:5: executing \"\" at <.ID.Foo>: can't evaluate field Foo in type string".into())
    );
}

#[test]
fn an_unknown_field_hints_at_the_known_ones() {
    let listing: Listing<Image> = Listing::parse("{{.Nope}}", false, &NAMED).unwrap();
    let failure = listing.render(images()).unwrap_err();
    assert_eq!(failure.hint.as_deref(), Some("the fields are Repository, Tag, ID, Size, Platform, Label"));
    let listing: Listing<Image> = Listing::parse("{{upper 1}}", false, &NAMED).unwrap();
    assert_eq!(listing.render(images()).unwrap_err().hint, None);
}

#[test]
fn wrong_arguments_of_fields() {
    let failed =
        |rest: &str| Err(format!("template parsing error: template: :1:2: executing \"\" at {rest}"));
    assert_eq!(
        list(r#"{{.Label "x" "y"}}"#, false),
        failed("<.Label>: wrong number of args for Label: want 1 got 2")
    );
    assert_eq!(list(r#"{{.ID "x"}}"#, false), failed("<.ID>: has arguments but takes none"));
}

#[test]
fn only_the_columns_in_use_are_computed() {
    struct Dear;
    impl Row for Dear {
        const TYPE: &'static str = "dear";
        const COLUMNS: &'static [Column<Self>] = &[
            Column { name: "Cheap", header: "CHEAP", value: Cell::Text(|_| "c".into()) },
            Column { name: "Dear", header: "DEAR", value: Cell::Text(|_| panic!("computed")) },
        ];
    }
    let listing = Listing::parse("table {{.Cheap}}", false, &NAMED).unwrap();
    assert!(listing.uses("Cheap") && !listing.uses("Dear"));
    assert_eq!(listing.render([Dear]), Ok("CHEAP\nc\n".into()));
}

#[test]
fn no_rows_leave_the_header() {
    let listing: Listing<Image> = Listing::parse("", false, &NAMED).unwrap();
    assert_eq!(listing.render([]), Ok("REPOSITORY   TAG       IMAGE ID   SIZE\n".into()));
    let listing: Listing<Image> = Listing::parse("json", false, &NAMED).unwrap();
    assert_eq!(listing.render([]), Ok(String::new()));
}
