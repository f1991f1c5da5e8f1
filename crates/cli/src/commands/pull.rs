//! `pull`: images from a registry, or from what `push` and other tools make of one.

use std::num::NonZeroUsize;

use engine::load::LoadOptions;
use engine::pull::{PullOptions, Pulled};
use model::{Platform, Reference, Transport};

use super::load;
use crate::context::Context;
use crate::options::{input_file, platform};
use crate::output::failure::Failure;
use crate::output::{progress, stdout};
use crate::registry::Servers;

/// Download an image from a registry
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Download all tagged images in the repository
    #[arg(short, long)]
    all_tags: bool,
    /// Skip image verification
    // Notary is not asked, as by Docker without DOCKER_CONTENT_TRUST; scripts give the flag all the same.
    #[arg(long, default_value_t = true)]
    disable_content_trust: bool,
    /// Keep the compressed layers, for a later push
    #[arg(long)]
    keep_blobs: bool,
    /// Set the max concurrent downloads for each pull (default 3)
    #[arg(long, value_name = "int")]
    max_concurrent_downloads: Option<NonZeroUsize>,
    /// Set platform if server is multi-platform capable
    #[arg(long, value_name = "string", value_parser = Platform::parse)]
    platform: Option<Platform>,
    /// Suppress verbose output
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    servers: Servers,
    /// Also oci:DIR[:REF], oci-archive:FILE[:REF], docker-archive:FILE[:REF], dir:DIR
    #[arg(value_name = "NAME[:TAG|@DIGEST]")]
    name: String,
}

/// Pulls, and tells what came.
///
/// # Errors
/// What was typed makes no sense, or the engine's.
pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let transport = Transport::parse(&args.name).map_err(Failure::plain)?;
    let platform = platform(args.platform.as_ref())?;
    let (path, image) = match transport {
        Transport::Registry(name) => return from_registry(args, context, &name, platform),
        Transport::OciLayout { path, image } | Transport::OciArchive { path, image } => (path, image),
        Transport::DockerArchive { path, image } => (path, image.map(|name| name.familiar())),
        Transport::Dir { path } => (path, None),
    };
    if args.all_tags {
        return Err(Failure::plain("--all-tags is for repositories of a registry"));
    }
    let input = input_file(&path)?;
    let options = LoadOptions { platform, image };
    let loaded = context.write()?.load(input, &options, &*progress::for_stderr(args.quiet))?;
    stdout::print(&loaded.iter().map(load::report).collect::<String>())
}

fn from_registry(
    args: &Args,
    context: &Context,
    name: &Reference,
    platform: Option<Platform>,
) -> Result<(), Failure> {
    if args.all_tags && !name.is_name_only() {
        return Err(Failure::plain("tag can't be used with --all-tags/-a"));
    }
    if !args.all_tags && name.is_name_only() && !args.quiet {
        stdout::print(&format!("Using default tag: {}\n", model::reference::DEFAULT_TAG))?;
    }
    // The store first: it may have to enter the user's namespace.
    let engine = context.write()?;
    context.config()?.not_with_flag("max-concurrent-downloads", args.max_concurrent_downloads.is_some())?;
    let connection = args.servers.connect(context)?;
    let mut options = PullOptions { platform, keep_blobs: args.keep_blobs, ..connection.pull_options() };
    if let Some(number) = args.max_concurrent_downloads {
        options.connections = number.get();
    }
    let shown = progress::for_stdout(args.quiet);
    let pulled = if args.all_tags {
        engine.pull_all_tags(&connection.client, name, &options, &*shown)
    } else {
        engine.pull(&connection.client, name, &options, &*shown).map(|pulled| vec![pulled])
    };
    // The bars go before anything else is said.
    drop(shown);
    for warning in connection.client.take_warnings() {
        stdout::complain(warning);
    }
    let name = if args.all_tags { name.clone() } else { name.clone().with_default_tag() };
    stdout::print(&report(&name, &pulled?, args.quiet))
}

/// Docker's last lines.
fn report(name: &Reference, pulled: &[Pulled], quiet: bool) -> String {
    if quiet {
        return format!("{}\n", name.canonical());
    }
    let status = match pulled.iter().any(|pulled| pulled.is_new) {
        true => "Downloaded newer image for",
        false => "Image is up to date for",
    };
    let of_all = || name.familiar();
    let of_digest = |digest| name.without_tag_and_digest().with_digest(digest).familiar();
    let mut text = format!("Status: {status} {}\n", name.digest().copied().map_or_else(of_all, of_digest));
    text.extend(pulled.iter().filter_map(|pulled| pulled.warning.as_ref()).map(|it| format!("{it}\n")));
    text + &name.canonical() + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{Digest, ImageId};

    #[test]
    fn the_last_lines_are_dockers() {
        let name = Reference::parse("alpine:3").unwrap();
        let pulled = |is_new| Pulled {
            reference: name.clone(),
            image: ImageId::of(b"{}"),
            digest: Digest::of(b"{}"),
            is_new,
            warning: None,
        };
        assert_eq!(
            report(&name, &[pulled(true)], false),
            "Status: Downloaded newer image for alpine:3\ndocker.io/library/alpine:3\n"
        );
        assert_eq!(
            report(&name, &[pulled(false)], false),
            "Status: Image is up to date for alpine:3\ndocker.io/library/alpine:3\n"
        );
        assert_eq!(report(&name, &[pulled(false)], true), "docker.io/library/alpine:3\n");
        let all = Reference::parse("alpine").unwrap();
        assert_eq!(
            report(&all, &[pulled(false), pulled(true)], false),
            "Status: Downloaded newer image for alpine\ndocker.io/library/alpine\n"
        );
    }
}
