//! The verbs as the command calls them, on real stores.

mod containers;
mod df;
mod docker;
mod images;
mod prune;
mod remove_image;
mod world;
