//! Boots and runs `health`.
fn main() {}
