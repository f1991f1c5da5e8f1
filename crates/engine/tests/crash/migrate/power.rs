//! Power cuts while the store is migrated: at each moment it is whole, with one driver or the other.

use std::collections::HashSet;

use testkit::power::Recording;

use super::{assert_same, facts, fill, migrate, open};
use crate::{shop, sound};

/// Of the moments one in so many is looked at; of those around the switch each.
const STRIDE: usize = 173;

#[test]
fn the_store_is_whole_after_each_power_cut() {
    if !testkit::require_root("migrate::power") {
        return;
    }
    sys::process::clear_umask();
    for (from, to) in [("overlay2", "vfs"), ("overlay2", "fuse-overlayfs")] {
        let tmp = shop::temp();
        let root = tmp.path().join("root");
        let engine = open(&root, Some(from));
        fill(&engine);
        let expected = facts(&engine);
        let (recording, done) = Recording::of(&root, |_| migrate(engine, to));
        done.unwrap();
        let mut seen = HashSet::new();
        let near_the_switch = |count: &usize| {
            let last = recording.last(*count);
            !last.contains("layercake/migrate/new/") && !last.contains("layercake/migrate/old/")
        };
        for count in (0..=recording.len()).filter(|count| count % STRIDE == 0 || near_the_switch(count)) {
            for loss in recording.losses(count) {
                let disk = recording.after(count, &loss);
                if !seen.insert(disk.fingerprint()) {
                    continue;
                }
                let context = format!("{from} to {to}: {}, {loss:?} lost", recording.last(count));
                let copy = shop::temp();
                disk.write_to(copy.path());
                store::Migration::complete(copy.path()).unwrap();
                let is_moved = !copy.path().join("image").join(from).exists();
                let engine = open(copy.path(), Some(if is_moved { to } else { from }));
                assert_same(&facts(&engine), &expected, &context);
                if !is_moved {
                    assert_ne!(count, recording.len(), "{context}: it was done");
                    migrate(engine, to).unwrap_or_else(|e| panic!("{context}: {e}"));
                }
                let engine = open(copy.path(), Some(to));
                assert_same(&facts(&engine), &expected, &context);
                sound::check(&engine, &context);
            }
        }
        println!("migrate::power: {from} to {to}: {} changes, {} disks", recording.len(), seen.len());
    }
}
