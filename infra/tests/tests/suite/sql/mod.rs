//! The operations on a real database, directly or through PgBouncer.

mod availability;
mod confirm;
mod decisions;
mod idempotency;
mod jobs;
mod migrations;
mod payments;
mod permutations;
mod races;
mod roles;
mod round_trips;
mod rules;
mod shop;
mod sweep;
