//! The verbs as the command calls them, on real stores.

mod both;
mod check;
mod containers;
mod copy;
mod df;
mod docker;
mod export;
mod images;
mod prune;
mod remove_image;
mod world;
