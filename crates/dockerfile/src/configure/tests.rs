use super::*;
use crate::scope::Globals;
use crate::{Instruction, parse};

/// The history that `lines` leave, and the configuration.
fn build(lines: &str) -> (Vec<String>, Image) {
    let file = parse("d", format!("FROM scratch\n{lines}\n").as_bytes()).unwrap();
    let mut scope = Globals::bare('\\').stage(&["PATH=/bin".to_owned()]);
    let mut image = Image::default();
    let mut history = Vec::new();
    for step in &file.stages[0].steps {
        if let Effect::Metadata(text) = image.apply(&step.instruction, &mut scope).unwrap() {
            history.push(text);
        }
    }
    (history, image)
}

#[test]
fn the_history_is_buildkits() {
    let lines = "ARG a=1 b\nENV x=$a y=\"1 2\"\nLABEL l=$x\nWORKDIR /w\nWORKDIR v/../u\nUSER $x:2\nEXPOSE 90 80/udp 80-81\n\
                 VOLUME /d [\"/e\"\nSTOPSIGNAL SIGTERM\nSHELL [\"/bin/bash\", \"-c\"]\nONBUILD RUN x\nMAINTAINER m\nCMD a \"b\"\n\
                 ENTRYPOINT [\"e\", \"\\t\"]\nHEALTHCHECK --interval=90s --retries=3 CMD true";
    let (history, image) = build(lines);
    assert_eq!(
        history,
        [
            "ARG a=1 b",
            "ENV x=1 y=1 2",
            "LABEL l=1",
            "WORKDIR /w",
            "WORKDIR /w/u",
            "USER 1:2",
            "EXPOSE [80/tcp 80/udp 81/tcp 90/tcp]",
            "VOLUME [/d [/e]",
            "STOPSIGNAL SIGTERM",
            "SHELL [/bin/bash -c]",
            "MAINTAINER m",
            "CMD [\"/bin/bash\" \"-c\" \"a \\\"b\\\"\"]",
            "ENTRYPOINT [\"e\" \"\\t\"]",
            "HEALTHCHECK &{[\"CMD-SHELL\" \"true\"] \"1m30s\" \"0s\" \"0s\" \"0s\" '\\x03'}",
        ]
    );
    assert_eq!(image.author.as_deref(), Some("m"));
    let config = &image.config;
    assert_eq!(config.env.as_deref(), Some(["x=1".to_owned(), "y=1 2".to_owned()].as_slice()));
    assert_eq!(config.working_dir, "/w/u");
    assert_eq!(config.on_build.as_deref(), Some(["RUN x".to_owned()].as_slice()));
    assert_eq!(
        config.cmd.as_ref().map(Vec::len),
        Some(3),
        "it came before the entry point, in the same stage"
    );
}

#[test]
fn an_entry_point_drops_the_command_of_the_base() {
    let mut image =
        Image::new(ContainerConfig { cmd: Some(vec!["old".into()]), ..ContainerConfig::default() });
    let mut scope = Globals::bare('\\').stage(&[]);
    image.apply(&Instruction::Entrypoint(Command::Exec(vec!["e".into()])), &mut scope).unwrap();
    assert_eq!(image.config.cmd, None);
}

#[test]
fn durations_are_gos() {
    for (nanoseconds, text) in [
        (0, "0s"),
        (1, "1ns"),
        (1_500, "1.5µs"),
        (2_000_000, "2ms"),
        (1_500_000_000, "1.5s"),
        (60_000_000_000, "1m0s"),
        (3_661_000_000_001, "1h1m1.000000001s"),
    ] {
        assert_eq!(go_duration(nanoseconds), text);
    }
}
