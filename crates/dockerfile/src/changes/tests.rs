//! Every case here was put to Docker 28.5 (`import --change`), and what it said is what is expected.

use super::*;
use proptest::prelude::*;

fn apply_to(mut config: ContainerConfig, changes: &[&str]) -> Result<ContainerConfig, Error> {
    apply(&mut config, changes).map(|()| config)
}

fn from_nothing(changes: &[&str]) -> ContainerConfig {
    apply_to(ContainerConfig::default(), changes).unwrap_or_else(|error| panic!("{changes:?}: {error}"))
}

fn env(changes: &[&str]) -> Vec<String> {
    from_nothing(changes).env.unwrap()
}

fn words(text: &[&str]) -> Option<Vec<String>> {
    Some(text.iter().map(|word| word.to_string()).collect())
}

#[test]
fn commands() {
    for (change, cmd) in [
        ("CMD echo  hi  \"x y\"", words(&["/bin/sh", "-c", "echo  hi  \"x y\""])),
        ("cmd [\"a\", \"b\"]", words(&["a", "b"])),
        ("CMD  [\"a\"]  ", words(&["a"])),
        (r#"CMD ["a\u00fc"]"#, words(&["aü"])),
        ("CMD []", words(&[])),
        ("CMD", words(&["/bin/sh", "-c"])),
        ("CMD ['a']", words(&["/bin/sh", "-c", "['a']"])),
        ("CMD [\"a\"", words(&["/bin/sh", "-c", "[\"a\""])),
        ("CMD []x", words(&["/bin/sh", "-c", "[]x"])),
        ("CMD -- x", words(&["/bin/sh", "-c", "x"])),
        ("CMD echo $HOME", words(&["/bin/sh", "-c", "echo $HOME"])),
        ("CMD a \\\n   b", words(&["/bin/sh", "-c", "a    b"])),
    ] {
        assert_eq!(from_nothing(&[change]).cmd, cmd, "{change}");
    }
    let powershell = ContainerConfig { shell: vec!["pwsh".into()], args_escaped: true, ..Default::default() };
    let changed = apply_to(powershell, &["CMD ls"]).unwrap();
    assert_eq!((changed.cmd, changed.args_escaped), (words(&["pwsh", "ls"]), false));
}

#[test]
fn an_entry_point_drops_the_command_that_stood_there_before() {
    let old = ContainerConfig { cmd: words(&["old"]), ..Default::default() };
    let changed = apply_to(old.clone(), &["ENTRYPOINT [\"e\"]"]).unwrap();
    assert_eq!((changed.entrypoint, changed.cmd), (words(&["e"]), None));
    for order in [["CMD [\"c\"]", "ENTRYPOINT [\"e\"]"], ["ENTRYPOINT [\"e\"]", "CMD [\"c\"]"]] {
        let changed = apply_to(old.clone(), &order).unwrap();
        assert_eq!((changed.entrypoint, changed.cmd), (words(&["e"]), words(&["c"])));
    }
    assert_eq!(from_nothing(&["ENTRYPOINT top -b"]).entrypoint, words(&["/bin/sh", "-c", "top -b"]));
    assert_eq!(from_nothing(&["ENTRYPOINT []"]).entrypoint, None);
    assert_eq!(from_nothing(&["ENTRYPOINT"]).entrypoint, None);
}

#[test]
fn environment() {
    for (change, expected) in [
        ("ENV a b c  d", vec!["a=b c  d"]),
        ("ENV a \"b c\"", vec!["a=b c"]),
        ("ENV a b\\ c $x", vec!["a=b c "]),
        ("ENV a\tb", vec!["a=b"]),
        ("ENV a=b c=\"d e\" f=g\\ h i='$x'", vec!["a=b", "c=d e", "f=g h", "i=$x"]),
        ("ENV A=1 A=2", vec!["A=2"]),
        ("ENV a==", vec!["a=="]),
        ("ENV a=\"b\"c'd'", vec!["a=bcd"]),
        ("ENV 'a'=c \"b c\"=d", vec!["a=c", "b c=d"]),
        ("ENV a=$ b=\\$x c=\\\\ d=\"\\$x \\n \\\" \"", vec!["a=$", "b=$x", "c=\\", "d=$x \\n \" "]),
        ("ENV a=x\\ny", vec!["a=xny"]),
        ("ENV b='x\\ny'", vec!["b=x\\ny"]),
        ("ENV a=1 \\ b=2", vec!["a=1", " b=2"]),
        ("ENV a=x\\", vec!["a=x"]),
        ("ENV -- a=b", vec!["a=b"]),
        ("ENV -a=b", vec!["-a=b"]),
        ("  ENV   x=y  ", vec!["x=y"]),
        ("ENV a=1\nENV b=2\n", vec!["a=1", "b=2"]),
        ("ENV a=1\r\nENV b=2\r", vec!["a=1", "b=2"]),
        ("ENV a=1 \\\n# comment\n\n b=2", vec!["a=1", "b=2"]),
        ("ENV a=1 \\  \n b=2", vec!["a=1", "b=2"]),
        ("ENV a=1 \\", vec!["a=1"]),
        ("# c\nENV a=1\n  # d", vec!["a=1"]),
        ("ENV a=$1 b=$12 c=$@ d=$-", vec!["a=", "b=", "c=", "d="]),
        ("ENV a=$$ b=$?x c=$.", vec!["a=", "b=x", "c=$."]),
        ("ENV a=$é b=$x_y-z c=${-}", vec!["a=", "b=-z", "c="]),
    ] {
        assert_eq!(env(&[change]), expected, "{change}");
    }
}

#[test]
fn variables() {
    assert_eq!(env(&["ENV A=1 A=2", "ENV B=$A-${A}-${C:-d}-${A:+y}-${C}x"]), ["A=2", "B=2-2-d-y-x"]);
    assert_eq!(
        env(&["ENV abc=hello", "ENV abc=bye def=$abc", "ENV ghi=$abc"]),
        ["abc=bye", "def=hello", "ghi=bye"]
    );
    assert_eq!(env(&["ENV x=", "ENV a=${x-d}${x:-e}${x?}"]), ["x=", "a=e"]);
    assert_eq!(env(&["ENV x=", "ENV a=${x+set}${x:+no}"]), ["x=", "a=set"]);
    assert_eq!(env(&["ENV a=${x:-${y:-z}} b=${x:-\"q r\"} c=\"${x:-q r}\""]), ["a=z", "b=q r", "c=q r"]);
    assert_eq!(env(&["ENV a=${x:-'q'} b=${x:-a\\}b}"]), ["a=q", "b=a}b"]);
    let changed =
        from_nothing(&["ENV x=5", "LABEL k$x=v$x", "USER u$x", "WORKDIR /w$x", "VOLUME /v$x [\"b\"]"]);
    assert_eq!(changed.labels.unwrap()["k5"], "v5");
    assert_eq!((changed.user.as_str(), changed.working_dir.as_str()), ("u5", "/w5"));
    assert_eq!(changed.volumes.unwrap().into_keys().collect::<Vec<_>>(), ["/v5", "[b]"]);
}

#[test]
fn substitutions() {
    for (value, word, expected) in [
        ("abcabc", "${p#a*b}", "cabc"),
        ("abcabc", "${p##a*b}", "c"),
        ("abcabc", "${p%c*}", "abcab"),
        ("abcabc", "${p%%b*}", "a"),
        ("abcabc", "${p/b/X}", "aXcabc"),
        ("abcabc", "${p//b/X}", "aXcaXc"),
        ("abcabc", "${p//b/}", "acac"),
        ("abcabc", "${p/b/\"q\"}", "aqcabc"),
        ("abcabc", "${p/b/$p}", "aabcabccabc"),
        ("abcabc", "${p#?}", "bcabc"),
        ("abcabc", "${p//[ab]/x}", "abcabc"),
        ("abcabc", "${p%%%c}", "abcabc"),
        ("abcabc", "${p//*/Z}", "Z"),
        ("abcabc", "${p#}", "abcabc"),
        ("a.b/c/d", "${p##*/}", "d"),
        ("a.b/c/d", "${p%/*}", "a.b/c"),
        ("a.b/c/d", "${p#*.}", "b/c/d"),
        ("a.b/c/d", "${p/\\//_}", "a.b_c/d"),
        ("a.b/c/d", "${p//\\//_}", "a.b_c_d"),
        ("a.b/c/d", "${p/a*c/X}", "X/d"),
        ("a*b", "${p#a\\*}", "b"),
        ("a*b", "${p%\\*b}", "a"),
    ] {
        let changes = [format!("ENV p={value}"), format!("ENV q={word}")];
        let mut config = ContainerConfig::default();
        apply(&mut config, &changes).unwrap();
        assert_eq!(config.env.unwrap()[1], format!("q={expected}"), "{word}");
    }
}

#[test]
fn ports() {
    for (change, expected) in [
        ("EXPOSE 80 443/tcp 53/UDP 80/tcp", vec!["443/tcp", "53/udp", "80/tcp"]),
        ("EXPOSE 8000-8002/udp", vec!["8000/udp", "8001/udp", "8002/udp"]),
        ("EXPOSE 8080:80", vec!["80/tcp"]),
        ("EXPOSE 127.0.0.1:80:81", vec!["81/tcp"]),
        ("EXPOSE [::1]:80:81", vec!["81/tcp"]),
        ("EXPOSE 127.0.0.1::81", vec!["81/tcp"]),
        ("EXPOSE 80-81:90-91", vec!["90/tcp", "91/tcp"]),
        ("EXPOSE 80-82:90", vec!["90/tcp"]),
        ("EXPOSE 80/sctp", vec!["80/sctp"]),
        ("EXPOSE 0 80/ 080", vec!["0/tcp", "80/tcp"]),
        ("EXPOSE :80", vec!["80/tcp"]),
        ("EXPOSE \"\"", vec![]),
        ("ENV P=\"80 81/udp\"\nEXPOSE $P", vec!["80/tcp", "81/udp"]),
    ] {
        let ports: Vec<_> = from_nothing(&[change]).exposed_ports.into_keys().collect();
        assert_eq!(ports, expected, "{change}");
    }
}

#[test]
fn healthchecks() {
    let check = |change: &str| from_nothing(&[change]).healthcheck.unwrap();
    let test = |change: &str| check(change).test.join("|");
    assert_eq!(test("HEALTHCHECK none"), "NONE");
    assert_eq!(test("HEALTHCHECK --interval=1s NONE"), "NONE");
    assert_eq!(test("HEALTHCHECK CMD echo a"), "CMD-SHELL|echo a");
    assert_eq!(test("HEALTHCHECK --interval=1s -- cmd x"), "CMD-SHELL|x");
    let full = "HEALTHCHECK --interval=5s --timeout=1m30s --start-period=2s --start-interval=1s --retries=3 CMD [\"a\",\"b\"]";
    assert_eq!(
        check(full),
        model::config::Healthcheck {
            test: words(&["CMD", "a", "b"]).unwrap(),
            interval: 5_000_000_000,
            timeout: 90_000_000_000,
            start_period: 2_000_000_000,
            start_interval: 1_000_000_000,
            retries: 3,
        }
    );
    for (text, nanoseconds) in [
        ("1h2m3s4ms5us6ns", 3_723_004_005_006),
        ("1.5h", 5_400_000_000_000),
        (".5s", 500_000_000),
        ("+1s", 1_000_000_000),
        ("\"1s\"", 1_000_000_000),
        ("0s", 0),
        ("", 0),
    ] {
        assert_eq!(check(&format!("HEALTHCHECK --timeout={text} CMD a")).timeout, nanoseconds, "{text}");
    }
}

#[test]
fn the_rest() {
    let changed = from_nothing(&[
        "LABEL a=b \"c d\"=\"e f\"",
        "LABEL g h i",
        "onbuild run   x",
        "ONBUILD RUN a \\\n b",
        "ONBUILD [\"a\"]",
        "STOPSIGNAL SIGTERM",
        "USER \"a b\"",
        "VOLUME /a /b",
        "VOLUME [\"/c d\"]",
        "WORKDIR a",
        "WORKDIR ../b c/./d/",
    ]);
    let labels: Vec<_> = changed.labels.unwrap().into_iter().map(|(k, v)| k + "=" + &v).collect();
    assert_eq!(labels, ["a=b", "c d=e f", "g=h i"]);
    assert_eq!(changed.on_build, words(&["run   x", "RUN a  b", "[\"a\"]"]));
    assert_eq!((changed.stop_signal.as_str(), changed.user.as_str()), ("SIGTERM", "a b"));
    assert_eq!(changed.volumes.unwrap().into_keys().collect::<Vec<_>>(), ["/a", "/b", "/c d"]);
    assert_eq!(changed.working_dir, "/b c/d");
    for signal in ["term", "9", "99", "-1", "sigterm", "RTMIN+3", "SIGRTMIN+15", "SIGRTMAX", "SIGCLD"] {
        assert_eq!(from_nothing(&[&format!("STOPSIGNAL {signal}")]).stop_signal, signal);
    }
    for (dir, clean) in [("/", "/"), (".", "/"), ("..", "/"), ("//a//b", "/a/b"), ("[\"a\"]", "/[a]")] {
        assert_eq!(from_nothing(&[&format!("WORKDIR {dir}")]).working_dir, clean);
    }
}

#[test]
fn errors_have_dockers_texts() {
    for (change, message) in [
        ("FOO bar", "FOO is not a valid change command"),
        ("SHELL [\"/bin/x\"]", "SHELL is not a valid change command"),
        ("LABEL a=1\nBAD x", "BAD is not a valid change command"),
        ("", "file with no instructions"),
        ("# c", "file with no instructions"),
        ("CMD --foo x", "unknown flag: --foo"),
        ("CMD [\"a\", 1]", "when using JSON array syntax, arrays must be comprised of strings only"),
        ("ENTRYPOINT [[]]", "when using JSON array syntax, arrays must be comprised of strings only"),
        ("ENV", "ENV requires at least one argument"),
        ("ENV a", "ENV must have two arguments"),
        ("ENV --a b", "ENV must have two arguments"),
        ("ENV --foo=x a=b", "unknown flag: --foo"),
        ("ENV a=b c", "Syntax error - can't find = in \"c\". Must be of the form: name=value"),
        ("ENV a=1 # no", "Syntax error - can't find = in \"#\". Must be of the form: name=value"),
        ("ENV =x", "ENV names can not be blank"),
        ("LABEL \"a\"", "LABEL must have two arguments"),
        ("LABEL =b", "LABEL names can not be blank"),
        ("EXPOSE", "EXPOSE requires at least one argument"),
        ("EXPOSE abc", "Invalid containerPort: abc"),
        ("EXPOSE 5-3", "Invalid containerPort: 5-3"),
        ("EXPOSE +80", "Invalid containerPort: +80"),
        ("EXPOSE 65536", "Invalid containerPort: 65536"),
        ("EXPOSE x:80", "Invalid hostPort: x"),
        ("EXPOSE 80/foo", "Invalid proto: foo"),
        ("EXPOSE /tcp", "No port specified: /tcp<empty>"),
        ("EXPOSE 80:", "No port specified: 80:<empty>"),
        ("EXPOSE 1.2.3:4:5", "Invalid ip address: 1.2.3"),
        ("EXPOSE 80-81:90-95", "Invalid ranges specified for container and host Ports: 90-95 and 80-81"),
        ("ONBUILD", "ONBUILD requires at least one argument"),
        ("ONBUILD  onbuild x", "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed"),
        ("ONBUILD FROM x", "FROM isn't allowed as an ONBUILD trigger"),
        ("ONBUILD MAINTAINER x", "MAINTAINER isn't allowed as an ONBUILD trigger"),
        ("STOPSIGNAL", "STOPSIGNAL requires exactly one argument"),
        ("STOPSIGNAL FOO", "invalid signal: FOO"),
        ("STOPSIGNAL a b", "invalid signal: a b"),
        ("STOPSIGNAL 0", "invalid signal: 0"),
        ("STOPSIGNAL SIGRTMIN+99", "invalid signal: SIGRTMIN+99"),
        ("USER", "USER requires exactly one argument"),
        ("VOLUME", "VOLUME requires at least one argument"),
        ("VOLUME []", "VOLUME requires at least one argument"),
        ("VOLUME [\"a\", \" \"]", "VOLUME specified can not be an empty string"),
        ("VOLUME $none", "VOLUME specified can not be an empty string"),
        ("WORKDIR", "WORKDIR requires exactly one argument"),
        ("WORKDIR \"\"", "cannot normalize nothing"),
        ("HEALTHCHECK", "HEALTHCHECK requires at least one argument"),
        ("HEALTHCHECK --interval=1s", "HEALTHCHECK requires at least one argument"),
        ("HEALTHCHECK NONE x", "HEALTHCHECK NONE takes no arguments"),
        ("HEALTHCHECK FOO", "Unknown type \"FOO\" in HEALTHCHECK (try CMD)"),
        ("HEALTHCHECK CMD", "Missing command after HEALTHCHECK CMD"),
        ("HEALTHCHECK CMD []", "Missing command after HEALTHCHECK CMD"),
        ("HEALTHCHECK --foo=1 CMD a", "unknown flag: --foo"),
        ("HEALTHCHECK --interval CMD a", "missing a value on flag: --interval"),
        ("HEALTHCHECK --interval=1s --interval=2s CMD a", "duplicate flag specified: --interval"),
        ("HEALTHCHECK --interval=x CMD a", "time: invalid duration \"x\""),
        ("HEALTHCHECK --interval=5 CMD a", "time: missing unit in duration \"5\""),
        ("HEALTHCHECK --timeout=1x CMD a", "time: unknown unit \"x\" in duration \"1x\""),
        ("HEALTHCHECK --timeout=99999999h CMD a", "time: invalid duration \"99999999h\""),
        ("HEALTHCHECK --start-interval=1us CMD a", "Interval \"start-interval\" cannot be less than 1ms"),
        ("HEALTHCHECK --interval=-1s CMD a", "Interval \"interval\" cannot be less than 1ms"),
        ("HEALTHCHECK --retries=-1 CMD a", "--retries cannot be negative (-1)"),
        ("HEALTHCHECK --retries=x CMD a", "strconv.ParseInt: parsing \"x\": invalid syntax"),
        (
            "HEALTHCHECK --retries=99999999999999999999 CMD a",
            "strconv.ParseInt: parsing \"99999999999999999999\": value out of range",
        ),
    ] {
        let error = apply_to(ContainerConfig::default(), &[change]).unwrap_err();
        assert_eq!(error.to_string(), message, "{change}");
    }
}

#[test]
fn errors_in_words_name_the_word() {
    let double = "unexpected end of statement while looking for matching double-quote";
    let single = "unexpected end of statement while looking for matching single-quote";
    for (word, why) in [
        ("\"x", double),
        ("\"$", double),
        ("'x", single),
        ("${x:?gone}", "x: gone"),
        ("${x?}", "x: is not allowed to be unset"),
        ("${e:?}", "e: is not allowed to be empty"),
        ("${x^}", "unsupported modifier (^) in substitution"),
        ("${x:=q}", "unsupported modifier (:=) in substitution"),
        ("${x:#q}", "unsupported modifier (:#) in substitution"),
        ("${x", "unsupported modifier (\u{fffd}) in substitution"),
        ("${}", "syntax error: bad substitution"),
        ("${x:", "syntax error: missing '}'"),
        ("${x:-y", "syntax error: missing '}'"),
        ("${x#", "syntax error: missing '}'"),
        ("${x/y", "syntax error: missing '/' in ${}"),
        ("${x/b}", "syntax error: missing '/' in ${}"),
        ("${x/\\b/Q}", "invalid pattern (\\b) in substitution: invalid escape '\\b'"),
    ] {
        let error = apply_to(ContainerConfig::default(), &["ENV e=", &format!("ENV a={word}")]).unwrap_err();
        assert_eq!(error.to_string(), format!("failed to process {word:?}: {why}"));
    }
}

#[test]
fn after_an_error_nothing_is_changed() {
    let mut config = ContainerConfig { user: "u".into(), ..Default::default() };
    let before = config.clone();
    assert!(apply(&mut config, &["USER v", "ENV a=1", "STOPSIGNAL NO"]).is_err());
    assert_eq!(config, before);
}

proptest! {
    #[test]
    fn nothing_panics(text: String, name in "(CMD|ENV|EXPOSE|HEALTHCHECK|VOLUME|WORKDIR|ONBUILD)", rest in "[-a${}:/#%?\"'\\\\=\\[\\]0-9 .*\n]{0,24}") {
        let _ = apply(&mut ContainerConfig::default(), &[text]);
        let _ = apply(&mut ContainerConfig::default(), &[format!("ENV a=a/b\n{name} {rest}")]);
    }
}
