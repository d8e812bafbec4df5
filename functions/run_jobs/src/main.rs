//! Boots and runs `run_jobs`.
fn main() {}
