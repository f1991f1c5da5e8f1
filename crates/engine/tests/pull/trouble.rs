//! Connections that break, wrong bytes, wrong lengths, servers without ranges.

use std::time::Duration;

use archive::compress::Compression;
use model::{DiffId, Digest};
use store::SEGMENT;
use testkit::image::Image;
use testkit::registry::{Fault, Request, Setup, Trouble};

use crate::world::{World, image, layer};

fn range(request: &Request) -> String {
    request.header("Range").unwrap_or_default().to_owned()
}

fn on_blob(digest: &Digest, what: Trouble) -> Fault {
    Fault::on("GET", &format!("/blobs/{digest}"), what)
}

#[test]
fn a_blob_that_breaks_off_goes_on_where_it_stopped() {
    let world = World::new();
    let blobs = world.serve(&image());
    world.server.fault(on_blob(&blobs[0], Trouble::Drop { after: 1_000_000 }));
    world.pull("acme/app:1").unwrap();
    let ranges: Vec<String> = world.gets(&blobs[0]).iter().map(range).collect();
    assert_eq!(ranges.len(), 2);
    assert_eq!(ranges[0], "");
    let from: u64 = ranges[1].strip_prefix("bytes=").unwrap().strip_suffix('-').unwrap().parse().unwrap();
    assert!((1..=1_000_000).contains(&from), "{ranges:?}");
}

#[test]
fn a_connection_that_brings_something_may_break_any_number_of_times() {
    let world = World::new();
    let blobs = world.serve(&image());
    world.server.fault(on_blob(&blobs[0], Trouble::Drop { after: 300_000 }).always());
    world.pull("acme/app:1").unwrap();
    assert!(world.gets(&blobs[0]).len() > 5);
}

#[test]
fn a_blob_that_never_comes_is_given_up() {
    let world = World::new();
    let blobs = world.serve(&image());
    world.server.fault(on_blob(&blobs[0], Trouble::Drop { after: 0 }).always());
    let error = world.fails("acme/app:1");
    assert!(error.contains(&blobs[0].to_string()), "{error}");
    assert_eq!(world.gets(&blobs[0]).len(), 5);
}

#[test]
fn a_failed_pull_is_gone_on_with_by_the_next() {
    let world = World::new();
    let blobs = world.serve(&image());
    world.server.fault(on_blob(&blobs[0], Trouble::Drop { after: 100_000 }));
    world.server.fault(on_blob(&blobs[0], Trouble::Status(404, None)));
    world.fails("acme/app:1");
    assert!(world.interrupted() > 0);
    world.server.forget_requests();
    world.pull("acme/app:1").unwrap();
    let asked = world.gets(&blobs[0]);
    assert_eq!(asked.len(), 1);
    assert!(range(&asked[0]).starts_with("bytes=") && range(&asked[0]) != "bytes=0-", "{asked:?}");
    assert_eq!(world.interrupted(), 0);
}

#[test]
fn a_silent_server_is_left() {
    let world = World::new();
    let blobs = world.serve(&image());
    world.server.fault(on_blob(&blobs[0], Trouble::Stall { after: 200_000 }));
    world.pull("acme/app:1").unwrap();
    assert_eq!(world.gets(&blobs[0]).len(), 2);
}

#[test]
fn a_busy_server_is_asked_again() {
    let world = World::new();
    let blobs = world.serve(&image());
    for (path, status) in [("/manifests/", 429), ("/blobs/", 503)] {
        world.server.fault(Fault::on("GET", path, Trouble::Status(status, Some("0".into()))).times(2));
    }
    world.pull("acme/app:1").unwrap();
    assert!(blobs.iter().all(|blob| !world.gets(blob).is_empty()));
}

#[test]
fn wrong_bytes_are_thrown_away_and_fetched_once_more() {
    let world = World::new();
    let blobs = world.serve(&image());
    world.server.fault(on_blob(&blobs[0], Trouble::WrongBytes));
    world.pull("acme/app:1").unwrap();
    let asked = world.gets(&blobs[0]);
    assert_eq!(asked.iter().map(range).collect::<Vec<_>>(), ["", ""]);
}

#[test]
fn wrong_bytes_again_and_again_are_an_error_that_leaves_nothing() {
    // Uncompressed, so that only the digests tell.
    for how in [Compression::Gzip, Compression::None] {
        let world = World::new();
        let blobs = world.serve(&Image::new().layer(layer("x", 500_000)).compressed(how));
        world.server.fault(on_blob(&blobs[0], Trouble::WrongBytes).always());
        let error = world.fails("acme/app:1");
        assert!(error.contains(&format!("blob {}", blobs[0])) && error.contains("has the digest"), "{error}");
        assert_eq!(world.gets(&blobs[0]).len(), 2);
        assert_eq!(world.interrupted(), 0);
    }
}

#[test]
fn wrong_bytes_of_an_earlier_pull_are_thrown_away() {
    let world = World::new();
    let blobs = world.serve(&image());
    let download = world.engine.store().downloads().take(&blobs[0]).unwrap();
    let file = download.segments(1_000_000).unwrap().open_to_write(0).unwrap();
    sys::file::write_all(&file, &[0; 1000]).unwrap();
    drop(download);
    world.pull("acme/app:1").unwrap();
    let ranges: Vec<String> = world.gets(&blobs[0]).iter().map(range).collect();
    assert_eq!(ranges, ["bytes=1000-", ""]);
}

#[test]
fn a_layer_that_is_not_what_the_configuration_says_is_not_published() {
    let world = World::new();
    let mut image = image();
    image.diff_ids.as_mut().unwrap()[1] = DiffId::of(b"something else").to_string();
    world.serve(&image);
    let error = world.fails("acme/app:1");
    assert!(error.contains("the image says"), "{error}");
}

#[test]
fn wrong_lengths_are_told() {
    for more in [-1000, 1000] {
        let world = World::new();
        let blobs = world.serve(&image());
        world.server.fault(on_blob(&blobs[0], Trouble::WrongLength(more)).always());
        let error = world.fails("acme/app:1");
        assert!(error.contains("the manifest says"), "{error}");
        world.server.heal();
        world.pull("acme/app:1").unwrap();
    }
}

#[test]
fn a_body_without_an_end_is_read_no_further_than_the_manifest_says() {
    let world = World::new();
    let blobs = world.serve(&image());
    for blob in &blobs {
        world.server.fault(on_blob(blob, Trouble::Endless).always());
    }
    world.pull("acme/app:1").unwrap();
    assert_eq!(world.gets(&blobs[0]).len(), 1);
}

#[test]
fn a_manifest_without_an_end_or_cut_in_half_is_refused() {
    for what in [Trouble::Endless, Trouble::HalfManifest] {
        let world = World::new();
        let blobs = world.serve(&image());
        world.server.fault(Fault::on("GET", "/manifests/", what).always());
        world.fails("acme/app:1");
        assert!(world.gets(&blobs[0]).is_empty());
    }
}

#[test]
fn a_configuration_of_wrong_bytes_is_refused() {
    let world = World::new();
    let image = image();
    world.serve(&image);
    let config = Digest::parse(&image.id()).unwrap();
    world.server.fault(on_blob(&config, Trouble::WrongBytes).always());
    let error = world.fails("acme/app:1");
    assert!(error.contains(&config.to_string()), "{error}");
}

#[test]
fn a_server_without_ranges_is_read_from_the_start_again() {
    let world = World::with("vfs", Setup { ranges: false, ..Setup::default() });
    let blobs = world.serve(&image());
    world.server.fault(on_blob(&blobs[0], Trouble::Drop { after: 500_000 }));
    world.pull("acme/app:1").unwrap();
    assert_eq!(world.gets(&blobs[0]).len(), 2);
}

/// A blob of two segments and a bit.
fn big() -> Image {
    Image::new().layer(layer("big", 2 * SEGMENT as usize + 1000))
}

#[test]
fn a_big_blob_comes_in_several_ranges_at_once() {
    let world = World::new();
    let blobs = world.serve(&big());
    let size = big().layers[0].len() as u64;
    // One of them breaks off in the middle.
    let third = format!("bytes={}", 2 * SEGMENT);
    world.server.fault(on_blob(&blobs[0], Trouble::Drop { after: 500 }).with("Range", &third));
    world.pull("acme/app:1").unwrap();
    let asked = world.gets(&blobs[0]);
    let mut ranges: Vec<String> = asked.iter().map(range).collect();
    ranges.sort();
    assert_eq!(ranges.len(), 4, "{ranges:?}");
    for start in [0, SEGMENT, 2 * SEGMENT] {
        let end = (start + SEGMENT).min(size) - 1;
        assert!(ranges.contains(&format!("bytes={start}-{end}")), "{ranges:?}");
    }
    let connections: std::collections::BTreeSet<usize> =
        asked.iter().map(|request| request.connection).collect();
    assert!(connections.len() > 1, "{connections:?}");
}

#[test]
fn a_big_blob_of_a_server_without_ranges_is_fetched_by_one_connection() {
    let world = World::with("vfs", Setup { ranges: false, ..Setup::default() });
    let blobs = world.serve(&big());
    world.server.fault(on_blob(&blobs[0], Trouble::Drop { after: SEGMENT + 1000 }));
    world.pull("acme/app:1").unwrap();
    assert_eq!(world.gets(&blobs[0]).len(), 2);
}

#[test]
fn a_server_that_sends_another_range_is_not_believed() {
    let world = World::new();
    let blobs = world.serve(&big());
    world.server.fault(on_blob(&blobs[0], Trouble::WrongRange).with("Range", &format!("bytes={SEGMENT}")));
    world.pull("acme/app:1").unwrap();
}

#[test]
fn a_drip_is_not_waited_for() {
    let world = World::new();
    let blobs = world.serve(&image());
    let every = Duration::from_millis(50);
    world.server.fault(on_blob(&blobs[0], Trouble::Drip { bytes: 100, every }));
    world.pull("acme/app:1").unwrap();
    assert_eq!(world.gets(&blobs[0]).len(), 2);
}
