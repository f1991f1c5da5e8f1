use super::*;
use crate::parse;
use crate::scope::Given;

fn plan_of(text: &str, target: Option<&str>) -> Result<Vec<(usize, Vec<usize>)>, Error> {
    let file = parse("d", text.as_bytes()).unwrap();
    let globals = Globals::new(&file, &Given::default()).unwrap();
    let plan = plan(&file, &globals, target)?;
    Ok(plan.stages.into_iter().map(|stage| (stage.index, stage.needs)).collect())
}

const FIVE: &str = "FROM a AS one\nFROM b AS two\nCOPY --from=one x y\nFROM scratch AS three\nFROM two AS four\n\
                    RUN --mount=from=one,target=/x --mount=from=img,target=/y z\nFROM one\nCOPY --from=3 a b\n";

#[test]
fn only_what_is_needed_is_planned() {
    assert_eq!(
        plan_of(FIVE, None).unwrap(),
        [(0, vec![]), (1, vec![0]), (3, vec![0, 1]), (4, vec![0, 3])],
        "three is needed by nobody"
    );
    assert_eq!(plan_of(FIVE, Some("TWO")).unwrap(), [(0, vec![]), (1, vec![0])]);
    assert_eq!(plan_of(FIVE, Some("2")).unwrap(), [(2, vec![])]);
}

#[test]
fn bases_are_stages_before_they_are_images() {
    let text =
        "ARG V=3\nFROM alpine:$V AS base\nFROM base\nFROM --platform=linux/arm64 busybox\nFROM scratch\n";
    let file = parse("d", text.as_bytes()).unwrap();
    let globals = Globals::new(&file, &Given::default()).unwrap();
    let base = |name| plan(&file, &globals, Some(name)).unwrap().stages.pop().unwrap();
    assert_eq!(base("0").base, Base::Image(Reference::parse("alpine:3").unwrap()));
    assert_eq!(base("1").base, Base::Stage(0));
    assert_eq!(base("2").platform, Some(Platform::parse("linux/arm64").unwrap()));
    assert_eq!(base("2").base, Base::Image(Reference::parse("busybox:latest").unwrap()));
    assert_eq!(base("3").base, Base::Scratch);
}

#[test]
fn what_cannot_be_planned_is_shown_with_its_line() {
    for (text, target, line, why) in [
        ("FROM a", Some("x"), 1, "target stage \"x\" could not be found"),
        ("FROM $none", None, 1, "base name ($none) should not be blank"),
        ("FROM a\nCOPY --from=0 x y", None, 2, "invalid stage index 0"),
        ("FROM a AS b\nCOPY --from=b x y", None, 2, "circular dependency detected on stage: b"),
        (
            "FROM Up",
            None,
            1,
            "failed to parse stage name \"Up\": invalid reference format: repository name (library/Up) must be lowercase",
        ),
    ] {
        let error = plan_of(text, target).expect_err(text);
        assert_eq!((error.span.first, error.to_string().as_str()), (line, why), "{text}");
    }
}

#[test]
fn a_name_of_a_later_stage_is_an_image() {
    let file = parse("d", b"FROM a\nCOPY --from=later x y\nFROM b AS later").unwrap();
    let step = &file.stages[0].steps[0];
    assert_eq!(
        file.origin(0, step, "later").unwrap(),
        Origin::Image(Reference::parse("later:latest").unwrap())
    );
}
