//! Which daemons this machine has. What is missing is said, with a count, past the test harness' capture.

use std::env;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::world::World;

/// Where the peers' script puts its tree if it is not told.
const PEERS_TREE: &str = "/var/tmp/peers";

/// A Docker that is asked what it thinks.
#[derive(Debug, Clone, Copy)]
pub enum Witness {
    /// The one that the distribution packages.
    Distribution,
    /// The newest one, in a tree of its own.
    Newest,
}

/// An installed Docker.
#[derive(Debug, Clone)]
pub struct Docker {
    /// The tree that it runs in, if that is not the machine's own.
    pub tree: Option<PathBuf>,
    /// The daemon, as it is called inside the tree.
    pub dockerd: PathBuf,
    /// `PATH` for it and its clients.
    pub path: String,
}

impl Witness {
    /// The installed Docker, or why there is none.
    pub fn find(self) -> Result<Docker, String> {
        match self {
            Self::Distribution => distribution(),
            Self::Newest => newest(),
        }
    }
}

fn distribution() -> Result<Docker, String> {
    let path = env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
    let dockerd = match env::var_os("DOCKERD") {
        Some(dockerd) => PathBuf::from(dockerd),
        None => search(&path, "dockerd").ok_or("no dockerd in PATH, and DOCKERD is not set")?,
    };
    // Its client and its containerd lie beside it.
    let sbin = dockerd.parent().ok_or("DOCKERD is not the path of a file")?;
    let bin = sbin.with_file_name("bin");
    Ok(Docker { tree: None, path: format!("{}:{}:{path}", bin.display(), sbin.display()), dockerd })
}

fn newest() -> Result<Docker, String> {
    let tree = env::var_os("PEERS_TREE").map_or_else(|| PathBuf::from(PEERS_TREE), PathBuf::from);
    let dockerd = Path::new("/usr/sbin/dockerd");
    if !tree.join("usr/sbin/dockerd").exists() {
        return Err(format!("no dockerd in {} (PEERS_TREE)", tree.display()));
    }
    let path = "/usr/sbin:/usr/bin:/sbin:/bin".to_owned();
    Ok(Docker { tree: Some(tree), dockerd: dockerd.to_owned(), path })
}

fn search(path: &str, program: &str) -> Option<PathBuf> {
    path.split(':').map(|dir| Path::new(dir).join(program)).find(|file| file.exists())
}

/// Runs the test `name` with a witness, or says that it does not.
pub fn call(witness: Witness, name: &str, test: fn(&World)) {
    if !rustix::process::geteuid().is_root() {
        return skip(name, "needs root");
    }
    match witness.find() {
        Ok(docker) => test(&World::new(docker)),
        Err(why) => skip(name, &why),
    }
}

/// Says that something is not tested.
pub fn skip(what: &str, why: &str) {
    static SKIPPED: AtomicUsize = AtomicUsize::new(0);
    let count = SKIPPED.fetch_add(1, Ordering::Relaxed) + 1;
    let _ = writeln!(io::stderr(), "skipped (number {count}): {what}: {why}");
}

/// Makes a test for each witness out of each function `fn name(world: &World)`; attributes are for the tests.
macro_rules! witnessed {
    ($(#[$attribute:meta])* $($name:ident)*) => {
        $crate::witnessed! { @each [$(#[$attribute])*] $($name)* }
    };
    (@each $attributes:tt $($name:ident)*) => {
        $($crate::witnessed! { @one $attributes $name })*
    };
    (@one [$($attribute:tt)*] $name:ident) => {
        mod $name {
            #[test]
            $($attribute)*
            fn by_the_distributions_docker() {
                $crate::witness::call($crate::witness::Witness::Distribution, module_path!(), super::$name);
            }

            #[test]
            $($attribute)*
            fn by_the_newest_docker() {
                $crate::witness::call($crate::witness::Witness::Newest, module_path!(), super::$name);
            }
        }
    };
}
pub(crate) use witnessed;
