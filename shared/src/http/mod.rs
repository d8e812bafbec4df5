//! The door: what a request must be before a use case sees it, and how outcomes become responses.
//!
//! [`answer`] runs the steps in order for every endpoint; each step has a file of its own.

mod answer;
mod call;
mod caller;
mod cors;
mod cron;
pub mod deadline;
mod endpoint;
mod event;
mod fields;
mod idempotency;
mod json;
mod rate_limit;
mod response;
#[cfg(test)]
mod tests;
mod tokens;

pub use self::answer::Answer;
pub use self::call::Call;
pub use self::caller::Caller;
pub use self::cors::Origins;
pub use self::endpoint::{CallerRule, Endpoint, answer};
pub(crate) use self::event::from_payload;
pub use self::event::{from_event, into_event};
pub use self::fields::Fields;
pub use self::rate_limit::{RateLimit, penalise};
pub use self::response::status;
pub use self::tokens::TokenVerifier;

/// The body limit of endpoints that take JSON, in bytes.
pub const JSON_BODY_LIMIT: usize = 64 * 1024;
/// The body limit of Stripe's webhook, in bytes.
pub const WEBHOOK_BODY_LIMIT: usize = 256 * 1024;
