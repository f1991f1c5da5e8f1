//! Files that the kernel reads and writes by itself.

use std::fs;
use std::io::Write;
use std::os::fd::AsFd;
use std::sync::atomic::Ordering;

use fusewire::{Backings, Errno, Features};

use crate::serve;

#[test]
fn a_registered_file_is_read_and_written_without_the_server() {
    let Some(mounted) = serve(Features { passthrough: true, ..Features::default() }) else { return };
    fs::write(mounted.path("file"), b"").unwrap();
    if !mounted.fs.negotiated.get().unwrap().passthrough {
        return eprintln!("SKIPPED: this kernel has no passthrough");
    }
    let data: Vec<u8> = (0..1_u32 << 20).map(|n| (n % 253) as u8).collect();
    let behind = tempfile::NamedTempFile::new().unwrap();
    fs::write(behind.path(), &data).unwrap();
    let id = match mounted.backings.register(behind.as_file().as_fd()) {
        Err(Errno::PERM) => return eprintln!("SKIPPED: registering files needs the first user namespace"),
        other => other.unwrap(),
    };
    mounted.fs.backing.set(id).unwrap();

    // The kernel trusts the size of the union's own file.
    mounted.fs.set_data(mounted.node("file"), &data);
    mounted.notifier.inval_inode(mounted.node("file"), 0, 0).unwrap();
    assert!(fs::read(mounted.path("file")).unwrap() == data);
    let mut file = fs::OpenOptions::new().write(true).open(mounted.path("file")).unwrap();
    file.write_all(b"written").unwrap();
    assert_eq!(&fs::read(behind.path()).unwrap()[..7], b"written");
    assert_eq!(mounted.fs.reads.load(Ordering::SeqCst), 0);
    drop(file);
    mounted.backings.unregister(id);
}

#[test]
fn what_is_no_file_cannot_be_registered() {
    let Some(mounted) = serve(Features { passthrough: true, ..Features::default() }) else { return };
    fs::metadata(mounted.path("")).unwrap();
    let dir = fs::File::open("/").unwrap();
    assert!(mounted.backings.register(dir.as_fd()).is_err());
}
