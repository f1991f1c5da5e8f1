//! `push` against a registry that misbehaves on demand, and to layouts.

mod kept;
mod layout;
mod sends;
mod trouble;
mod world;
