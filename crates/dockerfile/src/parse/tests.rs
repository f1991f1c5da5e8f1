use super::*;
use crate::instruction::Invocation;
use crate::{Ignore, Warning};
use proptest::prelude::*;

fn file(text: &str) -> Dockerfile {
    parse("Dockerfile", text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn step(line: &str) -> Instruction {
    let file = file(&format!("FROM scratch\n{line}\n"));
    file.stages[0].steps[0].instruction.clone()
}

fn error(text: &str) -> String {
    parse("Dockerfile", text.as_bytes()).expect_err(text).to_string()
}

fn path(text: &str) -> Source {
    Source::Path(text.to_owned())
}

#[test]
fn stages_have_their_steps() {
    let file = file(
        "ARG V=1\nFROM --platform=$P base:$V AS One\nRUN a\n\nfrom one\nCOPY --from=One \\\n  a b\nCMD [\"x\"]\n",
    );
    assert_eq!(file.global_args.len(), 1);
    let [one, two] = file.stages.as_slice() else { panic!("{:?}", file.stages) };
    assert_eq!(
        (one.name.as_deref(), one.base.as_str(), one.platform.as_deref()),
        (Some("one"), "base:$V", Some("$P"))
    );
    assert_eq!((two.name.as_deref(), two.base.as_str(), two.steps.len()), (None, "one", 2));
    assert_eq!(two.steps[0].span, Span { first: 6, last: 7 });
    assert_eq!(two.steps[0].original, "COPY --from=One   a b");
    assert_eq!(two.steps[0].instruction.origins(), ["One"]);
}

#[test]
fn copy_has_all_its_flags() {
    let line =
        "COPY --from=b --chown=1:2 --chmod=u+x --link --parents --exclude=*.o --exclude=\"a b\" x y/ /z";
    let Instruction::Copy(copy) = step(line) else { panic!() };
    assert_eq!(copy.sources, [path("x"), path("y/")]);
    assert_eq!((copy.dest.as_str(), copy.from.as_deref()), ("/z", Some("b")));
    assert_eq!((copy.chown.as_deref(), copy.chmod.as_deref()), (Some("1:2"), Some("u+x")));
    assert!(copy.link && copy.parents);
    assert_eq!(copy.exclude, ["*.o", "a b"]);
    let Instruction::Copy(copy) = step("COPY --link=false [\"a b\", \"c\"]") else { panic!() };
    assert_eq!((copy.sources, copy.dest.as_str(), copy.link), (vec![path("a b")], "c", false));
}

#[test]
fn add_has_all_its_flags() {
    let line = "ADD --checksum=sha256:00 --keep-git-dir=true --unpack=false --link --chown=a --chmod=7 --exclude=x u d";
    let Instruction::Add(add) = step(line) else { panic!() };
    assert_eq!((add.checksum.as_deref(), add.unpack), (Some("sha256:00"), Some(false)));
    assert!(add.keep_git_dir && add.link && add.chown.is_some() && add.chmod.is_some());
    let Instruction::Add(add) = step("ADD a b") else { panic!() };
    assert_eq!((add.unpack, add.keep_git_dir), (None, false));
}

#[test]
fn documents_are_sources() {
    let Instruction::Copy(copy) = step("COPY a <<-\"f.txt\" /\n\tx $y\nf.txt") else { panic!() };
    let [first, Source::Heredoc(document)] = copy.sources.as_slice() else { panic!("{copy:?}") };
    assert_eq!((first, document.name.as_str(), document.expand), (&path("a"), "f.txt", false));
    assert_eq!(document.data(), "x $y\n");
    assert_eq!(
        error("FROM a\nCOPY a <<b\nb\n"),
        "dockerfile parse error on line 2: COPY cannot accept a heredoc as a destination"
    );
}

#[test]
fn a_run_is_carried_out_by_the_kernel_or_a_shell() {
    for (line, expected) in [
        ("RUN [\"a\", \"b c\"]", Invocation::Exec(vec!["a".into(), "b c".into()])),
        ("RUN a 'b c' $x", Invocation::Shell("a 'b c' $x".into())),
        ("RUN [ -e /x ] && [ -d y ]", Invocation::Shell("[ -e /x ] && [ -d y ]".into())),
        ("RUN <<E\na\nb\nE", Invocation::Shell("a\nb\n".into())),
        ("RUN <<-E\n\ta\nE", Invocation::Shell("a\n".into())),
        ("RUN <<E\n#!/bin/x\nE", Invocation::Script { name: "E".into(), content: "#!/bin/x\n".into() }),
        ("RUN cat <<E > f\na\nE", Invocation::Shell("cat <<E > f\na\nE".into())),
        ("RUN <<A cat; <<B cat\n1\nA\n2\nB", Invocation::Shell("<<A cat; <<B cat\n1\nA\n2\nB".into())),
        ("RUN", Invocation::Shell(String::new())),
    ] {
        let Instruction::Run(run) = step(line) else { panic!() };
        assert_eq!(run.invocation(), expected, "{line}");
    }
}

#[test]
fn run_has_all_its_flags() {
    let Instruction::Run(run) = step(
        "RUN --mount=type=bind,from=b,target=/x --mount=target=/y --network=none --security=insecure --device=a --device=b x",
    ) else {
        panic!()
    };
    assert_eq!(run.mounts.iter().map(MountFlag::from).collect::<Vec<_>>(), [Some("b"), None]);
    assert_eq!((run.network.as_deref(), run.security.as_deref()), (Some("none"), Some("insecure")));
    assert_eq!(run.devices, ["a", "b"]);
    assert_eq!(run.command, Command::Shell("x".into()));
}

#[test]
fn a_trigger_is_kept_as_it_is_written() {
    assert_eq!(
        step("ONBUILD   run  cat <<E \\\n  x\n1\nE"),
        Instruction::Onbuild("run  cat <<E   x\n1\nE".to_owned())
    );
    let steps = triggers(&["COPY --from=x . /a".into(), "RUN cat <<E\n1\nE".into()], Span::line(3)).unwrap();
    assert_eq!(steps[0].instruction.origins(), ["x"]);
    assert_eq!(steps[1].span, Span::line(3));
    let two = triggers(&["RUN a\nRUN b".into()], Span::line(1)).unwrap_err();
    assert_eq!(two.0, "onbuild trigger should be a single expression");
}

#[test]
fn the_small_ones() {
    assert_eq!(step("EXPOSE 90 80/udp"), Instruction::Expose(vec!["80/udp".into(), "90".into()]));
    assert_eq!(step("VOLUME [\"/a b\", \"/c\"]"), Instruction::Volume(vec!["/a b".into(), "/c".into()]));
    assert_eq!(
        step("SHELL [\"/bin/bash\", \"-c\"]"),
        Instruction::Shell(vec!["/bin/bash".into(), "-c".into()])
    );
    assert_eq!(step("MAINTAINER a <b@c>"), Instruction::Maintainer("a <b@c>".into()));
    assert_eq!(step("STOPSIGNAL $S"), Instruction::Stopsignal("$S".into()));
    let args = vec![
        Arg { name: "a".into(), default: Some("\"x y\"".into()) },
        Arg { name: "b".into(), default: None },
    ];
    assert_eq!(step("ARG a=\"x y\" b"), Instruction::Arg(args));
    assert_eq!(step("ENV a b  c"), Instruction::Env(vec![("a".into(), "b  c".into())]));
}

#[test]
fn what_is_wrong_is_said_with_its_line() {
    for (text, line, why) in [
        ("FROM a\nRUNN x", 2, "unknown instruction: RUNN (did you mean RUN?)"),
        ("FROM a\nxyzzyplugh", 2, "unknown instruction: xyzzyplugh"),
        ("FROM a AS", 1, "FROM requires either one or three arguments"),
        ("FROM", 1, "FROM requires either one or three arguments"),
        (
            "FROM a AS 1x",
            1,
            "invalid name for build stage: \"1x\", name can't start with a number or contain symbols",
        ),
        ("FROM a\nENV =b", 2, "ENV names can not be blank"),
        (
            "FROM a\nCOPY a",
            2,
            "COPY requires at least two arguments, but only one was provided. Destination could not be determined",
        ),
        ("FROM a\nCOPY --frm=x a b", 2, "unknown flag: --frm (did you mean from?)"),
        ("FROM a\nCOPY --from a b", 2, "missing a value on flag: --from"),
        ("FROM a\nCOPY --link=x a b", 2, "expecting boolean value for flag --link, not: x"),
        ("FROM a\nCOPY --from=a --from=b a b", 2, "duplicate flag specified: --from"),
        ("FROM a\nSHELL a b", 2, "SHELL requires the arguments to be in JSON form"),
        ("FROM a\nSHELL []", 2, "SHELL requires at least one argument"),
        ("FROM a\nRUN --network=x y", 2, "invalid network mode \"x\""),
        ("FROM a\nARG", 2, "ARG requires at least one argument"),
        ("FROM a\nARG =x", 2, "ARG names can not be blank"),
        ("FROM a\nONBUILD FROM x", 2, "FROM isn't allowed as an ONBUILD trigger"),
        ("FROM a\nUSER", 2, "USER requires exactly one argument"),
    ] {
        assert_eq!(error(text), format!("dockerfile parse error on line {line}: {why}"), "{text}");
    }
    for (text, why) in [
        ("\nRUN x", "no build stage in current context"),
        ("FROM a\nENV x", "ENV must have two arguments"),
        ("FROM a\nENV a=b c", "Syntax error - can't find = in \"c\". Must be of the form: name=value"),
        ("FROM a\nCMD [1]", "when using JSON array syntax, arrays must be comprised of strings only"),
    ] {
        assert_eq!(error(text), why, "BuildKit finds it before it parses");
    }
    assert_eq!(error("# only\n"), "file with no instructions");
    assert_eq!(error("ARG a\n"), "dockerfile contains no stages to build");
    let bytes = parse("D", b"FROM a\nRUN \xff\n").unwrap_err();
    assert_eq!(bytes.to_string(), "dockerfile parse error on line 2: the file is not UTF-8 text");
}

#[test]
fn an_error_shows_its_lines() {
    let error = parse("dir/Dockerfile", b"FROM scratch\nRUNN x\n").unwrap_err();
    assert_eq!((error.file.as_str(), error.span), ("dir/Dockerfile", Span::line(2)));
    assert!(error.excerpt.starts_with("dir/Dockerfile:2\n----"), "{}", error.excerpt);
    assert!(error.excerpt.contains("\n   2 | >>> RUNN x\n"), "{}", error.excerpt);
}

fn warnings(text: &str) -> Vec<(&'static str, usize, String)> {
    let told = |warning: Warning| (warning.rule, warning.span.first, warning.message);
    file(text).warnings.into_iter().map(told).collect()
}

#[test]
fn what_is_not_wise_is_said() {
    let text = "FROM a as B\nRUN a \\\n\n b\nrun c\nENV a b\nENV TOKEN=x\nMAINTAINER m\nWORKDIR x\nCMD a\nCMD [\"b\"]\n\
                FROM a AS b\nRUN x\nRUN y\n";
    let found = warnings(text);
    let rules: Vec<(&str, usize)> = found.iter().map(|(rule, line, _)| (*rule, *line)).collect();
    assert_eq!(
        rules,
        [
            ("FromAsCasing", 1),
            ("StageNameCasing", 1),
            ("NoEmptyContinuation", 4),
            ("ConsistentInstructionCasing", 5),
            ("LegacyKeyValueFormat", 6),
            ("SecretsUsedInArgOrEnv", 7),
            ("MaintainerDeprecated", 8),
            ("WorkdirRelativePath", 9),
            ("JSONArgsRecommended", 10),
            ("MultipleInstructionsDisallowed", 10),
            ("DuplicateStageName", 12),
        ]
    );
    assert_eq!(found[0].2, "'as' and 'FROM' keywords' casing do not match");
    assert_eq!(
        warnings("# check=skip=MaintainerDeprecated, StageNameCasing\nFROM a AS B\nMAINTAINER x\n"),
        []
    );
    assert_eq!(warnings("FROM a\nRUN b\nWORKDIR /x\nWORKDIR y\nSHELL [\"x\"]\nCMD y\nARG PUBLIC_KEY\n"), []);
}

#[test]
fn names_that_are_near_are_suggested() {
    assert_eq!(suggestion("ENTRYPONT", &NAMES), " (did you mean ENTRYPOINT?)");
    assert_eq!(suggestion("XX", &NAMES), "");
    assert_eq!((distance("kitten", "sitting"), distance("", "ab"), distance("a", "a")), (3, 2, 0));
}

/// The instructions of a file as `parse-dockerfile` sees them: name and first line.
fn oracle(text: &str) -> Option<Vec<String>> {
    let parsed = parse_dockerfile::parse(text).ok()?;
    let name = |instruction: &parse_dockerfile::Instruction<'_>| {
        let debug = format!("{instruction:?}");
        debug.split('(').next().unwrap_or_default().to_uppercase()
    };
    Some(parsed.instructions.iter().map(name).collect())
}

fn ours(text: &str) -> Option<Vec<String>> {
    let file = parse("d", text.as_bytes()).ok()?;
    let of = |steps: &[Step]| steps.iter().map(|step| step.instruction.name().to_owned()).collect::<Vec<_>>();
    let mut names = of(&file.global_args);
    for stage in &file.stages {
        names.push("FROM".to_owned());
        names.extend(of(&stage.steps));
    }
    Some(names)
}

proptest! {
    #[test]
    fn nothing_panics(text: String, lines in "((FROM|RUN|COPY|ENV|ARG|#|# escape=`|<<E|E)[ -a=\\\\\\[\\]\"<$`{}]{0,12}\r?\n){0,8}") {
        let _ = parse("d", text.as_bytes());
        let _ = parse("d", lines.as_bytes());
        let _ = Ignore::parse(text.as_bytes());
    }

    /// Both find the same instructions. Where one refuses what the other takes, they are not compared: their rules for
    /// arguments differ.
    #[test]
    fn instructions_are_where_another_parser_finds_them(
        lines in prop::collection::vec(prop::sample::select(vec![
            "RUN a", "RUN a \\", "  b", "# c", "", "COPY a b", "ENV a=b \\", "c=d", "CMD [\"a\"]", "RUN <<E", "x", "E",
            "FROM b AS c", "label a=\"b\\", "c\"", "ONBUILD RUN a", "\\",
        ]), 0..12),
    ) {
        let text = format!("FROM a\n{}\n", lines.join("\n"));
        if let (Some(theirs), Some(ours)) = (oracle(&text), ours(&text)) {
            prop_assert_eq!(ours, theirs, "{}", text);
        }
    }
}
