//! What tests are made of: a database for each, fixtures with defaults, callers with tokens, events as AWS and Stripe
//! send them, and an [`kitloop::boot::App`] over real parts.
//!
//! The servers are started by `cargo xtask test` (or `cargo xtask test --servers`), which says in the environment where
//! they are. A test without its server fails.

mod app;
mod database;
pub mod door;
mod fixtures;
mod http_events;
mod invocations;
mod paid_jobs;
mod parameter;
mod payments;
pub mod sample;
mod shop;
mod stripe_events;
mod tokens;
mod wait;

pub use app::{ADMIN_TOKEN, CRON_SECRET, TestApp, database_away, email_settings, settings};
pub use database::TestDatabase;
pub use fixtures::{Gear, Provider, actor, booking, in_days, reserve};
pub use http_events::{HttpCall, Reply, sample_event};
pub use invocations::invocation;
pub use parameter::Parameter;
pub use payments::confirmation;
pub use shop::Shop;
pub use stripe_events::{StripeEvent, WEBHOOK_SECRET, sign};
pub use tokens::{ISSUER, JWT_SECRET, Token};
pub use wait::wait_until;
