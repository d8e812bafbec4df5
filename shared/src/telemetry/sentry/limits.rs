//! How long Sentry asks not to be called: <https://develop.sentry.dev/sdk/foundations/transport/rate-limiting/>.

use std::time::Duration;

use http::{HeaderMap, StatusCode};

/// What is assumed where a refusal names no time.
const UNSAID: Duration = Duration::from_secs(60);
/// However long Sentry asks for, a sandbox does not live longer.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
/// The category of what is sent here.
const CATEGORY: &str = "error";

/// How long nothing must be sent after such an answer, which may also be a good one.
pub(super) fn asked_pause(status: StatusCode, headers: &HeaderMap) -> Option<Duration> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(limits) = text("x-sentry-rate-limits") {
        return limits.split(',').filter_map(limit).max();
    }
    (status == StatusCode::TOO_MANY_REQUESTS).then(|| text("retry-after").and_then(seconds).unwrap_or(UNSAID))
}

/// The time of `seconds:categories:scope:…`, if it is about us: no category stands for all of them.
fn limit(text: &str) -> Option<Duration> {
    let mut parts = text.trim().split(':');
    let pause = seconds(parts.next()?)?;
    let categories = parts.next().unwrap_or_default();
    (categories.is_empty() || categories.split(';').any(|category| category == CATEGORY)).then_some(pause)
}

fn seconds(text: &str) -> Option<Duration> {
    Duration::try_from_secs_f64(text.trim().parse().ok()?).ok().map(|pause| pause.min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pause(status: u16, headers: &[(&'static str, &'static str)]) -> Option<u64> {
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        asked_pause(StatusCode::from_u16(status).unwrap(), &headers.collect()).map(|pause| pause.as_secs())
    }

    #[test]
    fn a_refusal_says_for_how_long() {
        assert_eq!(pause(429, &[("retry-after", "7")]), Some(7));
        assert_eq!(pause(429, &[]), Some(60));
        assert_eq!(pause(429, &[("retry-after", "soon")]), Some(60));
        assert_eq!(pause(429, &[("retry-after", "1e18")]), Some(86_400));
        assert_eq!(pause(200, &[("retry-after", "7")]), None);
    }

    #[test]
    fn limits_of_our_category_or_of_all_count_whatever_the_status_is() {
        let limits = |value| [("x-sentry-rate-limits", value)];
        assert_eq!(
            pause(200, &limits("60:transaction:key, 2700:default;error;security:organization")),
            Some(2700)
        );
        assert_eq!(pause(200, &limits("60::organization")), Some(60));
        assert_eq!(pause(200, &limits("0.5:error:key")), Some(0));
        assert_eq!(pause(429, &limits("60:transaction:key")), None);
    }
}
