//! The door: what a request must be before a use case sees it, and how it leaves.
//!
//! [`answer`] takes the steps in order for every endpoint: what they check is in [`http`](crate::http) and
//! [`guard`](crate::guard).

mod endpoint;
mod rate_limit;
#[cfg(test)]
mod tests;

pub(crate) use self::endpoint::conclude;
pub use self::endpoint::{CallerRule, Endpoint, answer};
pub use self::rate_limit::{RateLimit, penalise};
