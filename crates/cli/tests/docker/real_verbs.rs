//! Every verb on a real image, as a user types it: as root, as an ordinary user, and as one with subordinate ids, on
//! both drivers. What an ordinary user saves, root and Docker load as the same images.
//!
//! Ignored unless asked for, as [`real_image`](crate::real_image).

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::real_image::{NAME, forms};
use crate::said::Tool;
use crate::witness::{Witness, skip};
use crate::world::{World, succeeded};

/// An ordinary user without a name.
const USER: &str = "12345";

/// Runs the rest of the line as an ordinary user, with ranges of ids or none, in a mount namespace that has the files
/// for it.
const AS_USER: &str = r#"set -e
dir=$1 user=$2
shift 2
for file in subuid subgid; do touch "/etc/$file"; mount --bind "$dir/$file" "/etc/$file"; done
exec setpriv --reuid="$user" --regid="$user" --clear-groups "$@""#;

#[derive(Clone, Copy, PartialEq)]
enum Who {
    Root,
    User { ranges: bool },
}

/// A place for one run, with a shell in which `layercake` works on its store.
struct Shell {
    dir: TempDir,
    who: Who,
    images: PathBuf,
}

impl Shell {
    fn new(who: Who, driver: &str) -> Self {
        let images = PathBuf::from(std::env::var_os("IMAGES").unwrap());
        let shell =
            Self { dir: tempfile::Builder::new().prefix("layercake-").tempdir().unwrap(), who, images };
        let at = |name: &str| shell.dir.path().join(name);
        fs::set_permissions(shell.dir.path(), Permissions::from_mode(0o755)).unwrap();
        for dir in ["bin", "home"] {
            fs::create_dir(at(dir)).unwrap();
        }
        let copied = Command::new("cp").arg(env!("CARGO_BIN_EXE_layercake")).arg(at("bin/program")).status();
        assert!(copied.unwrap().success());
        let script =
            format!("#!/bin/sh\nexec {} --storage-driver {driver} \"$@\"\n", at("bin/program").display());
        fs::write(at("bin/layercake"), script).unwrap();
        fs::set_permissions(at("bin/layercake"), Permissions::from_mode(0o755)).unwrap();
        let ranges = if who == (Who::User { ranges: true }) {
            format!("{USER}:1000000:65536\n")
        } else {
            String::new()
        };
        fs::write(at("subuid"), &ranges).unwrap();
        fs::write(at("subgid"), &ranges).unwrap();
        if who != Who::Root {
            std::os::unix::fs::chown(at("home"), Some(12345), Some(12345)).unwrap();
        }
        shell
    }

    fn home(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    fn command(&self, line: &str) -> Command {
        let mut words: Vec<String> = Vec::new();
        if let Who::User { .. } = self.who {
            words.extend(
                ["unshare", "--mount", "--propagation", "slave", "sh", "-c", AS_USER, "as-user"]
                    .map(Into::into),
            );
            words.extend([self.dir.path().display().to_string(), USER.to_owned()]);
        }
        words.extend(["sh", "-ec", line].map(Into::into));
        let mut command = Command::new(&words[0]);
        let path = format!("{}:{}", self.dir.path().join("bin").display(), std::env::var("PATH").unwrap());
        command.args(&words[1..]).current_dir(self.home()).stdin(Stdio::null()).env("PATH", path);
        command
            .env("HOME", self.home())
            .env("TMPDIR", self.home())
            .env("IMAGES", &self.images)
            .env("TZ", "UTC");
        command.env("LAYERCAKE_ROOT", self.home().join("root")).env_remove("XDG_RUNTIME_DIR");
        command
    }

    /// Runs a line that must succeed; returns what it printed.
    fn run(&self, line: &str) -> String {
        let printed = succeeded(&[line], self.command(line).output().unwrap());
        println!("$ {line}\n{}", shortened(&printed));
        printed
    }

    /// Runs a line, and asserts that it prints this, but for the white space around it.
    #[track_caller]
    fn prints(&self, line: &str, expected: &str) {
        assert_eq!(self.run(line).trim(), expected.trim(), "{line}");
    }

    /// Runs a line, and asserts that these stand in what it prints.
    #[track_caller]
    fn shows(&self, line: &str, expected: &[&str]) {
        let printed = self.run(line);
        for expected in expected {
            assert!(printed.contains(expected), "{line}: no {expected} in:\n{printed}");
        }
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let _ = self.command("layercake umount --all; chmod -R u+w .; rm -rf * .local").output();
    }
}

/// A long text without its middle.
fn shortened(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    match lines.len() {
        0..=24 => text.to_owned(),
        n => format!("{}\n[{} lines]\n{}", lines[..12].join("\n"), n - 24, lines[n - 12..].join("\n")),
    }
}

fn every_verb(who: Who, driver: &str) {
    if forms().is_none() {
        return;
    }
    if !rustix::process::geteuid().is_root() {
        return skip("every verb on a real image", "needs root");
    }
    let shell = Shell::new(who, driver);
    let id = loads(&shell);
    looks(&shell, &id);
    names(&shell, &id);
    let on_overlays = driver == "overlay2";
    containers(&shell, on_overlays);
    archives(&shell, &id);
    copies(&shell);
    store(&shell, driver);
    others_take_it(&shell, &id);
}

/// Every form, into an empty store and beside what is there.
fn loads(shell: &Shell) -> String {
    shell.prints("layercake version --format '{{.Client.Version}}'", env!("CARGO_PKG_VERSION"));
    let mut ids = Vec::new();
    for load in [
        "layercake load -i $IMAGES/buildpack.docker.tar",
        "cat $IMAGES/buildpack.docker.tar | layercake load",
        "layercake load -i $IMAGES/buildpack.oci.tar",
        "layercake load -i - <$IMAGES/buildpack.oci.tar",
        "cat $IMAGES/buildpack.oci.tar | layercake image load",
        "layercake load -i $IMAGES/buildpack.oci",
        "layercake load --input $IMAGES/buildpack.oci-zstd",
    ] {
        shell.prints(load, &format!("Loaded image: {NAME}"));
        shell.prints(load, &format!("Loaded image: {NAME}"));
        ids.push(shell.run("layercake images -q --no-trunc").trim().to_owned());
        shell.shows(
            &format!("layercake rmi --wait {NAME}"),
            &[&format!("Untagged: {NAME}"), "Deleted: sha256:"],
        );
        shell.prints("layercake images -aq", "");
    }
    shell.prints("layercake load -q -i $IMAGES/buildpack.docker.tar", &format!("Loaded image: {NAME}"));
    ids.dedup();
    assert_eq!(ids.len(), 1, "{ids:?}");
    ids.remove(0)
}

fn looks(shell: &Shell, id: &str) {
    let short = &id["sha256:".len()..][..12];
    for list in ["layercake images", "layercake image ls", "layercake image list"] {
        shell.shows(list, &["REPOSITORY", "localhost/buildpack", short, "1.4"]);
    }
    let rows = shell.run("layercake history localhost/buildpack:1");
    assert_eq!(rows, shell.run("layercake image history localhost/buildpack:1"));
    assert!(rows.contains("chmod -R a+x /app") && rows.contains("setcap"), "{rows}");
    shell.shows(
        "layercake history --format json -H=false localhost/buildpack:1",
        &["\"CreatedBy\":", "\"Size\":"],
    );
    let document = shell.run("layercake inspect localhost/buildpack:1");
    assert_eq!(document, shell.run("layercake image inspect localhost/buildpack:1"));
    let layers = shell.run("layercake inspect --format '{{json .RootFS.Layers}}' localhost/buildpack:1");
    // The archive calls its layers by their digests.
    shell.prints(
        "tar -xOf $IMAGES/buildpack.docker.tar manifest.json | python3 -c 'import json, sys
print(json.dumps([\"sha256:\" + layer[:-4] for layer in json.load(sys.stdin)[0][\"Layers\"]], separators=(\",\", \":\")))'",
        &layers,
    );
    shell.prints(
        "layercake inspect -f '{{.Id}} {{.Architecture}} {{json .Config.Cmd}}' localhost/buildpack:1",
        &format!("{id} amd64 [\"python3\",\"/app/f1.py\"]"),
    );
}

fn names(shell: &Shell, id: &str) {
    shell.prints(
        &format!("layercake tag {NAME} acme/base:1 && layercake image tag acme/base:1 acme/other:2"),
        "",
    );
    shell.prints("layercake images -q --no-trunc --filter reference='acme/*'", &format!("{id}\n{id}"));
    shell.prints("layercake rmi acme/base:1", "Untagged: acme/base:1");
    shell.prints("layercake image rm acme/other:2", "Untagged: acme/other:2");
    shell.prints("layercake image prune --force", "Total reclaimed space: 0B");
}

fn containers(shell: &Shell, on_overlays: bool) {
    shell.run(&format!("layercake create --name c1 --label a=b {NAME} sleep 1"));
    shell.run(
        "dir=$(layercake mount c1); cd \"$dir\"
        echo hello >etc/motd; rm etc/debian_version; rm -r usr/share/doc; mkdir usr/share/doc; echo new >usr/share/doc/new
        mv app/f1.py app/f0.py; ln app/f0.py app/link.py; ln -s ../app srv/app; chmod 700 usr/bin/wget
        truncate -s 64M srv/sparse; cat app/f2.py >/dev/null",
    );
    if on_overlays {
        let dir = "dir=$(layercake mount c1); cd \"$dir\"";
        let rename =
            "python3 -c 'import os; os.rename(\"usr/lib/gcc\", \"usr/lib/moved\")' 2>&1 | tail -1 || true";
        shell.shows(&format!("{dir}; {rename}"), &["Invalid cross-device link"]);
        shell.run(&format!("{dir}; layercake mount | grep \"$dir\""));
    }
    let diff = shell.run("layercake diff c1");
    for line in
        ["C /etc/motd", "D /etc/debian_version", "A /usr/share/doc/new", "C /usr/bin/wget", "D /app/f1.py"]
    {
        assert!(diff.lines().any(|found| found == line), "no {line} in:\n{diff}");
    }
    // With vfs there is no mount that could end.
    shell.prints("layercake umount c1", if on_overlays { "c1" } else { "" });
    assert_eq!(diff, shell.run("layercake container diff c1"));
    let table = "'table {{.ID}}\\t{{.Image}}\\t{{.Names}}\\t{{.Size}}'";
    let rows = shell.run(&format!("layercake ps -a --size --format {table}"));
    assert!(rows.starts_with("CONTAINER ID   IMAGE") && rows.contains("(virtual 1.5"), "{rows}");
    shell.shows("layercake ps -a --no-trunc", &["sleep 1", "Created", "c1"]);
    shell.prints("layercake ps -aq --filter label=a=b --filter health=none --filter volume=/none", "");
    let commit = r#"layercake commit -m msg -c 'CMD ["sh", "-c", "cat /etc/motd; ls /usr/share/doc"]' c1 acme/new:1.0"#;
    let committed = shell.run(commit);
    shell.prints("layercake images -q --no-trunc acme/new:1.0", &committed);
    shell.shows("layercake history acme/new:1.0", &["msg"]);
    shell.prints("layercake inspect -f '{{len .RootFS.Layers}} {{.Comment}}' acme/new:1.0", "10 msg");
}

fn archives(shell: &Shell, id: &str) {
    shell.run(&format!("layercake save -o out.tar {NAME} acme/new:1.0"));
    let new = shell.run("layercake images -q --no-trunc acme/new:1.0");
    shell.prints("layercake save acme/new:1.0 | layercake load -q", "Loaded image: acme/new:1.0");
    shell.prints("layercake images -q --no-trunc acme/new:1.0", &new);
    shell.prints("layercake export c1 | tar -xO etc/motd", "hello");
    shell.run("layercake export -o rootfs.tar c1; tar -tf rootfs.tar | sort >names; grep ^usr/bin/gcc names");
    shell.prints("layercake export c1 | cmp - rootfs.tar", "");
    let imported = shell.run("layercake import -m imported -c 'CMD [\"sh\"]' rootfs.tar acme/imported:1");
    shell.prints("layercake images -q --no-trunc acme/imported:1", &imported);
    // The same tree as one layer.
    shell.run("layercake create --name c2 acme/imported:1");
    shell.prints("layercake export c2 | tar -t | sort | cmp - names", "");
    shell.prints("layercake diff c2", "");
    shell.prints("layercake rm c2", "c2");
    shell.prints("layercake inspect -f '{{.Id}}' localhost/buildpack:1", id);
}

fn copies(shell: &Shell) {
    shell.run(
        "layercake cp c1:/app copied; layercake cp c1:/etc/motd motd; layercake cp copied/. c1:/srv/back",
    );
    shell.prints("cat motd; ls copied | wc -l", "hello\n301");
    shell.prints("layercake cp c1:/srv/back - | tar -t | wc -l", "302");
    shell.run("tar -C copied -c f2.py | layercake cp - c1:/var/tmp; layercake cp -L c1:/srv/app/f2.py - | tar -xO >f2; cmp f2 copied/f2.py");
    shell.shows(
        "layercake cp c1:/no/such x 2>&1 || echo failed",
        &["Could not find the file /no/such in container c1", "failed"],
    );
    shell.prints("layercake rename c1 renamed && layercake ps -a --format '{{.Names}}'", "renamed");
}

fn store(shell: &Shell, driver: &str) {
    shell.shows("layercake info", &[&format!("Storage Driver: {driver}"), "Containers: 1", "Images: 3"]);
    shell.shows("layercake system info --format '{{.Driver}}'", &[driver]);
    shell.shows("layercake system df", &["Images", "Containers", "RECLAIMABLE"]);
    shell.shows("layercake system df -v", &["SHARED SIZE", "UNIQUE SIZE", "localhost/buildpack", "renamed"]);
    shell.shows("layercake system prune --dry-run", &["Would delete Containers", "Total reclaimable space"]);
    shell.shows("layercake check", &["no damage"]);
    shell.shows("layercake check --repair", &["no damage"]);
    shell.shows("layercake completion bash", &["complete -F"]);
    shell.shows("layercake tour", &["$ layercake"]);
    shell.prints("layercake rm --wait renamed", "renamed");
    shell.shows(
        "layercake image rm --wait acme/imported:1",
        &["Untagged: acme/imported:1", "Deleted: sha256:"],
    );
    shell.shows(
        "layercake rmi --wait acme/new:1.0 localhost/buildpack:1",
        &["Untagged: localhost/buildpack:1"],
    );
    shell.shows("layercake check", &["no damage"]);
    shell.prints("layercake images -aq; layercake ps -aq", "");
    shell.shows("layercake system df --format '{{.Type}} {{.Size}}'", &["Images 0B", "Containers 0B"]);
}

/// Root and Docker load what was saved, and run what was committed.
fn others_take_it(shell: &Shell, id: &str) {
    let saved = shell.home().join("out.tar");
    match Witness::Newest.find() {
        Ok(docker) => {
            let world = World::new(docker);
            world.layercake(&["load", "--input", saved.to_str().unwrap()]);
            let ours = ["acme/new:1.0", NAME].map(|name| world.inspect("image", name)["Id"].clone());
            assert_eq!(ours[1], id);
            world.clear();
            let daemon = world.start();
            daemon.docker_from(File::open(saved).unwrap(), &["load"]);
            assert_eq!(ours, ["acme/new:1.0", NAME].map(|name| daemon.inspect("image", name)["Id"].clone()));
            if let Some(printed) = daemon.run_container(&["--rm", "acme/new:1.0"]) {
                assert_eq!(printed, "hello\nnew\n");
            }
            daemon.stop();
        }
        Err(why) => skip("Docker on what was saved", &why),
    }
}

macro_rules! runs {
    ($($name:ident: $who:expr, $driver:literal;)*) => {
        $(#[test]
        #[ignore = "needs IMAGES and time"]
        fn $name() {
            every_verb($who, $driver);
        })*
    };
}

runs! {
    as_root_on_overlay2: Who::Root, "overlay2";
    as_root_on_vfs: Who::Root, "vfs";
    as_a_user_on_overlay2: Who::User { ranges: false }, "overlay2";
    as_a_user_on_vfs: Who::User { ranges: false }, "vfs";
    as_a_user_with_ranges_on_overlay2: Who::User { ranges: true }, "overlay2";
    as_a_user_with_ranges_on_vfs: Who::User { ranges: true }, "vfs";
}
