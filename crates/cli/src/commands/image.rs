//! `image`: the commands for images.

use super::{history, image_prune, images, import, inspect, load, pull, push, rmi, save, tag};

group! {
    "Manage images",
    History(history::Args) => history::run,
    Import(import::Args) => import::run,
    Inspect(inspect::ImageArgs) => inspect::run_image,
    Load(load::Args) => load::run,
    #[command(visible_alias = "list")]
    Ls(images::Args) => images::run,
    Prune(image_prune::Args) => image_prune::run,
    Pull(pull::Args) => pull::run,
    Push(push::Args) => push::run,
    #[command(visible_alias = "remove")]
    Rm(rmi::Args) => rmi::run,
    Save(save::Args) => save::run,
    Tag(tag::Args) => tag::run,
}
