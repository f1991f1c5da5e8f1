//! The driver `fuse-overlayfs` with the program itself as its server: the conformance suite of all drivers, as root and
//! in a user namespace, and what is particular to this one.

#![allow(clippy::unwrap_used)] // clippy knows tests only by their attribute, not their helpers

mod format;
mod mount_program;
mod server;
mod size;
mod user_namespace;

use drivers::{Config, Driver, FuseOverlayfs, Result, Server};
use sys::userns::{Privilege, privilege};

fn open(config: &Config) -> Result<Box<dyn Driver>> {
    open_with(config, Server { program: env!("CARGO_BIN_EXE_layercake").into(), args: vec!["union".into()] })
}

fn open_with(config: &Config, server: Server) -> Result<Box<dyn Driver>> {
    let user_namespace = privilege().unwrap() != Privilege::Root;
    Ok(Box::new(FuseOverlayfs::open(&Config {
        user_namespace,
        union_server: Some(server),
        ..config.clone()
    })?))
}

drivers::conformance!(super::open);
