//! Which browser origins may call, and what browsers are told (Fetch standard §3.2).

use super::answer::{Answer, Headers};
use crate::config::OriginConfig;

/// Which allow-lists an endpoint goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origins {
    /// Browsers call it with a token.
    Authenticated,
    /// Browsers call it without one.
    Public,
    /// Browsers do not call it: origins are neither looked at nor answered.
    None,
}

/// What is to be said to the origin of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OriginVerdict<'a> {
    /// Not from another origin.
    NotCrossOrigin,
    /// From this origin, which may call.
    Allowed(&'a str),
    /// From an origin that may not.
    Foreign,
}

const EXPOSED_HEADERS: &str = "x-correlation-id, idempotent-replayed, retry-after, ratelimit-limit, \
                               ratelimit-remaining, ratelimit-reset";
const ALLOWED_HEADERS: &str = "authorization, content-type, idempotency-key, x-correlation-id";
/// How long browsers may remember a preflight, in seconds.
const MAX_AGE: &str = "600";

impl Origins {
    pub(crate) fn judge<'a>(self, config: &OriginConfig, origin: Option<&'a str>) -> OriginVerdict<'a> {
        let list = match self {
            Self::Authenticated => &config.authenticated,
            Self::Public => &config.public,
            Self::None => return OriginVerdict::NotCrossOrigin,
        };
        let Some(origin) = origin else { return OriginVerdict::NotCrossOrigin };
        let listed = |list: &[String]| list.iter().any(|allowed| allowed == origin);
        let allowed = match origin {
            "null" => config.allow_null,
            _ => {
                listed(&config.everywhere) || listed(list) || (config.allow_localhost && is_localhost(origin))
            }
        };
        if allowed { OriginVerdict::Allowed(origin) } else { OriginVerdict::Foreign }
    }
}

impl Origins {
    /// Whether a browser may be sent to this address: a page of an origin that may call.
    #[must_use]
    pub fn allows_return_to(self, config: &OriginConfig, url: &str) -> bool {
        let Ok(url) = reqwest::Url::parse(url) else { return false };
        let is_plain =
            matches!(url.scheme(), "https" | "http") && url.username().is_empty() && url.password().is_none();
        let origin = url.origin().ascii_serialization();
        is_plain && matches!(self.judge(config, Some(&origin)), OriginVerdict::Allowed(_))
    }
}

/// `http://localhost` or `http://127.0.0.1` with any port or none, and nothing that merely begins like it.
fn is_localhost(origin: &str) -> bool {
    let Some(authority) = origin.strip_prefix("http://") else { return false };
    let (host, port) = authority.split_once(':').unwrap_or((authority, "80"));
    matches!(host, "localhost" | "127.0.0.1") && port.parse::<u16>().is_ok() && !port.starts_with('+')
}

/// The headers of every response, refusals included, so that a page can read them.
pub(crate) fn headers(origins: Origins, verdict: OriginVerdict<'_>) -> Headers {
    let mut headers = Vec::new();
    if origins != Origins::None {
        headers.push(("vary", "origin".to_owned()));
    }
    if let OriginVerdict::Allowed(origin) = verdict {
        headers.push(("access-control-allow-origin", origin.to_owned()));
        headers.push(("access-control-expose-headers", EXPOSED_HEADERS.to_owned()));
    }
    headers
}

/// The answer to OPTIONS, preflight or not.
pub(crate) fn preflight(methods: &[&str], verdict: OriginVerdict<'_>) -> Answer {
    let methods = methods.join(", ");
    let mut headers = vec![("allow", format!("{methods}, OPTIONS"))];
    if let OriginVerdict::Allowed(_) = verdict {
        headers.push(("access-control-allow-methods", methods));
        headers.push(("access-control-allow-headers", ALLOWED_HEADERS.to_owned()));
        headers.push(("access-control-max-age", MAX_AGE.to_owned()));
    }
    Answer { status: 204, body: serde_json::Value::Null, headers }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> OriginConfig {
        OriginConfig {
            everywhere: vec!["https://shop.example".into()],
            authenticated: vec!["https://app.example".into()],
            public: vec!["https://www.example".into()],
            ..OriginConfig::default()
        }
    }

    #[test]
    fn a_browser_is_sent_back_to_pages_of_allowed_origins_only() {
        let config = OriginConfig { allow_null: true, ..config() };
        for url in [
            "https://shop.example/credits?session={CHECKOUT_SESSION_ID}",
            "https://app.example",
            "https://shop.example:443/",
        ] {
            assert!(Origins::Authenticated.allows_return_to(&config, url), "{url}");
        }
        for url in [
            "https://www.example/",
            "https://shop.example.evil.example/",
            "https://shop.example@evil.example/",
            "https://user@shop.example/",
            "http://shop.example/",
            "https://shop.example:8443/",
            "javascript:alert(1)//https://shop.example",
            "data:text/html,x",
            "file:///etc/passwd",
            "//shop.example/",
            "/credits",
            "",
        ] {
            assert!(!Origins::Authenticated.allows_return_to(&config, url), "{url}");
        }
    }

    fn allowed(origins: Origins, config: &OriginConfig, origin: &str) -> bool {
        origins.judge(config, Some(origin)) == OriginVerdict::Allowed(origin)
    }

    #[test]
    fn each_kind_of_endpoint_has_its_own_list_beside_the_common_one() {
        for (origin, authenticated, public) in [
            ("https://shop.example", true, true),
            ("https://app.example", true, false),
            ("https://www.example", false, true),
            ("https://evil.example", false, false),
        ] {
            assert_eq!(allowed(Origins::Authenticated, &config(), origin), authenticated, "{origin}");
            assert_eq!(allowed(Origins::Public, &config(), origin), public, "{origin}");
        }
    }

    #[test]
    fn origins_match_exactly() {
        for origin in [
            "https://shop.example.evil",
            "http://shop.example",
            "https://shop.example:8443",
            "https://SHOP.example",
            "https://xshop.example",
        ] {
            assert_eq!(Origins::Public.judge(&config(), Some(origin)), OriginVerdict::Foreign, "{origin}");
        }
    }

    #[test]
    fn localhost_is_allowed_only_by_its_setting() {
        let open = OriginConfig { allow_localhost: true, ..config() };
        for origin in ["http://localhost:5173", "http://127.0.0.1:3000", "http://localhost"] {
            assert!(allowed(Origins::Public, &open, origin), "{origin}");
            assert!(!allowed(Origins::Public, &config(), origin), "{origin}");
        }
        for origin in [
            "http://localhost.evil.example",
            "http://localhost:80.evil.example",
            "http://localhost:",
            "https://localhost:1",
        ] {
            assert!(!allowed(Origins::Public, &open, origin), "{origin}");
        }
    }

    #[test]
    fn null_is_allowed_only_by_its_setting() {
        let open = OriginConfig { allow_null: true, ..config() };
        assert!(allowed(Origins::Public, &open, "null"));
        assert!(!allowed(Origins::Public, &config(), "null"));
        assert!(!allowed(
            Origins::Public,
            &OriginConfig { everywhere: vec!["null".into()], ..config() },
            "null"
        ));
    }

    #[test]
    fn a_request_without_an_origin_or_to_a_server_endpoint_goes_on() {
        assert_eq!(Origins::Public.judge(&config(), None), OriginVerdict::NotCrossOrigin);
        assert_eq!(
            Origins::None.judge(&config(), Some("https://evil.example")),
            OriginVerdict::NotCrossOrigin
        );
    }

    #[test]
    fn a_foreign_origin_is_told_nothing() {
        let headers = headers(Origins::Public, OriginVerdict::Foreign);
        assert_eq!(headers, [("vary", "origin".to_owned())]);
        assert_eq!(
            preflight(&["POST"], OriginVerdict::Foreign).headers,
            [("allow", "POST, OPTIONS".to_owned())]
        );
    }
}
