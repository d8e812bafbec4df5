//! HTTP in our words: what a request says and who sends it, and how outcomes become responses.
//!
//! Nothing here reaches further than the request: [`door`](crate::door) puts it together with the rest.

mod answer;
mod call;
mod caller;
pub(crate) mod cors;
pub mod deadline;
mod event;
mod fields;
mod idempotency;
mod json;
pub(crate) mod response;
pub(crate) mod shared_secret;
#[cfg(test)]
pub(crate) mod testing;
mod tokens;

pub use self::answer::{Answer, Headers};
pub use self::call::{Call, path_below};
pub use self::caller::Caller;
pub use self::cors::Origins;
pub(crate) use self::event::is_http;
pub use self::event::{from_event, into_event};
pub use self::fields::Fields;
pub use self::tokens::TokenVerifier;

/// The body limit of endpoints that take JSON, in bytes.
pub const JSON_BODY_LIMIT: usize = 64 * 1024;
/// The body limit of Stripe's webhook, in bytes.
pub const WEBHOOK_BODY_LIMIT: usize = 256 * 1024;
