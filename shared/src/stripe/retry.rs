//! When to try again, by Stripe's rules: <https://docs.stripe.com/error-low-level>.

use std::time::Duration;

use http::{HeaderMap, StatusCode};
use tokio::time::Instant;

/// The first pause between two attempts; it doubles with each.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// No pause is longer, unless Stripe asks for it.
const LONGEST_PAUSE: Duration = Duration::from_secs(4);
/// An attempt with less time than this cannot succeed, so it is not begun.
const SHORTEST_ATTEMPT: Duration = Duration::from_millis(100);

/// Whether the same request, with the same key, may get another answer.
///
/// Stripe's own advice comes first; without it, lock conflicts, throttling and failures on its side are tried again.
pub(super) fn worth_repeating(status: StatusCode, headers: &HeaderMap) -> bool {
    match headers.get("stripe-should-retry").map(http::HeaderValue::as_bytes) {
        Some(b"true") => true,
        Some(b"false") => false,
        _ => {
            status == StatusCode::CONFLICT
                || status == StatusCode::TOO_MANY_REQUESTS
                || status.is_server_error()
        }
    }
}

/// Whether this answer was stored for its idempotency key, so that it comes again for ever.
pub(super) fn is_replayed(headers: &HeaderMap) -> bool {
    headers.get("idempotent-replayed").is_some_and(|value| value.as_bytes() == b"true")
}

/// The pause that the answer asks for, in whole seconds.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get(http::header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

/// The pause after attempt number `attempt` (from 0), or nothing if the next attempt could not end in time.
pub(super) fn pause(
    attempt: u32,
    asked: Option<Duration>,
    now: Instant,
    deadline: Instant,
) -> Option<Duration> {
    let longest = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(attempt)).min(LONGEST_PAUSE);
    let pause = asked.unwrap_or_default().max(jittered(longest));
    // What is asked for may be any number of seconds, also one that no clock can add.
    let next_attempt_ends = now.checked_add(pause)?.checked_add(SHORTEST_ATTEMPT)?;
    (next_attempt_ends < deadline).then_some(pause)
}

/// Between half of the pause and all of it, so that callers who failed together do not come back together.
fn jittered(longest: Duration) -> Duration {
    // A random UUID is randomness enough here, and spares a dependency.
    let (random, _) = uuid::Uuid::new_v4().as_u64_pair();
    let half = longest / 2;
    let span = u64::try_from(half.as_micros()).unwrap_or(u64::MAX).max(1);
    half + Duration::from_micros(random % span)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(http::HeaderName::from_static(name), http::HeaderValue::from_static(value))])
    }

    #[test]
    fn stripes_advice_comes_before_the_status() {
        let yes = headers("stripe-should-retry", "true");
        let no = headers("stripe-should-retry", "false");
        assert!(worth_repeating(StatusCode::BAD_REQUEST, &yes));
        assert!(!worth_repeating(StatusCode::INTERNAL_SERVER_ERROR, &no));
    }

    #[test]
    fn without_advice_the_status_decides() {
        for (status, expected) in
            [(400, false), (402, false), (404, false), (409, true), (429, true), (503, true)]
        {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(worth_repeating(status, &HeaderMap::new()), expected, "{status}");
        }
    }

    #[test]
    fn pauses_grow_and_are_jittered_downwards() {
        let now = Instant::now();
        let far = now + Duration::from_secs(3600);
        for (attempt, longest) in [(0, 250), (1, 500), (2, 1000), (10, 4000), (u32::MAX, 4000)] {
            let pause = pause(attempt, None, now, far).unwrap().as_millis();
            assert!(pause >= longest / 2 && pause <= longest, "{attempt}: {pause} ms");
        }
    }

    #[test]
    fn a_pause_never_reaches_past_the_deadline() {
        let now = Instant::now();
        let asked = retry_after(&headers("retry-after", "3"));
        assert_eq!(asked, Some(Duration::from_secs(3)));
        assert_eq!(pause(0, asked, now, now + Duration::from_secs(10)), asked);
        assert_eq!(pause(0, asked, now, now + Duration::from_secs(3)), None);
        assert_eq!(pause(0, None, now, now), None);
        let for_ever = retry_after(&headers("retry-after", "18446744073709551615"));
        assert_eq!(for_ever, Some(Duration::MAX - Duration::from_nanos(999_999_999)));
        assert_eq!(pause(0, for_ever, now, now + Duration::from_secs(10)), None);
    }
}
