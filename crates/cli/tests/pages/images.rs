//! The images that the pages begin with, on a registry that stands in for Docker Hub.

use std::fs;

use testkit::archive::Builder;
use testkit::image::Image;
use testkit::registry::{Form, Server};

/// Programs of Debian's packages that run without libraries.
const BUSYBOX: &str = "/bin/busybox";
const BASH: &str = "/bin/bash-static";

/// The directories that the pages list.
const DIRECTORIES: [&str; 18] = [
    "bin", "boot", "dev", "etc", "home", "lib", "lib64", "media", "mnt", "opt", "proc", "root", "run",
    "sbin", "srv", "sys", "tmp", "usr",
];
/// What the containers of the pages run.
const APPLETS: [&str; 8] = ["sh", "cat", "cp", "chmod", "ls", "mkdir", "env", "printf"];

/// Why the images cannot be made here, if they cannot.
pub fn missing() -> Option<&'static str> {
    match (fs::exists(BUSYBOX), fs::exists(BASH)) {
        (Ok(true), Ok(true)) => None,
        (Ok(true), _) => Some("needs bash-static"),
        _ => Some("needs busybox-static"),
    }
}

/// A registry with `library/alpine:latest` and `library/ubuntu:18.04`, of four layers, and `ubuntu:latest`, of five.
pub fn registry() -> Server {
    let server = Server::start();
    let alpine = Image::new().layer(base()).history(&[
        ("/bin/sh -c #(nop) ADD file:f278386b0cef68136129f5f58c52445590a417b624d62bca158d4dc926c340df in / ", false),
        ("/bin/sh -c #(nop)  CMD [\"/bin/sh\"]", true),
    ]);
    server.add_image("library/alpine", "latest", &alpine, Form::Docker);
    let layer = |name: &str| {
        Builder::new().dir("etc").file(format!("etc/{name}"), name).dir("sbin").dir("usr").dir("var").build()
    };
    let ubuntu = Image::new().layer(base()).layer(layer("one")).layer(layer("two")).layer(layer("three"));
    server.add_image("library/ubuntu", "18.04", &ubuntu, Form::Docker);
    server.add_image("library/ubuntu", "latest", &ubuntu.layer(layer("four")), Form::Docker);
    server
}

/// A whole tree.
fn base() -> Vec<u8> {
    let mut tree = Builder::new();
    for directory in DIRECTORIES {
        tree = tree.dir(directory);
    }
    let program = |entry: &mut archive::tar::Entry| entry.mode = 0o755;
    tree = tree
        .dir("var")
        .dir("usr/bin")
        .dir("usr/share")
        .symlink("usr/bin/env", "/bin/busybox")
        .file("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n")
        .file("etc/group", "root:x:0:\n")
        .file_with("bin/busybox", fs::read(BUSYBOX).unwrap(), program)
        .file_with("usr/share/bash", fs::read(BASH).unwrap(), program)
        .file_with("sbin/apk", "#!/bin/sh\nexec cp /usr/share/bash /bin/bash\n", program);
    for applet in APPLETS {
        tree = tree.symlink(format!("bin/{applet}"), "busybox");
    }
    tree.build()
}
