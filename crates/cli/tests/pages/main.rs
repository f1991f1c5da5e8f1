//! Docker's pages about storage, walked through: every command that they show, typed with `layercake`, and what the pages
//! say that it prints. One transcript a page, readable beside it.
//!
//! ```text
//! # a remark
//! $ layercake image ls
//! REPOSITORY           TAG   IMAGE ID    CREATED   SIZE
//! acme/my-final-image  1.0   [id final]  [..]      [size]
//! ```
//!
//! `[..]` stands for anything within a line, `[a name]` for anything the first time, and later for the same again. Blanks
//! count as one, however many they are, since the pages' IDs and sizes are not ours. `[any lines]` stands for lines of no
//! interest. Standard error and output are one, as on a terminal.
//!
//! The images come from Debian's packages: a tree around a static busybox stands in for `alpine` and `ubuntu`, and its
//! `apk` installs a static bash that it brings along.
#![allow(clippy::unwrap_used, clippy::panic)] // helpers of tests, outside of #[test] functions

mod images;
mod page;

use page::Page;

/// Makes a test of each page.
macro_rules! pages {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                if let Some(page) = Page::open(stringify!($name)) {
                    page.walk(include_str!(concat!(stringify!($name), ".txt")));
                }
            }
        )*
    };
}

pages! {
    about_storage_drivers
    about_storage_drivers_18_09
    overlayfs_storage_driver
    the_overlay_filesystem
    volumes
}
