//! `kill -9` of a process that makes and discards layers, at any moment: what it published is whole, what it discarded
//! or never published goes with the next sweep.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use drivers::suite::{Bench, Place, btrfs, directory, new_id, run_at};
use drivers::{Config, Driver, LayerKind, Result};
use model::CacheId;

/// The variable that tells the copy of this binary where to work.
const JOB: &str = "LAYERCAKE_KILLED_JOB";

/// Kills for each driver, as many as go into this time.
const KILLS: u32 = 60;
const LIMIT: Duration = Duration::from_secs(15);

fn open(name: &str, config: &Config) -> Result<Box<dyn Driver>> {
    drivers::open(name, config)
}

#[test]
fn on_btrfs() {
    kill_often("on_btrfs", "btrfs", |config| open("btrfs", config), btrfs);
}

#[test]
fn on_vfs() {
    kill_often("on_vfs", "vfs", |config| open("vfs", config), directory);
}

fn kill_often(test: &str, name: &str, open: drivers::suite::Open, place: Place) {
    run_at(test, open, place, |bench: &Bench| {
        let (begin, mut kills, mut published) = (Instant::now(), 0, 0);
        while kills < KILLS && begin.elapsed() < LIMIT {
            let random = u64::from_le_bytes(sys::process::random());
            let said = kill_once(name, bench, Duration::from_micros(random % 150_000));
            assert_sound(bench, &said);
            published += said.published.len();
            for id in bench.driver.list().unwrap() {
                bench.driver.discard(&id).unwrap();
            }
            bench.driver.sweep().unwrap();
            kills += 1;
        }
        println!("killed {kills} times in {:?}, after {published} published layers", begin.elapsed());
        assert!(published > 0, "killed too early each time");
    });
}

/// What the process said before it died.
#[derive(Debug, Default)]
struct Said {
    published: BTreeSet<String>,
    discarding: BTreeSet<String>,
}

/// Lets a process work for a while, and kills it.
fn kill_once(name: &str, bench: &Bench, after: Duration) -> Said {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "killed::at_work", "--ignored", "--nocapture"]);
    command.env(JOB, format!("{name} {}", bench.config.root.display()));
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains("ready") {
        line.clear();
        assert_ne!(output.read_line(&mut line).unwrap(), 0, "it ended by itself");
    }
    std::thread::sleep(after);
    child.kill().unwrap();
    let mut said = Said::default();
    for line in output.lines() {
        let line = line.unwrap();
        match line.split_once(' ') {
            Some(("published", id)) if id.len() == 64 => drop(said.published.insert(id.to_owned())),
            Some(("discarding", id)) if id.len() == 64 => drop(said.discarding.insert(id.to_owned())),
            _ => {}
        }
    }
    child.wait().unwrap();
    said
}

fn assert_sound(bench: &Bench, said: &Said) {
    let driver = bench.reopen();
    driver.sweep().unwrap();
    let listed: BTreeSet<String> = driver.list().unwrap().iter().map(ToString::to_string).collect();
    for id in said.published.difference(&said.discarding) {
        assert!(listed.contains(id), "{id} was published and is gone: {said:?}");
    }
    for id in &listed {
        let id = CacheId::parse(id).unwrap();
        assert_eq!(driver.check(&id, None).unwrap(), []);
        let content = fs::read_to_string(driver.layer_root(&id).unwrap().path().join("dir/file"));
        assert_eq!(content.unwrap(), "whole", "{id}");
    }
    let names = |dir: &str| -> BTreeSet<String> {
        let entries = fs::read_dir(driver.home().join(dir)).into_iter().flatten();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    };
    assert!(names(".layercake/staging").is_empty() && names(".layercake/trash").is_empty());
    assert!(names("quotas").is_subset(&listed), "limits without a layer");
}

/// Makes images of two layers and a container, one after the other, and discards them.
#[test]
#[ignore = "a process that is started by the other tests"]
fn at_work() {
    let Ok(job) = std::env::var(JOB) else { return };
    sys::process::clear_umask();
    let (name, root) = job.split_once(' ').unwrap();
    let driver = open(name, &Config::new(root)).unwrap();
    let say = |text: &str| {
        let mut out = std::io::stdout().lock();
        writeln!(out, "{text}").and_then(|()| out.flush()).unwrap();
    };
    let size = driver.capabilities().quota.then_some(100 << 20);
    say("\nready");
    loop {
        let stage = driver.stage().unwrap();
        let [base, top, container] = [new_id(), new_id(), new_id()];
        driver.prepare(&stage, &base, None, LayerKind::ReadOnly).unwrap();
        let path = driver.staged_root(&stage, &base).unwrap().path().to_owned();
        testkit::tree::file(&path, "dir/file", "whole");
        driver.prepare(&stage, &top, Some(&base), LayerKind::ReadOnly).unwrap();
        driver.prepare(&stage, &container, Some(&top), LayerKind::Writable { size }).unwrap();
        sys::dir::sync_fs(&stage).unwrap();
        driver.publish(&stage, &[base.clone(), top.clone()]).unwrap();
        say(&format!("published {base}\npublished {top}"));
        driver.publish(&stage, std::slice::from_ref(&container)).unwrap();
        say(&format!("published {container}"));
        stage.remove().unwrap();
        for id in [&container, &top] {
            say(&format!("discarding {id}"));
            driver.discard(id).unwrap();
        }
        driver.sync().unwrap();
        driver.sweep().unwrap();
    }
}
