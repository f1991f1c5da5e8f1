//! Mounts a union and serves it until it is unmounted: `union lowerdir=A:B,upperdir=U,workdir=W MNT`.

use std::path::Path;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args_os().skip(1);
    let (options, target) = (args.next().unwrap_or_default(), args.next().unwrap_or_default());
    let (config, at) = unionfs::options::parse([options], unionfs::MountAt::default())?;
    unionfs::Union::open(&config)?.mount(Path::new(&target), &at)?.run()?;
    Ok(())
}
