//! Boots and runs `stripe_webhook`.
fn main() {}
