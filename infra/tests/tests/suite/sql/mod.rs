//! The operations on a real database, directly or through PgBouncer.

mod availability;
mod availability_model;
mod cancellations;
mod confirm;
mod consistency;
mod decisions;
mod disputes;
mod event_log;
mod idempotency;
mod jobs;
mod migrations;
mod money;
mod notifications;
mod payments;
mod permutations;
mod races;
mod receipts;
mod reconciliation;
mod refund_requests;
mod refunds;
mod roles;
mod round_trips;
mod rules;
mod shop;
mod sweep;
mod unwanted_money;
