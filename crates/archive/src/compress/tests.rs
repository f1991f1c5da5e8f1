use std::io::{self, Cursor, Read, Write};

use super::*;

fn compressed(kind: Compression, bytes: &[u8]) -> Vec<u8> {
    match kind {
        Compression::Bzip2 => {
            let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        Compression::Xz => {
            let options = lzma_rust2::XzOptions::with_preset(1);
            let mut encoder = lzma_rust2::XzWriter::new(Vec::new(), options).unwrap();
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        _ => {
            let mut encoder = encoder(kind, Vec::new()).unwrap();
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
    }
}

fn decompress(bytes: Vec<u8>, limits: Limits) -> (Compression, io::Result<Vec<u8>>) {
    let (kind, mut decoder) = open(Cursor::new(bytes), limits).unwrap();
    let mut out = Vec::new();
    (kind, decoder.read_to_end(&mut out).map(|_| out))
}

const ALL: [Compression; 5] =
    [Compression::None, Compression::Gzip, Compression::Bzip2, Compression::Xz, Compression::Zstd];

#[test]
fn every_kind_is_detected_and_decoded_also_in_several_parts() {
    let text: Vec<u8> = (0..200_000_u32).flat_map(|i| (i / 7).to_le_bytes()).collect();
    for kind in ALL {
        let (first, second) = text.split_at(300_001);
        let parts = [compressed(kind, first), compressed(kind, second)].concat();
        let (found, out) = decompress(parts, Limits::default());
        assert_eq!(found, kind);
        assert!(out.unwrap() == text, "{kind}");
    }
}

#[test]
fn zstd_may_begin_with_a_skippable_frame() {
    let mut stream = vec![0x5e, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3];
    stream.extend(compressed(Compression::Zstd, b"hello"));
    let (kind, out) = decompress(stream, Limits::default());
    assert_eq!((kind, out.unwrap()), (Compression::Zstd, b"hello".to_vec()));
}

#[test]
fn short_and_empty_streams_are_plain() {
    for start in [&b""[..], b"B", b"\x1f\x8b", b"\xfd7zXZ"] {
        let (kind, out) = decompress(start.to_vec(), Limits::default());
        assert_eq!((kind, out.unwrap()), (Compression::None, start.to_vec()));
    }
}

#[test]
fn truncated_streams_are_errors() {
    for kind in &ALL[1..] {
        let mut stream = compressed(*kind, &[7; 100_000]);
        stream.truncate(stream.len() - 5);
        let (found, out) = decompress(stream, Limits::default());
        assert_eq!(found, *kind);
        assert!(out.is_err(), "{kind}");
    }
}

#[test]
fn bombs_are_stopped_and_the_limit_is_named() {
    let limit = |limits| {
        ALL[1..].iter().map(move |kind| {
            let (_, out) = decompress(compressed(*kind, &vec![0; 4 << 20]), limits);
            out.unwrap_err().to_string()
        })
    };
    for message in limit(Limits { max_output: 1 << 20, ..Limits::default() }) {
        assert!(message.contains("max_output = 1048576"), "{message}");
    }
    for message in limit(Limits { ratio_from: 1 << 20, max_ratio: 20, ..Limits::default() }) {
        assert!(message.contains("max_ratio = 20"), "{message}");
    }
}

#[test]
fn large_windows_need_a_larger_limit() {
    let limits = Limits { max_window: 1 << 20, ..Limits::default() };
    let noise: Vec<u8> =
        (0..3_000_000_u64).map(|i| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect();
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 3).unwrap();
    encoder.window_log(23).unwrap();
    encoder.write_all(&noise).unwrap();
    let zstd = encoder.finish().unwrap();
    let options = lzma_rust2::XzOptions::with_preset(6);
    let mut encoder = lzma_rust2::XzWriter::new(Vec::new(), options).unwrap();
    encoder.write_all(&noise[..1000]).unwrap();
    let xz = encoder.finish().unwrap();
    for stream in [zstd, xz] {
        assert!(decompress(stream.clone(), limits).1.is_err());
        assert!(decompress(stream, Limits::default()).1.is_ok());
    }
}

#[test]
fn garbage_after_a_gzip_stream_is_an_error() {
    let mut stream = compressed(Compression::Gzip, b"hello");
    stream.extend_from_slice(b"no gzip member");
    assert!(decompress(stream, Limits::default()).1.is_err());
}

#[test]
fn encoders_exist_for_what_is_pushed_only() {
    assert!(encoder(Compression::Xz, Vec::new()).is_err());
    assert!(encoder(Compression::Bzip2, Vec::new()).is_err());
}

/// What `method` makes of `bytes` on so many threads, written in pieces of so many bytes.
fn packed(method: Method, bytes: &[u8], threads: usize, piece: usize) -> Vec<u8> {
    let workers = Workers::start(threads).unwrap();
    let (mut feed, mut packed) = workers.stream(method);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            bytes.chunks(piece).try_for_each(|piece| feed.write_all(piece)).unwrap();
            feed.finish().unwrap();
        });
        let mut out = Vec::new();
        packed.read_to_end(&mut out).unwrap();
        out
    })
}

const WRITTEN: [Compression; 3] = [Compression::None, Compression::Gzip, Compression::Zstd];

#[test]
fn what_was_compressed_in_parallel_comes_out_again() {
    let text: Vec<u8> = (0..3_000_000_u32).flat_map(|i| (i / 7).to_le_bytes()).collect();
    for kind in WRITTEN {
        let method = Method::new(kind, None).unwrap();
        for length in [0, 1, 1 << 20, (1 << 20) + 1, 10 << 20, text.len()] {
            let stream = packed(method, &text[..length], 3, 70_000);
            let (found, out) = decompress(stream, Limits::default());
            assert!(length == 0 && kind == Compression::None || found == kind, "{kind} {length}");
            assert!(out.unwrap() == text[..length], "{kind} {length}");
        }
    }
}

#[test]
fn a_stream_that_is_not_finished_fails_at_the_other_end() {
    let workers = Workers::start(2).unwrap();
    let (mut feed, mut packed) = workers.stream(Method::new(Compression::Gzip, None).unwrap());
    feed.write_all(b"half").unwrap();
    drop(feed);
    assert!(packed.read_to_end(&mut Vec::new()).is_err());
    assert!(packed.is_broken());
}

#[test]
fn who_writes_learns_that_nobody_reads() {
    let workers = Workers::start(1).unwrap();
    let (mut feed, packed) = workers.stream(Method::new(Compression::Gzip, None).unwrap());
    drop(packed);
    let error = feed.write_all(&vec![0; 2 << 20]).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
}

#[test]
fn levels_are_checked() {
    for (kind, level) in [(Compression::Gzip, 0), (Compression::Gzip, 13), (Compression::Zstd, 20)] {
        let message = Method::new(kind, Some(level)).unwrap_err().to_string();
        assert!(message.contains(&format!("not {level}")), "{message}");
    }
    assert!(Method::new(Compression::Xz, None).is_err());
    assert_eq!(Method::new(Compression::Zstd, Some(19)).unwrap().level(), 19);
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(24))]
    #[test]
    fn the_bytes_do_not_depend_on_threads_and_pieces(
        seed: u64,
        length in 0_usize..6 << 20,
        threads in 1_usize..6,
        piece in 1_000_usize..3_000_000,
    ) {
        // Half of it repeats, half is noise.
        let mut state = seed | 1;
        let bytes: Vec<u8> = (0..length)
            .map(|i| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                if i & 64 == 0 { (state >> 56) as u8 } else { (i >> 9) as u8 }
            })
            .collect();
        for kind in WRITTEN {
            let method = Method::new(kind, None).unwrap();
            let alone = packed(method, &bytes, 1, usize::MAX);
            proptest::prop_assert!(packed(method, &bytes, threads, piece) == alone, "{}", kind);
        }
    }
}

/// What `program` makes of `stream`; `None`, said out loud, if it is not installed.
fn by_tool(program: &str, stream: &[u8]) -> Option<Vec<u8>> {
    let mut command = std::process::Command::new(program);
    command.arg("-dc").stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
    let Ok(mut child) = command.spawn() else {
        eprintln!("SKIPPED: {program} is not installed");
        return None;
    };
    let mut stdin = child.stdin.take().unwrap();
    let output = std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(stream).unwrap());
        child.wait_with_output().unwrap()
    });
    assert!(output.status.success(), "{program}");
    Some(output.stdout)
}

#[test]
fn the_tools_of_the_formats_read_what_was_compressed_in_parallel() {
    let text: Vec<u8> = (0..2_000_000_u32).flat_map(|i| (i / 5).to_le_bytes()).collect();
    for (kind, program) in [(Compression::Gzip, "gzip"), (Compression::Zstd, "zstd")] {
        let stream = packed(Method::new(kind, None).unwrap(), &text, 2, 1 << 20);
        if let Some(out) = by_tool(program, &stream) {
            assert!(out == text, "{program}");
        }
    }
}
