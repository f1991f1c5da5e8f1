//! What the docker client 28.5 printed for the same templates, on documents of the same content.

use super::*;
use serde_json::{Value as Json, json};

fn image() -> Json {
    json!({
        "Id": "sha256:ab12ab12ab12", "Comment": "<a>&\u{2028}é", "Author": "", "Os": "linux", "Size": 4261502,
        "Config": {"Env": ["PATH=/bin"], "Cmd": ["sh"], "Labels": {"k.z": "v", "a": "b"}, "Volumes": null},
        "GraphDriver": {"Data": {"UpperDir": "/var/lib/docker/overlay2/x/diff"}, "Name": "overlay2"},
        "RootFS": {"Type": "layers", "Layers": ["sha256:aa", "sha256:bb"]},
    })
}

fn container() -> Json {
    json!({
        "State": {"Status": "exited", "ExitCode": 0},
        "Mounts": [{"Type": "volume", "Source": "/src", "Destination": "/d"}],
        "NetworkSettings": {"Ports": {
            "80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}],
            "443/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8443"}],
        }},
    })
}

fn run(document: &Json, template: &str) -> Result<String, String> {
    Template::parse(template, Data::Document)
        .and_then(|template| template.run_on(document))
        .map_err(|err| err.to_string())
}

#[track_caller]
fn prints(document: &Json, template: &str, expected: &str) {
    assert_eq!(run(document, template).as_deref(), Ok(expected), "{template}");
}

#[track_caller]
fn fails(template: &str, expected: &str) {
    let expected = format!("template parsing error: template: {expected}");
    assert_eq!(run(&image(), template), Err(expected), "{template}");
}

#[test]
fn fields_of_an_image() {
    prints(&image(), "{{.GraphDriver.Data.UpperDir}}", "/var/lib/docker/overlay2/x/diff");
    prints(&image(), "{{len .RootFS.Layers}}", "2");
    prints(&image(), "{{.RootFS.Layers}}", "[sha256:aa sha256:bb]");
    prints(&image(), "{{.Config.Labels}}", "map[a:b k.z:v]");
    prints(&image(), "{{$x := .Os}}{{$x}}{{$.Id}}", "linuxsha256:ab12ab12ab12");
    prints(&image(), "{{/* c */}}{{- .Os -}} z", "linuxz");
    prints(&image(), "{{range .RootFS.Layers}}{{.}} {{end}}", "sha256:aa sha256:bb ");
    prints(&image(), "{{with .Author}}x{{else}}no{{end}}", "no");
    prints(&image(), "{{if and .Id (eq .Os \"linux\")}}y{{end}}", "y");
    prints(&image(), r"a\tb\n{{.Os}}", r"a\tb\nlinux");
    prints(&image(), "table {{.Os}}", "table linux");
}

#[test]
fn fields_of_a_container() {
    let ports =
        "{{range $p, $conf := .NetworkSettings.Ports}} {{$p}} -> {{(index $conf 0).HostPort}} {{end}}";
    prints(&container(), ports, " 443/tcp -> 8443  80/tcp -> 8080 ");
    prints(&container(), "{{(index .Mounts 0).Source}}", "/src");
    prints(&container(), r#"{{range .Mounts}}{{.Source}}:{{.Destination}}{{"\n"}}{{end}}"#, "/src:/d\n");
    prints(&container(), "{{.State.ExitCode}}", "0");
}

#[test]
fn a_key_that_a_map_does_not_have_is_nothing() {
    prints(&image(), "{{.Config.Labels.a}}", "b");
    prints(&image(), "{{.Config.Labels.no}}|", "<no value>|");
    prints(&image(), "{{if .Config.Labels.no}}x{{else}}none{{end}}", "none");
    prints(&image(), "{{.GraphDriver.Data.MergedDir}}{{.Config.Labels.no.deep}}", "<no value><no value>");
    fails("{{member .Config.Labels \"a\"}}", ":1: function \"member\" not defined");
    fails("{{.Nope.Labels.a}}", r#":1:7: executing "" at <.Nope.Labels.a>: map has no entry for key "Nope""#);
}

#[test]
fn json_keeps_the_order_of_the_document() {
    prints(&image(), "{{json .RootFS.Layers}}", r#"["sha256:aa","sha256:bb"]"#);
    prints(&image(), "{{json .RootFS}}", r#"{"Type":"layers","Layers":["sha256:aa","sha256:bb"]}"#);
    prints(
        &container(),
        "{{range .Mounts}}{{json .}}{{end}}",
        r#"{"Type":"volume","Source":"/src","Destination":"/d"}"#,
    );
    prints(&image(), "{{json .Comment}}", r#""<a>&\u2028é""#);
    prints(&image(), "{{json .Config.Volumes}}", "null");
    prints(&image(), "{{json .Size}}", "4261502");
}

#[test]
fn functions_of_docker_and_of_go() {
    prints(&image(), r#"{{index .Config.Labels "k.z"}}"#, "v");
    prints(&image(), r#"{{index .Config.Labels "no"}}|"#, "|");
    prints(&image(), r#"{{join .RootFS.Layers ","}}"#, "sha256:aa,sha256:bb");
    prints(&image(), r#"{{.Os | upper | printf "%s-%s" "a"}}"#, "a-LINUX");
    prints(&image(), r#"{{split .Os "n"}} {{slice .Id 7 12}}"#, "[li ux] ab12a");
    prints(&image(), r#"{{title "ab cd"}} {{title "a.b:c/d_e"}}"#, "Ab Cd A.B:C/D_e");
    prints(&image(), r#"{{not .Os}} {{or .Author "x"}} {{html "<"}} {{urlquery "a b"}}"#, "false x &lt; a+b");
    prints(&image(), r#"{{print 1 2 "a"}} {{lt 1 2}} {{js "<"}}"#, r"1 2a true \u003C");
    prints(
        &image(),
        r#"{{pad .Os 1 2}}|{{pad "" 1 2}}|{{truncate .Os 3}}|{{truncate .Os 9}}"#,
        " linux  ||lin|linux",
    );
    prints(&image(), r#"{{printf "%-7s|%q" .Os .Os}}{{println .Os}}"#, "linux  |\"linux\"linux\n");
    prints(&image(), r#"{{lower "AbÉ"}}{{split "ab" ""}}"#, "abé[a b]");
}

#[test]
fn missing_fields_are_named_with_their_place() {
    fails("{{.Nope}}", r#":1:2: executing "" at <.Nope>: map has no entry for key "Nope""#);
    fails("{{.Config.Nope}}", r#":1:9: executing "" at <.Config.Nope>: map has no entry for key "Nope""#);
    fails(
        "{{.Config.Nope.Deep}}",
        r#":1:9: executing "" at <.Config.Nope.Deep>: map has no entry for key "Nope""#,
    );
    fails(
        "{{.Id.Nope}}",
        r#":1:5: executing "" at <.Id.Nope>: can't evaluate field Nope in type interface {}"#,
    );
    fails(
        "{{.RootFS.Layers.Nope}}",
        r#":1:9: executing "" at <.RootFS.Layers.Nope>: can't evaluate field Nope in type interface {}"#,
    );
    fails(
        "{{range .RootFS.Layers}}{{.X}} {{end}}",
        r#":1:26: executing "" at <.X>: can't evaluate field X in type interface {}"#,
    );
    fails("{{if .Nope}}x{{end}}", r#":1:5: executing "" at <.Nope>: map has no entry for key "Nope""#);
    fails("{{json .Nope}}", r#":1:7: executing "" at <.Nope>: map has no entry for key "Nope""#);
    fails("x\ny{{.Nope}}", r#":2:3: executing "" at <.Nope>: map has no entry for key "Nope""#);
    fails(
        "{{$x := .Os}}{{$x.Y}}",
        r#":1:17: executing "" at <$x.Y>: can't evaluate field Y in type interface {}"#,
    );
}

#[test]
fn bad_arguments_are_named_with_their_place() {
    fails(
        "{{index .RootFS.Layers 9}}",
        r#":1:2: executing "" at <index .RootFS.Layers 9>: error calling index: index out of range: 9"#,
    );
    fails("{{pad .Os}}", r#":1:2: executing "" at <pad>: wrong number of args for pad: want 3 got 1"#);
    fails(
        "{{printf}}",
        r#":1:2: executing "" at <printf>: wrong number of args for printf: want at least 1 got 0"#,
    );
    fails(
        "{{join .Os \",\"}}",
        r#":1:7: executing "" at <.Os>: wrong type for value; expected []string; got string"#,
    );
    fails(
        "{{upper .Size}}",
        r#":1:8: executing "" at <.Size>: wrong type for value; expected string; got int"#,
    );
    fails(
        "{{pad .Os -1 2}}",
        r#":1:2: executing "" at <pad .Os -1 2>: error calling pad: negative count -1"#,
    );
    fails("{{len 3}}", r#":1:2: executing "" at <len 3>: error calling len: cannot take length of 3"#);
    fails("{{range .Os}}{{end}}", r#":1:8: executing "" at <.Os>: range can't iterate over string"#);
}

#[test]
fn syntax_errors() {
    fails("{{.Id", ":1: unclosed action");
    fails("{{nope .Id}}", ":1: function \"nope\" not defined");
    fails("{{.Id | nope}}", ":1: function \"nope\" not defined");
    fails("{{(nope .Id).X}}", ":1: function \"nope\" not defined");
    fails("{{end}}", ":1: unexpected {{end}}");
    fails("{{if .Id}}", ":1: unexpected EOF");
    fails("{{if .Id}}x{{end}}{{end}}y", ":1: unexpected {{end}}");
    fails("{{range .Id}}{{if .Id}}{{end}}", ":1: unexpected EOF");
    fails("{{define \"a\"}}x", ":1: unexpected EOF");
    fails("{{}}", ":1: missing value for command");
    fails("{{.ID}", ":1: bad character U+007D '}'");
    fails("{{.A-b}}", ":1: bad character U+002D '-'");
    fails("{{\"abc}}", ":1: unterminated quoted string");
}

#[test]
fn defined_templates_are_run() {
    prints(&image(), r#"{{define "os"}}<{{upper .Os}}>{{end}}{{template "os" .}}"#, "<LINUX>");
    prints(&image(), r#"{{block "os" .}}{{.Os}}{{end}}"#, "linux");
}

#[test]
fn fields_that_a_template_reads() {
    let fields =
        |template| Template::parse(template, Data::Row("row")).ok().and_then(|parsed| parsed.fields());
    let names: Vec<String> =
        fields("{{.ID}} {{upper (lower .Tag)}} {{$.Size}} x").into_iter().flatten().collect();
    assert_eq!(names, ["ID", "Size", "Tag"]);
    assert_eq!(fields("{{json .}}"), None);
    assert_eq!(fields("{{json $}}"), None);
}

proptest::proptest! {
    /// Whatever people type after `--format`, the worst is an error.
    #[test]
    fn no_template_panics(template in r#"([{]{2}-? ?|-? ?[}]{2}|[.$|()":=]|end|if |range |with |define |else|[.]Config|[.]RootFS[.]Layers|index |json |pad |truncate |len |[0-9-]|[a-zé \n\\"]){0,14}"#) {
        let _ = run(&image(), &template);
        let _ = Template::parse(&template, Data::Header).and_then(|template| template.run(&Value::Nil));
    }
}
