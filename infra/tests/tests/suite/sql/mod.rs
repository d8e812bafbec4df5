//! The operations on a real database, directly or through PgBouncer.

mod availability;
mod idempotency;
mod races;
mod rules;
mod shop;
