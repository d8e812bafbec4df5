//! Boots and runs `reserve_gear`.
fn main() {}
