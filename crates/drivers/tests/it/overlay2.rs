//! The driver `overlay2`.

mod backing;
mod damage;
mod docker;
mod kernel;
mod quota;

use drivers::{Config, Driver, Overlay2, Result};

fn open(config: &Config) -> Result<Box<dyn Driver>> {
    Ok(Box::new(Overlay2::open(config)?))
}

drivers::conformance!(super::super::overlay2::open);
