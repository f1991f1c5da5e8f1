//! The images of the tour, made from a table: a base of two layers, and an application on top of it.

use archive::digest::Sha256;
use archive::tar::{Entry, Kind, Timestamp, Writer};
use model::Platform;
use serde_json::{Value, json};

/// When the images were made: 2024-01-01.
const CREATED: &str = "2024-01-01T00:00:00Z";
const CREATED_SECONDS: i64 = 1_704_067_200;

/// The words of the dictionary: a file that is large beside the change that will be made to it.
const WORDS: usize = 32_768;

/// One entry of a layer.
enum Item {
    Dir(&'static str),
    File(&'static str, u32, Vec<u8>),
}

use Item::{Dir, File};

/// A step of a Dockerfile: its text, and the layer that it made unless it changed the configuration only.
struct Instruction {
    text: &'static str,
    layer: Option<Vec<Item>>,
}

fn base() -> Vec<Instruction> {
    vec![
        Instruction {
            text: "ADD rootfs.tar / # buildkit",
            layer: Some(vec![
                Dir("etc"),
                File("etc/motd", 0o644, b"Welcome to the demo image.\n".to_vec()),
                File("etc/os-release", 0o644, b"ID=demo\nPRETTY_NAME=\"Layercake demo\"\n".to_vec()),
                Dir("usr"),
                Dir("usr/share"),
                Dir("usr/share/dict"),
                File("usr/share/dict/words", 0o644, words()),
                Dir("usr/share/doc"),
                Dir("usr/share/doc/demo"),
                File("usr/share/doc/demo/README", 0o644, b"A demo, from the base image.\n".to_vec()),
                File("usr/share/doc/demo/TODO", 0o644, b"- write more documentation\n".to_vec()),
            ]),
        },
        Instruction {
            text: "COPY hello /usr/bin/ # buildkit",
            layer: Some(vec![
                Dir("usr"),
                Dir("usr/bin"),
                File("usr/bin/hello", 0o755, b"#!/bin/sh\ncat /etc/motd\n".to_vec()),
            ]),
        },
        Instruction { text: "CMD [\"/usr/bin/hello\"]", layer: None },
    ]
}

fn app() -> Vec<Instruction> {
    vec![
        Instruction { text: "LABEL org.opencontainers.image.authors=org@example.com", layer: None },
        Instruction {
            text: "COPY . /opt/app # buildkit",
            layer: Some(vec![
                Dir("opt"),
                Dir("opt/app"),
                File("opt/app/run", 0o755, b"#!/bin/sh\nexec hello\n".to_vec()),
                Dir("opt/app/cache"),
                File("opt/app/cache/objects", 0o644, vec![b'o'; 48_000]),
            ]),
        },
        // A whiteout, as layers carry it (OCI image specification, layer.md "Whiteouts").
        Instruction {
            text: "RUN /bin/sh -c rm -r /opt/app/cache # buildkit",
            layer: Some(vec![Dir("opt"), Dir("opt/app"), File("opt/app/.wh.cache", 0o644, Vec::new())]),
        },
        Instruction { text: "CMD [\"/opt/app/run\"]", layer: None },
    ]
}

/// Numbered lines: the same on every machine, and of no use.
fn words() -> Vec<u8> {
    (0..WORDS).flat_map(|n| format!("word{n:05}\n").into_bytes()).collect()
}

/// The archive of both images, `demo/base:1.0` and `demo/app:1.0`, as `docker save` writes it.
///
/// # Errors
/// None that a buffer in memory could have.
pub fn archive() -> archive::Result<Vec<u8>> {
    let mut images = Images { tar: Writer::new(Vec::new()), entries: Vec::new() };
    images.add("demo/base:1.0", "/usr/bin/hello", &base())?;
    let all: Vec<Instruction> = base().into_iter().chain(app()).collect();
    images.add("demo/app:1.0", "/opt/app/run", &all)?;
    let manifest = Value::Array(images.entries).to_string();
    append(&mut images.tar, &File("manifest.json", 0o644, manifest.into_bytes()))?;
    images.tar.finish()
}

struct Images {
    tar: Writer<Vec<u8>>,
    /// What `manifest.json` says of each image (moby.md §7).
    entries: Vec<Value>,
}

impl Images {
    fn add(&mut self, name: &str, command: &str, dockerfile: &[Instruction]) -> archive::Result<()> {
        let mut names = Vec::new();
        let mut diff_ids = Vec::new();
        let mut history = Vec::new();
        for instruction in dockerfile {
            let mut line = json!({"created": CREATED, "created_by": instruction.text});
            match &instruction.layer {
                None => line["empty_layer"] = json!(true),
                Some(items) => {
                    let layer = layer(items)?;
                    let digest = hex(&layer);
                    names.push(format!("{digest}/layer.tar"));
                    diff_ids.push(format!("sha256:{digest}"));
                    self.member(&format!("{digest}/layer.tar"), &layer)?;
                }
            }
            history.push(line);
        }
        let host = Platform::host();
        let config = json!({
            "architecture": host.architecture,
            "os": host.os,
            "created": CREATED,
            "config": {"Cmd": [command]},
            "history": history,
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        })
        .to_string();
        let config_name = format!("{}.json", hex(config.as_bytes()));
        self.member(&config_name, config.as_bytes())?;
        self.entries.push(json!({"Config": config_name, "RepoTags": [name], "Layers": names}));
        Ok(())
    }

    fn member(&mut self, name: &str, content: &[u8]) -> archive::Result<()> {
        write(&mut self.tar, name, Kind::Regular, 0o644, content)
    }
}

fn layer(items: &[Item]) -> archive::Result<Vec<u8>> {
    let mut tar = Writer::new(Vec::new());
    items.iter().try_for_each(|item| append(&mut tar, item))?;
    tar.finish()
}

fn append(tar: &mut Writer<Vec<u8>>, item: &Item) -> archive::Result<()> {
    match item {
        Dir(path) => write(tar, &format!("{path}/"), Kind::Directory, 0o755, b""),
        File(path, mode, content) => write(tar, path, Kind::Regular, *mode, content),
    }
}

fn write(
    tar: &mut Writer<Vec<u8>>,
    path: &str,
    kind: Kind,
    mode: u32,
    content: &[u8],
) -> archive::Result<()> {
    let mut entry = Entry::new(path, kind);
    entry.mode = mode;
    entry.mtime = Timestamp { secs: CREATED_SECONDS, nanos: 0 };
    entry.size = content.len() as u64;
    tar.append(&entry, content)
}

fn hex(bytes: &[u8]) -> String {
    Sha256::of(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_archive_is_the_same_every_time_and_small() {
        let archive = archive().unwrap();
        assert_eq!(archive, super::archive().unwrap());
        assert!(archive.len() < 1 << 20, "{}", archive.len());
    }
}
