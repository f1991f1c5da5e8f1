//! File systems that OverlayFS cannot use.

use std::fs;

use drivers::suite::xfs_without_ftype;
use drivers::{Error, Prerequisite, probe, select};

/// An xfs made with `-n ftype=0`. Docker 23.0 and later refuse it for data that is there, too.
#[test]
fn an_xfs_without_kinds_of_entries_is_refused_with_the_hint_to_make_it_anew() {
    let name = "an xfs without ftype";
    if !testkit::require_root(name) {
        return;
    }
    sys::mount::private_namespace().unwrap();
    let ground = match xfs_without_ftype() {
        Ok(ground) => ground,
        Err(why) => return testkit::machine::skip(name, &why),
    };
    let config = &ground.config;
    let unmet = probe("overlay2", config).unwrap().unwrap_err();
    assert_eq!(unmet.what, Prerequisite::DirectoryTypes);
    assert_eq!(unmet.found, "xfs with ftype=0");
    assert!(unmet.remedy.contains("mkfs.xfs -n ftype=1"), "{unmet}");
    assert_eq!(fs::read_dir(&config.root).unwrap().count(), 0);

    let refused = |name| match select(name, config) {
        Err(Error::Prerequisite { driver, unmet }) => {
            assert_eq!((driver, &*unmet.found), ("overlay2", "xfs with ftype=0"));
        }
        Err(other) => panic!("{other}"),
        Ok(selected) => panic!("{:?}", selected.choice),
    };
    refused(Some("overlay2"));
    // Nobody asked for it: the next one that works is taken.
    let selected = select(None, config).unwrap_or_else(|e| panic!("{e}"));
    assert_ne!(selected.choice.driver, "overlay2");
    assert_eq!(selected.choice.refused[0].driver, "overlay2");

    fs::create_dir_all(config.root.join("overlay2/l")).unwrap();
    refused(None);
    refused(Some("overlay2"));
}
