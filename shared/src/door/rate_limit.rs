//! Requests a minute, per caller and per address, counted by the guard across all sandboxes.

use std::net::IpAddr;
use std::time::SystemTime;

use super::endpoint::Endpoint;
use crate::boot::App;
use crate::clock;
use crate::config::GuardConfig;
use crate::error::{Code, Error, Refusal};
use crate::guard::{KeyKind, LimitVerdict, Window};
use crate::http::response::seconds;
use crate::http::{Call, Headers};

/// How many requests a minute an endpoint takes, unless the settings say otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RateLimit {
    /// Every request counts.
    PerMinute {
        /// By one caller.
        caller: u32,
        /// From one address.
        address: u32,
    },
    /// Requests are not counted; see [`penalise`] for those that turn out bad.
    Off,
}

/// Bad signatures a minute from one address.
const BAD_SIGNATURES_PER_ADDRESS: u32 = 60;

impl RateLimit {
    /// Most endpoints.
    pub const STANDARD: Self = Self::PerMinute { caller: 20, address: 60 };
    /// Starting payments, which is what stolen cards are tried on.
    pub const PAYMENTS: Self = Self::PerMinute { caller: 10, address: 60 };

    /// The limits per caller and per address after the settings had their say.
    fn limits(self, config: &GuardConfig) -> Option<(u32, u32)> {
        match self {
            Self::PerMinute { caller, address } => Some((
                config.rate_limit_per_caller.unwrap_or(caller),
                config.rate_limit_per_address.unwrap_or(address),
            )),
            Self::Off => None,
        }
    }
}

/// Counts the request for its address and, where known, its caller: both at once, one round trip each.
/// Adds what the client may know to `headers`.
pub(super) async fn count(
    app: &App,
    endpoint: &Endpoint,
    call: &Call,
    headers: &mut Headers,
) -> Result<(), Error> {
    let Some((per_caller, per_address)) = endpoint.rate_limit.limits(&app.config.guard) else {
        return Ok(());
    };
    let now = SystemTime::from(clock::now());
    let by_address = count_address(app, endpoint.name, call, per_address, now);
    let by_caller = async {
        match &call.caller {
            Some(caller) => {
                app.guard.limit(endpoint.name, KeyKind::Caller, &caller.key(), per_caller, now).await
            }
            None => LimitVerdict::Unknown,
        }
    };
    let (by_address, by_caller) = tokio::join!(by_address, by_caller);
    if let Some(window) = tightest(by_address, by_caller) {
        headers.extend(window_headers(window));
    }
    refuse_if_over(by_address).and_then(|()| refuse_if_over(by_caller))
}

/// Counts a request that turned out bad, such as a webhook with a wrong signature; good ones are never limited.
///
/// # Errors
/// `rate_limited` once the address had too many of them within a minute.
pub async fn penalise(app: &App, function: &'static str, call: &Call) -> Result<(), Error> {
    let limit = app.config.guard.rate_limit_per_address.unwrap_or(BAD_SIGNATURES_PER_ADDRESS);
    refuse_if_over(count_address(app, function, call, limit, clock::now().into()).await)
}

async fn count_address(
    app: &App,
    function: &'static str,
    call: &Call,
    limit: u32,
    now: SystemTime,
) -> LimitVerdict {
    match call.source_address() {
        Some(address) => app.guard.limit(function, KeyKind::Address, &network_of(address), limit, now).await,
        None => LimitVerdict::Unknown,
    }
}

/// An IPv6 customer has a whole /64 to choose addresses from, so that is what counts as one.
fn network_of(address: &str) -> String {
    match address.parse() {
        Ok(IpAddr::V6(address)) if address.to_ipv4_mapped().is_none() => {
            let network = address.to_bits() >> 64;
            format!("{network:016x}::/64")
        }
        _ => address.to_owned(),
    }
}

fn tightest(one: LimitVerdict, other: LimitVerdict) -> Option<Window> {
    let window = |verdict| match verdict {
        LimitVerdict::Allowed(window) | LimitVerdict::Refused(window) => Some(window),
        LimitVerdict::Unknown => None,
    };
    [window(one), window(other)].into_iter().flatten().min_by_key(|window| window.remaining)
}

/// The header fields of draft-ietf-httpapi-ratelimit-headers-06, which clients know.
fn window_headers(window: Window) -> [(&'static str, String); 3] {
    [
        ("ratelimit-limit", window.limit.to_string()),
        ("ratelimit-remaining", window.remaining.to_string()),
        ("ratelimit-reset", seconds(window.reset).to_string()),
    ]
}

fn refuse_if_over(verdict: LimitVerdict) -> Result<(), Error> {
    match verdict {
        LimitVerdict::Refused(window) => {
            Err(Refusal::new(Code::RateLimited, "Too many requests; try again later.")
                .with_retry_after(window.reset)
                .into())
        }
        LimitVerdict::Allowed(_) | LimitVerdict::Unknown => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn settings(caller: Option<u32>, address: Option<u32>) -> GuardConfig {
        GuardConfig {
            table: None,
            timeout: Duration::ZERO,
            rate_limit_per_caller: caller,
            rate_limit_per_address: address,
        }
    }

    #[test]
    fn settings_win_over_the_endpoints_own_limits() {
        assert_eq!(RateLimit::PAYMENTS.limits(&settings(None, None)), Some((10, 60)));
        assert_eq!(RateLimit::STANDARD.limits(&settings(Some(3), None)), Some((3, 60)));
        assert_eq!(RateLimit::Off.limits(&settings(Some(3), Some(4))), None);
    }

    #[test]
    fn an_ipv6_network_counts_as_one_address() {
        assert_eq!(network_of("2001:db8:1:2::1"), network_of("2001:db8:1:2:ffff::9"));
        assert_ne!(network_of("2001:db8:1:2::1"), network_of("2001:db8:1:3::1"));
        assert_eq!(network_of("192.0.2.7"), "192.0.2.7");
    }

    #[test]
    fn the_tighter_window_is_told() {
        let window = |remaining| Window { limit: 10, remaining, reset: Duration::from_millis(1500) };
        let tighter = tightest(LimitVerdict::Allowed(window(5)), LimitVerdict::Allowed(window(2))).unwrap();
        assert_eq!(tighter.remaining, 2);
        assert_eq!(window_headers(tighter)[2], ("ratelimit-reset", "2".to_owned()));
        assert!(tightest(LimitVerdict::Unknown, LimitVerdict::Unknown).is_none());
    }
}
