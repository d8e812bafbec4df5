//! Failures made to order.

use serde::{Deserialize, Serialize};

/// A failure for the next e-mails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// How many of them fail.
    #[serde(default = "once")]
    pub times: u32,
    /// What they are answered, such as 429 or 500.
    pub status: u16,
    /// Whether they are accepted nevertheless, as if the answer had been lost behind Resend.
    #[serde(default)]
    pub accepted: bool,
}

const fn once() -> u32 {
    1
}
