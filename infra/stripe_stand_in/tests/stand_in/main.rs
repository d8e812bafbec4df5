//! What the stand-in promises, and what our client makes of it.

mod client_of_ours;
mod idempotency;
mod official_clients;
mod payments;
mod published_schema;
mod refunds_and_disputes;
mod requests;
mod support;
mod webhooks;
