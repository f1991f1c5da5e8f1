//! `load` of the real image in its three forms. Ours includes its sync; the peers do as they do.

use std::process::Command;

use super::super::Bench;
use super::super::exec::{run, timed, timed_with_peak};
use super::super::ground;
use super::super::images::{self, Image};
use super::super::table::{Goal, Metric, OURS, Row, Sample};
use super::{Contender, expect_image, take_turns};
use crate::Result;

/// The most memory that a `load` may hold.
const MEMORY: Goal = Goal::Below(Metric::Peak, 256.0 * 1024.0 * 1024.0);

/// docker-archive with plain layers, beside Docker, podman and the floor: GNU tar, one layer after another.
pub fn plain(bench: &Bench<'_>, name: &str) -> Result<Row> {
    let image = &bench.images.docker;
    let layers = images::layers(&image.path, &bench.ground.path("floor"))?;
    let contenders = vec![
        Contender::new(OURS, || ours(bench, image)),
        Contender::new("docker", || docker(bench, image)),
        Contender::new("podman", || podman(bench, image, &mut podman_load(bench, image))),
        Contender::new("tar -x", || {
            let script = r#"for layer; do mkdir "$layer.d" && tar -xf "$layer" -C "$layer.d" || exit; done"#;
            bench.ground.settle()?;
            let time =
                timed(Command::new("sh").args(["-c", script, "sh"]).args(&layers), &bench.ground.log())?;
            for layer in &layers {
                ground::remove(&layer.with_added_extension("d"))?;
            }
            Ok(vec![(Metric::Time, time)])
        }),
    ];
    let goals = vec![
        Goal::Faster(Metric::Time, "docker", 5.0),
        Goal::Faster(Metric::Time, "podman", 3.0),
        Goal::Within(Metric::Time, "tar -x", 2.0),
        MEMORY,
    ];
    let row = take_turns(bench, name, contenders, goals);
    ground::remove(&bench.ground.path("floor"))?;
    row
}

/// OCI archive with gzip layers, beside containerd and skopeo.
pub fn gzip(bench: &Bench<'_>, name: &str) -> Result<Row> {
    let image = &bench.images.gzip;
    let contenders = vec![
        Contender::new(OURS, || ours(bench, image)),
        Contender::new("containerd", || containerd(bench, image)),
        Contender::new("skopeo", || {
            podman(bench, image, &mut bench.peers.skopeo("oci-archive", &image.path))
        }),
    ];
    let goals = vec![
        Goal::Faster(Metric::Time, "containerd", 4.0),
        Goal::Faster(Metric::Time, "skopeo", 5.0),
        MEMORY,
    ];
    take_turns(bench, name, contenders, goals)
}

/// OCI layout with zstd layers, beside skopeo.
pub fn zstd(bench: &Bench<'_>, name: &str) -> Result<Row> {
    let image = &bench.images.zstd;
    let contenders = vec![
        Contender::new(OURS, || ours(bench, image)),
        Contender::new("skopeo", || podman(bench, image, &mut bench.peers.skopeo("oci", &image.path))),
    ];
    take_turns(bench, name, contenders, vec![Goal::Faster(Metric::Time, "skopeo", 4.0), MEMORY])
}

fn ours(bench: &Bench<'_>, image: &Image) -> Result<Sample> {
    image.warm()?;
    bench.ground.settle()?;
    let (time, peak) = timed_with_peak(&mut bench.ours.load(&image.path), &bench.ground.log())?;
    expect_image(&bench.ours.image_ids()?, &image.id)?;
    bench.ours.clear()?;
    Ok(vec![(Metric::Time, time), (Metric::Peak, peak)])
}

fn docker(bench: &Bench<'_>, image: &Image) -> Result<Sample> {
    image.warm()?;
    bench.ground.settle()?;
    let mut load = bench.peers.docker(&["load", "--quiet", "--input"]);
    let time = timed(load.arg(&image.path), &bench.ground.log())?;
    expect_image(&run(&mut bench.peers.docker(&["images", "--quiet", "--no-trunc"]))?, &image.id)?;
    run(&mut bench.peers.docker(&["rmi", "--force", &image.id]))?;
    Ok(vec![(Metric::Time, time)])
}

fn podman_load(bench: &Bench<'_>, image: &Image) -> Command {
    let mut load = bench.peers.podman(&["load", "--quiet", "--input"]);
    load.arg(&image.path);
    load
}

/// `load` is what brings the image into podman's store: podman's own command, or skopeo's.
fn podman(bench: &Bench<'_>, image: &Image, load: &mut Command) -> Result<Sample> {
    image.warm()?;
    bench.ground.settle()?;
    let time = timed(load, &bench.ground.log())?;
    expect_image(&run(&mut bench.peers.podman(&["images", "--quiet", "--no-trunc"]))?, &image.id)?;
    run(&mut bench.peers.podman(&["rmi", "--force", "--all"]))?;
    Ok(vec![(Metric::Time, time)])
}

/// `ctr images import`, which unpacks into snapshots unless it is told not to: that it did is verified.
fn containerd(bench: &Bench<'_>, image: &Image) -> Result<Sample> {
    let ctr = |args: &[&str]| run(&mut bench.peers.ctr(args));
    image.warm()?;
    bench.ground.settle()?;
    let mut import = bench.peers.ctr(&["images", "import"]);
    let time = timed(import.arg(&image.path), &bench.ground.log())?;
    if !ctr(&["images", "ls"])?.contains(&image.manifest) {
        return Err(format!("no image with manifest {}", image.manifest).into());
    }
    let config: serde_json::Value = serde_json::from_str(&ctr(&["content", "get", &image.id])?)?;
    let layers = config["rootfs"]["diff_ids"].as_array().map_or(0, Vec::len);
    let snapshots = ctr(&["snapshots", "ls"])?.lines().skip(1).count();
    if layers == 0 || snapshots != layers {
        return Err(format!("{snapshots} snapshots of {layers} layers: the image is not unpacked").into());
    }
    for name in ctr(&["images", "ls", "-q"])?.lines() {
        ctr(&["images", "rm", "--sync", name])?;
    }
    Ok(vec![(Metric::Time, time)])
}
