//! `push`: an image to a registry, or to a place of another kind.

use std::path::Path;

use ::archive::compress::Compression;
use engine::Engine;
use engine::push::{Destination, PushOptions, Pushed};
use model::reference::DEFAULT_TAG;
use model::{Reference, Transport};

use crate::context::Context;
use crate::output::failure::Failure;
use crate::output::{archive, progress, stdout};
use crate::registry::Servers;

/// Upload an image to a registry
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Push all tags of an image to the repository
    #[arg(short, long)]
    all_tags: bool,
    /// Compression of the layers that are sent: "gzip", "zstd" or "none" (default "gzip"; layers that are compressed
    /// already are sent as they are)
    #[arg(long, value_name = "string", value_parser = compression)]
    compression: Option<Compression>,
    /// How hard to compress: 1 to 12 for gzip (default 1), 1 to 19 for zstd (default 3)
    #[arg(long, value_name = "int")]
    compression_level: Option<i32>,
    /// Set the max concurrent uploads (default 5)
    #[arg(long, value_name = "int", value_parser = clap::value_parser!(u32).range(1..))]
    max_concurrent_uploads: Option<u32>,
    /// Suppress verbose output
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    servers: Servers,
    #[arg(value_name = "NAME[:TAG]")]
    name: String,
    #[arg(value_name = "TRANSPORT:PATH[:NAME]")]
    destination: Option<String>,
}

fn compression(text: &str) -> Result<Compression, String> {
    let all = [Compression::Gzip, Compression::Zstd];
    if text == "none" {
        return Ok(Compression::None);
    }
    let found = all.into_iter().find(|kind| kind.name() == text);
    found.ok_or_else(|| format!("{text:?} is neither \"gzip\" nor \"zstd\" nor \"none\""))
}

/// Pushes, and tells the digest.
///
/// # Errors
/// The name is none, the destination is none, or the engine's.
pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let name = Reference::parse(&args.name).map_err(Failure::plain)?;
    let destination =
        args.destination.as_deref().map(Transport::parse).transpose().map_err(Failure::plain)?;
    if args.all_tags && !name.is_name_only() {
        return Err(Failure::plain("tag can't be used with --all-tags/-a"));
    }
    match destination {
        None => to_registry(args, &name, context),
        Some(Transport::Registry(_)) => Err(Failure::plain(
            "an image is pushed to the repository of its name: give it another one with layercake tag",
        )),
        Some(_) if args.all_tags => Err(Failure::plain("--all-tags is for registries only")),
        Some(place) => to_place(args, &name.with_default_tag(), place, context),
    }
}

/// Sends one tag, or all of them, to the registry.
fn to_registry(args: &Args, name: &Reference, context: &Context) -> Result<(), Failure> {
    context.config()?.not_with_flag("max-concurrent-uploads", args.max_concurrent_uploads.is_some())?;
    let engine = context.write()?;
    let connection = args.servers.connect(context)?;
    let uploads = args.max_concurrent_uploads.or(connection.max_uploads);
    let options = options(args, uploads);
    if !args.quiet {
        let mut head = String::new();
        if !args.all_tags && name.is_name_only() {
            head = format!("Using default tag: {DEFAULT_TAG}\n");
        }
        head += &format!("The push refers to repository [{}]\n", name.canonical_name());
        stdout::print(&head)?;
    }
    let tags = match args.all_tags {
        true => engine.tags_to_push(name).map_err(|error| explain(error, name))?,
        false => vec![name.clone().with_default_tag()],
    };
    for tag in &tags {
        let progress = progress::for_stdout(args.quiet);
        let pushed = engine.push(&connection.client, tag, &options, &*progress);
        // The bars go before anything else is said.
        drop(progress);
        for warning in connection.client.take_warnings() {
            stdout::complain(warning);
        }
        let pushed = pushed.map_err(|error| explain(error, name))?;
        if !args.quiet {
            stdout::print(&report(tag, &pushed))?;
        }
    }
    if args.quiet {
        let shown = if args.all_tags { name } else { &tags[0] };
        stdout::print(&format!("{}\n", shown.canonical()))?;
    }
    Ok(())
}

/// Writes the image into files.
fn to_place(args: &Args, name: &Reference, place: Transport, context: &Context) -> Result<(), Failure> {
    let engine = context.write()?;
    let destination = match place {
        Transport::DockerArchive { path, image } => return save(&engine, name, &path, image.as_ref(), args),
        Transport::OciLayout { path, image } => Destination::Oci { dir: path, name: image },
        Transport::OciArchive { path, image } => Destination::OciArchive { file: path, name: image },
        Transport::Dir { path } => Destination::Dir(path),
        Transport::Registry(_) => return Err(Failure::plain("not a place for files")),
    };
    let options = options(args, args.max_concurrent_uploads);
    let pushed = engine.push_to(&destination, name, &options, &*progress::for_stdout(args.quiet))?;
    stdout::print(&if args.quiet { format!("{}\n", name.canonical()) } else { report(name, &pushed) })
}

/// What `save` does.
fn save(
    engine: &Engine,
    name: &Reference,
    path: &Path,
    other: Option<&Reference>,
    args: &Args,
) -> Result<(), Failure> {
    if args.compression.is_some_and(|kind| kind != Compression::None) {
        return Err(Failure::plain("layers in a docker-archive are not compressed"));
    }
    if let Some(other) = other.filter(|other| *other != name) {
        return Err(Failure::plain(format_args!(
            "an image is in a docker-archive under its own name, {}: tag it first",
            name.familiar()
        ))
        .hint(format_args!("layercake tag {} {}", name.familiar(), other.familiar())));
    }
    archive::to(Some(path), "save image", |out| {
        Ok(engine.save(&[name.familiar()], out, &*progress::for_stdout(args.quiet))?)
    })?;
    if args.quiet { stdout::print(&format!("{}\n", name.canonical())) } else { Ok(()) }
}

fn options(args: &Args, uploads: Option<u32>) -> PushOptions {
    let mut options = PushOptions {
        compression: args.compression,
        level: args.compression_level,
        ..PushOptions::default()
    };
    if let Some(uploads) = uploads {
        options.uploads = uploads.max(1) as usize;
    }
    options
}

/// Docker's last line.
fn report(name: &Reference, pushed: &Pushed) -> String {
    let tag = name.tag().unwrap_or(DEFAULT_TAG);
    format!("{tag}: digest: {} size: {}\n", pushed.digest, pushed.size)
}

/// Docker shows what goes wrong in a push as it is, and a registry's no in the registry's own words, or in those that it
/// would have.
fn explain(error: engine::Error, name: &Reference) -> Failure {
    let words = match &error {
        engine::Error::Registry(cause) if cause.is_unauthorized() => {
            (cause.server_message(), "unauthorized: authentication required")
        }
        engine::Error::Registry(cause) if cause.is_denied() => {
            (cause.server_message(), "denied: requested access to the resource is denied")
        }
        engine::Error::Invalid(message) => return Failure::plain(message),
        _ => return error.into(),
    };
    let refusal = Failure::plain(if words.0.is_empty() { words.1 } else { words.0 });
    let server = match name.domain() {
        "docker.io" => String::new(),
        domain => format!(" {domain}"),
    };
    let refusal = refusal.hint(format_args!("layercake login{server} tells the server who you are"));
    Failure { causes: vec![error.to_string()], ..refusal }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Digest;

    #[test]
    fn the_last_line_is_dockers() {
        let pushed = Pushed { digest: Digest::of(b"x"), size: 528 };
        let name = Reference::parse("localhost:5000/x").unwrap();
        assert_eq!(report(&name, &pushed), format!("latest: digest: {} size: 528\n", Digest::of(b"x")));
    }

    #[test]
    fn compressions_have_names() {
        assert_eq!(compression("zstd"), Ok(Compression::Zstd));
        assert_eq!(compression("none"), Ok(Compression::None));
        assert!(compression("xz").unwrap_err().contains("xz"));
    }
}
