use super::*;
use crate::parse;

fn given(arguments: &[(&str, &str)]) -> Given {
    Given {
        arguments: arguments.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect(),
        target: Platform::new("linux", "arm64", Some("v8")),
        build: Platform::new("linux", "amd64", None),
        stage: String::new(),
    }
}

/// Does the `ARG`s and `ENV`s of the first stage, whose base has `BASE=b`; gives the history.
fn walk(text: &str, arguments: &[(&str, &str)]) -> (Scope, Vec<String>) {
    let file = parse("d", text.as_bytes()).unwrap();
    let globals = Globals::new(&file, &given(arguments)).unwrap();
    let mut scope = globals.stage(&["BASE=b".to_owned()]);
    let mut image = crate::configure::Image::default();
    let mut history = Vec::new();
    for step in &file.stages[0].steps {
        if let crate::configure::Effect::Metadata(text) = image.apply(&step.instruction, &mut scope).unwrap()
        {
            history.push(text);
        }
    }
    (scope, history)
}

#[test]
fn from_lines_see_globals() {
    let file = parse("d", b"ARG A=1\nARG B=${A}x C\nFROM a").unwrap();
    let globals = Globals::new(&file, &given(&[("C", "c"), ("D", "d")])).unwrap();
    assert_eq!(
        globals.expand("$A-$B-$C-$D-$TARGETPLATFORM-$BUILDARCH").unwrap(),
        "1-1x-c--linux/arm64/v8-amd64"
    );
    let over = Globals::new(&file, &given(&[("A", "2")])).unwrap();
    assert_eq!(over.expand("$B").unwrap(), "2x");
}

#[test]
fn a_stage_sees_globals_only_if_it_says_so() {
    let text = "ARG G=g\nARG H=h\nFROM a\nARG G\nARG H=own\nARG NONE\nARG TARGETARCH\n";
    let (scope, history) = walk(text, &[]);
    assert_eq!(scope.expand("$BASE$G$H$NONE$TARGETARCH$TARGETOS").unwrap(), "bgownarm64");
    assert_eq!(history, ["ARG G=g", "ARG H=own", "ARG NONE", "ARG TARGETARCH=arm64"]);
}

#[test]
fn what_is_given_goes_before_defaults() {
    let (scope, history) = walk("FROM a\nARG A=1 B=$A\nENV C=$B\n", &[("A", "2"), ("X", "x")]);
    assert_eq!((scope.get("B"), scope.get("C"), scope.get("X")), (Some("2"), Some("2"), None));
    assert_eq!(history[0], "ARG A=2 B=2");
}

#[test]
fn a_run_depends_on_arguments_with_their_values_of_now() {
    let (scope, _) = walk("FROM a\nARG A=1\nENV A=2\nARG B\nENV A=3\n", &[]);
    assert_eq!(scope.arguments(), [("A".to_owned(), "3".to_owned()), ("B".to_owned(), String::new())]);
    let names: Vec<&str> = scope.environment().iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["BASE", "A"]);
}

#[test]
fn proxies_need_no_arg() {
    let given = given(&[("HTTP_PROXY", "p"), ("X", "x")]);
    assert_eq!(given.proxies(), [("HTTP_PROXY".to_owned(), "p".to_owned())]);
}

#[test]
fn steps_are_shown_with_their_variables() {
    let text = "FROM a\nENV V=v\nrun echo \"$V\" $PWD\ncopy \"a\" /$V\nRUN <<E\n\na\nb\nE\n";
    let file = parse("d", text.as_bytes()).unwrap();
    let (scope, _) = walk("FROM a\nENV V=v", &[]);
    let shown: Vec<String> = file.stages[0].steps[1..].iter().map(|step| scope.shown(step)).collect();
    assert_eq!(shown, ["RUN echo \"v\" $PWD", "COPY a /v", "RUN <<E (a...)"]);
}

#[test]
fn a_default_that_cannot_be_expanded_is_shown_with_its_line() {
    let file = parse("d", b"ARG A=${B:?unset}\nFROM a").unwrap();
    let error = Globals::new(&file, &Given::default()).unwrap_err();
    assert_eq!(
        (error.span.first, error.to_string().as_str()),
        (1, "failed to process \"${B:?unset}\": B: unset")
    );
}

#[test]
fn a_stage_above_keeps_arguments_unless_the_image_says_otherwise() {
    let (below, _) = walk("FROM a\nARG A=1 B=2\nENV A=env\nARG A=3\n", &[]);
    assert_eq!(below.expand("$A$B").unwrap(), "32");
    let above = below.for_stage_above(&["BASE=b".to_owned(), "A=env".to_owned()]);
    assert_eq!(above.expand("$A$B$BASE").unwrap(), "env2b");
}
