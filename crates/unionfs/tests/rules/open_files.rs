//! Open files: rules 48 to 61.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::process::Command;

use rustix::fs::inotify::{self, ReadFlags, WatchFlags};
use rustix::fs::{CWD, FallocateFlags, FlockOperation, Mode, OFlags, fallocate, flock, openat, seek};
use rustix::io::Errno;
use testkit::tree::file;

use crate::files::{append, chmod, errno, exists, names, python, read, stat};
use crate::stage::{On, ours, rule};

#[test]
fn a_reader_sees_what_was_written_after_it_opened() {
    rule(|s| {
        file(&s.lower(2), "f", "old");
        s.mount();
        let mut reader = File::open(s.at("f")).unwrap();
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        append(s.at("f"), " and new");
        chmod(s.at("f"), 0o640);
        reader.rewind().unwrap();
        text.clear();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "old and new");
        let meta = reader.metadata().unwrap();
        assert_eq!((meta.len(), meta.mode() & 0o777), (11, 0o640));
        drop(reader);
        s.remount();
        assert_eq!(read(s.at("f")), "old and new");
    });
}

#[test]
fn a_mapping_sees_what_was_written_after_it_was_made() {
    // The kernel's overlay shows the old data.
    ours(|s| {
        file(&s.lower(2), "f", "old data");
        s.mount();
        let script = "with open(path, 'rb') as f: m = mmap.mmap(f.fileno(), 0, mmap.MAP_SHARED, mmap.PROT_READ)\n\
                      assert m[:] == b'old data'\n\
                      with open(path, 'r+b') as f: f.write(b'new')\n\
                      assert m[:] == b'new data', m[:]";
        python(script, s.at("f"));
    });
}

#[test]
fn mapping_and_writing_agree() {
    rule(|s| {
        file(&s.lower(2), "low", "0123456789".repeat(50_000));
        fs::write(s.upper("up"), "0123456789".repeat(50_000)).unwrap();
        s.mount();
        let script = "f = open(path, 'r+b'); m = mmap.mmap(f.fileno(), 0)\n\
                      m[0:3] = b'map'\n\
                      assert os.pread(f.fileno(), 3, 0) == b'map'\n\
                      os.pwrite(f.fileno(), b'write', 100)\n\
                      assert m[100:105] == b'write'\n\
                      m[499999:500000] = b'!'; before = os.stat(path).st_mtime_ns\n\
                      m.close(); f.close()\n\
                      assert open(path, 'rb').read()[:3] == b'map'";
        python(script, s.at("low"));
        python(script, s.at("up"));
        for name in ["low", "up"] {
            let (seen, kept) = (read(s.at(name)), read(s.upper(name)));
            assert!(seen == kept && seen.starts_with("map") && seen.ends_with('!'), "{name}");
        }
    });
}

#[test]
fn an_unlinked_open_file_is_a_whole_file() {
    rule(|s| {
        file(&s.lower(2), "low", "low");
        file(&s.upper(""), "up", "up");
        s.mount();
        for name in ["low", "up"] {
            let mut file = OpenOptions::new().read(true).write(true).open(s.at(name)).unwrap();
            fs::remove_file(s.at(name)).unwrap();
            file.seek(SeekFrom::End(0)).unwrap();
            file.write_all(b" more").unwrap();
            file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o601)).unwrap();
            std::os::unix::fs::fchown(&file, Some(3), Some(4)).unwrap();
            file.sync_all().unwrap();
            let meta = file.metadata().unwrap();
            assert_eq!(
                (meta.mode() & 0o777, meta.uid(), meta.gid(), meta.nlink()),
                (0o601, 3, 4, 0),
                "{name}"
            );
            assert_eq!(meta.len(), name.len() as u64 + 5);
            let again = format!("/proc/self/fd/{}", file.as_raw_fd());
            assert_eq!(read(&again), format!("{name} more"));
            file.set_len(1).unwrap();
            assert_eq!(file.metadata().unwrap().len(), 1);
        }
        assert_eq!(names(s.at("")), [""; 0]);
    });
}

#[test]
fn a_reader_of_a_lower_file_keeps_it_when_the_name_goes() {
    rule(|s| {
        file(&s.lower(2), "f", "2");
        s.mount();
        let mut reader = File::open(s.at("f")).unwrap();
        fs::remove_file(s.at("f")).unwrap();
        fs::write(s.at("f"), "another").unwrap();
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "2");
        assert_eq!(reader.metadata().unwrap().len(), 1);
    });
}

#[test]
fn locks_hold_over_a_copy_up() {
    rule(|s| {
        for name in ["flock", "posix", "ofd"] {
            file(&s.lower(2), name, "2");
        }
        s.mount();
        let holder = File::open(s.at("flock")).unwrap();
        flock(&holder, FlockOperation::NonBlockingLockExclusive).unwrap();
        append(s.at("flock"), "x");
        let other = OpenOptions::new().write(true).open(s.at("flock")).unwrap();
        assert_eq!(flock(&other, FlockOperation::NonBlockingLockExclusive), Err(Errno::WOULDBLOCK));
        flock(&holder, FlockOperation::Unlock).unwrap();
        flock(&other, FlockOperation::NonBlockingLockExclusive).unwrap();
        // A read lock from before the copy-up, against another process.
        let script = "f = open(path, 'rb'); fcntl.lockf(f, fcntl.LOCK_SH | fcntl.LOCK_NB)\n\
                      g = open(path, 'ab') if os.fork() == 0 else None\n\
                      if g:\n try: fcntl.lockf(g, fcntl.LOCK_EX | fcntl.LOCK_NB)\n except BlockingIOError: os._exit(0)\n os._exit(1)\n\
                      assert os.wait()[1] == 0, 'a second process got the lock'";
        python(script, s.at("posix"));
        let script = "F_OFD_SETLK = 37\n\
                      lock = lambda kind: struct.pack('hhqqi4x', kind, os.SEEK_SET, 0, 0, 0)\n\
                      f = open(path, 'rb'); fcntl.fcntl(f, F_OFD_SETLK, lock(fcntl.F_RDLCK))\n\
                      g = open(path, 'ab')\n\
                      try: fcntl.fcntl(g, F_OFD_SETLK, lock(fcntl.F_WRLCK)); sys.exit('got the lock')\n\
                      except BlockingIOError: pass";
        python(script, s.at("ofd"));
    });
}

#[test]
fn a_watch_reports_what_is_written_after_a_copy_up() {
    rule(|s| {
        file(&s.lower(2), "f", "2");
        s.mount();
        let watch = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK).unwrap();
        inotify::add_watch(&watch, s.at("f"), WatchFlags::MODIFY).unwrap();
        append(s.at("f"), "x");
        let mut buffer = [std::mem::MaybeUninit::uninit(); 1024];
        let event = inotify::Reader::new(&watch, &mut buffer).next().map(|event| event.events());
        assert_eq!(event, Ok(ReadFlags::MODIFY));
    });
}

#[test]
fn a_temporary_file_gets_its_name_when_it_is_ready() {
    rule(|s| {
        file(&s.lower(2), "d/low", "2");
        s.mount();
        let file = openat(CWD, s.at("d"), OFlags::TMPFILE | OFlags::RDWR, Mode::from(0o640)).unwrap();
        rustix::io::write(&file, b"ready").unwrap();
        assert_eq!(names(s.at("d")), ["low"]);
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        rustix::fs::linkat(CWD, path, CWD, s.at("d/named"), rustix::fs::AtFlags::SYMLINK_FOLLOW).unwrap();
        drop(file);
        s.remount();
        assert_eq!(read(s.at("d/named")), "ready");
        assert_eq!(names(s.at("d")), ["low", "named"]);
    });
}

#[test]
fn a_running_program_is_not_written_to() {
    rule(|s| {
        fs::copy("/bin/sleep", s.lower(2).join("sleep")).unwrap();
        s.mount();
        let mut child = Command::new(s.at("sleep")).arg("60").spawn().unwrap();
        let written = OpenOptions::new().write(true).open(s.at("sleep"));
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(errno(written), Some(Errno::TXTBSY));
    });
}

#[test]
fn reading_never_touches_the_access_time_of_a_lower_file() {
    rule(|s| {
        let path = file(&s.lower(2), "f", "2");
        crate::files::set_times(&path, 1_000_000, 0);
        s.verifies = false;
        s.mount();
        for _ in 0..3 {
            read(s.at("f"));
            names(s.at(""));
        }
        s.unmount();
        assert_eq!(stat(&path).atime(), 1_000_000);
    });
}

#[test]
fn space_is_reserved_punched_and_found() {
    rule(|s| {
        file(&s.lower(2), "f", "x".repeat(1 << 20));
        s.mount();
        let file = OpenOptions::new().read(true).write(true).open(s.at("f")).unwrap();
        fallocate(&file, FallocateFlags::empty(), 0, 2 << 20).unwrap();
        assert_eq!(file.metadata().unwrap().len(), 2 << 20);
        let punch = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        fallocate(&file, punch, 0, 512 << 10).unwrap();
        assert_eq!(seek(&file, rustix::fs::SeekFrom::Data(0)), Ok(512 << 10));
        assert_eq!(seek(&file, rustix::fs::SeekFrom::Hole(600 << 10)), Ok(1 << 20));
        let mut byte = [1];
        file.read_exact_at(&mut byte, 1000).unwrap();
        assert_eq!(byte, [0]);
    });
}

#[test]
fn a_file_is_copied_within_the_kernel() {
    rule(|s| {
        file(&s.lower(2), "f", "0123456789".repeat(100_000));
        s.mount();
        let (from, to) = (File::open(s.at("f")).unwrap(), File::create(s.at("copy")).unwrap());
        let mut left = 1_000_000;
        while left > 0 {
            left -= rustix::fs::copy_file_range(&from, None, &to, None, left).unwrap();
        }
        drop((from, to));
        assert!(read(s.at("copy")) == read(s.at("f")));
        assert!(!exists(s.upper("f")));
    });
}

#[test]
fn a_volatile_union_leaves_a_mark_that_refuses_the_next_mount() {
    rule(|s| {
        if matches!(s.on, On::Helper(_)) {
            return;
        }
        let mark = s.work().join("work/incompat/volatile");
        s.mount_with("volatile");
        File::create(s.at("f")).unwrap().sync_all().unwrap();
        assert!(exists(&mark));
        s.unmount();
        // The kernel's overlay leaves it to the user; ours takes it away once all is on the disk.
        fs::create_dir_all(&mark).unwrap();
        assert!(s.try_mount_with("").is_err(), "the upper layer may be incomplete");
        fs::remove_dir_all(s.work().join("work/incompat")).unwrap();
        s.mount();
        File::create(s.at("g")).unwrap().sync_all().unwrap();
        assert_eq!(names(s.at("")), ["f", "g"]);
    });
}
