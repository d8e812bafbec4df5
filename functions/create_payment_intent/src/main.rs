//! Boots and runs `create_payment_intent`.
fn main() {}
