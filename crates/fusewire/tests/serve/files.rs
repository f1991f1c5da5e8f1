//! Ordinary calls on files and directories.

use std::fs;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::process::Command;
use std::sync::atomic::Ordering;

use fusewire::{Errno, Features};
use rustix::fs as rfs;
use rustix::fs::{AtFlags, CWD, Mode, OFlags, StatxFlags, XattrFlags};

use crate::memory::BIRTH;
use crate::{serve, serve_by};

#[test]
fn files_are_made_written_read_and_removed() {
    let Some(mounted) = serve(Features::default()) else { return };
    let [dir, file, link] = ["dir", "dir/file", "dir/link"].map(|name| mounted.path(name));
    fs::create_dir(&dir).unwrap();
    // More than a request can hold, and no multiple of anything.
    let data: Vec<u8> = (0..3_000_001_u32).map(|n| (n % 251) as u8).collect();
    fs::write(&file, &data).unwrap();
    assert!(fs::read(&file).unwrap() == data);
    assert_eq!(fs::metadata(&file).unwrap().len(), 3_000_001);

    fs::hard_link(&file, mounted.path("second")).unwrap();
    assert_eq!(fs::metadata(&file).unwrap().nlink(), 2);
    fs::rename(&file, mounted.path("renamed")).unwrap();
    assert_eq!(fs::read(&file).unwrap_err().kind(), std::io::ErrorKind::NotFound);
    fs::remove_file(mounted.path("renamed")).unwrap();
    assert!(fs::read(mounted.path("second")).unwrap() == data);

    symlink("some/where", &link).unwrap();
    assert_eq!(fs::read_link(&link).unwrap().to_str(), Some("some/where"));
    fs::remove_file(&link).unwrap();
    fs::remove_dir(&dir).unwrap();
    assert!(!dir.exists());
}

#[test]
fn attributes_are_set_and_the_umask_is_the_servers() {
    let Some(mounted) = serve(Features::default()) else { return };
    let path = mounted.path("file");
    let file = fs::File::create(&path).unwrap();
    file.set_len(12_345).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let before_1970 = rfs::Timespec { tv_sec: -5, tv_nsec: 6 };
    let times = rfs::Timestamps { last_access: before_1970, last_modification: before_1970 };
    rfs::utimensat(CWD, &path, &times, AtFlags::empty()).unwrap();
    let meta = fs::metadata(&path).unwrap();
    assert_eq!((meta.len(), meta.mode()), (12_345, 0o100_640));
    assert_eq!((meta.mtime(), meta.mtime_nsec()), (-5, 6));
    let negotiated = mounted.fs.negotiated.get().unwrap();
    assert!(negotiated.max_write == 1 << 20 && negotiated.minor >= 23);
}

#[test]
fn birth_times_are_asked_for_by_statx() {
    let Some(mounted) = serve(Features::default()) else { return };
    fs::write(mounted.path("file"), b"content").unwrap();
    if mounted.fs.negotiated.get().unwrap().minor < 39 {
        return eprintln!("SKIPPED: this kernel does not ask for birth times");
    }
    let st = rfs::statx(CWD, mounted.path("file"), AtFlags::empty(), StatxFlags::ALL).unwrap();
    assert!(st.stx_mask & StatxFlags::BTIME.bits() != 0);
    assert_eq!((st.stx_btime.tv_sec, st.stx_btime.tv_nsec), (BIRTH.seconds, BIRTH.nanos));
    assert_eq!((st.stx_size, u32::from(st.stx_mode) & 0o170_000), (7, 0o100_000));
}

#[test]
fn a_directory_larger_than_an_answer_is_listed_whole() {
    let Some(mounted) = serve(Features::default()) else { return };
    let names: Vec<String> = (0..3000).map(|n| format!("{n:04} {}", "x".repeat(n % 40))).collect();
    for name in &names {
        rfs::mknodat(CWD, mounted.path(name), rfs::FileType::Fifo, Mode::RUSR, 0).unwrap();
    }
    let list = || {
        let entries = fs::read_dir(mounted.path("")).unwrap().map(Result::unwrap);
        let mut listed: Vec<String> = entries
            .map(|entry| {
                assert!(std::os::unix::fs::FileTypeExt::is_fifo(&entry.file_type().unwrap()));
                assert_eq!(entry.metadata().unwrap().ino(), std::os::unix::fs::DirEntryExt::ino(&entry));
                entry.file_name().into_string().unwrap()
            })
            .collect();
        listed.sort();
        listed
    };
    assert!(list() == names);
    assert!(list() == names);
}

#[test]
fn extended_attributes_tell_their_length_and_must_fit() {
    let Some(mounted) = serve(Features::default()) else { return };
    let path = mounted.path("file");
    fs::write(&path, b"").unwrap();
    let value = [b'v'; 1000];
    rfs::setxattr(&path, "user.long", &value, XattrFlags::empty()).unwrap();
    rfs::setxattr(&path, "user.empty", b"", XattrFlags::empty()).unwrap();
    let mut buf = [0; 1000];
    // getfattr(1) asks for the length first; rustix does not show what the kernel answers to that.
    let listed = Command::new("getfattr").args(["--only-values", "-n", "user.long"]).arg(&path).output();
    match listed {
        Ok(output) => assert_eq!(output.stdout, value),
        Err(e) => eprintln!("SKIPPED in part: getfattr: {e}"),
    }
    assert_eq!(rfs::getxattr(&path, "user.long", &mut buf[..999]), Err(Errno::RANGE));
    assert_eq!(rfs::getxattr(&path, "user.long", &mut buf), Ok(1000));
    assert_eq!(buf, value);
    assert_eq!(rfs::getxattr(&path, "user.empty", &mut buf), Ok(0));
    assert_eq!(rfs::getxattr(&path, "user.none", &mut buf), Err(Errno::NODATA));
    let len = rfs::listxattr(&path, &mut buf).unwrap();
    assert_eq!(&buf[..len], b"user.empty\0user.long\0");
    rfs::removexattr(&path, "user.long").unwrap();
    assert_eq!(rfs::getxattr(&path, "user.long", &mut buf), Err(Errno::NODATA));
}

#[test]
fn a_file_without_a_name_can_get_one() {
    let Some(mounted) = serve(Features::default()) else { return };
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    let file = match rfs::open(mounted.path(""), flags, Mode::RUSR | Mode::WUSR) {
        Err(Errno::OPNOTSUPP | Errno::ISDIR) => return eprintln!("SKIPPED: no O_TMPFILE on this kernel"),
        other => other.unwrap(),
    };
    rustix::io::write(&file, b"content").unwrap();
    let magic = format!("/proc/self/fd/{}", file.as_raw_fd());
    rfs::linkat(CWD, magic, CWD, mounted.path("named"), AtFlags::SYMLINK_FOLLOW).unwrap();
    assert_eq!(fs::read(mounted.path("named")).unwrap(), b"content");
}

#[test]
fn a_panic_is_an_input_output_error_and_the_server_goes_on() {
    let Some(mounted) = serve(Features::default()) else { return };
    for _ in 0..3 {
        assert_eq!(fs::metadata(mounted.path("panic")).unwrap_err().raw_os_error(), Some(5));
    }
    fs::write(mounted.path("file"), b"content").unwrap();
    assert_eq!(fs::read(mounted.path("file")).unwrap(), b"content");
}

#[test]
fn what_the_server_does_not_serve_has_the_kernels_answer() {
    let Some(mounted) = serve(Features::default()) else { return };
    let file = fs::File::create(mounted.path("file")).unwrap();
    assert_eq!(rfs::fallocate(&file, rfs::FallocateFlags::empty(), 0, 10), Err(Errno::OPNOTSUPP));
    file.sync_all().unwrap();
    assert_eq!(rfs::statvfs(mounted.path("")).unwrap().f_bavail, 500);
}

#[test]
fn every_open_file_is_released_once() {
    let Some(mounted) = serve(Features::default()) else { return };
    fs::write(mounted.path("file"), b"content").unwrap();
    for _ in 0..9 {
        fs::read(mounted.path("file")).unwrap();
    }
    let fs = std::sync::Arc::clone(&mounted.fs);
    // The last release is on its way when close(2) returns.
    while fs.releases.load(Ordering::SeqCst) < 10 {
        std::thread::yield_now();
    }
    drop(mounted);
    assert_eq!(fs.releases.load(Ordering::SeqCst), 10);
}

#[test]
fn many_threads_are_served_at_once() {
    let Some(mounted) = serve(Features::default()) else { return };
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let mounted = &mounted;
            scope.spawn(move || {
                for n in 0..50 {
                    let path = mounted.path(&format!("{thread} {n}"));
                    fs::write(&path, format!("{thread} {n}")).unwrap();
                    assert_eq!(fs::read_to_string(&path).unwrap(), format!("{thread} {n}"));
                    fs::remove_file(&path).unwrap();
                }
            });
        }
    });
    assert_eq!(fs::read_dir(mounted.path("")).unwrap().count(), 0);
}

/// Regression test of the posts in `device.rs`: somebody has to read while all others are busy.
#[test]
fn requests_that_take_long_hold_nobody_up() {
    for threads in [2, 4] {
        let Some(mounted) = serve_by(threads, Features::default()) else { return };
        fs::write(mounted.path("file"), b"content").unwrap();
        std::thread::scope(|scope| {
            for n in 1..threads {
                let path = mounted.path(&format!("wait {n}"));
                scope.spawn(move || assert!(!path.exists()));
            }
            mounted.fs.until_waiting(threads - 1);
            for _ in 0..100 {
                assert_eq!(fs::read(mounted.path("file")).unwrap(), b"content");
            }
            mounted.fs.end_waiting();
        });
    }
}
