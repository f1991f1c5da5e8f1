//! The value of `lowerdir`.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use super::split::{separator, unescape};
use super::{Given, Refused};

/// The layers that merge, and those for data only, which begin at the first `::`.
pub(super) fn stack(given: &Given) -> Result<(Vec<PathBuf>, Vec<PathBuf>), Refused> {
    let refuse = |why: &str| Refused::new(given.item, why);
    let mut rest = given.value.unwrap_or_default();
    let (mut lowers, mut data) = (Vec::new(), Vec::new());
    let mut for_data = false;
    loop {
        let end = separator(rest, b':');
        let (layer, more) = rest.split_at(end);
        if layer.is_empty() {
            return Err(refuse("there is a layer without a name"));
        }
        let path = PathBuf::from(OsString::from_vec(unescape(layer)?));
        if for_data {
            data.push(path)
        } else {
            lowers.push(path)
        }
        rest = match more {
            [] => return Ok((lowers, data)),
            [b':', b':', more @ ..] => {
                for_data = true;
                more
            }
            [_, ..] if for_data => return Err(refuse("layers for data only are separated by ::")),
            [_, more @ ..] => more,
        };
    }
}
