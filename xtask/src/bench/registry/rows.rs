//! The rows: pulls, pushes, and pulls through the link.

use super::super::exec::{run as exec, timed, timed_with_peak};
use super::super::rows::{Contender, take_turns, wanted};
use super::super::table::{Goal, Metric, Row, Sample};
use super::super::{Bench, ground};
use super::clients::{ALL, Client, Image};
use super::images;
use super::link::{self, Link};
use super::server::Registry;
use crate::Result;

/// The most memory that a pull may hold.
const MEMORY: Goal = Goal::Below(Metric::Peak, 256.0 * 1024.0 * 1024.0);

/// Sets up a row, measures it and cleans up; the row has the name given.
type Measure = fn(&Bench<'_>, &str, &Registry) -> Result<Row>;

/// All rows, in the order of the table.
const ROWS: &[(&str, Measure)] = &[
    ("pull, gzip", |bench, name, registry| pull(bench, name, registry, false)),
    ("pull, zstd", |bench, name, registry| pull(bench, name, registry, true)),
    ("pull of the last layer", last_layer),
    ("pull of one layer of 1 GiB, gzip", large),
    ("push of a new image", push),
    ("push when all exists", push_again),
    ("pull through the link, gzip", |bench, name, registry| through_link(bench, name, registry, false)),
    ("pull through the link, zstd", |bench, name, registry| through_link(bench, name, registry, true)),
];

/// Measures every row that was asked for, against a registry whose data is as warm for one as for the other.
pub fn run(bench: &Bench<'_>, results: &mut Vec<Row>) -> Result<()> {
    let names: Vec<&str> = ROWS.iter().map(|(name, _)| *name).collect();
    for (name, row) in ROWS.iter().filter(|(name, _)| wanted(&bench.options.only, &names, name)) {
        let registry = Registry::start(&bench.ground.path("registry"))?;
        let row =
            row(bench, name, &registry).map_err(|e| format!("{name}, on {}: {e}", bench.ground.kind))?;
        results.push(row);
    }
    Ok(())
}

/// The whole real image into an empty store.
fn pull(bench: &Bench<'_>, name: &str, registry: &Registry, zstd: bool) -> Result<Row> {
    let image = images::real(bench, registry, zstd)?;
    let contenders = pulls(bench, registry, &registry.address, &image, &ALL);
    let mut goals: Vec<Goal> =
        ALL[1..].iter().map(|peer| Goal::Faster(Metric::Time, peer.name(), 4.0)).collect();
    goals.push(MEMORY);
    take_turns(bench, name, contenders, goals)
}

/// The whole image where everything but its last, small layer is there.
fn last_layer(bench: &Bench<'_>, name: &str, registry: &Registry) -> Result<Row> {
    let image = images::real(bench, registry, false)?;
    let base = images::without_last_layer(bench, registry)?;
    let base_name = format!("{}/{}", registry.address, base.name);
    for client in ALL {
        exec(&mut client.pull(bench, &base_name))?;
        client.expect(bench, &base)?;
    }
    let contenders = pulls(bench, registry, &registry.address, &image, &ALL);
    let mut goals = vec![Goal::Below(Metric::Time, 0.150)];
    goals.extend(ALL[1..].iter().map(|peer| Goal::Faster(Metric::Time, peer.name(), 1.0)));
    let row = take_turns(bench, name, contenders, goals);
    for client in ALL {
        client.remove(bench, &base_name)?;
    }
    row
}

fn large(bench: &Bench<'_>, name: &str, registry: &Registry) -> Result<Row> {
    let image = images::large(bench, registry)?;
    let contenders = pulls(bench, registry, &registry.address, &image, &ALL);
    let mut goals: Vec<Goal> =
        ALL[1..].iter().map(|peer| Goal::Faster(Metric::Time, peer.name(), 1.0)).collect();
    goals.push(MEMORY);
    take_turns(bench, name, contenders, goals)
}

/// The whole image through the link. The floor is what came through it at the link's rate.
fn through_link(bench: &Bench<'_>, name: &str, registry: &Registry, zstd: bool) -> Result<Row> {
    let image = images::real(bench, registry, zstd)?;
    let link = Link::to(registry)?;
    let contenders = ALL.map(|client| {
        let (image, link) = (&image, &link);
        Contender::new(client.name(), move || {
            let before = link.received()?;
            let mut sample = pull_once(bench, registry, link::REGISTRY, image, client)?;
            let seconds = (link.received()? - before) as f64 / link::BYTES_PER_SECOND;
            sample.push((Metric::Wire, seconds));
            Ok(sample)
        })
    });
    let goals = vec![Goal::OverWire(1.0), MEMORY];
    take_turns(bench, name, contenders.into(), goals)
}

/// The contenders of a pull from `address`.
fn pulls<'a>(
    bench: &'a Bench<'_>,
    registry: &'a Registry,
    address: &'a str,
    image: &'a Image,
    clients: &[Client],
) -> Vec<Contender<'a>> {
    let contender = |client: &Client| {
        let client = *client;
        Contender::new(client.name(), move || pull_once(bench, registry, address, image, client))
    };
    clients.iter().map(contender).collect()
}

/// One pull, and its removal. The memory is ours alone: the peers' is their daemons'.
fn pull_once(
    bench: &Bench<'_>,
    registry: &Registry,
    address: &str,
    image: &Image,
    client: Client,
) -> Result<Sample> {
    let name = format!("{address}/{}", image.name);
    registry.warm()?;
    bench.ground.settle()?;
    let mut pull = client.pull(bench, &name);
    let sample = match client {
        Client::Ours => {
            let (time, peak) = timed_with_peak(&mut pull, &bench.ground.log())?;
            vec![(Metric::Time, time), (Metric::Peak, peak)]
        }
        _ => vec![(Metric::Time, timed(&mut pull, &bench.ground.log())?)],
    };
    client.expect(bench, image)?;
    client.remove(bench, &name)?;
    Ok(sample)
}

/// Those who push.
const PUSHERS: [Client; 3] = [Client::Ours, Client::Docker, Client::Podman];

/// An image that was loaded, to a registry that has nothing: a new one each time.
fn push(bench: &Bench<'_>, name: &str, _: &Registry) -> Result<Row> {
    load(bench)?;
    let turn = |client: Client| {
        let registry = Registry::start(&bench.ground.path("empty"))?;
        let image = tag(bench, client, &registry)?;
        bench.ground.settle()?;
        let (time, peak) = timed_with_peak(&mut client.push(bench, &image), &bench.ground.log())?;
        expect(bench, &image)?;
        client.remove(bench, &image)?;
        Ok(match client {
            Client::Ours => vec![(Metric::Time, time), (Metric::Peak, peak)],
            _ => vec![(Metric::Time, time)],
        })
    };
    let contenders =
        PUSHERS.map(|client| Contender::new(client.name(), move || turn(client))).into_iter().collect();
    let goals =
        vec![Goal::Faster(Metric::Time, "docker", 3.0), Goal::Faster(Metric::Time, "podman", 3.0), MEMORY];
    let row = take_turns(bench, name, contenders, goals);
    unload(bench)?;
    row
}

/// The same again, to a registry to which it was pushed.
fn push_again(bench: &Bench<'_>, name: &str, registry: &Registry) -> Result<Row> {
    load(bench)?;
    let mut contenders = Vec::new();
    for client in PUSHERS {
        let image = tag(bench, client, registry)?;
        exec(&mut client.push(bench, &image))?;
        contenders.push(Contender::new(client.name(), move || {
            bench.ground.settle()?;
            Ok(vec![(Metric::Time, timed(&mut client.push(bench, &image), &bench.ground.log())?)])
        }));
    }
    let goals = vec![
        Goal::Below(Metric::Time, 0.100),
        Goal::Faster(Metric::Time, "docker", 1.0),
        Goal::Faster(Metric::Time, "podman", 1.0),
    ];
    let row = take_turns(bench, name, contenders, goals);
    unload(bench)?;
    row
}

/// Loads the real image into the stores of all who push.
fn load(bench: &Bench<'_>) -> Result<()> {
    PUSHERS.iter().try_for_each(|client| client.load(bench, &bench.images.docker.path))
}

fn unload(bench: &Bench<'_>) -> Result<()> {
    for client in PUSHERS {
        client.remove(bench, &bench.images.docker.id)?;
    }
    ground::remove(&bench.ground.path("empty"))
}

/// Names the image as it is pushed by this client.
fn tag(bench: &Bench<'_>, client: Client, registry: &Registry) -> Result<String> {
    let name = format!("{}/{}/image:1", registry.address, client.name());
    client.tag(bench, &bench.images.docker.id, &name)?;
    Ok(name)
}

/// Fails unless the registry has the image, with all its layers.
fn expect(bench: &Bench<'_>, image: &str) -> Result<()> {
    let mut skopeo = bench.peers.inside("skopeo");
    skopeo.args(["inspect", "--raw", "--tls-verify=false", &format!("docker://{image}")]);
    let manifest: serde_json::Value = serde_json::from_str(&exec(&mut skopeo)?)?;
    let layers = manifest["layers"].as_array().map_or(0, Vec::len);
    if manifest["config"]["digest"] != bench.images.docker.id.as_str() || layers == 0 {
        return Err(format!("{image} is another image: {manifest}").into());
    }
    Ok(())
}
