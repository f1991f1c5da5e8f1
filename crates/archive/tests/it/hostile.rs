//! Archives that mean harm, or were cut off. Incidents are named in moby.md §15 and rust.md §3.2.

use archive::TarFault;
use archive::tar::{Entry, Kind, Limits, Parser, Sink};

use crate::support::{Block, END, Event, Recorder, extension, fault, fault_with, parse, pax, records};

fn paths(archive: &[u8]) -> Vec<String> {
    let files = parse(archive).unwrap().files();
    files.iter().map(|(e, _)| String::from_utf8_lossy(&e.path).into_owned()).collect()
}

/// Content of a file that itself looks like an entry.
fn smuggled() -> Vec<u8> {
    Block::new("smuggled", b'0').with(b"")
}

#[test]
fn tarmageddon_the_pax_size_beats_a_header_size_of_zero() {
    // CVE-2025-62518
    let archive =
        [pax(&[("size", "512")]), Block::new("outer", b'0').size(0).with(&smuggled()), END.to_vec()].concat();
    assert_eq!(paths(&archive), ["outer"]);
}

#[test]
fn the_pax_size_beats_a_header_size_that_is_not_zero() {
    // CVE-2026-33055
    let archive =
        [pax(&[("size", "512")]), Block::new("outer", b'0').size(5).with(&smuggled()), END.to_vec()].concat();
    assert_eq!(paths(&archive), ["outer"]);
}

#[test]
fn pax_records_do_not_reach_a_long_name_in_between() {
    // GHSA-3cv2-h65g-fgmm, CVE-2026-53655
    let archive = [
        pax(&[("size", "1024")]),
        extension(b'L', b"long\0"),
        Block::gnu("short", b'0').size(0).with(&[smuggled(), smuggled()].concat()),
        END.to_vec(),
    ]
    .concat();
    assert_eq!(paths(&archive), ["long"]);
}

#[test]
fn header_only_types_have_no_payload_whatever_their_size() {
    for flag in b'1'..=b'6' {
        let archive = [Block::new("first", flag).size(512).with(b""), smuggled(), END.to_vec()].concat();
        assert_eq!(paths(&archive), ["first", "smuggled"]);
        let archive =
            [pax(&[("size", "512")]), Block::new("first", flag).with(b""), smuggled(), END.to_vec()].concat();
        assert_eq!(paths(&archive), ["first", "smuggled"]);
        let files = parse(&archive).unwrap().files();
        assert_eq!(files[0].0.size, 0);
    }
}

#[test]
fn negative_and_overflowing_sizes_are_refused() {
    let negative = Block::gnu("n", b'0').put(124, &[0xff; 12]);
    assert_eq!(fault(&negative.with(b"")), TarFault::NegativeSize);
    for flag in [b'x', b'g', b'L', b'K', b'7', b'S', b'?'] {
        assert_eq!(fault(&Block::gnu("n", flag).put(124, &[0xff; 12]).with(b"")), TarFault::NegativeSize);
    }
    let overflow = Block::gnu("n", b'0').put(124, b"\x80\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff");
    assert_eq!(fault(&overflow.with(b"")), TarFault::Number("size"));
    let archive = [pax(&[("size", "-1")]), Block::new("n", b'0').with(b"")].concat();
    assert_eq!(fault(&archive), TarFault::NegativeSize);
    let archive = [pax(&[("size", "9223372036854775808")]), Block::new("n", b'0').with(b"")].concat();
    assert_eq!(fault(&archive), TarFault::PaxValue("size".into()));
    // The largest size there is: no arithmetic overflows, the archive is merely truncated.
    let archive = [pax(&[("size", "9223372036854775807")]), Block::new("n", b'0').with(b"x")].concat();
    assert_eq!(fault(&archive), TarFault::Truncated("a file's payload"));
}

#[test]
fn truncated_archives_are_refused() {
    let whole = [pax(&[("path", "n")]), Block::new("n", b'0').size(600).with(&[1; 600])].concat();
    for (length, inside) in [
        (100, "a header"),
        (512 + 5, "an extended header"),
        (1024 + 511, "a header"),
        (1536, "a file's payload"),
        (1536 + 599, "a file's payload"),
    ] {
        assert_eq!(fault(&whole[..length]), TarFault::Truncated(inside), "{length}");
    }
    assert_eq!(fault(&[0; 700]), TarFault::Truncated("a header"));
}

#[test]
fn bad_checksums_and_stray_blocks_are_refused() {
    let mut block = Block::new("n", b'0').sealed();
    block[0] ^= 1;
    assert_eq!(fault(&block), TarFault::Checksum);
    assert_eq!(fault(&[1; 512]), TarFault::Checksum);
    assert_eq!(fault(&[&[0; 512][..], &smuggled()].concat()), TarFault::LoneZeroBlock);
}

#[test]
fn malformed_pax_headers_are_refused_even_if_replaced() {
    let bad = extension(b'x', b"99 path=x\n");
    let archive = [bad, pax(&[("path", "y")]), Block::new("n", b'0').with(b"")].concat();
    assert_eq!(fault(&archive), TarFault::PaxRecord);
    for (key, value) in [("mtime", "soon"), ("uid", "0x10"), ("size", "1 "), ("atime", "1.-5")] {
        let archive = [pax(&[(key, value)]), Block::new("n", b'0').with(b"")].concat();
        assert_eq!(fault(&archive), TarFault::PaxValue(key.into()));
        let global = extension(b'g', &records(&[(key, value)]));
        assert_eq!(fault(&global), TarFault::PaxValue(key.into()));
    }
    assert_eq!(fault(&pax(&[("path", "a\0b")])), TarFault::PaxRecord);
}

#[test]
fn oversized_extensions_are_refused_before_they_are_read() {
    for (flag, limit_name) in [(b'x', "pax_bytes"), (b'g', "pax_bytes"), (b'L', "long_name_bytes")] {
        let header = Block::new("big", flag).size((1 << 20) + 1).sealed();
        match fault(&header) {
            TarFault::Limit { limit_name: name, size, .. } => {
                assert_eq!((name, size), (limit_name, (1 << 20) + 1))
            }
            other => panic!("{other:?}"),
        }
    }
    let limits = Limits { pax_bytes: 2 << 20, ..Limits::default() };
    let archive = [pax(&[("comment", &"x".repeat(1 << 20))]), Block::new("n", b'0').with(b"")].concat();
    assert!(matches!(fault(&archive), TarFault::Limit { .. }));
    assert!(crate::support::parse_chunked(&archive, 4096, limits).is_ok());
}

fn old_gnu(elements: &str, payload: u64, real_size: u64) -> Vec<u8> {
    let header = Block::gnu("s", b'S').size(payload).put(386, elements.as_bytes());
    header.put(483, format!("{real_size:011o}\0").as_bytes()).with(&vec![b'x'; payload as usize])
}

#[test]
fn sparse_maps_that_lie_are_refused() {
    let cases: [(&str, u64, u64, &str); 6] = [
        ("00000000000\x0000000000005\0", 5, 4, "an extent ends beyond the file"),
        (
            "00000000004\x0000000000002\x0000000000000\x0000000000002\0",
            4,
            9,
            "extents overlap or are out of order",
        ),
        (
            "00000000000\x0000000000003\x0000000000002\x0000000000002\0",
            5,
            9,
            "extents overlap or are out of order",
        ),
        ("00000000000\x0000000000004\0", 5, 9, "the extents do not add up to the payload"),
        ("00000000000\x0000000000006\0", 5, 9, "the extents do not add up to the payload"),
        ("", 5, 9, "the extents do not add up to the payload"),
    ];
    for (elements, payload, real_size, reason) in cases {
        assert_eq!(fault(&old_gnu(elements, payload, real_size)), TarFault::Sparse(reason), "{elements}");
    }
    let ustar = Block::new("s", b'S').with(b"");
    assert_eq!(fault(&ustar), TarFault::Sparse("type S in an archive that is not GNU's"));
    let huge = pax(&[
        ("GNU.sparse.numblocks", "2"),
        ("GNU.sparse.map", "9223372036854775807,0,9223372036854775807,9223372036854775807"),
        ("GNU.sparse.size", "9223372036854775807"),
    ]);
    let archive = [huge, Block::new("s", b'0').with(b"")].concat();
    assert_eq!(fault(&archive), TarFault::Sparse("an extent ends beyond the file"));
}

#[test]
fn sparse_records_that_lie_are_refused() {
    let cases: [(&[(&str, &str)], &str); 9] = [
        (&[("GNU.sparse.map", "0,1")], "number of extents is missing or not a number"),
        (
            &[("GNU.sparse.map", "0,1"), ("GNU.sparse.numblocks", "2")],
            "number of extents does not match the map",
        ),
        (
            &[("GNU.sparse.map", "0"), ("GNU.sparse.numblocks", "0")],
            "number of extents does not match the map",
        ),
        (
            &[("GNU.sparse.map", "0,1"), ("GNU.sparse.numblocks", "-1")],
            "number of extents does not match the map",
        ),
        (&[("GNU.sparse.map", "0,x"), ("GNU.sparse.numblocks", "1")], "not a number"),
        (&[("GNU.sparse.numbytes", "1")], "offsets and lengths out of order"),
        (&[("GNU.sparse.offset", "1,2")], "offsets and lengths out of order"),
        (&[("GNU.sparse.map", "0,-1"), ("GNU.sparse.numblocks", "1")], "negative number"),
        (
            &[("GNU.sparse.map", "0,0"), ("GNU.sparse.numblocks", "1"), ("GNU.sparse.size", "-1")],
            "negative file size",
        ),
    ];
    for (list, reason) in cases {
        let archive = [pax(list), Block::new("s", b'0').with(b"")].concat();
        assert_eq!(fault(&archive), TarFault::Sparse(reason), "{list:?}");
    }
    let map = [("GNU.sparse.map", "0,0"), ("GNU.sparse.numblocks", "1")];
    assert_eq!(
        fault(&[pax(&map), Block::new("s", b'5').with(b"")].concat()),
        TarFault::Sparse("not a regular file")
    );
}

fn version_1(map: &str, payload: usize) -> Vec<u8> {
    let list = [("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0"), ("GNU.sparse.realsize", "100")];
    let mut body = map.as_bytes().to_vec();
    body.resize(payload, 0);
    [pax(&list), Block::new("s", b'0').size(payload as u64).with(&body)].concat()
}

#[test]
fn maps_in_front_of_the_payload_that_lie_are_refused() {
    let without_end = format!("300\n{}", "0\n".repeat(254));
    for (map, payload, reason) in [
        (without_end.as_str(), 512, "the map does not fit the payload"),
        ("1\n0\n1\n", 100, "the map does not fit the payload"),
        ("-1\n", 512, "bad number of extents"),
        ("\n", 512, "bad number of extents"),
        ("1\nx\n1\n", 512, "not a number"),
        ("1\n0\n000000000000000000000000000000001\n", 512, "overlong line"),
        ("1\n0\n1\n", 512, "the extents do not add up to the payload"),
        ("1\n0\n-1\n", 512, "negative number"),
    ] {
        assert_eq!(fault(&version_1(map, payload)), TarFault::Sparse(reason), "{map:?}");
    }
}

#[test]
fn sparse_map_bombs_are_bounded() {
    // CVE-2025-58183
    let limits = Limits { sparse_extents: 3, ..Limits::default() };
    let refused = |archive: &[u8]| match fault_with(archive, limits) {
        TarFault::Limit { limit_name, limit, .. } => assert_eq!((limit_name, limit), ("sparse_extents", 3)),
        other => panic!("{other:?}"),
    };
    refused(&version_1("4\n", 512));
    refused(&version_1("99999999999999\n", 512));
    let map = ("GNU.sparse.map", "0,0,0,0,0,0,0,0");
    refused(&[pax(&[map, ("GNU.sparse.numblocks", "4")]), Block::new("s", b'0').with(b"")].concat());
    refused(&old_gnu(&"00000000000\0".repeat(8), 0, 9));
    // Extension blocks without any extent, on and on.
    let header = Block::gnu("s", b'S').put(482, &[1]).sealed();
    let mut empty = [0; 512];
    empty[504] = 1;
    refused(&[&header[..], &empty.repeat(4)].concat());
}

/// Counts, and keeps nothing.
#[derive(Default)]
struct Counter {
    raw: u64,
    longest: usize,
}

impl Sink for Counter {
    type Error = archive::Error;

    fn raw(&mut self, bytes: &[u8]) -> archive::Result<()> {
        self.raw += bytes.len() as u64;
        self.longest = self.longest.max(bytes.len());
        Ok(())
    }

    fn entry(&mut self, _: &Entry) -> archive::Result<()> {
        Ok(())
    }

    fn data(&mut self, _: &[u8]) -> archive::Result<()> {
        Ok(())
    }

    fn end_entry(&mut self) -> archive::Result<()> {
        Ok(())
    }
}

#[test]
fn endless_padding_passes_through_in_the_pieces_it_comes_in() {
    // CVE-2017-14992
    let mut parser = Parser::new(Limits::default());
    let mut counter = Counter::default();
    for _ in 0..1000 {
        parser.push(&[0; 65536], &mut counter).unwrap();
    }
    parser.finish(&mut counter).unwrap();
    assert_eq!(counter.raw, 65_536_000);
    assert!(counter.longest <= 65536);
}

#[test]
fn after_an_error_the_parser_stays_refusing() {
    let mut parser = Parser::new(Limits::default());
    let mut events = Recorder::default();
    assert!(parser.push(&[1; 512], &mut events).is_err());
    assert!(
        parser
            .push(&Block::new("n", b'0').sealed(), &mut events)
            .unwrap_err()
            .to_string()
            .contains("refused")
    );
    assert!(parser.finish(&mut events).is_err());
    assert!(!events.0.iter().any(|e| matches!(e, Event::Entry(_))));
}

#[test]
fn every_flipped_bit_is_survived() {
    let archive = [
        pax(&[("path", "name"), ("size", "3")]),
        Block::new("n", b'0').size(3).with(b"abc"),
        extension(b'L', b"long\0"),
        Block::gnu("d", b'5').with(b""),
        old_gnu("00000000000\x0000000000005\0", 5, 9),
        version_1("1\n0\n5\n", 517),
        END.to_vec(),
    ]
    .concat();
    assert_eq!(parse(&archive).unwrap().files().len(), 4);
    for bit in 0..archive.len() * 8 {
        let mut mutant = archive.clone();
        mutant[bit / 8] ^= 1 << (bit % 8);
        // An error or other entries, no panic, no lost byte.
        let _ = parse(&mutant);
    }
}

#[test]
fn kinds_say_whether_they_have_a_payload() {
    for kind in
        [Kind::HardLink, Kind::Symlink, Kind::CharDevice, Kind::BlockDevice, Kind::Directory, Kind::Fifo]
    {
        assert!(!kind.has_payload());
    }
    for kind in [Kind::Regular, Kind::Contiguous, Kind::Other(b'Q')] {
        assert!(kind.has_payload());
    }
}
