//! The command as its users know it: transcripts of sessions, replayed.
//!
//! A file of `tests/transcripts` is a session in a directory of its own, with an empty store:
//!
//! ```text
//! # a remark
//! $ layercake rmi nosuch
//! [stderr] Error: No such image: nosuch:latest
//! [exit 1]
//! ```
//!
//! Standard output comes first, then standard error, then the exit code if it is not 0. `[..]` stands for anything
//! within a line. What Docker has, Docker 28.5 prints in the same words, after `Error response from daemon: ` instead of
//! `Error: `.

#![allow(clippy::unwrap_used)] // helpers of tests, outside of #[test] functions

mod prompt;
mod registry;
mod session;

use session::Session;

/// A session, beside a registry if there is one.
macro_rules! session {
    () => {
        Session::new()
    };
    ($registry:expr) => {
        Session::beside($registry)
    };
}

/// Makes a test of each transcript.
macro_rules! transcripts {
    ($($name:ident $(beside $registry:expr)?,)*) => {
        $(
            #[test]
            fn $name() {
                if testkit::machine::require_root(concat!("transcript ", stringify!($name))) {
                    let session = session!($($registry)?);
                    session.replay(include_str!(concat!("../transcripts/", stringify!($name), ".txt")));
                }
            }
        )*

        #[test]
        fn no_transcript_is_forgotten() {
            let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/transcripts");
            let mut files: Vec<_> = std::fs::read_dir(dir)
                .unwrap()
                .map(|file| file.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
                .collect();
            files.sort();
            let mut names = vec![$(stringify!($name)),*];
            names.sort();
            assert_eq!(files, names);
        }
    };
}

transcripts! {
    build,
    containers,
    copy,
    drivers,
    fuse_overlayfs,
    help,
    images,
    inspect,
    load,
    login beside registry::locked(),
    manifest beside registry::with_busybox(),
    migrate,
    mistakes,
    mounts,
    prune,
    pull beside registry::with_busybox(),
    pull_files beside registry::with_busybox(),
    push beside registry::with_tokens(),
    save,
    streams,
    system,
    tag,
    union,
    volumes,
}

/// `layercake images | head -1` and its like.
#[test]
fn a_reader_that_went_away_is_no_error() {
    if !testkit::machine::require_root("a reader that went away") {
        return;
    }
    let session = Session::new();
    session.replay(
        "$ layercake load -q -i base.tar\nLoaded image: base:1\n$ layercake create --name c1 base:1\n[..]",
    );
    for command in [
        "help",
        "images",
        "ps -a",
        "inspect base:1",
        "save base:1",
        "export c1",
        "cp c1:/etc -",
        "completion zsh",
    ] {
        let output = session.run_without_reader(&format!("layercake {command}"));
        assert!(output.status.success() && output.stderr.is_empty(), "{command}: {output:?}");
    }
}
