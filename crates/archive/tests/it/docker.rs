//! Against data roots and archives that real daemons wrote (tests/fixtures of the workspace).

use std::collections::HashMap;
use std::io::Read;
use std::path::Path;

use archive::compress;
use archive::digest::Sha256;
use archive::tar::{Kind, Limits, Reader, Writer};
use archive::tar_split::{Unpacker, gunzip};

use crate::split::{assemble, pack, payloads};
use crate::support::parse;

/// Regular files of a compressed archive, by name.
fn unpack(fixture: &Path, file: &str) -> HashMap<String, Vec<u8>> {
    let input = std::fs::File::open(fixture.join(file)).unwrap();
    let (_, plain) = compress::open(input, compress::Limits::default()).unwrap();
    let mut reader = Reader::new(plain, Limits::default());
    let mut files = HashMap::new();
    while let Some(member) = reader.next_member().unwrap() {
        if member.entry.kind == Kind::Regular {
            let mut content = Vec::new();
            reader.read_to_end(&mut content).unwrap();
            let name = String::from_utf8_lossy(&member.entry.path).into_owned();
            files.insert(name.trim_start_matches("./").to_owned(), content);
        }
    }
    files
}

struct Layer {
    archive: Vec<u8>,
    /// Docker's records, decompressed.
    records: Vec<u8>,
}

/// The layers of a fixture that are both in its layer store and in what it saved.
fn layers(version: &str) -> Vec<Layer> {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures").join(version);
    let root = unpack(&fixture, "root.tar.zst");
    let hex = |bytes: [u8; 32]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    let saved: HashMap<String, Vec<u8>> = unpack(&fixture, "saved.tar.zst")
        .into_values()
        .map(|content| (hex(Sha256::of(&content)), content))
        .collect();
    let mut layers = Vec::new();
    for (name, stored) in &root {
        let Some(dir) = name.strip_suffix("/tar-split.json.gz") else { continue };
        let diff_id = String::from_utf8_lossy(&root[&format!("{dir}/diff")]).into_owned();
        let archive = saved[diff_id.strip_prefix("sha256:").unwrap()].clone();
        let mut records = Vec::new();
        gunzip(&stored[..]).read_to_end(&mut records).unwrap();
        layers.push(Layer { archive, records });
    }
    assert!(layers.len() >= 5, "{version} has {} layers", layers.len());
    layers
}

#[test]
fn records_are_those_of_docker_28() {
    for layer in layers("docker-28.5") {
        let ours = pack(&layer.archive).unwrap();
        assert_eq!(String::from_utf8_lossy(&ours), String::from_utf8_lossy(&layer.records));
    }
}

#[test]
fn records_are_those_of_docker_20_but_for_its_empty_last_one() {
    for layer in layers("docker-20.10") {
        let ours = String::from_utf8(pack(&layer.archive).unwrap()).unwrap();
        let theirs = String::from_utf8(layer.records).unwrap();
        let last = theirs.strip_prefix(&ours).expect("Docker's records go on where ours end");
        assert_eq!(last, format!("{{\"type\":2,\"payload\":\"\",\"position\":{}}}\n", ours.lines().count()));
    }
}

#[test]
fn dockers_records_give_the_archives_back() {
    for version in ["docker-20.10", "docker-28.5"] {
        for layer in layers(version) {
            assert!(Unpacker::new(&layer.records[..]).all(|item| item.is_ok()));
            assert!(assemble(&layer.records, &payloads(&layer.archive)) == layer.archive);
        }
    }
}

#[test]
fn layers_that_docker_28_wrote_are_written_again_byte_by_byte() {
    let mut docker_made = 0;
    for layer in layers("docker-28.5") {
        let files = parse(&layer.archive).unwrap().files();
        // The imported layer comes from Python, which writes other headers.
        if files.iter().any(|(e, _)| e.path == b"bin/ping") {
            continue;
        }
        let mut writer = Writer::new(Vec::new());
        for (entry, payload) in &files {
            writer.append(entry, &payload[..]).unwrap();
        }
        assert!(writer.finish().unwrap() == layer.archive, "{files:?}");
        docker_made += 1;
    }
    assert!(docker_made >= 4);
}
