//! The browser origins that may call.

use super::reader::Reader;

/// Allow-lists of browser origins, compared exactly.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OriginConfig {
    /// `CORS_ALLOW_ORIGINS`: may call every endpoint that browsers call.
    pub everywhere: Vec<String>,
    /// `AUTH_ORIGIN_ALLOWLIST`: may also call endpoints that need a token.
    pub authenticated: Vec<String>,
    /// `PUBLIC_ORIGIN_ALLOWLIST`: may also call endpoints that need none.
    pub public: Vec<String>,
    /// `ALLOW_LOCALHOST_ORIGINS`: any port of localhost and 127.0.0.1 may call everything; for development.
    pub allow_localhost: bool,
    /// `ALLOW_NULL_ORIGIN`: pages without an origin (sandboxed frames, files) may call everything.
    pub allow_null: bool,
}

pub(super) fn origins(reader: &mut Reader<'_>) -> OriginConfig {
    OriginConfig {
        everywhere: list(reader, "CORS_ALLOW_ORIGINS"),
        authenticated: list(reader, "AUTH_ORIGIN_ALLOWLIST"),
        public: list(reader, "PUBLIC_ORIGIN_ALLOWLIST"),
        allow_localhost: reader.flag("ALLOW_LOCALHOST_ORIGINS"),
        allow_null: reader.flag("ALLOW_NULL_ORIGIN"),
    }
}

fn list(reader: &mut Reader<'_>, name: &'static str) -> Vec<String> {
    let origins = reader.list(name);
    if !origins.iter().all(|origin| is_origin(origin)) {
        reader.reject(name, "must be origins (scheme://host or scheme://host:port), separated by commas");
    }
    origins
}

/// Scheme, host and port as a browser sends them (RFC 6454 §6.2): lower case, nothing behind, no wildcard.
fn is_origin(text: &str) -> bool {
    let Some((scheme, authority)) = text.split_once("://") else { return false };
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || ".-:[]".contains(c);
    !scheme.is_empty()
        && scheme.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "+-.".contains(c))
        && !authority.is_empty()
        && authority.chars().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_scheme_host_and_port_and_nothing_else() {
        for origin in ["https://shop.example", "http://localhost:5173", "capacitor://localhost"] {
            assert!(is_origin(origin), "{origin}");
        }
        for text in
            ["*", "shop.example", "https://shop.example/", "https://*.example", "https://Shop.example", ""]
        {
            assert!(!is_origin(text), "{text}");
        }
    }
}
