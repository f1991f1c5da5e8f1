//! What a server does when nothing goes wrong.

use archive::compress::Compression;
use model::Digest;

use super::{Client, Server, Setup, ten};
use crate::archive::Builder;
use crate::image::Image;
use crate::registry::Form;

#[test]
fn blobs_are_served_whole_and_in_ranges_on_one_connection() {
    let (server, blob) = ten(Setup::default());
    let mut client = Client::of(&server);
    let whole = client.get(&blob);
    assert_eq!((whole.status, &whole.body[..]), (200, &b"0123456789"[..]));
    assert_eq!(whole.header("accept-ranges"), "bytes");
    let part = client.ask("GET", &blob, &[("Range", "bytes=3-5")], b"");
    assert_eq!(
        (part.status, &part.body[..], part.header("Content-Range")),
        (206, &b"345"[..], "bytes 3-5/10")
    );
    let head = client.ask("HEAD", &blob, &[], b"");
    assert_eq!((head.status, head.header("Content-Length")), (200, "10"));
    assert_eq!(client.ask("GET", &blob, &[("range", "bytes=10-")], b"").status, 416);
    assert_eq!(client.get("/v2/a/b/blobs/sha256:00").status, 400);
    assert_eq!(client.get(&format!("/v2/a/b/blobs/{}", Digest::of(b""))).status, 404);
    let requests = server.requests();
    assert!(requests.iter().all(|request| request.connection == 0), "{requests:?}");
    assert_eq!(requests[1].header("Range"), Some("bytes=3-5"));
    assert_eq!(requests[1].status, 206);
}

#[test]
fn a_server_without_ranges_serves_the_whole_blob() {
    let (server, blob) = ten(Setup { ranges: false, ..Setup::default() });
    let answer = Client::of(&server).ask("GET", &blob, &[("Range", "bytes=3-5")], b"");
    assert_eq!((answer.status, answer.body.len(), answer.header("Accept-Ranges")), (200, 10, ""));
}

#[test]
fn an_image_is_there_by_tag_and_by_digest() {
    let server = Server::start();
    let image = Image::new().layer(Builder::new().file("a", "x").build()).compressed(Compression::Gzip);
    let digest = server.add_image("a/b", "1", &image, Form::Oci);
    let mut client = Client::of(&server);
    for at in ["1", &digest.to_string()] {
        let answer = client.get(&format!("/v2/a/b/manifests/{at}"));
        assert_eq!(answer.header("Docker-Content-Digest"), digest.to_string());
        assert_eq!(answer.header("Content-Type"), answer.json()["mediaType"]);
        assert_eq!(answer.json()["config"]["digest"], image.id());
        for layer in answer.json()["layers"].as_array().unwrap() {
            assert!(layer["mediaType"].as_str().unwrap().ends_with("tar+gzip"));
            let blob = client.get(&format!("/v2/a/b/blobs/{}", layer["digest"].as_str().unwrap()));
            assert_eq!(blob.body.len() as u64, layer["size"]);
        }
    }
    assert_eq!(client.get("/v2/a/b/manifests/2").status, 404);
    assert_eq!(client.get("/v2/a/manifests/1").status, 404);
}

#[test]
fn tags_come_in_pages_that_name_the_next() {
    let server = Server::start_with(Setup { page: 2, ..Setup::default() });
    for tag in ["1", "2", "3", "4", "5"] {
        server.add_manifest("a/b", tag, "text/plain", b"{}");
    }
    let mut client = Client::of(&server);
    let (mut tags, mut next) = (Vec::new(), "/v2/a/b/tags/list".to_owned());
    while !next.is_empty() {
        let answer = client.get(&next);
        tags.push(answer.json()["tags"].to_string());
        let link = answer.header("Link");
        next = link.split(['<', '>']).nth(1).unwrap_or_default().to_owned();
    }
    assert_eq!(tags, [r#"["1","2"]"#, r#"["3","4"]"#, r#"["5"]"#]);
    assert_eq!(client.get("/v2/a/tags/list").status, 404);
}

#[test]
fn an_upload_goes_on_only_at_its_newest_address_and_where_it_stands() {
    let server = Server::start();
    let mut client = Client::of(&server);
    let begun = client.ask("POST", "/v2/a/b/blobs/uploads/", &[], b"");
    assert_eq!(begun.status, 202);
    let first = begun.header("Location");
    let chunk = client.ask("PATCH", first, &[("Content-Range", "0-2")], b"012");
    assert_eq!((chunk.status, chunk.header("Range")), (202, "0-2"));
    assert_eq!(client.ask("PATCH", first, &[], b"345").status, 404, "at an old address");
    let gap = client.ask("PATCH", chunk.header("Location"), &[("Content-Range", "4-5")], b"45");
    assert_eq!((gap.status, gap.header("Range")), (416, "0-2"));
    let stands = client.get(gap.header("Location"));
    assert_eq!((stands.status, stands.header("Range")), (204, "0-2"));
    client.write(
        format!("PATCH {} HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", stands.header("Location"))
            .as_bytes(),
    );
    client.write(b"2\r\n34\r\n5;x=y\r\n56789\r\n0\r\n\r\n");
    let streamed = client.answer("PATCH");
    assert_eq!((streamed.status, streamed.header("Range")), (202, "0-9"));
    let digest = Digest::of(b"0123456789");
    let end = format!("{}&digest={digest}", streamed.header("Location"));
    assert_eq!(client.ask("PUT", &end, &[], b"").status, 201);
    assert_eq!(server.blob(&digest).unwrap(), b"0123456789");
    assert!(server.has_blob("a/b", &digest) && !server.has_blob("a", &digest));
    assert_eq!(server.open_uploads(), 0);
}

#[test]
fn a_blob_comes_at_once_and_only_with_its_digest() {
    let server = Server::start();
    let mut client = Client::of(&server);
    let at = format!("/v2/a/blobs/uploads/?digest={}", Digest::of(b"content"));
    let refused = client.ask("POST", &at, &[], b"other");
    assert_eq!(refused.json()["errors"][0]["code"], "DIGEST_INVALID");
    // The client waits for leave to send the body.
    client
        .write(format!("POST {at} HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 7\r\n\r\n").as_bytes());
    assert_eq!(client.head().unwrap().0, 100);
    client.write(b"content");
    assert_eq!(client.answer("POST").status, 201);
    assert_eq!(server.requests()[1].received, 7);
}

#[test]
fn a_blob_is_mounted_from_a_repository_that_has_it() {
    let server = Server::start();
    let digest = server.add_blob_to("one", b"content");
    let mut client = Client::of(&server);
    let mut mount = |from: &str| {
        client.ask("POST", &format!("/v2/two/blobs/uploads/?mount={digest}&from={from}"), &[], b"").status
    };
    assert_eq!(mount("three"), 202, "an upload begins instead");
    assert!(!server.has_blob("two", &digest));
    assert_eq!(mount("one"), 201);
    assert!(server.has_blob("two", &digest));
}

#[test]
fn a_manifest_is_taken_when_all_that_it_names_is_there() {
    let server = Server::start();
    let mut client = Client::of(&server);
    let config = Digest::of(b"{}");
    let manifest = format!(r#"{{"mediaType":"x/y","config":{{"digest":"{config}"}},"layers":[]}}"#);
    let put = |client: &mut Client, at: &str, media_type: &str| {
        let headers = [("Content-Type", media_type)];
        client.ask("PUT", &format!("/v2/a/manifests/{at}"), &headers, manifest.as_bytes()).status
    };
    assert_eq!(put(&mut client, "1", "x/y"), 404);
    server.add_blob_to("a", b"{}");
    assert_eq!(put(&mut client, "1", "x/z"), 400, "the document says another type");
    assert_eq!(put(&mut client, &config.to_string(), "x/y"), 400, "it has another digest");
    assert_eq!(put(&mut client, "1", "x/y"), 201);
    assert_eq!(server.manifest("a", "1").unwrap(), ("x/y".to_owned(), manifest.clone().into_bytes()));
}

#[test]
fn a_dropped_server_hangs_up() {
    let (server, blob) = ten(Setup::default());
    let mut client = Client::of(&server);
    client.get(&blob);
    drop(server);
    client.send("GET", &blob, &[], b"");
    assert!(client.head().is_none());
}
