//! Users and groups, as the machine's name service knows them.

use std::ffi::CStr;

/// The login name of a user, as the machine's name service knows it.
pub(crate) fn user_name(uid: u32) -> Option<String> {
    Some(find_user(Ok(uid))?.name)
}

/// A user or group as the machine's name service knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Known {
    pub name: String,
    pub id: u32,
}

/// getpwnam_r(3), or getpwuid_r(3) for a number.
pub(crate) fn find_user(key: Result<u32, &CStr>) -> Option<Known> {
    let mut buf: Vec<libc::c_char> = vec![0; 16 << 10];
    let mut found = std::ptr::null_mut();
    // SAFETY: `passwd` is plain data for which zero is a valid value.
    let mut entry: libc::passwd = unsafe { std::mem::zeroed() };
    let (room, len) = (buf.as_mut_ptr(), buf.len());
    // SAFETY: every pointer is to a live local, the name ends with NUL, and the length is the buffer's.
    let code = unsafe {
        match key {
            Ok(id) => libc::getpwuid_r(id, &mut entry, room, len, &mut found),
            Err(name) => libc::getpwnam_r(name.as_ptr(), &mut entry, room, len, &mut found),
        }
    };
    if code != 0 || found.is_null() || entry.pw_name.is_null() {
        return None;
    }
    // SAFETY: on success `pw_name` is a NUL-terminated string inside `buf`, which is still alive.
    let name = unsafe { CStr::from_ptr(entry.pw_name) };
    Some(Known { name: name.to_str().ok()?.to_owned(), id: entry.pw_uid })
}

/// getgrnam_r(3), or getgrgid_r(3) for a number.
pub(crate) fn find_group(key: Result<u32, &CStr>) -> Option<Known> {
    // A group brings its members along.
    let mut buf: Vec<libc::c_char> = vec![0; 1 << 20];
    let mut found = std::ptr::null_mut();
    // SAFETY: `group` is plain data for which zero is a valid value.
    let mut entry: libc::group = unsafe { std::mem::zeroed() };
    let (room, len) = (buf.as_mut_ptr(), buf.len());
    // SAFETY: every pointer is to a live local, the name ends with NUL, and the length is the buffer's.
    let code = unsafe {
        match key {
            Ok(id) => libc::getgrgid_r(id, &mut entry, room, len, &mut found),
            Err(name) => libc::getgrnam_r(name.as_ptr(), &mut entry, room, len, &mut found),
        }
    };
    if code != 0 || found.is_null() || entry.gr_name.is_null() {
        return None;
    }
    // SAFETY: on success `gr_name` is a NUL-terminated string inside `buf`, which is still alive.
    let name = unsafe { CStr::from_ptr(entry.gr_name) };
    Some(Known { name: name.to_str().ok()?.to_owned(), id: entry.gr_gid })
}
