//! Where errors are reported to.

use super::reader::Reader;

/// The project at Sentry, or at whatever speaks its protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentryConfig {
    /// Where envelopes are posted.
    pub endpoint: String,
    /// Names us there. It is public: it lets in, and lets nobody read.
    pub public_key: String,
}

const NAME: &str = "SENTRY_DSN";

/// `SENTRY_DSN`: read before all else, so that a bad configuration can be reported. None: nothing is reported.
#[must_use]
pub fn sentry() -> Option<SentryConfig> {
    parse(std::env::var(NAME).ok()?.trim())
}

/// Rejects a DSN that [`sentry`] would not understand.
pub(super) fn check(reader: &mut Reader<'_>) {
    if reader.is_parameter(NAME) {
        reader.reject(NAME, "must not refer to a parameter: it is read before those are, and is no secret");
    } else if reader.text(NAME).is_some_and(|dsn| parse(&dsn).is_none()) {
        reader.reject(NAME, "must be as Sentry shows it: https://<key>@<host>/<project>");
    }
}

/// See <https://develop.sentry.dev/sdk/foundations/transport/authentication/#parsing-the-dsn>.
fn parse(dsn: &str) -> Option<SentryConfig> {
    let url = reqwest::Url::parse(dsn).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
    let (folder, project) = url.path().rsplit_once('/')?;
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let (scheme, host, key) = (url.scheme(), url.host_str()?, url.username());
    let is_word = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    (is_word(key) && is_word(project)).then(|| SentryConfig {
        endpoint: format!("{scheme}://{host}{port}{folder}/api/{project}/envelope/"),
        public_key: key.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dsn_says_where_envelopes_go_and_in_whose_name() {
        for (dsn, endpoint) in [
            ("https://abc@o1.ingest.sentry.io/42", "https://o1.ingest.sentry.io/api/42/envelope/"),
            ("https://abc:old@sentry.example/a/b/42", "https://sentry.example/a/b/api/42/envelope/"),
            ("http://abc@127.0.0.1:9000/1", "http://127.0.0.1:9000/api/1/envelope/"),
        ] {
            let expected = SentryConfig { endpoint: endpoint.to_owned(), public_key: "abc".to_owned() };
            assert_eq!(parse(dsn), Some(expected), "{dsn}");
        }
    }

    #[test]
    fn what_is_no_dsn_is_rejected() {
        for dsn in
            ["on", "https://sentry.io/1", "https://abc@sentry.io", "https://abc@sentry.io/", "ftp://abc@h/1"]
        {
            let lookup = |_: &str| Some(dsn.to_owned());
            let mut reader = Reader::new(&lookup);
            check(&mut reader);
            assert!(reader.finish(()).is_err(), "{dsn}");
        }
    }

    #[test]
    fn without_one_nothing_is_wrong() {
        for dsn in [None, Some(String::new())] {
            let lookup = |_: &str| dsn.clone();
            let mut reader = Reader::new(&lookup);
            check(&mut reader);
            assert!(reader.finish(()).is_ok());
        }
    }
}
