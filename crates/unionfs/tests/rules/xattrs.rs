//! Extended attributes: rules 67 to 70.

use rustix::fs::{XattrFlags, lgetxattr, llistxattr, lremovexattr, lsetxattr};
use rustix::io::Errno;
use testkit::tree::{dir, file};

use crate::files::{append, names, set_xattr, xattr};
use crate::stage::{On, rule};

fn list(path: &std::path::Path) -> Vec<String> {
    let mut buffer = [0; 4096];
    let n = llistxattr(path, &mut buffer[..]).unwrap();
    let mut all: Vec<String> = buffer[..n]
        .split(|byte| *byte == 0)
        .map(|name| String::from_utf8(name.to_vec()).unwrap())
        .filter(|name| !name.is_empty() && name != "security.selinux")
        .collect();
    all.sort();
    all
}

#[test]
fn the_unions_own_marks_are_hidden() {
    rule(|s| {
        file(&s.lower(2), "d/f", "2");
        set_xattr(s.lower(2).join("d"), "user.own", b"x");
        let opaque = format!("{}opaque", s.prefix());
        set_xattr(s.lower(2).join("d"), &opaque, b"y");
        s.mount();
        append(s.at("d/f"), "x");
        assert_eq!(list(&s.at("d")), ["user.own"]);
        assert_eq!(list(&s.at("d/f")), [""; 0]);
        assert_eq!(lgetxattr(s.at("d"), &opaque, &mut [0; 9][..]), Err(Errno::NODATA));
    });
}

#[test]
fn attributes_are_set_changed_and_removed() {
    rule(|s| {
        set_xattr(file(&s.lower(2), "f", "2"), "user.low", b"2");
        s.mount();
        let set = |name, value: &[u8], flags| lsetxattr(s.at("f"), name, value, flags);
        assert_eq!(set("user.low", b"", XattrFlags::CREATE), Err(Errno::EXIST));
        assert_eq!(set("user.new", b"", XattrFlags::REPLACE), Err(Errno::NODATA));
        assert_eq!(set("user.new", &[7; 3000], XattrFlags::CREATE), Ok(()));
        assert_eq!(lremovexattr(s.at("f"), "user.low"), Ok(()));
        assert_eq!(lremovexattr(s.at("f"), "user.low"), Err(Errno::NODATA));
        assert_eq!(lgetxattr(s.at("f"), "user.new", &mut [0; 10][..]), Err(Errno::RANGE));
        s.remount();
        assert_eq!(list(&s.at("f")), ["user.new"]);
        assert_eq!(xattr(s.at("f"), "user.new"), Some(vec![7; 3000]));
    });
}

#[test]
fn a_mark_that_is_set_through_the_union_is_kept_apart() {
    rule(|s| {
        if matches!(s.on, On::Helper(_)) {
            return testkit::machine::skip("marks within", "its format is not known");
        }
        dir(&s.lower(2), "d");
        file(&s.lower(2), "d/f", "2");
        s.mount();
        let mark = format!("{}opaque", s.prefix());
        set_xattr(s.at("d"), &mark, b"y");
        assert_eq!(xattr(s.at("d"), &mark).as_deref(), Some(&b"y"[..]));
        assert_eq!(list(&s.at("d")), [mark]);
        s.remount();
        assert_eq!(names(s.at("d")), ["f"], "it is no mark of this union");
        assert_eq!(xattr(s.upper("d"), &format!("{}overlay.opaque", s.prefix())).as_deref(), Some(&b"y"[..]));
    });
}

#[test]
fn the_layer_of_a_union_can_be_a_layer_that_another_union_made() {
    rule(|s| {
        if matches!(s.on, On::Helper(_)) {
            return testkit::machine::skip("marks within", "its format is not known");
        }
        // What a union that lies in this one would write.
        file(&s.lower(2), "inner/d/f", "2");
        s.mount();
        std::fs::create_dir_all(s.at("upper/d")).unwrap();
        let (opaque, whiteout) = (format!("{}opaque", s.prefix()), format!("{}whiteout", s.prefix()));
        set_xattr(s.at("upper/d"), &opaque, b"x");
        std::fs::write(s.at("upper/d/f"), "").unwrap();
        set_xattr(s.at("upper/d/f"), &whiteout, b"");
        s.remount();
        assert_eq!(names(s.at("upper/d")), ["f"], "a whiteout of the inner union is a file of the outer one");
        assert!(xattr(s.at("upper/d/f"), &whiteout).is_some());
    });
}
