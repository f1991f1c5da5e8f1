//! Images and layers, and how images share them.

use super::super::Tour;
use crate::output::failure::Failure;

/// The layers of an image, each on a line, the base first.
pub const LAYERS: &str = r#"{{join .RootFS.Layers "\n"}}"#;

/// An image is a series of layers.
pub fn layers(tour: &Tour) -> Result<(), Failure> {
    let guide = &tour.guide;
    guide.step("Images and layers")?;
    guide.text(
        "An image is a series of layers, and each layer holds only what one instruction of its Dockerfile changed. \
         This archive has two images, as docker save writes them: a base, and an application built FROM it.",
    )?;
    tour.run("layercake load -i demo.tar")?;
    tour.run("layercake images")?;
    guide.text(
        "Instructions that change only the configuration (LABEL, CMD) make no layer: 0B. RUN rm does make one. What it \
         removes is gone for containers, yet still in the layer below, and counts in the image's size:",
    )?;
    tour.run("layercake history demo/app:1.0").map(drop)
}

/// Two images with the same layers store them once.
pub fn sharing(tour: &Tour) -> Result<(), Failure> {
    let guide = &tour.guide;
    guide.step("Sharing promotes smaller images")?;
    guide.text(
        "A layer is named by the digest of its content. The first two layers of both images are the same, so they are \
         on the disk once; load has unpacked four layers, not six.",
    )?;
    tour.run(&format!("layercake inspect --format '{LAYERS}' demo/base:1.0"))?;
    tour.run(&format!("layercake inspect --format '{LAYERS}' demo/app:1.0"))?;
    guide.text(
        "The sizes of images do not add up, therefore. This says what is shared, and what is an image's own:",
    )?;
    let line = "layercake system df -v";
    let output = tour.ask(line)?;
    let images: Vec<&str> = output.lines().take_while(|line| !line.starts_with("Containers")).collect();
    guide.command(&format!("{line} | sed '/^Containers/,$d'"), images.join("\n").trim_end())
}
