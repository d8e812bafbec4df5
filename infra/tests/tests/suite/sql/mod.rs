//! The operations on a real database, directly or through PgBouncer.

mod availability;
mod decisions;
mod idempotency;
mod payments;
mod races;
mod rules;
mod shop;
