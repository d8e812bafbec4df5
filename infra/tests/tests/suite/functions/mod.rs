//! The functions as Lambda runs them, over HTTP, with a database and a Stripe of their own.

mod alarms;
mod database_away;
mod error_reports;
mod journey;
mod lambda;
mod logs;
mod money_back;
mod operations;
mod product;
mod races;
mod rotation;
mod stripe_hangs;
