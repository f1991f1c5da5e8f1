//! A real image, 1.5 GB in nine layers and 25,000 files: what layercake does with it Docker takes over, and the other way
//! round.
//!
//! Ignored unless asked for. `IMAGES` names the directory with the image in all forms, `TMPDIR` has to have room: 8 GB,
//! and for vfs a file system that shares blocks (XFS, Btrfs), or 40 GB:
//!
//! ```text
//! IMAGES=… TMPDIR=… cargo test --release -p layercake --test docker real_ -- --ignored --test-threads 1
//! ```

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use archive::digest::HashReader;
use serde_json::Value;

use crate::archives::archive;
use crate::daemon::Daemon;
use crate::said::{Tool, ask};
use crate::to_docker::layer_records;
use crate::witness::skip;
use crate::witnessed;
use crate::world::{World, succeeded};

witnessed! {
    #[ignore = "needs IMAGES and time"]
    made_by_layercake_on_overlay2 made_by_layercake_on_vfs made_by_docker_on_overlay2 made_by_docker_on_vfs
}

/// What the image is called in all its archives.
pub const NAME: &str = "localhost/buildpack:1";
const COMMITTED: &str = "acme/committed:1.0";
const BY_DOCKER: &str = "acme/by-docker:1";
const BUILT: &str = "acme/built:1";

/// A form in which the image comes.
#[derive(Debug)]
pub enum Form {
    Path(PathBuf),
    Pipe(PathBuf),
}

/// The forms of the image, or nothing, having said so, if there are none.
pub fn forms() -> Option<Vec<Form>> {
    let Some(dir) = std::env::var_os("IMAGES") else {
        skip("a real image", "IMAGES is not set");
        return None;
    };
    let at = |name: &str| Path::new(&dir).join(name);
    let paths = ["buildpack.docker.tar", "buildpack.oci.tar", "buildpack.oci", "buildpack.oci-zstd"];
    let mut forms: Vec<Form> = paths.map(at).map(Form::Path).into();
    forms.extend(["buildpack.docker.tar", "buildpack.oci.tar"].map(at).map(Form::Pipe));
    Some(forms)
}

fn load(world: &World, form: &Form) {
    let said = match form {
        Form::Path(path) => world.layercake(&["load", "--input", path.to_str().unwrap()]),
        Form::Pipe(path) => {
            let mut cat = Command::new("cat").arg(path).stdout(Stdio::piped()).spawn().unwrap();
            let output = world.command(&["load"]).stdin(cat.stdout.take().unwrap()).output().unwrap();
            assert!(cat.wait().unwrap().success());
            succeeded(&["load"], output)
        }
    };
    assert_eq!(said, format!("Loaded image: {NAME}\n"), "{form:?}");
}

/// The digest that the world's image of that name has.
fn id(tool: &impl Tool, name: &str) -> Value {
    tool.inspect("image", name)["Id"].clone()
}

fn assert_sound(world: &World) {
    let report = world.layercake(&["check"]);
    assert!(report.ends_with("no damage\n"), "{report}");
}

fn made_by_layercake_on_overlay2(world: &World) {
    made_by_layercake(world);
}

fn made_by_layercake_on_vfs(world: &World) {
    made_by_layercake(&World::on(world.docker.clone(), "vfs"));
}

fn made_by_layercake(world: &World) {
    let Some(forms) = forms() else { return };
    // Every form is the same image, in the same layers.
    let mut loaded = Vec::new();
    for form in &forms {
        world.clear();
        load(world, form);
        loaded.push((id(world, NAME), layer_records(world)));
        assert_eq!(loaded[0], loaded[loaded.len() - 1], "{form:?}");
    }
    world.layercake(&["tag", NAME, "registry.example:5000/acme/tagged:1"]);
    let command = "echo by docker >/srv/made; rm -r /usr/share/doc; cat /etc/hostname >/dev/null; echo made by layercake";
    world.layercake(&[
        "create", "--name", "made", "--label", "a=b", "--env", "X=1", NAME, "sh", "-c", command,
    ]);
    world.layercake(&["create", "--name", "changed", NAME]);
    change(world, "changed");
    let change = r#"CMD ["echo", "committed by layercake"]"#;
    world.layercake(&["commit", "-a", "A. Author", "-m", "msg", "-c", change, "changed", COMMITTED]);
    assert_sound(world);

    let ours = ask(world);
    let daemon = world.start();
    ours.assert_agreed_by(&daemon);
    if let Some(printed) = daemon.run_container(&["--rm", COMMITTED]) {
        assert_eq!(printed, "committed by layercake\n");
        assert_seen(&daemon, COMMITTED);
        assert_eq!(daemon.docker(&["start", "--attach", "made"]), "made by layercake\n");
        let diff = daemon.lines(&["diff", "made"]);
        for change in ["A /srv/made", "D /usr/share/doc"] {
            assert!(diff.iter().any(|line| line == change), "no {change} in {diff:?}");
        }
    }
    daemon.docker(&["commit", "made", BY_DOCKER]);
    let saved = world.path("saved.tar");
    let names = [NAME, COMMITTED, BY_DOCKER];
    daemon.docker(&[&["save", "--output", saved.to_str().unwrap()], &names[..]].concat());
    let theirs = ask(&daemon);
    daemon.stop();
    theirs.assert_agreed_by(world);
    assert_sound(world);

    // What Docker saved is the same images again on another root.
    let ids = || names.map(|name| id(world, name));
    let before = ids();
    assert_eq!(before[0], loaded[0].0);
    world.clear();
    world.layercake(&["load", "--input", saved.to_str().unwrap()]);
    assert_eq!(before, ids());
}

/// Changes what a container has of the image, in its mounted tree.
fn change(world: &World, container: &str) {
    let merged = world.layercake(&["mount", container]);
    let at = |path: &str| Path::new(merged.trim_end()).join(path);
    fs::write(at("etc/motd"), "hello\n").unwrap();
    fs::remove_file(at("etc/debian_version")).unwrap();
    // A directory that hides the image's.
    fs::remove_dir_all(at("usr/share/doc")).unwrap();
    fs::create_dir(at("usr/share/doc")).unwrap();
    fs::write(at("usr/share/doc/new"), "new\n").unwrap();
    // Copied up with its capability, and with its set-user-ID bit.
    fs::set_permissions(at("usr/bin/wget"), PermissionsExt::from_mode(0o700)).unwrap();
    fs::set_permissions(at("usr/bin/curl"), PermissionsExt::from_mode(0o4711)).unwrap();
    fs::rename(at("app/f1.py"), at("app/f0.py")).unwrap();
    fs::hard_link(at("app/f0.py"), at("app/link.py")).unwrap();
    symlink("../app", at("srv/app")).unwrap();
    File::create(at("srv/sparse")).unwrap().set_len(64 << 20).unwrap();
    if world.driver == "overlay2" {
        let moved = fs::rename(at("usr/lib/gcc"), at("usr/lib/moved")).unwrap_err();
        assert_eq!(moved.kind(), io::ErrorKind::CrossesDevices);
    }
    world.layercake(&["umount", container]);
    world.layercake(&["cp", &format!("{container}:/etc/passwd"), world.path("passwd").to_str().unwrap()]);
    world.layercake(&["cp", world.path("passwd").to_str().unwrap(), &format!("{container}:/srv/copied")]);
    let diff: Vec<String> = world.lines(&["diff", container]);
    for change in
        ["C /etc/motd", "D /etc/debian_version", "A /usr/share/doc/new", "A /srv/copied", "C /usr/bin"]
    {
        assert!(diff.iter().any(|line| line == change), "no {change} in {diff:?}");
    }
}

/// A container of the image has what [`change`] made.
fn assert_seen(daemon: &Daemon<'_>, image: &str) {
    let look = "cat /etc/motd; ls /usr/share/doc; stat -c '%a %h' /usr/bin/wget /usr/bin/curl /app/f0.py; \
                /sbin/getcap /usr/bin/wget; ls /etc/debian_version /app/f1.py 2>&1 | wc -l; stat -c %s /srv/sparse; \
                cmp /etc/passwd /srv/copied && python3 -c 'print(6 * 7)'";
    let seen = daemon.run_container(&["--rm", image, "sh", "-c", look]).unwrap();
    let expected = "hello\nnew\n700 1\n4711 1\n755 2\n/usr/bin/wget cap_net_raw=ep\n2\n67108864\n42\n";
    assert_eq!(seen, expected);
}

fn made_by_docker_on_overlay2(world: &World) {
    made_by_docker(world);
}

fn made_by_docker_on_vfs(world: &World) {
    made_by_docker(&World::on(world.docker.clone(), "vfs"));
}

/// What the container does that Docker runs.
const SCRIPT: &str = "set -e; echo hello >/etc/motd; rm /etc/debian_version; rm -r /usr/share/doc; mkdir /usr/share/doc; \
    echo new >/usr/share/doc/new; chmod 700 /usr/bin/wget; mv /app/f1.py /app/f0.py; ln /app/f0.py /app/link.py; \
    ln -s ../app /srv/app; chown 7:8 /app/f2.py; mkfifo /srv/fifo; touch -d @1600000000 /srv/old";

fn made_by_docker(world: &World) {
    let Some(forms) = forms() else { return };
    let Some(Form::Path(plain)) = forms.first() else { return };
    let daemon = world.start();
    daemon.docker_from(File::open(plain).unwrap(), &["load"]);
    let runs = daemon.run_container(&["--name", "changed", NAME, "sh", "-c", SCRIPT]).is_some();
    assert!(runs, "this machine runs no containers");
    daemon.docker(&["create", "--name", "created", "--label", "a=b", NAME, "echo", "created"]);
    let dockerfile = format!("FROM {NAME}\nLABEL built=yes\nCOPY file /srv/\nRUN {SCRIPT}\n");
    let context = [("Dockerfile", dockerfile.as_str()), ("file", "copied\n")];
    let context = archive(&context.map(|(name, text)| (name.to_owned(), text.as_bytes().to_vec())).into());
    daemon.docker_with(&context, &["build", "--network=none", "--tag", BUILT, "-"]);
    daemon.docker(&["commit", "-m", "by docker", "-c", "ENV COMMITTED=1", "changed", BY_DOCKER]);
    daemon.docker(&["create", "--name", "unwanted", BY_DOCKER]);
    let (saved, exported) = (world.path("docker.tar"), world.path("docker-export.tar"));
    let names = [NAME, BUILT, BY_DOCKER];
    daemon.docker(&[&["save", "--output", saved.to_str().unwrap()], &names[..]].concat());
    daemon.docker(&["export", "--output", exported.to_str().unwrap(), "changed"]);
    let theirs = ask(&daemon);
    daemon.stop();

    theirs.assert_agreed_by(world);
    assert_sound(world);
    assert_saved_the_same(world, &saved, &names);
    let ours = world.path("export.tar");
    world.layercake(&["export", "--output", ours.to_str().unwrap(), "changed"]);
    assert_same_files(&files(&ours), &files(&exported));
    fs::remove_file(ours).unwrap();
    let merged = world.layercake(&["mount", "--read-only", "changed"]);
    let read = |name: &str| fs::read_to_string(Path::new(merged.trim_end()).join(name));
    assert_eq!(read("usr/share/doc/new").unwrap(), "new\n");
    assert!(read("etc/debian_version").is_err() && read("app/link.py").is_ok());
    world.layercake(&["umount", "changed"]);
    let change = r#"CMD ["echo", "committed by layercake"]"#;
    world.layercake(&["commit", "-c", change, "changed", COMMITTED]);
    world.layercake(&["rename", "created", "renamed"]);
    world.layercake(&["rm", "--wait", "unwanted"]);
    world.layercake(&["rmi", "--wait", BY_DOCKER]);
    let ours = ask(world);

    let daemon = world.start();
    ours.assert_agreed_by(&daemon);
    assert_eq!(daemon.run_container(&["--rm", COMMITTED]).unwrap(), "committed by layercake\n");
    assert_eq!(daemon.docker(&["start", "--attach", "renamed"]), "created\n");
    let before = id(&daemon, BUILT);
    daemon.docker_with(&context, &["build", "--network=none", "--tag", BUILT, "-"]);
    assert_eq!(id(&daemon, BUILT), before, "the build was not cached");
    daemon.stop();

    world.layercake(&["rm", "--wait", "changed", "renamed"]);
    world.layercake(&["rmi", "--wait", COMMITTED, BUILT, NAME]);
    assert_sound(world);
    let daemon = world.start();
    assert!(daemon.lines(&["images", "--quiet"]).is_empty());
    assert!(daemon.lines(&["ps", "--all", "--quiet"]).is_empty());
    daemon.stop();
}

/// The layers in our archive of these images are the bytes in Docker's.
fn assert_saved_the_same(world: &World, docker: &Path, names: &[&str]) {
    let ours = world.path("layercake.tar");
    world.layercake(&[&["save", "--output", ours.to_str().unwrap()], names].concat());
    let [ours, theirs] = [ours.as_path(), docker].map(|path| {
        let layers = names.iter().map(|name| layers(path, name)).collect::<Vec<_>>();
        fs::remove_file(path).unwrap();
        layers
    });
    assert_eq!(ours, theirs);
}

/// The digests of the layers of an image in a saved archive, lowest first. In Docker 20.10's archives a layer may be a
/// link to another one.
fn layers(path: &Path, name: &str) -> Vec<String> {
    let mut manifest = Value::Null;
    let (mut digests, mut links) = (BTreeMap::new(), BTreeMap::new());
    for entry in tar::Archive::new(File::open(path).unwrap()).entries().unwrap() {
        let mut entry = entry.unwrap();
        let member = entry.path().unwrap().to_string_lossy().into_owned();
        match entry.header().entry_type() {
            tar::EntryType::Symlink => {
                let target = entry.link_name().unwrap().unwrap().to_string_lossy().into_owned();
                links.insert(member, target.trim_start_matches("../").to_owned());
            }
            tar::EntryType::Regular if member == "manifest.json" => {
                manifest = serde_json::from_reader(entry).unwrap();
            }
            tar::EntryType::Regular => drop(digests.insert(member, digest(&mut entry))),
            _ => {}
        }
    }
    let named = |image: &&Value| image["RepoTags"].as_array().unwrap().iter().any(|tag| tag == name);
    let image = manifest.as_array().unwrap().iter().find(named).unwrap();
    let layers = image["Layers"].as_array().unwrap().iter().map(|layer| layer.as_str().unwrap());
    layers.map(|layer| digests[links.get(layer).map_or(layer, String::as_str)].clone()).collect()
}

fn digest(input: impl io::Read) -> String {
    let mut input = HashReader::new(input);
    io::copy(&mut input, &mut io::sink()).unwrap();
    input.finish().1.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What an archive says of each file.
fn files(path: &Path) -> BTreeMap<Vec<u8>, String> {
    let mut files = BTreeMap::new();
    for entry in tar::Archive::new(File::open(path).unwrap()).entries().unwrap() {
        let mut entry = entry.unwrap();
        let header = entry.header();
        let link = entry.link_name_bytes().map(|link| String::from_utf8_lossy(&link).into_owned());
        let said = format!(
            "{:?} {:o} {}:{} {} {} {link:?}",
            header.entry_type(),
            // Docker 20.10 puts the kind of file in there, too.
            header.mode().unwrap() & 0o7777,
            header.uid().unwrap(),
            header.gid().unwrap(),
            header.size().unwrap(),
            header.mtime().unwrap(),
        );
        let name = entry.path_bytes().into_owned();
        files.insert(name, format!("{said} {}", digest(&mut entry)));
    }
    files
}

fn assert_same_files(ours: &BTreeMap<Vec<u8>, String>, theirs: &BTreeMap<Vec<u8>, String>) {
    assert!(ours.len() > 10_000);
    for (name, said) in ours {
        let name_text = String::from_utf8_lossy(name);
        assert_eq!(Some(said), theirs.get(name), "{name_text}");
    }
    for name in theirs.keys() {
        assert!(ours.contains_key(name), "{} is missing", String::from_utf8_lossy(name));
    }
}
