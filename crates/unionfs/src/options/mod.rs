//! The dialect of `-o`: what the kernel's overlay, fuse-overlayfs and mount(8) call things, as a [`Config`] and a
//! [`MountAt`].
//!
//! | options | meaning |
//! | --- | --- |
//! | `lowerdir=A:B`, `lowerdir+=A`, `lowerdir=A:B::D`, `datadir+=D` | layers, topmost first; `::` begins those for data only |
//! | `upperdir=U,workdir=W` | what takes the changes; without, the union is read-only |
//! | `userxattr`, `volatile`, `redirect_dir`, `metacopy`, `xino`, `index`, `nfs_export`, `verity`, `uuid` | as the kernel's (`overlayfs.rst`), as far as there is a choice |
//! | `uidmapping=L:S:N[:L:S:N…]`, `gidmapping` | N ids from L in the layers show as S and up (fuse-overlayfs(1)) |
//! | `squash_to_root`, `squash_to_uid=N`, `squash_to_gid=N`, `static_nlink`, `noacl`, `noxattrs`, `timeout=SECONDS`, `threaded=0`, `fsync=0` | as fuse-overlayfs's |
//! | `allow_other`, `default_permissions`, `max_threads=N`, `fsname=X`, `subtype=X` | as libfuse's |
//! | `ro`, `suid`, `dev`, `exec`, `noatime` and their opposites, `context=X` and its like | as mount(8)'s |
//! | `aufs_whiteouts=on\|off\|upper`, `passthrough=on\|off`, `passthrough_from=BYTES`, `noallow_other` | ours |
//!
//! What has a meaning is accepted. What is only a hint (`clone_fd`, `fast_ino`, `lazytime`, `_netdev`, …) is accepted
//! and does nothing. Everything else is refused by its name: an option that was asked for and silently not done would
//! be found out too late. Of options that contradict each other the last one counts.
//!
//! # Writing
//!
//! A list is separated by commas, the layers of `lowerdir` by colons. A backslash takes the meaning from a comma, a
//! colon or a backslash, and stands before nothing else; [`escape`] writes so. The value of `context` and its like may
//! stand in double quotes instead, as security modules and mount(8) write it.

mod ids;
mod layers;
mod split;
mod values;

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use crate::config::{Config, MountAt, RedirectDir, Squash, Upper, Xino};

pub use split::escape;

/// An option that is not accepted, or a combination that makes no union.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{}{why}", option, if option.is_empty() { "" } else { ": " })]
pub struct Refused {
    /// As it was given; empty if it is about several.
    option: String,
    why: String,
}

impl Refused {
    fn new(option: &[u8], why: impl Into<String>) -> Self {
        Self { option: String::from_utf8_lossy(option).into_owned(), why: why.into() }
    }

    fn all(why: &str) -> Self {
        Self { option: String::new(), why: why.to_owned() }
    }
}

/// Reads the lists of one or more `-o`. `at` has what holds where the options say nothing.
///
/// # Errors
/// [`Refused`] names the option.
pub fn parse<S: AsRef<OsStr>>(
    lists: impl IntoIterator<Item = S>,
    at: MountAt,
) -> Result<(Config, MountAt), Refused> {
    let mut reader =
        Reader { config: Config::default(), at, upper: None, work: None, squash: [None; 2], root: false };
    for list in lists {
        let items = split::items(list.as_ref().as_bytes())?;
        // First of all: mount(8) puts it last, behind what the kernel says of the mount.
        if items.contains(&b"remount".as_slice()) {
            return Err(Given { item: b"remount", name: "remount", value: None }.refuse());
        }
        for item in items {
            reader.item(item)?;
        }
    }
    reader.finish()
}

/// The options that were read.
struct Reader {
    config: Config,
    at: MountAt,
    upper: Option<OsString>,
    work: Option<OsString>,
    /// `squash_to_uid` and `squash_to_gid`, which count for more than `squash_to_root`.
    squash: [Option<u32>; 2],
    root: bool,
}

impl Reader {
    fn item(&mut self, item: &[u8]) -> Result<(), Refused> {
        let (name, value) = match item.iter().position(|b| *b == b'=') {
            Some(at) => (&item[..at], Some(&item[at + 1..])),
            None => (item, None),
        };
        let given = Given { item, name: std::str::from_utf8(name).unwrap_or_default(), value };
        let read = self.layers(&given)? || self.union(&given)? || self.mount(&given)? || given.is_hint();
        if read { Ok(()) } else { Err(given.refuse()) }
    }

    /// What the union is made of. Says whether the option is one of these.
    fn layers(&mut self, given: &Given) -> Result<bool, Refused> {
        match given.name {
            "lowerdir" => (self.config.lowers, self.config.data_lowers) = layers::stack(given)?,
            "lowerdir+" => self.config.lowers.push(given.path()?.into()),
            "datadir+" => self.config.data_lowers.push(given.path()?.into()),
            "upperdir" => self.upper = Some(given.path()?),
            "workdir" => self.work = Some(given.path()?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// How it behaves.
    fn union(&mut self, given: &Given) -> Result<bool, Refused> {
        let options = &mut self.config.options;
        match given.name {
            "userxattr" => options.user_xattrs = given.flag().map(|()| Some(true))?,
            "volatile" => options.volatile = given.flag().map(|()| true)?,
            "fsync" => options.volatile = !given.switch()?,
            "redirect_dir" => {
                options.redirect_dir = given.one_of(&[
                    ("off", RedirectDir::Off),
                    ("follow", RedirectDir::Follow),
                    ("nofollow", RedirectDir::NoFollow),
                    ("on", RedirectDir::On),
                ])?;
            }
            "xino" => {
                options.xino = given.one_of(&[("off", Xino::Off), ("auto", Xino::Auto), ("on", Xino::On)])?;
            }
            "metacopy" => options.metacopy = given.switch()?,
            "uidmapping" => options.uid_map = ids::parse(given)?,
            "gidmapping" => options.gid_map = ids::parse(given)?,
            "squash_to_root" => self.root = given.flag().map(|()| true)?,
            "squash_to_uid" => self.squash[0] = Some(given.number()?),
            "squash_to_gid" => self.squash[1] = Some(given.number()?),
            "static_nlink" => options.static_nlink = given.flag().map(|()| true)?,
            "noxattrs" => options.no_xattrs = given.switch_or_flag()?,
            "noacl" => options.noacl = given.flag().map(|()| true)?,
            "acl" => options.noacl = given.flag().map(|()| false)?,
            "aufs_whiteouts" => {
                (options.aufs_whiteouts, options.aufs_upper) = given.one_of(&[
                    ("on", (true, false)),
                    ("off", (false, false)),
                    ("upper", (true, true)),
                ])?;
            }
            "passthrough" => options.passthrough = given.switch()?,
            "passthrough_from" => options.passthrough_from = given.number()?,
            "threaded" => options.threads = if given.switch()? { 0 } else { 1 },
            "max_threads" => options.threads = given.number()?,
            "timeout" => options.timeout = given.seconds()?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// How it is mounted.
    fn mount(&mut self, given: &Given) -> Result<bool, Refused> {
        let at = &mut self.at;
        let (flag, on) = match given.name {
            "allow_other" => (&mut at.allow_other, true),
            "noallow_other" => (&mut at.allow_other, false),
            "suid" => (&mut at.suid, true),
            "nosuid" => (&mut at.suid, false),
            "dev" => (&mut at.dev, true),
            "nodev" => (&mut at.dev, false),
            "exec" => (&mut at.exec, true),
            "noexec" => (&mut at.exec, false),
            "ro" => (&mut at.read_only, true),
            "rw" => (&mut at.read_only, false),
            "noatime" => (&mut at.noatime, true),
            "relatime" | "atime" => (&mut at.noatime, false),
            "fsname" => {
                at.source = given.text()?;
                return Ok(true);
            }
            "subtype" => {
                at.subtype = given.text()?;
                return Ok(true);
            }
            "context" | "fscontext" | "defcontext" | "rootcontext" => {
                at.context.push(format!("{}={}", given.name, given.quoted()?));
                return Ok(true);
            }
            _ => return Ok(false),
        };
        given.flag()?;
        *flag = on;
        Ok(true)
    }

    fn finish(mut self) -> Result<(Config, MountAt), Refused> {
        if self.config.lowers.is_empty() {
            return Err(Refused::all("no layer is given: lowerdir=DIR is missing"));
        }
        let options = &mut self.config.options;
        options.squash = match (self.squash, self.root) {
            ([None, None], false) => Squash::None,
            ([None, None], true) => Squash::Root,
            ([uid, gid], root) => {
                let or_root = |id: Option<u32>| if root { id.or(Some(0)) } else { id };
                Squash::To { uid: or_root(uid), gid: or_root(gid) }
            }
        };
        if options.user_xattrs == Some(true) && options.redirect_dir.makes() {
            return Err(Refused::all(
                "redirect_dir=on does not go with userxattr: no kernel would follow it",
            ));
        }
        self.config.upper = match (self.upper, self.work) {
            (Some(dir), Some(work)) => Some(Upper { dir: dir.into(), work: work.into() }),
            (Some(_), None) => {
                let why = "upperdir needs workdir, a directory of the same file system";
                return Err(Refused::all(why));
            }
            // As the kernel: of no use, and no harm.
            (None, _) => None,
        };
        Ok((self.config, self.at))
    }
}

/// One option as it was given.
struct Given<'a> {
    item: &'a [u8],
    name: &'a str,
    value: Option<&'a [u8]>,
}

impl Given<'_> {
    /// Whether it may be accepted and do nothing: a hint about speed, something that holds anyway, or a word of
    /// fstab(5) for others.
    fn is_hint(&self) -> bool {
        let holds = match (self.name, self.value.map(String::from_utf8_lossy).as_deref()) {
            ("default_permissions" | "override_creds" | "async" | "nodiratime" | "silent" | "loud", None) => {
                true
            }
            // Hard links are never broken, which is what an index is for.
            ("index", Some("on" | "off")) => true,
            ("nfs_export" | "verity", Some("off")) => true,
            // The last word of Podman's and Buildah's volumes of the kind `:O`. Where a mount is passed on to is decided
            // by the one it lies on.
            ("private", None) => true,
            ("uuid", Some("auto" | "off" | "null")) => true,
            ("xattr_permissions", Some("0")) | ("plugins", Some("")) => true,
            _ => false,
        };
        let speed = matches!(
            self.name,
            "clone_fd" | "max_idle_threads" | "max_read" | "fast_ino" | "lazytime" | "nolazytime"
        );
        let fstab = matches!(
            self.name,
            "defaults"
                | "auto"
                | "noauto"
                | "user"
                | "nouser"
                | "users"
                | "owner"
                | "group"
                | "_netdev"
                | "nofail"
                | "comment"
        );
        holds || speed || fstab || self.name.starts_with("x-") || self.name.starts_with("X-")
    }

    /// The refusal of what nobody knows or we cannot do.
    fn refuse(&self) -> Refused {
        let why = match self.name {
            "allow_root" => "cannot be told from allow_other by the kernel; give allow_other, or nothing",
            "auto_unmount" => "the server unmounts when it is told to end; after a crash use umount",
            "nfs_export" => "file handles are not kept over a remount, so there is nothing to export",
            "verity" => "digests of fs-verity are not checked",
            "uuid" => "the file system has the identity that the kernel gives it",
            "nooverride_creds" => "layers are always used with the rights of whoever mounts",
            "xattr_permissions" => "owners and modes are kept as such, not in attributes",
            "plugins" => "there are none",
            "strictatime" => "reading changes no access times",
            "sync" | "dirsync" => "not done; use fsync(2), or mount the file system of the layers so",
            "remount" => "cannot be changed once it is mounted; unmount it first",
            "debug" => "there is no trace; with -f the server stays in the foreground",
            "index" => "may be on or off",
            "entry_timeout" | "attr_timeout" | "negative_timeout" | "ac_attr_timeout" => {
                "there is one for all: timeout=SECONDS"
            }
            _ => "unknown option",
        };
        Refused::new(self.item, why)
    }
}

#[cfg(test)]
mod tests;
