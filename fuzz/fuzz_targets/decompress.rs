//! Any bytes as a compressed stream: no panic, and no more output than the limits allow.
#![no_main]

use std::io::{Cursor, Read};

use archive::compress::{Limits, open};
use libfuzzer_sys::fuzz_target;

const LIMITS: Limits =
    Limits { max_output: 4 << 20, max_ratio: 100, ratio_from: 1 << 20, max_window: 1 << 20 };

fuzz_target!(|bytes: &[u8]| {
    let Ok((_, mut decoder)) = open(Cursor::new(bytes.to_vec()), LIMITS) else { return };
    let mut buffer = vec![0; 64 << 10];
    let mut total = 0;
    while let Ok(n @ 1..) = decoder.read(&mut buffer) {
        total += n as u64;
        assert!(total <= LIMITS.max_output);
    }
});
