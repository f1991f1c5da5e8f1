//! A process that is killed, a full disk, what is left and who takes it.

use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use engine::df::DiskUsage;
use engine::prune::PruneOptions;
use engine::pull::PullOptions;
use testkit::registry::{Fault, Trouble};

use crate::world::{World, client, image, name, open};

/// The variable that tells a copy of this binary where to pull what.
const JOB: &str = "LAYERCAKE_PULL_JOB";

/// What the copy does; not a test of its own.
#[test]
#[ignore = "run by others"]
fn a_pull_in_another_process() {
    let Ok(job) = std::env::var(JOB) else { return };
    let (root, server) = job.split_once('\n').unwrap();
    sys::process::clear_umask();
    let engine = open(root.as_ref(), "vfs");
    let _ = engine.pull(&client(), &name(server, "acme/app:1"), &PullOptions::default(), &model::Silent);
}

/// A world in which a process that pulled was killed when `enough` bytes of the first layer were there.
fn killed(enough: u64) -> (World, model::Digest) {
    let world = World::new();
    let blobs = world.serve(&image());
    let slowly = Trouble::Drip { bytes: 50_000, every: Duration::from_millis(20) };
    world.server.fault(Fault::on("GET", &format!("/blobs/{}", blobs[0]), slowly));
    let job = format!("{}\n{}", world.root().display(), world.server.address());
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "killed::a_pull_in_another_process", "--ignored"])
        .env(JOB, job)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let segment = world.root().join("layercake/downloads").join(blobs[0].hex()).join("0");
    while std::fs::metadata(&segment).map_or(0, |meta| meta.len()) < enough {
        assert!(child.try_wait().unwrap().is_none(), "it ended too soon");
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    world.server.heal();
    world.server.forget_requests();
    (world, blobs[0])
}

#[test]
fn a_later_process_goes_on_where_a_killed_one_stopped() {
    let (world, blob) = killed(200_000);
    // Opened as a command opens it, which sweeps what the killed one left of its stage.
    let engine = open(world.root(), "vfs");
    world.assert_empty();
    engine.pull(&client(), &world.name("acme/app:1"), &PullOptions::default(), &world.log).unwrap();
    let asked = world.gets(&blob);
    assert_eq!(asked.len(), 1);
    let range = asked[0].header("Range").unwrap();
    let from: u64 = range.strip_prefix("bytes=").unwrap().strip_suffix('-').unwrap().parse().unwrap();
    assert!(from >= 200_000, "{range}");
    assert!(engine.check(Default::default(), &model::Silent).unwrap().is_sound());
}

#[test]
fn what_a_killed_pull_left_is_garbage_until_it_is_swept() {
    let (world, blob) = killed(100_000);
    let garbage = |usage: DiskUsage| usage.garbage;
    assert!(garbage(open(world.root(), "vfs").disk_usage().unwrap()) >= 100_000);
    // A day later the next command that writes removes it.
    let dir = world.root().join("layercake/downloads").join(blob.hex());
    let then = SystemTime::now() - Duration::from_secs(25 * 60 * 60);
    for path in [dir.join("0"), dir.clone()] {
        std::fs::File::open(path).unwrap().set_modified(then).unwrap();
    }
    let engine = open(world.root(), "vfs");
    assert!(!dir.exists());
    assert_eq!(garbage(engine.disk_usage().unwrap()), world.interrupted());
}

#[test]
fn a_prune_removes_what_a_killed_pull_left_at_once() {
    let (world, blob) = killed(100_000);
    let engine = open(world.root(), "vfs");
    let path = format!("layercake/downloads/{}", blob.hex());
    let dry = engine.system_prune(&PruneOptions { dry_run: true, ..PruneOptions::default() }).unwrap();
    assert!(dry.garbage.contains(&path) && world.root().join(&path).exists());
    let pruned = engine.system_prune(&PruneOptions::default()).unwrap();
    assert!(pruned.garbage.contains(&path) && pruned.reclaimed >= 100_000);
    assert!(!world.root().join(&path).exists());
}

/// A file system in memory of so many bytes.
struct Small(tempfile::TempDir);

impl Small {
    fn mount(bytes: usize) -> Option<Self> {
        if !testkit::require_root("mounting a small file system") {
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        let size = format!("size={bytes}");
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(dir.path()).status();
        if !mounted.is_ok_and(|status| status.success()) {
            testkit::machine::skip("a full disk", "no tmpfs can be mounted");
            return None;
        }
        Some(Self(dir))
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}

#[test]
fn a_full_disk_is_an_error_that_publishes_nothing() {
    let Some(small) = Small::mount(1 << 20) else { return };
    let world = World::new();
    world.serve(&image());
    let engine = open(&small.0.path().join("root"), "vfs");
    let pulled = engine.pull(&client(), &world.name("acme/app:1"), &PullOptions::default(), &world.log);
    let error = pulled.unwrap_err();
    assert!(error.is_full(), "{error}");
    assert!(engine.store().images().list().unwrap().is_empty());
    assert!(engine.driver().list().unwrap().is_empty());
}
