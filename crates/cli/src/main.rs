//! The command `layercake`.

fn main() {}
