//! Rate limits: one item per function, key and minute, and one conditional update to count a request.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{Guard, table};
use crate::digest::pseudonym;

const WINDOW: Duration = Duration::from_secs(60);

/// What a limit counts by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// The person in the token.
    Caller,
    /// The address in the request context.
    Address,
}

impl KeyKind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::Address => "address",
        }
    }
}

/// The current minute of one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Requests taken in a minute.
    pub limit: u32,
    /// How many of them are left.
    pub remaining: u32,
    /// Until the next minute begins.
    pub reset: Duration,
}

/// What the guard says to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitVerdict {
    /// Counted.
    Allowed(Window),
    /// Over the limit, and not counted any more.
    Refused(Window),
    /// The guard is off or away: the request goes on.
    Unknown,
}

impl Guard {
    /// Counts a request to `function` by `key` in the minute of `now`, at most `limit` of them.
    pub async fn limit(
        &self,
        function: &str,
        kind: KeyKind,
        key: &str,
        limit: u32,
        now: SystemTime,
    ) -> LimitVerdict {
        let Some(table) = self.table() else { return LimitVerdict::Unknown };
        let since_epoch = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let started = since_epoch.as_secs() - since_epoch.as_secs() % WINDOW.as_secs();
        let ends = Duration::from_secs(started) + WINDOW;
        let item = format!("limit#{function}#{}#{}#{started}", kind.as_str(), pseudonym(key));
        let window = |hits: u32| Window {
            limit,
            remaining: limit.saturating_sub(hits),
            reset: ends.saturating_sub(since_epoch),
        };
        match table.count(&item, limit, ends.as_secs()).await {
            Ok(hits) => LimitVerdict::Allowed(window(hits)),
            Err(table::Failure::Condition) => LimitVerdict::Refused(window(limit)),
            Err(failure) => {
                self.went_without(function, &failure);
                LimitVerdict::Unknown
            }
        }
    }
}
