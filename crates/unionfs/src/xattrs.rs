//! Extended attributes as users see them: the union's own are hidden, and a user's own of such names are kept one level
//! deeper (union-fs.md rules 68 and 69).

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use rustix::fs::{self as rfs, XattrFlags};
use rustix::io::Errno;

use crate::backing::{At, Result, magic};
use crate::copy_up::Data;
use crate::node::Node;
use crate::union::Union;

impl Union {
    /// The value of an attribute.
    ///
    /// # Errors
    /// `ENODATA`: it is not set.
    pub fn xattr(&self, node: &Node, key: &OsStr) -> Result<Vec<u8>> {
        self.xattrs_allowed(key)?;
        let key = self.marks.to_layer(key);
        node.with(|at| at.xattr_vec(&key))?.ok_or(Errno::NODATA)
    }

    /// The names of all attributes, each with a NUL behind it.
    pub fn xattrs(&self, node: &Node) -> Result<Vec<u8>> {
        if self.options.no_xattrs {
            return Err(Errno::OPNOTSUPP);
        }
        let mut list = Vec::new();
        node.with(|at| at.xattrs(&mut list).map(|names| names.to_vec())).map(|names| {
            let names = names.split(|b| *b == 0).filter(|name| !name.is_empty());
            names
                .filter_map(|name| self.marks.to_user(name))
                .flat_map(|name| [name, vec![0]].concat())
                .collect()
        })
    }

    /// Sets an attribute. `flags` are those of setxattr(2); `drop_sgid`: a new access control list came from somebody
    /// who is not in the file's group.
    pub fn set_xattr(
        &self,
        node: &Arc<Node>,
        key: &OsStr,
        value: &[u8],
        flags: XattrFlags,
        drop_sgid: bool,
    ) -> Result<()> {
        self.xattrs_allowed(key)?;
        self.copy_up(node, Data::All)?;
        let inode = node.with(|at| at.pin())?;
        rfs::setxattr(magic(&inode), self.marks.to_layer(key).as_c_str(), value, flags)?;
        if drop_sgid {
            let mode = u32::from(At::itself(&inode).stat()?.stx_mode) & 0o7777;
            rfs::chmod(magic(&inode), rfs::Mode::from_raw_mode(mode & !0o2000))?;
        }
        Ok(())
    }

    /// Removes an attribute.
    ///
    /// # Errors
    /// `ENODATA`: it is not set. Then nothing is copied up.
    pub fn remove_xattr(&self, node: &Arc<Node>, key: &OsStr) -> Result<()> {
        self.work()?;
        self.xattr(node, key)?;
        self.copy_up(node, Data::All)?;
        let inode = node.with(|at| at.pin())?;
        rfs::removexattr(magic(&inode), self.marks.to_layer(key).as_c_str())
    }

    fn xattrs_allowed(&self, key: &OsStr) -> Result<()> {
        let list = key.as_bytes().starts_with(b"system.posix_acl_");
        match self.options.no_xattrs || (self.options.noacl && list) {
            true => Err(Errno::OPNOTSUPP),
            false => Ok(()),
        }
    }
}
