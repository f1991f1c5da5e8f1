//! The drivers `fuse-overlayfs` and `aufs` with the program itself as their server: the conformance suite of all drivers, as
//! root and in a user namespace, and what is particular to these.

#![allow(clippy::unwrap_used)] // clippy knows tests only by their attribute, not their helpers

mod aufs;
mod format;
mod mount_program;
mod server;
mod size;
mod user_namespace;

use drivers::{Config, Driver, FuseOverlayfs, Result, Server};
use sys::userns::{Privilege, privilege};

fn open(config: &Config) -> Result<Box<dyn Driver>> {
    Ok(Box::new(FuseOverlayfs::open(&configured(config))?))
}

fn open_with(config: &Config, server: Server) -> Result<Box<dyn Driver>> {
    let config = Config { union_server: Some(server), ..configured(config) };
    Ok(Box::new(FuseOverlayfs::open(&config)?))
}

/// With the program as the server.
fn configured(config: &Config) -> Config {
    let user_namespace = privilege().unwrap() != Privilege::Root;
    let server = Server { program: env!("CARGO_BIN_EXE_layercake").into(), args: vec!["union".into()] };
    Config { user_namespace, union_server: Some(server), ..config.clone() }
}

drivers::conformance!(super::open);
