//! Boots and runs `cleanup_reservation_holds`.
fn main() {}
