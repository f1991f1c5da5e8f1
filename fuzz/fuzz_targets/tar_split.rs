//! Any bytes as tar-split records, plain and compressed: no panic, bounded memory.
#![no_main]

use archive::tar_split::{Item, Unpacker, gunzip};
use libfuzzer_sys::fuzz_target;

fn read(records: impl std::io::Read) {
    for item in Unpacker::new(records) {
        match item {
            Ok(Item::File { size, crc, .. }) => assert!(size == 0 || crc.is_some()),
            Ok(Item::Segment(_)) => {}
            Err(_) => return,
        }
    }
}

fuzz_target!(|bytes: &[u8]| {
    read(bytes);
    read(gunzip(bytes));
});
