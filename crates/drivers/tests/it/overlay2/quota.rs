//! Size limits by project quotas (moby.md §8.4), on file systems behind loop devices. A kernel without such quotas skips
//! them; the vm has one.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::Path;

use drivers::suite::{Bench, Builder, Place, ext4_with_quotas, new_id, run_at, xfs_with_quotas};
use drivers::{Access, Driver, Error, LayerKind};
use model::CacheId;

const MIB: u64 = 1 << 20;

/// Makes a test of each case on ext4 and on xfs.
macro_rules! on_both {
    ($($(#[$doc:meta])* fn $case:ident($bench:ident) $body:block)*) => {
        $($(#[$doc])* fn $case($bench: &Bench) $body)*
        mod ext4 {
            $(#[test] fn $case() {
                super::run(concat!("ext4: ", stringify!($case)), super::ext4_with_quotas, super::$case);
            })*
        }
        mod xfs {
            $(#[test] fn $case() {
                super::run(concat!("xfs: ", stringify!($case)), super::xfs_with_quotas, super::$case);
            })*
        }
    };
}

fn run(name: &str, place: Place, case: fn(&Bench)) {
    run_at(name, super::open, place, case);
}

fn limited(driver: &dyn Driver, parent: Option<&CacheId>, size: u64) -> CacheId {
    let (id, stage) = (new_id(), driver.stage().unwrap());
    driver.prepare(&stage, &id, parent, LayerKind::Writable { size: Some(size) }).unwrap();
    driver.publish(&stage, std::slice::from_ref(&id)).unwrap();
    id
}

fn base(bench: &Bench) -> CacheId {
    bench.layer(None, Builder::new().file("file", "of the image"))
}

/// Writes so many bytes, synced; how many got there, and what stopped it.
fn fill(path: &Path, bytes: u64) -> (u64, Option<ErrorKind>) {
    let mut file = File::create(path).unwrap();
    let block = [7; 64 << 10];
    let mut written = 0;
    while written < bytes {
        if let Err(e) = file.write_all(&block) {
            return (written, Some(e.kind()));
        }
        written += block.len() as u64;
    }
    (written, file.sync_all().err().map(|e| e.kind()))
}

fn project(path: &Path) -> (u32, bool) {
    sys::quota::project_of(File::open(path).unwrap()).unwrap().unwrap()
}

fn home(bench: &Bench, id: &CacheId) -> std::path::PathBuf {
    bench.config.root.join("overlay2").join(id.as_str())
}

on_both! {
    fn a_full_container_harms_no_other(bench) {
        let base = base(bench);
        let small = limited(&*bench.driver, Some(&base), 8 * MIB);
        let (other, free) = (limited(&*bench.driver, Some(&base), 64 * MIB), bench.container(Some(&base)));
        let (written, why) = fill(&bench.driver.mount(&small, Access::Write).unwrap().join("big"), 32 * MIB);
        assert!(matches!(why, Some(ErrorKind::StorageFull | ErrorKind::QuotaExceeded)), "{why:?}");
        assert!((6 * MIB..=8 * MIB).contains(&written), "{written}");
        for id in [&other, &free] {
            let merged = bench.driver.mount(id, Access::Write).unwrap();
            assert_eq!(fill(&merged.join("big"), 16 * MIB), (16 * MIB, None));
            assert!(bench.driver.unmount(id).unwrap());
        }
        // It goes on when something is removed.
        let merged = bench.driver.mount(&small, Access::Write).unwrap();
        fs::remove_file(merged.join("big")).unwrap();
        assert_eq!(fill(&merged.join("again"), 2 * MIB), (2 * MIB, None));
        bench.driver.unmount(&small).unwrap();
    }

    fn the_copy_of_a_file_of_the_image_counts(bench) {
        let big = vec![1; usize::try_from(4 * MIB).unwrap()];
        let base = bench.layer(None, Builder::new().file("big", &big));
        let id = limited(&*bench.driver, Some(&base), 2 * MIB);
        let merged = bench.driver.mount(&id, Access::Write).unwrap();
        let opened = File::options().append(true).open(merged.join("big"));
        let kind = opened.unwrap_err().kind();
        assert!(matches!(kind, ErrorKind::StorageFull | ErrorKind::QuotaExceeded), "{kind:?}");
        bench.driver.unmount(&id).unwrap();
    }

    /// As dockerd finds it: the layer's directory has the project and passes it on.
    fn projects_begin_as_docker_s_and_are_inherited(bench) {
        let base = base(bench);
        let id = limited(&*bench.driver, Some(&base), 8 * MIB);
        assert_eq!(project(&home(bench, &id)), (2, true));
        assert_eq!(project(&home(bench, &id).join("diff")), (2, true));
        assert_eq!(project(&home(bench, &id).join("work")), (2, true));
        assert_eq!(project(&home(bench, &base)), (0, false));
        assert_eq!(project(&home(bench, &limited(&*bench.driver, Some(&base), MIB))).0, 3);
    }

    fn no_two_layers_have_one_project_whoever_makes_them_when(bench) {
        let base = base(bench);
        let driver = bench.reopen();
        let left = driver.stage().unwrap();
        let staged = new_id();
        driver.prepare(&left, &staged, Some(&base), LayerKind::Writable { size: Some(MIB) }).unwrap();
        let taken = project(&left.path().join(staged.as_str())).0;
        let made = std::sync::Mutex::new(BTreeSet::from([taken]));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let driver = bench.reopen();
                    for _ in 0..8 {
                        let id = limited(&*driver, Some(&base), MIB);
                        let project = project(&home(bench, &id)).0;
                        assert!(made.lock().unwrap().insert(project), "{project} twice");
                    }
                });
            }
        });
        // What a dead command has left keeps its project until it is swept.
        drop(left);
        let (first, later) = (driver.sweep().unwrap(), limited(&*driver, Some(&base), MIB));
        assert_eq!((first.stages, first.removed), (1, 1));
        assert_eq!(project(&home(bench, &later)).0, taken);
    }

    fn a_project_is_free_again_with_its_limit_gone_when_its_layer_is(bench) {
        let base = base(bench);
        let small = limited(&*bench.driver, Some(&base), MIB);
        bench.driver.discard(&small).unwrap();
        bench.driver.sweep().unwrap();
        let large = limited(&*bench.driver, Some(&base), 16 * MIB);
        assert_eq!(project(&home(bench, &large)).0, 2);
        bench.edit(&large, |root| assert_eq!(fill(&root.join("x"), 8 * MIB), (8 * MIB, None)));
    }

    fn what_a_limited_layer_takes_is_counted_not_walked(bench) {
        let base = base(bench);
        let id = limited(&*bench.driver, Some(&base), 64 * MIB);
        let counted = || bench.driver.counted(&id).unwrap().unwrap();
        assert_eq!(counted(), 0);
        let merged = bench.driver.mount(&id, Access::Write).unwrap();
        assert_eq!(counted(), 0);
        fill(&merged.join("file"), 3 * MIB);
        assert!((3 * MIB..3 * MIB + (64 << 10)).contains(&counted()), "{}", counted());
        bench.driver.unmount(&id).unwrap();
        assert!((3 * MIB..3 * MIB + (64 << 10)).contains(&counted()), "{}", counted());
        assert_eq!(bench.driver.counted(&bench.container(Some(&base))).unwrap(), None);
        assert_eq!(bench.driver.counted(&base).unwrap(), None);
    }

    fn the_default_limit_holds_unless_another_one_is_given(bench) {
        let config = drivers::Config { options: vec!["overlay2.size=4M".to_owned()], ..bench.config.clone() };
        let driver = super::open(&config).unwrap();
        let status = driver.status().unwrap();
        assert!(status.contains(&("Size Limit".to_owned(), "4MiB".to_owned())), "{status:?}");
        let base = base(bench);
        let make = |size| {
            let (id, stage) = (new_id(), driver.stage().unwrap());
            driver.prepare(&stage, &id, Some(&base), LayerKind::Writable { size }).unwrap();
            driver.publish(&stage, std::slice::from_ref(&id)).unwrap();
            let merged = driver.mount(&id, Access::Write).unwrap();
            let fits = fill(&merged.join("x"), 6 * MIB).1.is_none();
            driver.unmount(&id).unwrap();
            fits
        };
        assert_eq!([None, Some(8 * MIB), Some(0)].map(make), [false, true, true]);
        assert_eq!(project(&home(bench, &bench.layer(None, Builder::new()))).0, 0);
    }

    /// An administrator may have put the whole data root into a project.
    fn a_data_root_in_a_project_works(bench) {
        let root = bench.config.root.join("inner");
        fs::create_dir(&root).unwrap();
        sys::quota::set_project(File::open(&root).unwrap(), 77).unwrap();
        let driver = super::open(&drivers::Config::new(&root)).unwrap();
        let (base, id, stage) = (new_id(), new_id(), driver.stage().unwrap());
        driver.prepare(&stage, &base, None, LayerKind::ReadOnly).unwrap();
        driver.prepare(&stage, &id, Some(&base), LayerKind::Writable { size: Some(4 * MIB) }).unwrap();
        driver.publish(&stage, &[base, id.clone()]).unwrap();
        let home = root.join("overlay2").join(id.as_str());
        assert_eq!(project(&home), (77, true));
        assert_eq!(project(&home.join("diff")), (79, true));
        assert_eq!(project(&home.join("work")), (79, true));
        assert_eq!(driver.counted(&id).unwrap(), Some(0));
        let merged = driver.mount(&id, Access::Write).unwrap();
        assert!(fill(&merged.join("x"), 8 * MIB).1.is_some());
        driver.unmount(&id).unwrap();
    }
}

/// This machine's temporary directory has no project quotas.
#[test]
fn without_quotas_a_limit_is_refused_with_docker_s_words_and_what_is_missing() {
    drivers::suite::run("limits without quotas", super::open, |bench| {
        if bench.driver.capabilities().quota {
            return testkit::machine::skip("limits without quotas", "there are quotas");
        }
        let stage = bench.driver.stage().unwrap();
        let kind = LayerKind::Writable { size: Some(MIB) };
        let refused = bench.driver.prepare(&stage, &new_id(), None, kind).unwrap_err();
        assert!(matches!(refused, Error::NoQuota { .. }), "{refused}");
        let text = refused.to_string();
        let docker = "--storage-opt is supported only for overlay over xfs with 'pquota' mount option: ";
        assert!(text.starts_with(docker) && text.contains("; found: "), "{text}");
        let config = drivers::Config { options: vec!["overlay2.size=1G".to_owned()], ..bench.config.clone() };
        let text = super::open(&config).err().unwrap().to_string();
        let docker =
            "Storage option overlay2.size not supported. Filesystem does not support Project Quota: ";
        assert!(text.starts_with(docker), "{text}");
    });
}
