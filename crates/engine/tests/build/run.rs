//! `RUN`: what the process sees, and what becomes a layer.

use crate::world::{SHELL, with_a_runtime};
use engine::build::{BuildOptions, Secret};
use model::Timestamp;

#[test]
fn what_a_process_changes_is_one_layer() {
    with_a_runtime(|world| {
        let image = world.build(&format!(
            "{SHELL}COPY busybox /old/file\nRUN echo hi >/new && busybox rm -r /old && busybox mkdir -m 700 /dir\n"
        ));
        assert_eq!(image.at("new"), "f 644 0:0 hi\n");
        assert_eq!(image.at("dir"), "d 700 0:0");
        assert_eq!(image.at("old"), "nothing");
        let changes = world.layer(&image, 3);
        for path in ["/new", "/dir", "/old"] {
            assert!(changes.contains(path), "{changes:?}");
        }
        // What was made for its mounts alone is not there.
        for path in ["etc/resolv.conf", "etc/hosts"] {
            assert_eq!(image.at(path), "nothing");
        }
        world.assert_sound();
    });
}

#[test]
fn environment_directory_user_and_shell_are_the_stages() {
    with_a_runtime(|world| {
        world.file("passwd", "root:x:0:0::/root:/bin/sh\nweb:x:33:34::/home/web:/bin/sh\n");
        let image = world.build(&format!(
            "{SHELL}COPY passwd /etc/passwd\nENV A=1\nARG B=2\nWORKDIR /w\nRUN busybox chmod 777 /w\nUSER web\n\
             RUN echo \"$A $B $HOME $PWD $(busybox id -u):$(busybox id -g)\" >out\n\
             SHELL [\"/bin/sh\", \"-ec\"]\nRUN echo \"$0 $-\" >flags\nRUN [\"/bin/busybox\", \"touch\", \"$A\"]\n"
        ));
        assert_eq!(image.at("w/out"), "f 644 33:34 1 2 /home/web /w 33:34\n");
        assert!(image.at("w/flags").contains('e'), "{}", image.at("w/flags"));
        assert_eq!(image.at("w/$A"), "f 644 33:34 ");
        let history = image.history();
        assert!(history.contains(&"RUN |1 B=2 /bin/sh -c busybox chmod 777 /w # buildkit"), "{history:?}");
    });
}

#[test]
fn a_process_that_fails_leaves_nothing_and_says_its_code() {
    with_a_runtime(|world| {
        let before = world.engine.driver().list().unwrap().len();
        let (error, excerpt) = world.fails(&format!("{SHELL}RUN echo out; echo err >&2; exit 3\n"));
        assert_eq!(
            error,
            "process \"/bin/sh -c echo out; echo err >&2; exit 3\" did not complete successfully: exit code: 3"
        );
        assert!(excerpt.contains("   4 | >>> RUN echo out"), "{excerpt}");
        assert!(world.log.output().contains("out\n") && world.log.output().contains("err\n"));
        // The two layers of the base stay for the next build.
        assert_eq!(world.engine.driver().list().unwrap().len(), before + 2);
        assert!(sys::mount::table(world.engine.root()).unwrap().is_empty());
    });
}

#[test]
fn a_step_is_found_again_unless_what_it_sees_has_changed() {
    with_a_runtime(|world| {
        let file = |arg: &str| format!("{SHELL}ARG v={arg}\nRUN echo $v >/v\nRUN echo 2 >/w\n");
        let first = world.build(&file("1"));
        let again = world.build(&file("1"));
        assert_eq!(world.log.carried_out(), [""; 0]);
        assert_eq!(first.config.id(), again.config.id());
        world.build(&file("3"));
        assert_eq!(world.log.carried_out().len(), 2);
    });
}

#[test]
fn scripts_can_stand_in_the_dockerfile() {
    with_a_runtime(|world| {
        let image = world.build(&format!(
            "{SHELL}RUN <<EOF\necho one >/1\necho two >/2\nEOF\nRUN <<script\n#!/bin/busybox sh\necho $0 >/3\nscript\n"
        ));
        assert_eq!(image.at("1"), "f 644 0:0 one\n");
        assert_eq!(image.at("2"), "f 644 0:0 two\n");
        assert_eq!(image.at("3"), "f 644 0:0 /dev/pipes/script\n");
    });
}

#[test]
fn mounts_are_seen_and_leave_no_trace() {
    with_a_runtime(|world| {
        world.file("ctx/f", "context");
        let file = format!(
            "{}RUN busybox mkdir -p /data && echo stage >/data/f\nFROM scratch\nCOPY busybox /bin/busybox\nCOPY busybox /bin/sh\n\
             RUN --mount=from=made,source=/data,target=/mnt/stage,rw --mount=source=ctx,target=/mnt/ctx \\\n\
             --mount=type=tmpfs,target=/mnt/tmp --mount=type=secret,id=key \\\n\
             busybox cat /mnt/stage/f /mnt/ctx/f /run/secrets/key >/out && echo x >/mnt/stage/f && echo y >/mnt/tmp/y\n",
            SHELL.replace("FROM scratch", "FROM scratch AS made")
        );
        let mut options = world.options(&file);
        options.secrets = [("key".to_owned(), Secret(b"s3cret".to_vec()))].into();
        let image = world.image(&world.build_with(&options).unwrap());
        assert_eq!(image.at("out"), "f 644 0:0 stage\ncontexts3cret");
        for path in ["mnt", "run", "mnt/stage"] {
            assert_eq!(image.at(path), "nothing", "{path}");
        }
        world.assert_sound();
        // What is mounted is part of what the step depends on.
        world.build_with(&options).unwrap();
        assert_eq!(world.log.carried_out(), [""; 0]);
        world.file("ctx/f", "changed");
        world.build_with(&options).unwrap();
        assert_eq!(world.log.carried_out().len(), 1);
    });
}

#[test]
fn a_cache_outlives_the_build_and_is_in_no_layer() {
    with_a_runtime(|world| {
        let step = |n: u32| {
            format!(
                "{SHELL}RUN --mount=type=cache,target=/cache echo {n} >>/cache/log; busybox cat /cache/log >/out\n"
            )
        };
        world.build(&step(1));
        let image = world.build(&step(2));
        assert_eq!(image.at("out"), "f 644 0:0 1\n2\n");
        assert_eq!(image.at("cache"), "nothing");
        let all = engine::prune::BuildPruneOptions { all: true, ..Default::default() };
        assert_eq!(world.engine.prune_builds(&all).unwrap().mounts.len(), 1);
    });
}

#[test]
fn a_secret_that_is_required_and_missing_is_an_error() {
    with_a_runtime(|world| {
        let (error, _) = world.fails(&format!("{SHELL}RUN --mount=type=secret,id=no,required=true true\n"));
        assert_eq!(error, "secret no: not found");
        world.build(&format!("{SHELL}RUN --mount=type=secret,id=no busybox test ! -e /run/secrets/no\n"));
    });
}

#[test]
fn with_an_epoch_a_step_makes_the_same_layer_twice() {
    with_a_runtime(|world| {
        let epoch = Some(Timestamp::from_unix(1_000_000_000, 0));
        let file = format!("{SHELL}RUN echo 1 >/f && busybox mkdir /d && busybox rm /bin/busybox\n");
        let options = BuildOptions { epoch, no_cache: true, ..world.options(&file) };
        let first = world.build_with(&options).unwrap();
        let second = world.build_with(&options).unwrap();
        assert_eq!(first.image, second.image);
        world.assert_sound();
    });
}

#[test]
fn without_a_network_there_is_loopback_only() {
    with_a_runtime(|world| {
        let image =
            world.build(&format!("{SHELL}RUN --network=none busybox ip -o link | busybox wc -l >/n\n"));
        assert_eq!(image.at("n"), "f 644 0:0 1\n");
    });
}

#[test]
fn a_step_that_runs_is_killed_when_another_stage_fails() {
    with_a_runtime(|world| {
        // The failing stage waits until the other one runs.
        let file = format!(
            "{}RUN --mount=type=cache,target=/c touch /c/runs; sleep 100000\n{}RUN --mount=type=cache,target=/c \\\n\
             until busybox test -e /c/runs; do busybox usleep 1000; done; exit 4\nFROM scratch\n\
             COPY --from=slow /x /\nCOPY --from=bad /x /\n",
            SHELL.replace("FROM scratch", "FROM scratch AS slow"),
            SHELL.replace("FROM scratch", "FROM scratch AS bad"),
        )
        .replace("touch", "busybox touch")
        .replace("sleep 1", "busybox sleep 1");
        let (error, _) = world.fails(&file);
        assert!(error.ends_with("did not complete successfully: exit code: 4"), "{error}");
        assert!(sys::mount::table(world.engine.root()).unwrap().is_empty());
    });
}

#[test]
fn a_build_can_be_ended_and_keeps_what_it_has_made() {
    with_a_runtime(|world| {
        let options = world.options(&format!("{SHELL}RUN busybox touch /there\nRUN busybox sleep 100000\n"));
        let cancel = options.cancel.clone();
        let ended = std::thread::scope(|scope| {
            let build = scope.spawn(|| world.build_with(&options));
            while world.log.of("sleep").is_empty() {
                std::thread::yield_now();
            }
            cancel.cancel();
            build.join().unwrap()
        });
        assert!(matches!(ended, Err(engine::Error::BuildCanceled)), "{ended:?}");
        assert!(sys::mount::table(world.engine.root()).unwrap().is_empty());
        world.build(&format!("{SHELL}RUN busybox touch /there\n"));
        assert_eq!(world.log.carried_out(), [""; 0]);
    });
}
