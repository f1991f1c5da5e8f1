//! Power cuts while a load heals a layer whose files were changed.

use std::collections::HashSet;

use engine::Engine;
use engine::check::CheckOptions;
use model::progress::Silent;
use store::LayerRecord;
use testkit::power::Recording;

use crate::{shop, sound};

/// Of the moments in which a stage is filled, one in so many is looked at.
const STRIDE: usize = 7;

/// The layers of the image `a:1`, the base first.
fn layers(engine: &Engine) -> store::Result<Vec<LayerRecord>> {
    let image = engine.find_image("a:1").unwrap();
    let top = engine.store().images().get(&image).unwrap().chain_id().unwrap();
    engine.store().layers().chain(&top)
}

fn repair(engine: &Engine) {
    engine.check(CheckOptions { repair: true, ..CheckOptions::default() }, &Silent).unwrap();
}

/// The record of the damaged layer once went before the new one came: a crash left an image without its layer.
#[test]
fn the_layer_is_there_at_every_moment() {
    if !testkit::require_root("heal::the_layer_is_there_at_every_moment") {
        return;
    }
    sys::process::clear_umask();
    for driver in shop::DRIVERS {
        let tmp = shop::temp();
        let engine = shop::open(tmp.path(), driver);
        shop::load(&engine, &shop::image_a()).unwrap();
        let base = &layers(&engine).unwrap()[0];
        let files = engine.driver().layer_root(&base.cache_id).unwrap().path().to_owned();
        std::fs::write(files.join("bin/sh"), "changed").unwrap();
        repair(&engine);
        let (recording, healed) = Recording::of(tmp.path(), |_| shop::load(&engine, &shop::image_a()));
        healed.unwrap();
        let mut seen = HashSet::new();
        for count in recording.moments(STRIDE) {
            for loss in recording.losses(count) {
                let disk = recording.after(count, &loss);
                if !seen.insert(disk.fingerprint()) {
                    continue;
                }
                let context = format!("{driver}: {}, {loss:?} lost", recording.last(count));
                let copy = shop::temp();
                disk.write_to(copy.path());
                let engine = shop::open(copy.path(), driver);
                layers(&engine).unwrap_or_else(|e| panic!("{context}: {e}"));
                shop::load(&engine, &shop::image_a()).unwrap_or_else(|e| panic!("{context}: {e}"));
                repair(&engine);
                sound::check(&engine, &context);
            }
        }
    }
}
