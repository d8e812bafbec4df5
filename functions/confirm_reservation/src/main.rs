//! Boots and runs `confirm_reservation`.
fn main() {}
