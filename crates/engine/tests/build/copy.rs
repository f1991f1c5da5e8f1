//! `COPY` and `ADD`: what goes where.

use crate::world::{World, on_every_driver};
use archive::compress::Compression;
use std::io::Write;

#[test]
fn files_and_directories_go_where_buildkit_puts_them() {
    on_every_driver(|world| {
        world.file("a.txt", "a");
        world.file("dir/b.txt", "b");
        world.file("dir/sub/c.txt", "c");
        testkit::tree::symlink(&world.context, "dir/link", "b.txt");
        let image = world.build(
            "FROM scratch\n\
             COPY a.txt /one\n\
             COPY a.txt /two/\n\
             COPY dir /three\n\
             COPY dir /three/four/\n\
             WORKDIR /five\n\
             COPY a.txt dir/link ./\n",
        );
        for (path, expected) in [
            ("one", "f 644 0:0 a"),
            ("two", "d 755 0:0"),
            ("two/a.txt", "f 644 0:0 a"),
            ("three/b.txt", "f 644 0:0 b"),
            ("three/sub/c.txt", "f 644 0:0 c"),
            ("three/link", "l b.txt"),
            ("three/four/sub/c.txt", "f 644 0:0 c"),
            ("five/a.txt", "f 644 0:0 a"),
            // A source that is a link is what it leads to.
            ("five/link", "f 644 0:0 b"),
        ] {
            assert_eq!(image.at(path), expected, "{path}");
        }
        assert_eq!(image.config.diff_ids().len(), 6);
        world.assert_sound();
    });
}

#[test]
fn the_destination_keeps_its_attributes_and_what_is_in_it_does_not() {
    on_every_driver(|world| {
        use std::os::unix::fs::PermissionsExt;
        world.file("dir/sub/file", "1");
        let mode = |path: &str, mode| {
            let path = world.context.join(path);
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        mode("dir", 0o700);
        mode("dir/sub", 0o750);
        let image = world.build("FROM scratch\nCOPY dir/sub /there/sub\nCOPY dir /there\n");
        assert_eq!(image.at("there"), "d 755 0:0");
        assert_eq!(image.at("there/sub"), "d 750 0:0");
    });
}

#[test]
fn owners_and_modes_are_those_that_the_flags_ask_for() {
    on_every_driver(|world| {
        world.file("passwd", "root:x:0:0::/:/bin/sh\nweb:x:33:34::/:/bin/sh\n");
        world.file("group", "root:x:0:\nstaff:x:50:\n");
        world.file("dir/f", "1");
        let image = world.build(
            "FROM scratch\n\
             COPY passwd group /etc/\n\
             COPY --chown=web dir /a\n\
             COPY --chown=5:staff --chmod=600 dir/f /b/f\n\
             COPY --chmod=u=rwX,go=rX dir /c\n",
        );
        assert_eq!(image.at("a"), "d 755 33:34");
        assert_eq!(image.at("a/f"), "f 644 33:34 1");
        // As with BuildKit, the flags count for new directories, too.
        assert_eq!(image.at("b"), "d 600 5:50");
        assert_eq!(image.at("b/f"), "f 600 5:50 1");
        assert_eq!(image.at("c/f"), "f 644 0:0 1");
        let (error, excerpt) = world.fails("FROM scratch\nCOPY --chown=nobody dir /a\n");
        assert!(error.contains("can't find user for nobody"), "{error}");
        assert!(excerpt.contains("   2 | >>> COPY --chown=nobody dir /a"), "{excerpt}");
    });
}

#[test]
fn patterns_ignored_files_and_exclusions() {
    on_every_driver(|world| {
        for path in ["a.txt", "b.txt", "c.md", "dir/d.txt", "dir/keep/e.md", "secret/key", "secret/public"] {
            world.file(path, path);
        }
        let mut options = world.options(
            "FROM scratch\n\
             COPY *.txt /texts/\n\
             COPY . /all/\n\
             COPY --exclude=*.md --exclude=dir/keep . /some/\n\
             COPY none* /nothing/\n",
        );
        options.ignore = Some(b"# comment\nc.md\nsecret\n!secret/public\n".to_vec());
        let image = world.image(&world.build_with(&options).unwrap());
        let below = |dir: &str| -> Vec<String> {
            let files =
                image.tree.iter().filter(|(path, line)| path.starts_with(dir) && line.starts_with('f'));
            files.map(|(path, _)| path[dir.len()..].to_owned()).collect()
        };
        assert_eq!(below("texts/"), ["a.txt", "b.txt"]);
        assert_eq!(below("all/"), ["a.txt", "b.txt", "dir/d.txt", "dir/keep/e.md", "secret/public"]);
        assert_eq!(below("some/"), ["a.txt", "b.txt", "dir/d.txt", "secret/public"]);
        options.dockerfile = "FROM scratch\nCOPY c.md /\n".into();
        let error = world.build_with(&options).unwrap_err().to_string();
        assert!(error.contains("\"/c.md\": not found"), "{error}");
    });
}

#[test]
fn nothing_outside_of_the_context_can_be_copied() {
    on_every_driver(|world| {
        world.file("../outside", "secret");
        testkit::tree::symlink(&world.context, "way", "../outside");
        testkit::tree::symlink(&world.context, "root", "/");
        for source in ["../outside", "/../outside", "way", "root/../../outside"] {
            let (error, _) = world.fails(&format!("FROM scratch\nCOPY {source} /x\n"));
            assert!(error.contains("not found"), "{source}: {error}");
        }
        // The link itself leads to the context's root.
        let image = world.build("FROM scratch\nCOPY root/way* /x/\nCOPY . /y\n");
        assert_eq!(image.at("y/way"), "l ../outside");
        assert!(!image.tree.values().any(|line| line.contains("secret")));
    });
}

#[test]
fn links_of_the_image_are_followed_in_the_destination() {
    on_every_driver(|world| {
        world.file("f", "1");
        world.file("lib/g", "2");
        world.file("base/usr/lib/old", "0");
        testkit::tree::symlink(&world.context, "base/lib", "usr/lib");
        let image = world.build("FROM scratch\nCOPY base /\nCOPY f /lib/\nCOPY lib /lib\n");
        assert_eq!(image.at("lib"), "l usr/lib");
        assert_eq!(image.at("usr/lib/f"), "f 644 0:0 1");
        assert_eq!(image.at("usr/lib/g"), "f 644 0:0 2");
        // Inside a copied directory a link is no directory.
        world.file("tree/lib/h", "3");
        let (error, _) = world.fails("FROM scratch\nCOPY base /\nCOPY tree /\n");
        assert_eq!(error, "cannot copy to non-directory: /lib");
        // With --link nothing below matters.
        let image = world.build("FROM scratch\nCOPY base /\nCOPY --link tree /\n");
        assert_eq!(image.at("lib/h"), "f 644 0:0 3");
    });
}

#[test]
fn parents_are_kept_from_the_dot_on() {
    on_every_driver(|world| {
        world.file("a/b/c.txt", "1");
        world.file("a/d.txt", "2");
        let image = world.build(
            "# syntax=docker/dockerfile:1\nFROM scratch\nCOPY --parents a/b/c.txt a/d.txt /x/\nCOPY --parents a/./b /y/\n",
        );
        assert_eq!(image.at("x/a/b/c.txt"), "f 644 0:0 1");
        assert_eq!(image.at("x/a/d.txt"), "f 644 0:0 2");
        assert_eq!(image.at("y/b/c.txt"), "f 644 0:0 1");
    });
}

#[test]
fn files_can_stand_in_the_dockerfile() {
    on_every_driver(|world| {
        let image = world.build(
            "FROM scratch\nARG name=you\nCOPY <<one <<'two' /d/\nhello $name\none\n$name\ntwo\nCOPY <<EOF /file\n1\nEOF\n",
        );
        assert_eq!(image.at("d/one"), "f 644 0:0 hello you\n");
        assert_eq!(image.at("d/two"), "f 644 0:0 $name\n");
        assert_eq!(image.at("file"), "f 644 0:0 1\n");
        assert_eq!(image.history()[1], "COPY <<one <<two /d/ # buildkit");
    });
}

#[test]
fn hard_links_stay_hard_links() {
    on_every_driver(|world| {
        world.file("d/a", "1");
        std::fs::hard_link(world.context.join("d/a"), world.context.join("d/b")).unwrap();
        let image = world.build("FROM scratch\nCOPY d /d\n");
        let chain = image.config.chain_id().unwrap();
        let record = world.engine.store().layers().get(&chain).unwrap();
        let view = world.engine.driver().view(None, &record.cache_id).unwrap();
        let inode = |path: &str| view.lookup(path.as_ref()).unwrap().unwrap().meta.ino;
        assert_eq!(inode("d/a"), inode("d/b"));
    });
}

#[test]
fn archives_are_unpacked_by_add_and_copied_by_copy() {
    on_every_driver(|world| {
        let archive = testkit::archive::Builder::new()
            .dir("./")
            .file("usr/share/doc", "1")
            .file("lib/new", "2")
            .symlink("link", "usr")
            .hardlink("hard", "lib/new")
            .build();
        let mut gz = archive::compress::encoder(Compression::Gzip, Vec::new()).unwrap();
        gz.write_all(&archive).unwrap();
        world.file("a.tar.gz", gz.finish().unwrap());
        world.file("plain.tar", &archive);
        world.file("base/usr/lib/old", "0");
        testkit::tree::symlink(&world.context, "base/lib", "usr/lib");
        world.file("no.tar", "this is no archive");
        let image = world.build(
            "FROM scratch\nCOPY base /\nADD a.tar.gz /\nADD plain.tar /x/\nCOPY plain.tar /y/\nADD no.tar /z/\n",
        );
        assert_eq!(image.at("usr/share/doc"), "f 644 0:0 1");
        // A link of the image stays, and what the archive has below it goes where it leads.
        assert_eq!(image.at("lib"), "l usr/lib");
        assert_eq!(image.at("usr/lib/new"), "f 644 0:0 2");
        assert_eq!(image.at("hard"), "f 644 0:0 2");
        assert_eq!(image.at("x/lib/new"), "f 644 0:0 2");
        assert_eq!(image.at("y"), "d 755 0:0");
        assert!(image.at("y/plain.tar").starts_with("f 644 0:0 "));
        assert_eq!(image.at("z/no.tar"), "f 644 0:0 this is no archive");
        world.assert_sound();
    });
}

#[test]
fn a_file_does_not_become_a_directory_nor_the_other_way_round() {
    on_every_driver(|world| {
        world.file("f", "1");
        world.file("d/f/x", "2");
        let (error, excerpt) = world.fails("FROM scratch\nCOPY f /f\nCOPY d /\n");
        assert_eq!(error, "cannot copy to non-directory: /f");
        assert!(excerpt.starts_with("Dockerfile:3\n"), "{excerpt}");
        let (error, _) = world.fails("FROM scratch\nCOPY d/f /a/f\nCOPY f d /a/\n");
        assert_eq!(error, "cannot replace to directory /a/f with file");
        let (error, _) = world.fails("FROM scratch\nCOPY f d /a\n");
        assert!(error.contains("more than one source file"), "{error}");
    });
}

#[test]
fn a_context_that_is_not_given_has_nothing_in_it() {
    let world = World::new("vfs");
    let mut options = world.options("FROM scratch\nCOPY x /\n");
    options.context = None;
    let error = world.build_with(&options).unwrap_err().to_string();
    assert!(error.contains("\"/x\": not found"), "{error}");
}

/// Answers every request with this file; says where.
fn serve(body: &'static str) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            let mut request = [0; 4096];
            let n = std::io::Read::read(&mut connection, &mut request).unwrap();
            let text = String::from_utf8_lossy(&request[..n]).into_owned();
            let answer = if text.starts_with("GET /moved ") {
                "HTTP/1.1 302 Found\r\nLocation: /f.txt\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                    .to_owned()
            } else if text.starts_with("GET /f.txt ") {
                let date = "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT";
                format!(
                    "HTTP/1.1 200 OK\r\n{date}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                    body.len()
                )
            } else {
                "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_owned()
            };
            connection.write_all(answer.as_bytes()).unwrap();
        }
    });
    format!("http://{address}")
}

#[test]
fn add_fetches_and_compares() {
    let server = serve("fetched");
    let digest = model::Digest::of(b"fetched");
    on_every_driver(|world| {
        let image = world.build(&format!(
            "FROM scratch\nADD {server}/f.txt /d/\nADD --checksum={digest} --chmod=644 {server}/moved /e\n"
        ));
        assert_eq!(image.at("d/f.txt"), "f 600 0:0 fetched");
        assert_eq!(image.at("e"), "f 644 0:0 fetched");
        let wrong = model::Digest::of(b"other");
        let (error, _) = world.fails(&format!("FROM scratch\nADD --checksum={wrong} {server}/f.txt /d/\n"));
        assert!(error.contains("digest mismatch"), "{error}");
        let (error, _) = world.fails(&format!("FROM scratch\nADD {server}/no /d/\n"));
        assert!(error.contains("404"), "{error}");
        let (error, _) = world.fails("FROM scratch\nADD https://h.example/x.git /d/\n");
        assert!(error.contains("git repositories are not fetched"), "{error}");
    });
}
