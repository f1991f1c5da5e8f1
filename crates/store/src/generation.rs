//! Whether somebody else changed the store since we last did.
//!
//! A daemon that starts on a data root leaves traces: it moves `tmp` away, makes a new one, and opens its databases
//! with a write (moby.md §2). The inode numbers and change times of these are the store's generation. Nothing of ours
//! touches any of them; scratch files have their place in the private directory for this reason. The one database that
//! is ours too, that of the volumes, is left out.
//!
//! The kernel's boot id belongs to it: index markers are not synced, so after a power cut they may be lost while what
//! they stand for is not.

use std::path::Path;

use crate::daemon;

/// The present generation, as text to compare. Traces that are absent or unreadable count as such.
pub(crate) fn stamp(root: &Path) -> String {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let mut text = format!("boot {}\n", boot.trim());
    let databases = daemon::databases(root).into_iter().filter(|file| file != Path::new(daemon::VOLUMES));
    let files = databases.chain(["tmp".into(), "engine-id".into()]);
    for file in files {
        let trace = match sys::meta::of_path(&root.join(&file)) {
            Ok(m) => format!("{} {}.{:09} {}", m.ino, m.ctime.secs, m.ctime.nanos, m.dev),
            Err(_) => "-".to_owned(),
        };
        text += &format!("{} {trace}\n", file.display());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_daemons_start_is_a_new_generation() {
        let tmp = tempfile::tempdir().unwrap();
        let root = tmp.path();
        std::fs::create_dir(root.join("tmp")).unwrap();
        std::fs::create_dir(root.join("other")).unwrap();
        let first = stamp(root);
        assert_eq!(stamp(root), first);
        std::fs::write(root.join("other/file"), "").unwrap();
        assert_eq!(stamp(root), first);
        std::fs::rename(root.join("tmp"), root.join("tmp-old")).unwrap();
        std::fs::create_dir(root.join("tmp")).unwrap();
        std::fs::remove_dir(root.join("tmp-old")).unwrap();
        assert_ne!(stamp(root), first);
    }
}
