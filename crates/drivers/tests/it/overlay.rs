//! The driver `overlay`.

use drivers::{Config, Driver, LegacyOverlay, Result};

fn open(config: &Config) -> Result<Box<dyn Driver>> {
    Ok(Box::new(LegacyOverlay::open(config)?))
}

drivers::conformance!(super::open);
