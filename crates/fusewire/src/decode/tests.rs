use std::os::unix::ffi::OsStrExt;

use proptest::prelude::*;
use zerocopy::IntoBytes;

use super::*;

/// A request of these parts, with the right length in its header.
fn request(code: u32, node: u64, parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    let len = u32::try_from(size_of::<InHeader>() + body.len()).unwrap();
    let header = InHeader {
        len,
        opcode: code,
        unique: 7,
        nodeid: node,
        uid: 1,
        gid: 2,
        pid: 3,
        ..InHeader::default()
    };
    [header.as_bytes(), &body].concat()
}

#[test]
fn a_lookup_names_its_directory_and_caller() {
    let bytes = request(opcode::LOOKUP, 5, &[b"name\0"]);
    let got = decode(&bytes, true).unwrap();
    assert_eq!((got.unique, got.node), (7, NodeId(5)));
    assert_eq!(got.caller, Caller { uid: 1, gid: 2, pid: 3 });
    assert!(matches!(got.operation, Operation::Lookup { name } if name == "name"));
}

#[test]
fn names_that_no_directory_can_hold_are_refused() {
    for name in [&b"\0"[..], b"a/b\0", b"unended", b""] {
        let bytes = request(opcode::LOOKUP, 1, &[name]);
        assert_eq!(decode(&bytes, true).unwrap_err(), Malformed { unique: Some(7) });
    }
    for name in [&b".\0"[..], b"..\0"] {
        assert!(decode(&request(opcode::LOOKUP, 1, &[name]), true).is_ok());
        assert!(decode(&request(opcode::UNLINK, 1, &[name]), true).is_err());
    }
}

#[test]
fn an_attribute_of_setxattr_is_found_in_both_forms() {
    let head = SetxattrIn { size: 3, flags: 2 };
    let ext = SetxattrExt { setxattr_flags: 1, padding: 0 };
    let short = request(opcode::SETXATTR, 1, &[head.as_bytes(), b"user.a\0val"]);
    let long = request(opcode::SETXATTR, 1, &[head.as_bytes(), ext.as_bytes(), b"user.a\0val"]);
    for (bytes, extended) in [(short, false), (long, true)] {
        let Operation::Setxattr { name, value, flags, kill_sgid } =
            decode(&bytes, extended).unwrap().operation
        else {
            panic!("another operation")
        };
        assert_eq!((name.as_bytes(), value, flags, kill_sgid), (&b"user.a"[..], &b"val"[..], 2, extended));
    }
}

#[test]
fn written_data_is_as_long_as_it_says_or_refused() {
    let write = WriteIn { fh: 4, offset: 10, size: 5, write_flags: 4, ..WriteIn::default() };
    let bytes = request(opcode::WRITE, 9, &[write.as_bytes(), b"hello"]);
    let Operation::Write(got) = decode(&bytes, true).unwrap().operation else { panic!("another operation") };
    assert_eq!((got.data, got.kill_suidgid, got.from_cache), (&b"hello"[..], true, false));
    assert!(decode(&request(opcode::WRITE, 9, &[write.as_bytes(), b"hell"]), true).is_err());
}

#[test]
fn times_before_1970_and_now_are_told_apart() {
    let set = SetattrIn {
        valid: setattr::ATIME | setattr::MTIME | setattr::MTIME_NOW,
        atime: (-5_i64).cast_unsigned(),
        atimensec: 6,
        ..SetattrIn::default()
    };
    let bytes = request(opcode::SETATTR, 1, &[set.as_bytes()]);
    let Operation::Setattr(got) = decode(&bytes, true).unwrap().operation else {
        panic!("another operation")
    };
    assert_eq!(got.atime, Some(SetTime::At(Time { seconds: -5, nanos: 6 })));
    assert_eq!(got.mtime, Some(SetTime::Now));
    assert_eq!((got.size, got.mode, got.kill_suidgid), (None, None, false));
}

#[test]
fn a_batch_of_forgets_is_listed() {
    let head = BatchForgetIn { count: 2, dummy: 0 };
    let ones = [ForgetOne { nodeid: 3, nlookup: 1 }, ForgetOne { nodeid: 4, nlookup: 9 }];
    let bytes = request(opcode::BATCH_FORGET, 0, &[head.as_bytes(), ones.as_bytes()]);
    let Operation::BatchForget { nodes } = decode(&bytes, true).unwrap().operation else {
        panic!("another operation")
    };
    assert_eq!(forgotten(nodes).collect::<Vec<_>>(), [(NodeId(3), 1), (NodeId(4), 9)]);
}

#[test]
fn a_batch_that_counts_more_than_it_has_is_refused() {
    let head = BatchForgetIn { count: u32::MAX, dummy: 0 };
    assert!(decode(&request(opcode::BATCH_FORGET, 0, &[head.as_bytes(), &[0; 64]]), true).is_err());
}

#[test]
fn init_of_an_old_kernel_is_short() {
    let bytes =
        request(opcode::INIT, 0, &[&InitIn { major: 7, minor: 31, ..InitIn::default() }.as_bytes()[..16]]);
    let Operation::Init(init) = decode(&bytes, false).unwrap().operation else { panic!("another operation") };
    assert_eq!((init.major, init.minor, init.flags2), (7, 31, 0));
}

#[test]
fn a_length_that_is_not_the_length_is_refused() {
    let mut bytes = request(opcode::STATFS, 1, &[]);
    bytes.push(0);
    assert_eq!(decode(&bytes, true).unwrap_err(), Malformed { unique: Some(7) });
    assert_eq!(decode(&bytes[..39], true).unwrap_err(), Malformed { unique: None });
}

proptest! {
    /// Whatever follows a header, the answer is a request or a refusal, and a batch of forgets can be walked.
    #[test]
    fn no_bytes_make_it_panic(
        code in 0_u32..60,
        extension in prop_oneof![Just(0_u16), any::<u16>()],
        body in prop::collection::vec(prop_oneof![Just(0_u8), any::<u8>()], 0..200),
        setxattr_ext: bool,
    ) {
        let mut bytes = request(code, 1, &[&body]);
        bytes[36..38].copy_from_slice(&extension.to_ne_bytes());
        if let Ok(Request { operation: Operation::BatchForget { nodes }, .. }) = decode(&bytes, setxattr_ext) {
            prop_assert!(forgotten(nodes).count() <= body.len() / 16);
        }
    }

    /// A request that was cut off anywhere is refused, not misread.
    #[test]
    fn a_shortened_request_is_refused(cut in 1_usize..80) {
        let create = CreateIn { flags: 1, mode: 2, umask: 3, open_flags: 0 };
        let mut bytes = request(opcode::CREATE, 1, &[create.as_bytes(), b"some name\0"]);
        let len = bytes.len().saturating_sub(cut);
        bytes.truncate(len);
        if let Some(field) = bytes.get_mut(..4) {
            field.copy_from_slice(&u32::try_from(len).unwrap().to_ne_bytes());
        }
        prop_assert!(decode(&bytes, true).is_err());
    }
}
