use super::*;
use std::ffi::OsStr;

const NAME: &str = "c-json.log";

fn at(second: i64) -> Timestamp {
    Timestamp::from_unix(second, 0)
}

fn writer(dir: &std::path::Path, rotation: Rotation) -> Writer {
    Writer::open(sys::dir::open_path(dir).unwrap(), NAME, rotation).unwrap()
}

fn read(dir: &std::path::Path, query: Query) -> Vec<String> {
    let mut reader = Reader::open(sys::dir::open_path(dir).unwrap(), NAME, query).unwrap();
    std::iter::from_fn(|| reader.next_entry().unwrap()).map(|entry| entry.text).collect()
}

#[test]
fn lines_are_written_as_docker_writes_them() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = writer(dir.path(), Rotation::default());
    log.write(Stream::Stdout, b"a <b>\nhalf", at(1)).unwrap();
    log.write(Stream::Stderr, b"\xff!\n", at(2)).unwrap();
    log.write(Stream::Stdout, b" and half\nend", at(3)).unwrap();
    log.finish(at(4)).unwrap();
    let text = std::fs::read_to_string(dir.path().join(NAME)).unwrap();
    let expected = [
        r#"{"log":"a \u003cb\u003e\n","stream":"stdout","time":"1970-01-01T00:00:01Z"}"#,
        "{\"log\":\"\u{fffd}!\\n\",\"stream\":\"stderr\",\"time\":\"1970-01-01T00:00:02Z\"}",
        r#"{"log":"half and half\n","stream":"stdout","time":"1970-01-01T00:00:03Z"}"#,
        r#"{"log":"end","stream":"stdout","time":"1970-01-01T00:00:04Z"}"#,
    ];
    assert_eq!(text.lines().collect::<Vec<_>>(), expected);
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(dir.path().join(NAME)).unwrap().permissions().mode();
    assert_eq!(mode & !0o640 & 0o7777, 0);
}

#[test]
fn a_very_long_line_is_several_entries() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = writer(dir.path(), Rotation::default());
    let line = [vec![b'x'; 40_000], b"\n".to_vec()].concat();
    line.chunks(7_000).for_each(|part| log.write(Stream::Stdout, part, at(1)).unwrap());
    let texts = read(dir.path(), Query::default());
    assert_eq!(texts.iter().map(String::len).collect::<Vec<_>>(), [16_384, 16_384, 7_233]);
    assert_eq!(texts.concat().as_bytes(), line);
}

#[test]
fn old_files_are_kept_up_to_the_limit_and_read_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = writer(dir.path(), Rotation { max_size: Some(200), max_files: 3 });
    for number in 0..20 {
        log.write(Stream::Stdout, format!("{number}\n").as_bytes(), at(number)).unwrap();
    }
    let mut names: Vec<_> = std::fs::read_dir(dir.path())
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, [NAME.to_owned(), format!("{NAME}.1"), format!("{NAME}.2")]);
    let texts = read(dir.path(), Query::default());
    assert_eq!(texts.last().unwrap(), "19\n");
    let numbers: Vec<i32> = texts.iter().map(|text| text.trim().parse().unwrap()).collect();
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "{numbers:?}");
    for lines in [0, 1, 3, 4, 6, 100] {
        let tail = read(dir.path(), Query { tail: Some(lines), ..Query::default() });
        assert_eq!(tail, texts[texts.len().saturating_sub(lines)..], "{lines}");
    }
}

#[test]
fn one_file_alone_is_begun_anew() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = writer(dir.path(), Rotation { max_size: Some(150), max_files: 1 });
    for number in 0..9 {
        log.write(Stream::Stdout, format!("{number}\n").as_bytes(), at(number)).unwrap();
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    assert_eq!(read(dir.path(), Query::default()).last().unwrap(), "8\n");
}

#[test]
fn a_follower_sees_what_is_written_across_rotations() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = writer(dir.path(), Rotation { max_size: Some(200), max_files: 5 });
    let mut reader = Reader::open(sys::dir::open_path(dir.path()).unwrap(), NAME, Query::default()).unwrap();
    assert_eq!(reader.next_entry().unwrap(), None);
    for number in 0..12 {
        log.write(Stream::Stderr, format!("{number}\n").as_bytes(), at(number)).unwrap();
        let entry = reader.next_entry().unwrap().unwrap();
        assert_eq!((entry.text, entry.stream), (format!("{number}\n"), Stream::Stderr));
        assert_eq!(reader.next_entry().unwrap(), None);
    }
}

#[test]
fn times_bound_what_is_shown_and_damage_is_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = writer(dir.path(), Rotation::default());
    for number in 0..5 {
        log.write(Stream::Stdout, format!("{number}\n").as_bytes(), at(number)).unwrap();
    }
    let path = dir.path().join(NAME);
    let text = std::fs::read_to_string(&path).unwrap().replacen("{\"log\":\"2", "torn{\"log\":\"2", 1);
    std::fs::write(&path, text).unwrap();
    let query = Query { since: Some(at(1)), until: Some(at(3)), tail: None };
    assert_eq!(read(dir.path(), query), ["1\n", "3\n"]);
    let gone = Reader::open(sys::dir::open_path(dir.path()).unwrap(), "none", Query::default());
    assert_eq!(gone.unwrap().next_entry().unwrap(), None);
}

#[test]
fn options_are_read_in_dockers_words() {
    let read = |options: &[(&'static str, &'static str)]| Rotation::from_options(options.iter().copied());
    assert_eq!(read(&[]).unwrap(), Rotation { max_size: None, max_files: 1 });
    let both = read(&[("max-size", "10m"), ("max-file", "3")]).unwrap();
    assert_eq!(both, Rotation { max_size: Some(10 << 20), max_files: 3 });
    for bad in [&[("max-file", "3")][..], &[("max-file", "0")], &[("max-size", "-1")], &[("colour", "red")]] {
        assert!(read(bad).is_err(), "{bad:?}");
    }
    assert_eq!(OsStr::new(&file_name("x", 2)), "x.2");
}
