//! What the stand-in promises, and what our client makes of it.

mod checkout;
mod checkout_sessions;
mod client_of_ours;
mod disputes;
mod idempotency;
mod official_clients;
mod payments;
mod proof;
mod published_schema;
mod refunds;
mod registration;
mod requests;
mod support;
mod webhooks;
